//! Sends a reply, and goes on trying where the caller's queue is missing.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    envelope::{Answer, ReplyTo},
    transport::{Destination, Publication, Published, Routing, Transport},
};

/// How long a missing queue is waited for: the reference's `kombu_missing_consumer_retry_timeout`, and its default time for a call.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between attempts at a missing queue: the reference's.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether the caller has its reply.
#[derive(Debug)]
pub(super) enum Answered {
    /// The broker has confirmed it.
    Yes,
    /// There is no such queue now.
    QueueMissing(Unanswered),
    /// The broker does not take it: too large, no permission.
    Refused,
}

/// Messages that have not reached their queue.
#[derive(Debug)]
pub(super) struct Unanswered {
    left: VecDeque<Publication>,
    queue: String,
}

/// Sends the reply, across a lost connection if need be: for as long as that takes, since nothing new arrives
/// meanwhile either, and a request whose reply was given up would run again for nothing.
pub(super) async fn answer(transport: &Transport, reply_to: &ReplyTo, answer: &Answer) -> Answered {
    let bodies = reply_to.encode(answer, super::fresh_id);
    let publication = |body| Publication {
        destination: Destination::Queue(reply_to.queue.clone()),
        routing: Routing::Mandatory,
        expiration: None,
        body,
    };
    let unanswered = Unanswered { left: bodies.into_iter().map(publication).collect(), queue: reply_to.queue.clone() };
    unanswered.attempt(transport).await
}

impl Unanswered {
    /// The caller's queue.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// Tries until the queue is back, for as long as a caller waits.
    pub(super) async fn send(mut self, transport: &Transport) {
        let queue = self.queue.clone();
        tracing::info!(queue, "reply queue is missing, trying for {PATIENCE:?}");
        let trying = async {
            loop {
                sleep(PAUSE).await;
                match self.attempt(transport).await {
                    Answered::QueueMissing(rest) => self = rest,
                    Answered::Yes | Answered::Refused => return,
                }
            }
        };
        if timeout(PATIENCE, trying).await.is_err() {
            tracing::error!(queue, "reply queue is missing, the reply is dropped");
        }
    }

    async fn attempt(mut self, transport: &Transport) -> Answered {
        while let Some(publication) = self.left.front() {
            match transport.publish(publication).await {
                Ok(Published::Confirmed) => drop(self.left.pop_front()),
                Ok(Published::Unroutable) => return Answered::QueueMissing(self),
                Err(error) => {
                    tracing::error!(%error, queue = self.queue, "reply not sent");
                    return Answered::Refused;
                }
            }
        }
        Answered::Yes
    }
}
