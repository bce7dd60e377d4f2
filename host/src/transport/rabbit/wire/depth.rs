//! Looks at queues now and then, on a connection of its own: whatever goes wrong there (a queue that has gone closes a channel, a
//! quorum queue without a leader does not answer) is nothing to those that consume and publish.
//!
//! Before it: [`super::super::Client::look_at`]. After it: [`Depths`].

use std::{sync::Arc, time::Duration};

use lapin::{Channel, Connection, options::QueueDeclareOptions, types::FieldTable};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    connect::{Connector, Patience, Purpose, Role},
    declare,
    link::Link,
};
use crate::transport::{
    connections::Carries,
    depths::{Depth, Depths, EVERY},
    error::Error,
    publication::Retry,
};

/// How long the broker may take to say what is in a queue.
const ANSWERED_IN: Duration = Duration::from_secs(5);

/// A connection to look with.
pub(crate) struct Looking;

impl Purpose for Looking {
    type Ready = Link;

    const ROLE: Role = Role::Looking;

    async fn prepare(&self, link: Link) -> Result<Link, Error> {
        Ok(link)
    }
}

/// Looks at these queues for as long as it is polled, and notes what it sees by the names beside them.
pub(crate) async fn look(connector: Arc<Connector>, queues: Vec<(String, String)>, depths: Depths) {
    if queues.is_empty() {
        return;
    }
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut link = None;
    loop {
        ticks.tick().await;
        // Those who consume try to connect, and say so in the log: once is enough.
        if connector.connections.of(Carries::Requests).open == 0 {
            link = None;
            continue;
        }
        let connected = match link.take() {
            Some(link) => link,
            None => match connector.connect(&Looking, Patience::UntilRefused(Retry::Times(0))).await {
                Ok(link) => link,
                // It has logged why.
                Err(_) => continue,
            },
        };
        let connection = Arc::clone(&connected.connection);
        if connection.status().connected() && look_once(&connection, &queues, &depths).await == Some(Looked::All) {
            link = Some(connected);
        }
    }
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looked {
    /// All queues were seen.
    All,
    /// Some were not.
    Some,
}

/// What waits in a queue. Where there is none, the broker closes the channel.
pub(crate) async fn of(channel: &Channel, queue: &str) -> Result<Depth, declare::Error> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let seen = channel.queue_declare(declare::short(queue)?, options, FieldTable::default()).await?;
    Ok(Depth { messages: seen.message_count(), consumers: seen.consumer_count() })
}

/// Looks at each queue once; `None` where the connection is of no use.
async fn look_once(connection: &Connection, queues: &[(String, String)], depths: &Depths) -> Option<Looked> {
    let (mut open, mut looked) = (None::<Channel>, Looked::All);
    for (queue, called) in queues {
        let channel = match open.take() {
            Some(channel) => channel,
            None => timeout(ANSWERED_IN, connection.create_channel()).await.ok()?.ok()?,
        };
        match timeout(ANSWERED_IN, of(&channel, queue)).await {
            Ok(Ok(seen)) => {
                depths.note(called, seen);
                open = Some(channel);
                continue;
            }
            // It has taken its channel along.
            Ok(Err(error)) => tracing::debug!(queue, %error, "a queue was not looked at"),
            // The next answer on the channel would be taken for this one's.
            Err(_) => tracing::debug!(queue, "the broker does not say what is in a queue"),
        }
        looked = Looked::Some;
    }
    Some(looked)
}
