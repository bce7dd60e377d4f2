//! The exchanges that are declared on a publishing connection, and the messages that wait for it.
//!
//! Before it: [`super::outbox`] has a message for an exchange. After it: the message goes on when the exchange is there.
//! Each declaration has a channel of its own, for the broker closes that where it refuses.

use std::{collections::HashMap, sync::Arc};

use lapin::Connection;

use super::{
    super::wire::{declare, failure},
    parcel::{Job, Refusal},
};
use crate::transport::topology::Exchange;

/// How many exchanges are remembered as declared. Who publishes to more has them declared again.
const MAX_DECLARED: usize = 1024;

/// What is declared, and what waits.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    /// The exchanges that exist, as far as we know, with the lane of their messages.
    declared: HashMap<String, usize>,
    /// The jobs of those that are being declared.
    waiting: HashMap<String, Vec<Job>>,
}

/// Why an exchange cannot be used now.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The broker refuses; why and what to do.
    Refused(Refusal),
    /// The channel or the connection has gone.
    Lost(lapin::Error),
}

impl Exchanges {
    /// Whether messages may be published to an exchange.
    pub(crate) fn is_declared(&self, name: &str) -> bool {
        self.declared.contains_key(name)
    }

    /// Lets a job wait until its exchange is declared; whether it is the first that does.
    pub(crate) fn wait(&mut self, name: &str, job: Job) -> bool {
        let waiting = self.waiting.entry(name.to_owned()).or_default();
        waiting.push(job);
        waiting.len() == 1
    }

    /// How many jobs wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// Notes what became of a declaration; gives the jobs that waited.
    pub(crate) fn note(&mut self, name: &str, lane: usize, is_declared: bool) -> Vec<Job> {
        if is_declared {
            if self.declared.len() >= MAX_DECLARED {
                self.declared.clear();
            }
            self.declared.insert(name.to_owned(), lane);
        }
        self.waiting.remove(name).unwrap_or_default()
    }

    /// Forgets the exchanges of a lane whose channel has gone: most likely one of them has gone, such as a fanout's with
    /// its last server.
    pub(crate) fn forget(&mut self, lane: usize) {
        self.declared.retain(|_, of| *of != lane);
    }

    /// Forgets an exchange.
    pub(crate) fn forget_one(&mut self, name: &str) {
        self.declared.remove(name);
    }

    /// Lets go of the jobs that have been given up.
    pub(crate) fn sweep(&mut self) {
        for jobs in self.waiting.values_mut() {
            // The first stays: it says that the declaration is under way.
            let mut is_first = true;
            jobs.retain(|job| std::mem::take(&mut is_first) || !job.is_abandoned());
        }
    }
}

/// Declares an exchange, or looks for one that others declare.
pub(crate) async fn declare(connection: Arc<Connection>, exchange: Exchange) -> Result<(), Obstacle> {
    let declared = attempt(&connection, &exchange).await;
    match declared.as_ref().err().and_then(declare::Error::exchange_without_durability) {
        // As the reference's clients: better with what is there than not at all.
        Some(name) if exchange.durable && name == exchange.name => {
            tracing::warn!(exchange = name, "the exchange exists and is not durable; going on without");
            attempt(&connection, &Exchange { durable: false, ..exchange.clone() }).await
        }
        _ => declared,
    }
    .map_err(|error| match &error {
        declare::Error::Name(_) => Obstacle::Refused(Refusal::Exchange(error.to_string())),
        declare::Error::Lapin(lapin) | declare::Error::TransientQueue(lapin) => {
            if let Some(reason) = failure::missing(&exchange, lapin) {
                return Obstacle::Refused(Refusal::Missing(reason));
            }
            match failure::refusal(lapin) {
                Some(reason) => Obstacle::Refused(Refusal::Exchange(reason)),
                None => Obstacle::Lost(lapin.clone()),
            }
        }
    })
}

async fn attempt(connection: &Connection, exchange: &Exchange) -> Result<(), declare::Error> {
    let channel = connection.create_channel().await?;
    declare::exchange(&channel, exchange).await
}
