//! The table "Serving: what is consumed" of docs/refusals.md: whatever ends a connection or a channel in use, the next one
//! delivers what was not settled.

use super::{
    client, consume, hasty, in_time,
    peer::{ACK, CONSUME, Peer, Say},
};
use crate::transport::message::Disposition;

/// Says this at the first acknowledgement; a delivery comes on each connection.
async fn assert_delivered_again(say: Say) {
    let peer = Peer::start(move |heard| match heard.method {
        CONSUME => vec![Say::Yes, Say::Deliver],
        ACK if heard.connection == 1 => vec![say],
        _ => vec![Say::Yes],
    });
    let (consumer, mut deliveries) = consume(&client(&peer, hasty())).await.unwrap();
    let first = in_time(deliveries.recv()).await.expect("the first delivery");
    // Written, or lost: nobody confirms an acknowledgement.
    in_time(first.settlement.settle(Disposition::Ack)).await.ok();
    let again = in_time(deliveries.recv()).await.unwrap_or_else(|| panic!("{say:?}: it delivers no more"));
    in_time(again.settlement.settle(Disposition::Ack)).await.unwrap_or_else(|error| panic!("{say:?}: {error}"));
    assert_eq!(peer.connections(), 2, "{say:?}");
    in_time(consumer.close()).await;
}

#[tokio::test]
async fn whatever_ends_a_connection_in_use_another_one_delivers() {
    for code in [320, 501, 502, 503, 504, 505, 506, 530, 540, 541] {
        assert_delivered_again(Say::Connection(code, "whatever the reason")).await;
    }
    for code in [311, 312, 313, 403, 404, 405, 406] {
        assert_delivered_again(Say::Channel(code, "whatever the reason")).await;
    }
    assert_delivered_again(Say::HangUp).await;
}
