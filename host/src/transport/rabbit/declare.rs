//! [`crate::transport::topology`] in lapin's words.
//!
//! Before it: [`super::session`] and [`super::publish`], with a channel. After it: the broker.

use lapin::{
    Channel,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use crate::transport::topology::{Argument, Binding, Declaration, Exchange, ExchangeKind, Queue};

/// A declaration that did not happen.
#[derive(Debug)]
pub(super) enum Error {
    /// A name that AMQP has no room for.
    Name(String),
    /// The broker's word, or its silence.
    Lapin(lapin::Error),
}

impl From<lapin::Error> for Error {
    fn from(error: lapin::Error) -> Self {
        Self::Lapin(error)
    }
}

/// Declares everything in order.
pub(super) async fn all(channel: &Channel, declarations: &[Declaration]) -> Result<(), Error> {
    for declaration in declarations {
        match declaration {
            Declaration::Exchange(exchange) => self::exchange(channel, exchange).await?,
            Declaration::Queue(queue) => self::queue(channel, queue).await?,
            Declaration::Binding(binding) => self::binding(channel, binding).await?,
        }
    }
    Ok(())
}

/// Declares an exchange.
pub(super) async fn exchange(channel: &Channel, exchange: &Exchange) -> Result<(), Error> {
    let Exchange { name, kind, durable, auto_delete } = exchange;
    let kind = match kind {
        ExchangeKind::Topic => lapin::ExchangeKind::Topic,
        ExchangeKind::Fanout => lapin::ExchangeKind::Fanout,
        ExchangeKind::Direct => lapin::ExchangeKind::Direct,
    };
    let options = ExchangeDeclareOptions { durable: *durable, auto_delete: *auto_delete, ..Default::default() };
    Ok(channel.exchange_declare(short(name)?, kind, options, FieldTable::default()).await?)
}

async fn queue(channel: &Channel, queue: &Queue) -> Result<(), Error> {
    let Queue { name, durable, auto_delete, arguments } = queue;
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        let value = match value {
            Argument::Text(text) => AMQPValue::LongString((*text).into()),
            // As the reference sends it, where it fits; the broker compares by value.
            Argument::Number(number) => {
                i32::try_from(*number).map_or(AMQPValue::LongLongInt(*number), AMQPValue::LongInt)
            }
        };
        table.insert(short(name)?, value);
    }
    let options = QueueDeclareOptions { durable: *durable, auto_delete: *auto_delete, ..Default::default() };
    channel.queue_declare(short(name)?, options, table).await?;
    Ok(())
}

async fn binding(channel: &Channel, binding: &Binding) -> Result<(), Error> {
    let Binding { queue, exchange, key } = binding;
    let (queue, exchange, key) = (short(queue)?, short(exchange)?, short(key)?);
    Ok(channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), FieldTable::default()).await?)
}

/// A name as AMQP has it. lapin's `From` panics where it is too long.
pub(super) fn short(name: &str) -> Result<ShortString, Error> {
    ShortString::try_new(name).map_err(|_| Error::Name(name.to_owned()))
}
