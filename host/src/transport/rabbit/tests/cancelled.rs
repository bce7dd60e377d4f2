//! A consumer that the broker ends while nobody has time for what it delivers.

use super::{
    client, hasty, in_time,
    peer::{ACK, CONSUME, Peer, Say},
};
use crate::transport::message::Disposition;

/// How long a queue must have been consumed for its loss to be mended on the same channel, and a moment.
const SETTLED: std::time::Duration = std::time::Duration::from_millis(1100);

#[tokio::test]
async fn a_queue_is_consumed_again_though_nobody_takes_what_it_delivers() {
    // As many as are taken, and two that wait.
    let peer = Peer::start(|heard| match heard.method {
        CONSUME => vec![Say::Yes, Say::Deliver, Say::Deliver, Say::Deliver, Say::Deliver],
        _ => vec![Say::Yes],
    });
    let (consumer, mut deliveries) = super::consume(&client(&peer, hasty())).await.unwrap();
    let taken = in_time(deliveries.recv()).await.expect("a delivery");
    // There is nothing else to wait for: it is the age of the consumer that counts.
    tokio::time::sleep(SETTLED).await;
    peer.say(Say::Cancel);
    peer.hears(CONSUME, 2).await;
    let consumed = peer.heard(CONSUME);
    assert_eq!((consumed[1].connection, consumed[1].channel), (1, consumed[0].channel));
    assert_ne!(consumed[0].second_name(), consumed[1].second_name(), "another tag");

    // What was delivered before is in the queue again, and is not settled: neither what was taken, nor what waited.
    assert!(in_time(taken.settlement.settle(Disposition::Ack)).await.is_err());
    let mut settled = 0;
    while settled < 4 {
        let next = in_time(deliveries.recv()).await.expect("a delivery");
        settled += u32::from(in_time(next.settlement.settle(Disposition::Ack)).await.is_ok());
    }
    peer.hears(ACK, 1).await;
    let acknowledged: Vec<u64> = peer.heard(ACK).iter().map(super::peer::Heard::tag).collect();
    assert!(acknowledged.iter().all(|tag| *tag > 4), "{acknowledged:?}");
    assert_eq!(peer.connections(), 1);
    in_time(consumer.close()).await;
}
