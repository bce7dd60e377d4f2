//! The channels of a publishing connection, and the exchanges that are declared on it.
//!
//! Before it: [`super::outbox`] has a message for a route. After it: [`super::message`] sends it on the channel given.

use std::collections::HashSet;

use lapin::{Channel, Connection, options::ConfirmSelectOptions};

use super::{declare, failure};
use crate::transport::topology::{Exchange, Route};

/// How many exchanges are remembered as declared. Who publishes to more has them declared again.
const MAX_DECLARED: usize = 1024;

/// The channels of a connection. The broker closes a channel for a mistake and forgets its unconfirmed messages, so
/// what cannot go wrong has one of its own, and so has what goes wrong most.
#[derive(Default)]
pub(super) struct Channels {
    /// For queues by name, by way of the default exchange: replies.
    to_queues: Option<Channel>,
    /// For exchanges, which may have gone.
    to_exchanges: Option<Channel>,
    /// For declarations, which may be refused.
    declaring: Option<Channel>,
    /// The exchanges that exist, as far as we know.
    declared: HashSet<String>,
}

/// Why a message cannot be sent now.
pub(super) enum Obstacle {
    /// The broker refuses; why and what to do.
    Refused(String),
    /// A channel or the connection has gone.
    Lost(lapin::Error),
}

impl Channels {
    /// Opens the channel for replies ahead of the first.
    pub(super) async fn open(connection: &Connection) -> lapin::Result<Self> {
        let mut channels = Self::default();
        confirming(&mut channels.to_queues, connection).await?;
        Ok(channels)
    }

    /// A channel for a route, with its exchange declared.
    pub(super) async fn ready(&mut self, connection: &Connection, route: &Route) -> Result<Channel, Obstacle> {
        let Some(exchange) = &route.exchange else {
            return confirming(&mut self.to_queues, connection).await.map_err(Obstacle::Lost);
        };
        if self.to_exchanges.as_ref().is_some_and(|channel| !channel.status().connected()) {
            // Most likely an exchange has gone, such as a fanout's with its last server.
            self.declared.clear();
        }
        if !self.declared.contains(&exchange.name) {
            self.declare(connection, exchange).await?;
        }
        confirming(&mut self.to_exchanges, connection).await.map_err(Obstacle::Lost)
    }

    async fn declare(&mut self, connection: &Connection, exchange: &Exchange) -> Result<(), Obstacle> {
        let declared = self.try_declare(connection, exchange).await;
        match declared.as_ref().err().and_then(declare::Error::exchange_without_durability) {
            // As the reference's clients: better with what is there than not at all.
            Some(name) if exchange.durable && name == exchange.name => {
                tracing::warn!(exchange = name, "the exchange exists and is not durable; going on without");
                self.try_declare(connection, &Exchange { durable: false, ..exchange.clone() }).await
            }
            _ => declared,
        }
        .map_err(|error| match &error {
            declare::Error::Name(_) => Obstacle::Refused(error.to_string()),
            declare::Error::Lapin(lapin) | declare::Error::TransientQueue(lapin) => {
                match failure::missing(exchange, lapin).or_else(|| failure::refusal(lapin)) {
                    Some(reason) => Obstacle::Refused(reason),
                    None => Obstacle::Lost(lapin.clone()),
                }
            }
        })?;
        if self.declared.len() >= MAX_DECLARED {
            self.declared.clear();
        }
        self.declared.insert(exchange.name.clone());
        Ok(())
    }
}

impl Channels {
    async fn try_declare(&mut self, connection: &Connection, exchange: &Exchange) -> Result<(), declare::Error> {
        let channel = open(&mut self.declaring, connection).await?;
        declare::exchange(&channel, exchange).await
    }
}

/// The channel in `slot`, or a new one where it has gone.
async fn open(slot: &mut Option<Channel>, connection: &Connection) -> lapin::Result<Channel> {
    match slot {
        Some(channel) if channel.status().connected() => Ok(channel.clone()),
        _ => Ok(slot.insert(connection.create_channel().await?).clone()),
    }
}

/// The same for a channel that confirms messages.
async fn confirming(slot: &mut Option<Channel>, connection: &Connection) -> lapin::Result<Channel> {
    let channel = open(slot, connection).await?;
    if !channel.status().confirm() {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
    }
    Ok(channel)
}
