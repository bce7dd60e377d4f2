//! What an operator's command asks and changes at the broker, on a connection of its own.
//!
//! Before it: [`super::Client::bench`]. After it: the broker. Each question has a channel of its own, for the broker closes a
//! channel whose question it does not like.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions},
    types::FieldTable,
};
use tokio::time::timeout;

use super::wire::{
    connect::{Connector, Patience},
    declare::{self, short},
    depth::{self, Looking},
    failure,
    link::Link,
};
use crate::transport::{depths::Depth, error::Error, publication::Retry, topology::Change};

/// How long the broker may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection for an operator's command. Dropped, it is closed.
pub struct Bench {
    connection: Arc<Connection>,
    broker: String,
    /// Shuts the socket down with this value. In a lock because its events cannot be shared; nobody waits for it.
    link: Mutex<Link>,
}

impl Bench {
    pub(super) async fn open(connector: &Arc<Connector>) -> Result<Self, Error> {
        connector.connect(&Looking, Patience::UntilRefused(Retry::Times(0))).await.map(|link| Self {
            connection: Arc::clone(&link.connection),
            broker: link.broker().to_owned(),
            link: Mutex::new(link),
        })
    }

    /// How a queue is; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unreachable`].
    pub async fn queue(&self, name: &str) -> Result<Option<Depth>, Error> {
        self.ask(async |channel| match depth::of(channel, name).await {
            Err(declare::Error::Lapin(error)) if failure::is_not_found(&error) => Ok(None),
            seen => seen.map(Some),
        })
        .await
    }

    /// Whether what an exchange has no queue for comes to another one, by way of alternate exchanges. A message of our own
    /// is sent, with a key that no other queue is bound with.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unreachable`]. That an exchange is missing is none.
    pub async fn leads(&self, from: &str, to: &str) -> Result<bool, Error> {
        self.ask(async |channel| match self::leads(channel, from, to).await {
            Err(declare::Error::Lapin(error)) if failure::is_not_found(&error) => Ok(false),
            led => led,
        })
        .await
    }

    /// Changes something. What is so already stays.
    ///
    /// # Errors
    ///
    /// As [`Bench::leads`].
    pub async fn change(&self, change: &Change) -> Result<(), Error> {
        self.ask(async |channel| {
            let none = FieldTable::default();
            match change {
                Change::Bind { queue, exchange, key } => {
                    let options = QueueBindOptions::default();
                    channel.queue_bind(short(queue)?, short(exchange)?, short(key)?, options, none).await?;
                }
                Change::Unbind { queue, exchange, key } => {
                    channel.queue_unbind(short(queue)?, short(exchange)?, short(key)?, none).await?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Says good-bye.
    pub async fn close(self) {
        self.link.into_inner().unwrap_or_else(PoisonError::into_inner).close(PATIENCE).await;
    }

    async fn ask<T>(&self, question: impl AsyncFnOnce(&Channel) -> Result<T, declare::Error>) -> Result<T, Error> {
        let broker = || self.broker.clone();
        let answered = timeout(PATIENCE, async {
            let channel = self.connection.create_channel().await?;
            let answer = question(&channel).await?;
            channel.close(200, "OK".into()).await.ok();
            Ok(answer)
        });
        match answered.await {
            Ok(answer) => answer.map_err(|error: declare::Error| error.meaning(broker(), false)),
            Err(_) => {
                let reason = format!("no answer within {} s", PATIENCE.as_secs());
                Err(Error::Unreachable { broker: broker(), reason })
            }
        }
    }
}

/// Whether a message of our own comes from one exchange to the other.
async fn leads(channel: &Channel, from: &str, to: &str) -> Result<bool, declare::Error> {
    let name = format!("nova_host_probe_{}", uuid::Uuid::new_v4().simple());
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
    let (queue, key) = (short(&name)?, short(&name)?);
    channel.queue_declare(queue.clone(), options, FieldTable::default()).await?;
    let (bind, none) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.clone(), short(to)?, key.clone(), bind, none).await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let publish = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish(short(from)?, key, publish, b"", BasicProperties::default()).await?.await?;
    if matches!(sent, Confirmation::Ack(Some(_)) | Confirmation::Nack(_)) {
        return Ok(false);
    }
    let got = channel.basic_get(queue, BasicGetOptions { no_ack: true }).await?;
    Ok(got.is_some())
}

impl std::fmt::Debug for Bench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Bench").field(&self.broker).finish()
    }
}
