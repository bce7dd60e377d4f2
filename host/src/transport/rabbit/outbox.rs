//! One life of the publishing connection: the messages on their way.
//!
//! Before it: [`super::publish`] submits messages and lets it advance. After it: [`super::channels`] and
//! [`super::message`] bring them to the broker, and each message's [`Job`] has an answer. Messages are pipelined: none waits for the confirmation of another.

use std::{
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
use lapin::{Confirmation, message::BasicReturnMessage};

use super::{
    channels::{Channels, Obstacle},
    failure,
    link::Link,
    message,
    publish::{Answer, Job, Parcel},
    returned::{Ledger, Returned},
};
use crate::transport::{Error, Published, Routing};

/// A publishing connection at work.
pub(super) struct Outbox {
    link: Link,
    channels: Channels,
    sending: FuturesUnordered<Sending>,
    ledger: Ledger<Job>,
}

/// A message on its way to being confirmed.
type Sending = Pin<Box<dyn Future<Output = (Job, lapin::Result<Confirmation>)> + Send>>;

impl Outbox {
    /// Makes a new connection ready for replies.
    ///
    /// # Errors
    ///
    /// [`Error::Unreachable`].
    pub(super) async fn open(mut link: Link) -> Result<Self, Error> {
        let opening = Channels::open(&link.connection);
        let channels = link.events.answer(opening).await.and_then(|channels| channels);
        let channels = channels.map_err(|error| failure::of_loss(link.broker().to_owned(), &error))?;
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
        let ready = self.channels.ready(&self.link.connection, &job.parcel.route);
        let ready = self.link.events.answer(ready).await.map_err(|error| failure::text(&error))?;
        match ready {
            Ok(channel) => self.sending.push(Box::pin(message::send(channel, job))),
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

    /// Sends, and returns when something is confirmed: there may be room for more.
    ///
    /// # Errors
    ///
    /// That the connection is lost, and why.
    ///
    /// # Cancel safety
    ///
    /// Safe: everything between two waits is finished.
    pub(super) async fn advance(&mut self) -> Result<(), String> {
        let finished = poll_fn(|context| match self.sending.poll_next_unpin(context) {
            Poll::Ready(Some(finished)) => Poll::Ready(finished),
            // The caller submits more, or waits for the end of the connection.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        });
        tokio::select! {
            error = self.link.events.end() => Err(failure::text(&error)),
            (job, confirmation) = finished => {
                self.note(job, confirmation);
                self.note_everything_finished();
                self.answer();
                Ok(())
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
                match job.parcel.publication.routing {
                    Routing::Mandatory => self.ledger.add_confirmed(job),
                    Routing::BestEffort => job.answer(Answer::Published(Published::Confirmed)),
                }
            }
            Ok(Confirmation::Nack(returned)) => {
                self.note_returned(returned);
                tracing::warn!(queue = job.parcel.route.key, "RabbitMQ could not take a message; sending it again");
                job.answer(Answer::Again);
            }
            // Never on a channel that confirms.
            Ok(Confirmation::NotRequested) => job.answer(Answer::Again),
            Err(error) => {
                match message::blame(job.parcel.publication.body.len(), job.parcel.route.exchange_name(), &error) {
                    Some(reason) => job.answer(Answer::Refused(reason)),
                    None => job.answer(Answer::Again),
                }
            }
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

fn is_same(job: &Job, returned: &Returned) -> bool {
    let Parcel { publication, route, .. } = &*job.parcel;
    route.key == returned.key && route.exchange_name() == returned.exchange && publication.body == returned.body
}

/// Notices being woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}
