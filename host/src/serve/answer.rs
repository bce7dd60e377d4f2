//! Sends a reply, and goes on trying where the caller's queue is missing.

use std::{collections::VecDeque, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{
    envelope::{Answer, ReplyTo},
    fresh_id::fresh_id,
    transport::{Destination, Publication, Published, Routing, Transport},
};

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
    patience: Duration,
}

/// Sends the reply, across a lost connection if need be: for as long as that takes, since nothing new arrives
/// meanwhile either, and a request whose reply was given up would run again for nothing.
pub(super) async fn answer(transport: &Transport, reply_to: &ReplyTo, answer: &Answer) -> Answered {
    let bodies = reply_to.encode(answer, fresh_id);
    let publication = |body: Vec<u8>| Publication {
        destination: Destination::Queue(reply_to.queue.clone()),
        routing: Routing::Mandatory,
        expiration: None,
        body: body.into(),
    };
    let unanswered = Unanswered {
        left: bodies.into_iter().map(publication).collect(),
        queue: reply_to.queue.clone(),
        patience: transport.missing_queue_patience(),
    };
    unanswered.attempt(transport).await
}

impl Unanswered {
    /// The caller's queue.
    pub(super) fn queue(&self) -> &str {
        &self.queue
    }

    /// Tries until the queue is back, for as long as a caller waits.
    pub(super) async fn send(mut self, transport: &Transport) {
        let (queue, patience) = (self.queue.clone(), self.patience);
        tracing::info!(queue, "reply queue is missing, trying for {patience:?}");
        let trying = async {
            loop {
                sleep(PAUSE).await;
                match self.attempt(transport).await {
                    Answered::QueueMissing(rest) => self = rest,
                    Answered::Yes | Answered::Refused => return,
                }
            }
        };
        if timeout(patience, trying).await.is_err() {
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

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::{
        envelope::{Style, Text},
        transport::{Disposition, memory::Broker},
    };

    fn reply_to() -> ReplyTo {
        let style = Style::OneMessage { monitor: Text::null() };
        ReplyTo { queue: "reply".into(), message_id: "i".into(), style }
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_that_stays_away_is_given_up_and_answered_again_once_it_is_back() {
        let transport = Transport::Memory(Broker::default());
        let result = Answer::Result(Text::null());
        let started = Instant::now();
        let Answered::QueueMissing(rest) = answer(&transport, &reply_to(), &result).await else {
            panic!("there is no queue");
        };
        rest.send(&transport).await;
        let patience = transport.missing_queue_patience();
        assert!((patience..=patience + 2 * PAUSE).contains(&started.elapsed()), "{:?}", started.elapsed());
        // The reference drops what comes next for a minute, whether the queue is back or not.
        let mut replies = transport.listen_for_replies("reply").await.unwrap();
        assert!(matches!(answer(&transport, &reply_to(), &result).await, Answered::Yes));
        assert!(replies.next().await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn both_messages_of_an_old_callers_reply_wait_for_its_queue() {
        let transport = Transport::Memory(Broker::default());
        let old = ReplyTo { style: Style::TwoMessages, ..reply_to() };
        let Answered::QueueMissing(rest) = answer(&transport, &old, &Answer::Result(Text::of(&3))).await else {
            panic!("there is no queue");
        };
        let back = async {
            sleep(Duration::from_secs(5)).await;
            let mut replies = transport.listen_for_replies("reply").await.unwrap();
            for ending in [false, true] {
                let delivery = replies.next().await.unwrap();
                delivery.settlement.settle(Disposition::Ack).await.unwrap();
                let message = delivery.message;
                let reply = crate::envelope::Reply::decode(&message.body, message.content_type.as_deref(), None);
                assert_eq!(reply.unwrap().ending, ending);
            }
        };
        tokio::join!(rest.send(&transport), back);
    }
}
