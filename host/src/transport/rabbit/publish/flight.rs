//! What is asked of the broker for a message: a channel, an exchange, and to take it.
//!
//! Before it: [`super::outbox`] asks. After it: [`super::outbox`] notes what the broker says, as an [`Event`].

use std::{io, pin::Pin, sync::Arc, time::Duration};

use lapin::{
    Channel, Confirmation, Connection, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{FieldTable, ShortString},
};

use tokio::time::{Instant, timeout};

use super::{
    super::wire::declare,
    exchanges::{self, Obstacle},
    parcel::Parcel,
};
use crate::transport::{
    publication::{Published, Routing},
    topology::{Exchange, ExchangeKind},
};

/// How long a message may hold a channel of its own. RabbitMQ may be silent on it for a minute, where a queue has no
/// leader; the next attempt has another channel.
const ALONE_FOR: Duration = Duration::from_secs(10);

/// How long the broker may take to say how many messages a queue holds.
const COUNTED_IN: Duration = Duration::from_secs(1);

/// What has come to an end.
#[expect(clippy::large_enum_variant, reason = "the largest one is what comes for each message")]
pub(crate) enum Event {
    /// A lane has a channel, in this life of it.
    Opened(usize, u64, lapin::Result<Channel>),
    /// An exchange is declared, for messages of this lane, or not.
    Declared(usize, String, Result<(), Obstacle>),
    /// The broker has said what became of the message with this number, in a life of a lane.
    Said(usize, u64, u64, lapin::Result<Confirmation>),
    /// The same for a message that went alone; `None` where it has said nothing.
    SaidAlone(u64, Option<lapin::Result<Published>>),
    /// The broker has answered a question that was asked at this time, or not.
    Answered(Instant, bool),
}

/// Something that is under way.
pub(crate) type Asked = Pin<Box<dyn Future<Output = Event> + Send>>;

/// Opens a channel for a life of a lane.
pub(crate) fn opening(connection: &Arc<Connection>, lane: usize, life: u64) -> Asked {
    let connection = Arc::clone(connection);
    Box::pin(async move {
        let opened = timeout(ALONE_FOR, open(&connection)).await;
        Event::Opened(lane, life, opened.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())))
    })
}

/// Declares an exchange, for no longer than [`ALONE_FOR`].
pub(crate) fn declaring(connection: &Arc<Connection>, lane: usize, exchange: Exchange) -> Asked {
    let (connection, name) = (Arc::clone(connection), exchange.name.clone());
    Box::pin(async move {
        let limited = timeout(ALONE_FOR, exchanges::declare(connection, exchange)).await;
        let silent = |_| Err(Obstacle::Lost(io::Error::from(io::ErrorKind::TimedOut).into()));
        Event::Declared(lane, name, limited.unwrap_or_else(silent))
    })
}

/// Sends the message with this number on the channel of a life of a lane.
pub(crate) fn sending(channel: &Channel, parcel: Arc<Parcel>, lane: usize, life: u64, number: u64) -> Asked {
    let channel = channel.clone();
    Box::pin(async move {
        let published = publish(&channel, parcel).await;
        // Or a channel that is given up would stay open for as long as its messages are not confirmed.
        drop(channel);
        let said = match published {
            Ok(confirmation) => confirmation.await,
            Err(error) => Err(error),
        };
        Event::Said(lane, life, number, said)
    })
}

/// Sends the message with this number on a channel of its own, for no longer than [`ALONE_FOR`].
pub(crate) fn sending_alone(connection: &Arc<Connection>, parcel: Arc<Parcel>, number: u64) -> Asked {
    let connection = Arc::clone(connection);
    Box::pin(async move {
        let sending = async {
            let channel = open(&connection).await?;
            // Fanouts have no queue of the key's name.
            let is_named = parcel.route.exchange.as_ref().is_none_or(|exchange| exchange.kind == ExchangeKind::Topic);
            let queue = declare::short(&parcel.route.key).ok().filter(|_| is_named);
            match publish(&channel, parcel).await?.await? {
                Confirmation::Ack(None) => Ok(Published::Confirmed),
                Confirmation::Ack(Some(_)) => Ok(Published::Unroutable),
                // `NotRequested` never comes on a channel that confirms.
                Confirmation::Nack(_) | Confirmation::NotRequested => {
                    Ok(Published::Nacked { is_full: holds_messages(&channel, queue).await })
                }
            }
        };
        Event::SaidAlone(number, timeout(ALONE_FOR, sending).await.ok())
    })
}

/// Whether the queue of this name holds messages, as far as the broker says. RabbitMQ says 0 of a quorum queue that has no
/// leader.
async fn holds_messages(channel: &Channel, queue: Option<ShortString>) -> bool {
    let Some(queue) = queue.filter(|queue| !queue.as_str().is_empty()) else { return false };
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let asked = timeout(COUNTED_IN, channel.queue_declare(queue, options, FieldTable::default())).await;
    asked.is_ok_and(|asked| asked.is_ok_and(|queue| queue.message_count() > 0))
}

/// Asks the broker for something that it always has, and that waits for no queue: a channel.
pub(crate) fn asking(connection: &Arc<Connection>, now: Instant) -> Asked {
    let connection = Arc::clone(connection);
    Box::pin(async move {
        let asked = timeout(ALONE_FOR, connection.create_channel()).await;
        Event::Answered(now, matches!(asked, Ok(Ok(_))))
    })
}

/// Sends a message; what the broker says of it is in what this gives. Its number is taken when this is first polled, and its frames are queued in the same step.
async fn publish(channel: &Channel, parcel: Arc<Parcel>) -> lapin::Result<PublisherConfirm> {
    let mandatory = parcel.publication.routing == Routing::Mandatory;
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let (exchange, key) = match (declare::short(parcel.route.exchange_name()), declare::short(&parcel.route.key)) {
        (Ok(exchange), Ok(key)) => (exchange, key),
        // Checked before.
        (Err(error), _) | (_, Err(error)) => return Err(io::Error::other(error.to_string()).into()),
    };
    let properties = parcel.properties.clone();
    channel.basic_publish(exchange, key, options, &parcel.publication.body, properties).await
}

/// Opens a channel that confirms messages.
async fn open(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}
