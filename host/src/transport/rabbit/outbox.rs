//! One life of the publishing connection: channels, declared exchanges, unconfirmed messages.
//!
//! Before it: [`super::publish`] submits messages and lets it advance. After it: the broker, and an answer to each
//! message's [`Job`]. Messages are pipelined: none waits for the confirmation of another.

use std::{
    collections::HashSet,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    message::BasicReturnMessage,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::FieldTable,
};

use super::{
    declare, failure,
    link::Link,
    publish::{Answer, Job},
    returned::{Ledger, Returned},
};
use crate::transport::{
    Error, Publication, Published, Routing,
    topology::{Exchange, Route},
};

/// How many exchanges are remembered as declared. Who publishes to more has them declared again.
const MAX_DECLARED: usize = 1024;

/// AMQP's `delivery-mode` for messages that survive a restart where their queue does; the reference's for all.
const PERSISTENT: u8 = 2;

/// RabbitMQ's longest `expiration`, in milliseconds; more closes the channel.
const MAX_EXPIRATION: u128 = u32::MAX as u128;

/// A publishing connection at work.
pub(super) struct Outbox {
    link: Link,
    channels: Channels,
    sending: FuturesUnordered<Sending>,
    ledger: Ledger<Job>,
}

/// A message on its way to being confirmed.
type Sending = Pin<Box<dyn Future<Output = (Job, lapin::Result<Confirmation>)> + Send>>;

/// The channels of a connection. The broker closes a channel for a mistake and forgets its unconfirmed messages, so
/// what cannot go wrong has one of its own, and so has what goes wrong most.
#[derive(Default)]
struct Channels {
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
enum Obstacle {
    /// The broker refuses; why and what to do.
    Refused(String),
    /// A channel or the connection has gone.
    Lost(lapin::Error),
}

impl Outbox {
    /// Makes a new connection ready for replies.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`].
    pub(super) async fn open(link: Link) -> Result<Self, Error> {
        let mut channels = Channels::default();
        confirming(&mut channels.to_queues, &link.connection)
            .await
            .map_err(|error| failure::of_handshake(link.broker().to_owned(), &error))?;
        Ok(Self { link, channels, sending: FuturesUnordered::new(), ledger: Ledger::default() })
    }

    /// `host:port`, for logs.
    pub(super) fn broker(&self) -> &str {
        self.link.broker()
    }

    /// How many messages are on their way.
    pub(super) fn unconfirmed(&self) -> usize {
        self.sending.len()
    }

    /// Puts a message on its way, after its exchange is declared. [`Outbox::advance`] sends it.
    ///
    /// # Errors
    ///
    /// That the connection is lost, and why; the message goes unanswered.
    pub(super) async fn submit(&mut self, job: Job) -> Result<(), String> {
        if job.is_abandoned() {
            return Ok(());
        }
        let ready = tokio::select! {
            ready = self.channels.ready(&self.link.connection, &job.route) => ready,
            // lapin may leave a question unanswered when its connection ends.
            error = self.link.events.end() => return Err(failure::text(&error)),
        };
        match ready {
            Ok(channel) => self.sending.push(Box::pin(send(channel, job))),
            Err(Obstacle::Refused(reason)) => job.answer(Answer::Refused(reason)),
            Err(Obstacle::Lost(error)) if self.link.connection.status().connected() => {
                tracing::debug!(
                    reason = failure::text(&error),
                    "a publishing channel has ended; the message is sent again"
                );
                job.answer(Answer::Again);
            }
            Err(Obstacle::Lost(error)) => return Err(failure::text(&error)),
        }
        Ok(())
    }

    /// Sends and confirms; returns when the connection is lost, and why.
    ///
    /// # Cancel safety
    ///
    /// Safe: everything between two waits is finished.
    pub(super) async fn advance(&mut self) -> String {
        loop {
            let finished = poll_fn(|context| match self.sending.poll_next_unpin(context) {
                Poll::Ready(Some(finished)) => Poll::Ready(finished),
                // The caller submits more, or waits for the end of the connection.
                Poll::Ready(None) | Poll::Pending => Poll::Pending,
            });
            tokio::select! {
                error = self.link.events.end() => return failure::text(&error),
                (job, confirmation) = finished => {
                    self.note(job, confirmation);
                    self.note_everything_finished();
                    self.answer();
                }
            }
        }
    }

    /// Closes the connection.
    pub(super) async fn close(self, limit: Duration) {
        self.link.close(limit).await;
    }

    fn note(&mut self, job: Job, confirmation: lapin::Result<Confirmation>) {
        match confirmation {
            Ok(Confirmation::Ack(returned)) => {
                self.note_returned(returned);
                match job.publication.routing {
                    Routing::Mandatory => self.ledger.add_confirmed(job),
                    Routing::BestEffort => job.answer(Answer::Published(Published::Confirmed)),
                }
            }
            Ok(Confirmation::Nack(returned)) => {
                self.note_returned(returned);
                tracing::warn!(queue = job.route.key, "RabbitMQ could not take a message; sending it again");
                job.answer(Answer::Again);
            }
            // Never on a channel that confirms.
            Ok(Confirmation::NotRequested) => job.answer(Answer::Again),
            Err(error) => match blame(&job, &error) {
                Some(reason) => job.answer(Answer::Refused(reason)),
                None => job.answer(Answer::Again),
            },
        }
    }

    fn note_returned(&mut self, returned: Option<BasicReturnMessage>) {
        if let Some(returned) = returned {
            self.ledger.add_returned(Returned {
                exchange: returned.exchange.to_string(),
                key: returned.routing_key.to_string(),
                body: returned.delivery.data,
            });
        }
    }

    /// Notes all confirmations that lapin has by now. A message may have been returned with another's confirmation;
    /// that one was resolved before, so it is among these. Being woken while we look means to look again:
    /// `FuturesUnordered` pauses by waking itself.
    fn note_everything_finished(&mut self) {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            woken.0.store(false, Ordering::SeqCst);
            match self.sending.poll_next_unpin(&mut Context::from_waker(&waker)) {
                Poll::Ready(Some((job, confirmation))) => self.note(job, confirmation),
                Poll::Ready(None) => return,
                Poll::Pending if woken.0.load(Ordering::SeqCst) => {}
                Poll::Pending => return,
            }
        }
    }

    fn answer(&mut self) {
        for (job, is_returned) in self.ledger.settle(is_same) {
            let published = if is_returned { Published::Unroutable } else { Published::Confirmed };
            job.answer(Answer::Published(published));
        }
        if self.sending.is_empty() {
            self.ledger.clear_returned();
        }
    }
}

impl Channels {
    /// A channel for a route, with its exchange declared.
    async fn ready(&mut self, connection: &Connection, route: &Route) -> Result<Channel, Obstacle> {
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
        let channel = open(&mut self.declaring, connection).await.map_err(Obstacle::Lost)?;
        declare::exchange(&channel, exchange).await.map_err(|error| match error {
            declare::Error::Name(_) => Obstacle::Refused("the exchange's name is longer than 255 bytes".to_owned()),
            declare::Error::Lapin(error) => match failure::refusal(&error) {
                Some(reason) => Obstacle::Refused(reason),
                None => Obstacle::Lost(error),
            },
        })?;
        if self.declared.len() >= MAX_DECLARED {
            self.declared.clear();
        }
        self.declared.insert(exchange.name.clone());
        Ok(())
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

/// Sends a message. Its number is taken when this is first polled, and its frames are queued in the same step.
async fn send(channel: Channel, job: Job) -> (Job, lapin::Result<Confirmation>) {
    let mandatory = job.publication.routing == Routing::Mandatory;
    let options = BasicPublishOptions { mandatory, ..BasicPublishOptions::default() };
    let (exchange, key) = match (declare::short(job.route.exchange_name()), declare::short(&job.route.key)) {
        (Ok(exchange), Ok(key)) => (exchange, key),
        // Checked before; the broker would say the same.
        (Err(_), _) | (_, Err(_)) => return (job, Ok(Confirmation::Ack(None))),
    };
    let body = &job.publication.body;
    let confirmation = match channel.basic_publish(exchange, key, options, body, properties(&job.publication)).await {
        Ok(confirmation) => confirmation.await,
        Err(error) => Err(error),
    };
    (job, confirmation)
}

/// The properties of every message, exactly the reference's.
fn properties(publication: &Publication) -> BasicProperties {
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_content_encoding("utf-8".into())
        // Empty, but there.
        .with_headers(FieldTable::default())
        .with_delivery_mode(PERSISTENT)
        .with_priority(0);
    match publication.expiration {
        Some(expiration) => properties.with_expiration(expiration.as_millis().min(MAX_EXPIRATION).to_string().into()),
        None => properties,
    }
}

/// Why the broker closed the channel, where it was for this message: to send that again would be to lose the next
/// channel too, and every other message with it.
fn blame(job: &Job, error: &lapin::Error) -> Option<String> {
    if !failure::is_of_channel(error) {
        return None;
    }
    let text = failure::text(error);
    let exchange = job.route.exchange_name();
    if text.starts_with("ACCESS_REFUSED") && text.contains(&format!("exchange '{exchange}' ")) {
        Some(format!("{text}; give the user permission to write to it"))
    } else if text.contains(&format!("message size {} ", job.publication.body.len())) {
        Some(format!("{text}; raise the broker's max_message_size"))
    } else {
        None
    }
}

fn is_same(job: &Job, returned: &Returned) -> bool {
    job.route.key == returned.key
        && job.route.exchange_name() == returned.exchange
        && job.publication.body == returned.body
}

/// Notices being woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
