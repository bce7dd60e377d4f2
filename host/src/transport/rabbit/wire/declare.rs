//! [`crate::transport::topology`] in lapin's words.
//!
//! Before it: [`super::super::consume`] and [`super::super::publish`], with a channel. After it: the broker.

use lapin::{
    Channel,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use super::failure;
use crate::transport::{
    error,
    topology::{Argument, Binding, Declaration, Exchange, ExchangeKind, Queue},
};

/// A declaration that did not happen.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A name that AMQP has no room for.
    #[error("a name is longer than 255 bytes: {}…; shorten it", .0.chars().take(40).collect::<String>())]
    Name(String),
    /// The broker's word, or its silence.
    #[error("{}", failure::text(.0))]
    Lapin(#[from] lapin::Error),
    /// The same about a queue that is not durable.
    #[error("{}", failure::text(.0))]
    TransientQueue(lapin::Error),
}

impl Error {
    /// Whether the broker gave up at a queue that is not durable and did not say why: what RabbitMQ 4.3 does that denies
    /// such queues, and what others do for a moment.
    pub(crate) fn is_internal_at_transient_queue(&self) -> bool {
        matches!(self, Self::TransientQueue(error) if failure::is_internal(error))
    }

    /// Whether the broker denies queues that are not durable: it says so, or has given up at one twice.
    pub(crate) fn is_denial_of_transient_queue(&self, is_second: bool) -> bool {
        matches!(self, Self::TransientQueue(error)
            if failure::is_internal(error) && (is_second || failure::text(error).contains(failure::TRANSIENT_FEATURE)))
    }

    /// The exchange that exists without durability, where that is what the broker says.
    pub(crate) fn exchange_without_durability(&self) -> Option<String> {
        match self {
            Self::Lapin(error) => failure::exchange_without_durability(error),
            Self::Name(_) | Self::TransientQueue(_) => None,
        }
    }

    /// What it means. `is_second` says that the connection before ended with
    /// [`Error::is_internal_at_transient_queue`] too.
    pub(crate) fn meaning(&self, broker: String, is_second: bool) -> error::Error {
        match self {
            Self::Name(_) => error::Error::Refused { broker, reason: self.to_string() },
            Self::TransientQueue(error) if is_second && failure::is_internal(error) => {
                error::Error::Refused { broker, reason: format!("{self}; {}", failure::TRANSIENT_QUEUES) }
            }
            Self::Lapin(error) | Self::TransientQueue(error) => failure::of_declaration(broker, error),
        }
    }
}

/// Declares everything in order.
pub(crate) async fn all(channel: &Channel, declarations: &[Declaration]) -> Result<(), Error> {
    for declaration in declarations {
        match declaration {
            Declaration::Exchange(exchange) => self::exchange(channel, exchange).await?,
            Declaration::Queue(queue) => self::queue(channel, queue).await?,
            Declaration::Binding(binding) => self::binding(channel, binding).await?,
        }
    }
    Ok(())
}

/// Declares an exchange, or looks for one that is others' to declare.
pub(crate) async fn exchange(channel: &Channel, exchange: &Exchange) -> Result<(), Error> {
    let Exchange { name, kind, durable, auto_delete } = exchange;
    let passive = *kind == ExchangeKind::Others;
    let kind = match kind {
        // What is only looked for may be of any kind.
        ExchangeKind::Topic | ExchangeKind::Others => lapin::ExchangeKind::Topic,
        ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
    };
    let options =
        ExchangeDeclareOptions { passive, durable: *durable, auto_delete: *auto_delete, ..Default::default() };
    Ok(channel.exchange_declare(short(name)?, kind, options, FieldTable::default()).await?)
}

async fn queue(channel: &Channel, queue: &Queue) -> Result<(), Error> {
    let Queue { name, durable, auto_delete, exclusive, arguments } = queue;
    let table = table(arguments)?;
    let options = QueueDeclareOptions {
        durable: *durable,
        auto_delete: *auto_delete,
        exclusive: *exclusive,
        ..Default::default()
    };
    match channel.queue_declare(short(name)?, options, table).await {
        Ok(_) => Ok(()),
        Err(error) if *durable => Err(error.into()),
        Err(error) => Err(Error::TransientQueue(error)),
    }
}

/// Extensions as AMQP has them.
pub(crate) fn table(arguments: &[(&'static str, Argument)]) -> Result<FieldTable, Error> {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString(text.as_ref().into()),
            // As the reference sends it, where it fits; the broker compares by value.
            Argument::Number(number) => {
                i32::try_from(*number).map_or(AMQPValue::LongLongInt(*number), AMQPValue::LongInt)
            }
            Argument::Switch(on) => AMQPValue::Boolean(*on),
        };
        table.insert(short(name)?, value);
    }
    Ok(table)
}

async fn binding(channel: &Channel, binding: &Binding) -> Result<(), Error> {
    let Binding { queue, exchange, key } = binding;
    let (queue, exchange, key) = (short(queue)?, short(exchange)?, short(key)?);
    Ok(channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await?)
}

/// A name as AMQP has it. lapin's `From` panics where it is too long.
pub(crate) fn short(name: &str) -> Result<ShortString, Error> {
    ShortString::try_new(name).map_err(|_| Error::Name(name.to_owned()))
}
