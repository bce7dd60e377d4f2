//! Tells a caller that asked for it that its call is still being worked on (oslo.messaging's call monitor).

use std::{convert::Infallible, future::pending};

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::{
    envelope::{Monitor, ReplyTo},
    fresh_id::fresh_id,
    transport::{Destination, Publication, Published, Routing, Transport},
};

/// Runs the work of a call, and sends heartbeats until it is done. The last of them is sent before this returns.
pub(super) async fn during<T>(transport: &Transport, reply_to: Option<&ReplyTo>, work: impl Future<Output = T>) -> T {
    let Some(reply_to) = reply_to else { return work.await };
    match reply_to.monitor() {
        Monitor::Off => work.await,
        Monitor::Invalid(given) => {
            tracing::warn!(timeout = given, "the caller's call monitor timeout is invalid: no heartbeats");
            work.await
        }
        Monitor::Every(interval) => tokio::select! {
            done = work => done,
            never = beat(transport, reply_to, interval) => match never {},
        },
    }
}

/// Sends heartbeats until one cannot be delivered, and then nothing. Never returns.
async fn beat(transport: &Transport, reply_to: &ReplyTo, interval: std::time::Duration) -> Infallible {
    let mut beats = interval_at(Instant::now() + interval, interval);
    // After the broker took nothing for a while, one is enough.
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beats.tick().await;
        let queue = Destination::Queue(reply_to.queue.clone());
        let publication = Publication::new(queue, Routing::Mandatory, reply_to.heartbeat(&fresh_id()));
        match transport.publish(&publication).await {
            Ok(Published::Confirmed) => continue,
            Ok(Published::Unroutable | Published::Nacked { .. } | Published::Unconfirmed) => {
                tracing::info!("the caller's reply queue does not take them: no more heartbeats");
            }
            Err(error) => tracing::warn!(%error, "no more heartbeats"),
        }
        return pending().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::sleep;

    use super::*;
    use crate::{
        envelope::{Reply, Style, Text},
        transport::{Deliveries, Disposition, memory::Broker},
    };

    fn reply_to(timeout: &str) -> ReplyTo {
        let monitor = Text::parse(timeout.to_owned()).unwrap();
        ReplyTo { queue: "reply".into(), message_id: "i".into(), style: Style::OneMessage { monitor } }
    }

    /// The time from the start to each heartbeat, until none comes for an hour.
    async fn beats(replies: &mut Deliveries, started: Instant) -> Vec<Duration> {
        let mut beats = Vec::new();
        while let Ok(Some(delivery)) = tokio::time::timeout(Duration::from_secs(3600), replies.next()).await {
            let reply = Reply::decode(&delivery.message.body, delivery.message.content_type.as_deref(), None).unwrap();
            assert_eq!((reply.answer, reply.ending), (Ok(None), false));
            delivery.settlement.settle(Disposition::Ack).await.unwrap();
            beats.push(started.elapsed());
        }
        beats
    }

    #[tokio::test(start_paused = true)]
    async fn they_come_after_every_half_of_the_timeout_and_end_with_the_work() {
        let transport = Transport::Memory(Broker::default());
        let mut replies = transport.listen_for_replies("reply").await.unwrap();
        for (timeout, expected) in [
            ("5", vec![2500, 5000, 7500, 10_000]),
            ("\"8\"", vec![4000, 8000]),
            ("9.9", vec![4500, 9000]),
            ("1", vec![]),
            ("null", vec![]),
            ("[5]", vec![]),
            ("{\"a\": 5}", vec![]),
        ] {
            let started = Instant::now();
            let reply_to = reply_to(timeout);
            let work = async {
                let done = during(&transport, Some(&reply_to), sleep(Duration::from_millis(11_000))).await;
                (done, started.elapsed())
            };
            let (beats, (_, took)) = tokio::join!(beats(&mut replies, started), work);
            let millis: Vec<u128> = beats.iter().map(Duration::as_millis).collect();
            assert_eq!(millis, expected, "{timeout}");
            assert_eq!(took, Duration::from_millis(11_000), "{timeout}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_cannot_be_delivered_ends_them_and_not_the_work() {
        let transport = Transport::Memory(Broker::default());
        let (started, reply_to) = (Instant::now(), reply_to("4"));
        let work = during(&transport, Some(&reply_to), sleep(Duration::from_secs(11)));
        let late = async {
            sleep(Duration::from_secs(3)).await;
            let mut replies = transport.listen_for_replies("reply").await.unwrap();
            beats(&mut replies, started).await
        };
        let ((), beats) = tokio::join!(work, late);
        assert_eq!(beats, Vec::<Duration>::new());
    }
}
