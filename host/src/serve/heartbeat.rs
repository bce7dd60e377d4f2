//! Tells a caller that asked for it that its call is still being worked on (oslo.messaging's call monitor).

use std::{convert::Infallible, future::pending};

use tokio::time::{Instant, interval_at};

use crate::{
    envelope::{Monitor, ReplyTo},
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
    loop {
        beats.tick().await;
        let publication = Publication {
            destination: Destination::Queue(reply_to.queue.clone()),
            routing: Routing::Mandatory,
            expiration: None,
            body: reply_to.heartbeat(&super::fresh_id()),
        };
        match transport.publish(&publication).await {
            Ok(Published::Confirmed) => continue,
            Ok(Published::Unroutable) => tracing::info!("the caller's reply queue is missing: no more heartbeats"),
            Err(error) => tracing::warn!(%error, "no more heartbeats"),
        }
        return pending().await;
    }
}
