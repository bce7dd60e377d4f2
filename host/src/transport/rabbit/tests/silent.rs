//! Others go on beside a queue that is silent, on a broker that reads its connections as RabbitMQ does (docs/refusals.md,
//! "Isolation").

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::future::join_all;

use super::{
    client, hasty, in_time,
    peer::{Heard, PUBLISH, Peer, Say},
};
use crate::transport::{
    destination::Destination,
    publication::{Publication, Published, Retry, Routing},
};

/// What RabbitMQ's client of a quorum queue lets be unconfirmed before it blocks its channel.
const SOFT_LIMIT: u32 = 32;

/// The least credit that a connection may have left for a channel that gives no more.
const CREDIT: u32 = 200;

/// A broker with a queue that never confirms, and whether it has stopped hearing a connection one of whose channels owes too much.
fn broker() -> (Peer, Arc<AtomicBool>) {
    // By connection and channel: what the silent queue has there, and what has come since it has too much.
    let owed: Mutex<HashMap<(usize, u16), (u32, u32)>> = Mutex::default();
    let hears = move |heard: &Heard| {
        let mut owed = owed.lock().unwrap();
        let (silent, since) = owed.entry((heard.connection, heard.channel)).or_default();
        *since += u32::from(*silent >= SOFT_LIMIT);
        *silent += u32::from(heard.second_name() == "silent");
        !owed.iter().any(|((connection, _), (_, since))| *connection == heard.connection && *since > CREDIT)
    };
    let is_deaf = Arc::new(AtomicBool::new(false));
    let deaf = Arc::clone(&is_deaf);
    let hears = move |heard: &Heard| {
        let hears = hears(heard);
        deaf.fetch_or(!hears, Ordering::Relaxed);
        hears
    };
    let peer = Peer::start(move |heard| match heard.method {
        PUBLISH if !hears(heard) || heard.second_name() == "silent" => vec![],
        _ => vec![Say::Yes],
    });
    (peer, is_deaf)
}

#[tokio::test]
async fn a_burst_for_a_queue_that_is_silent_silences_no_other() {
    let (peer, is_deaf) = broker();
    let client = Arc::new(client(&peer, hasty()));
    let send = |queue: String| {
        let client = Arc::clone(&client);
        async move {
            let publication = Publication::new(Destination::Queue(queue), Routing::Mandatory, "{}");
            client.publish(&publication, Retry::Forever).await
        }
    };
    let silent: Vec<_> = (0..300).map(|_| tokio::spawn(send("silent".to_owned()))).collect();
    // Some of these share its channel, whichever that is.
    let others = (0..32).map(async |n| {
        for _ in 0..100 {
            let published = send(format!("other {n}")).await;
            assert!(matches!(published, Ok(Published::Confirmed)), "{published:?}");
        }
    });
    in_time(join_all(others)).await;
    assert!(!is_deaf.load(Ordering::Relaxed), "it was sent more than it reads");
    silent.iter().for_each(tokio::task::JoinHandle::abort);
}
