//! Stories of the broker in memory.

use super::*;
use crate::transport::{Deliveries, Transport};

fn subscription(server: &str, prefetch: u16) -> Subscription {
    Subscription {
        exchange: "nova".into(),
        topics: vec!["t".into()],
        server: server.into(),
        prefetch,
        queue_prefix: String::new(),
    }
}

fn to(destination: Destination, body: &str) -> Publication {
    Publication::new(destination, Routing::Mandatory, body.to_owned())
}

fn topic() -> Destination {
    Destination::Topic { exchange: "nova".into(), topic: "t".into() }
}

async fn body(deliveries: &mut Deliveries) -> String {
    let delivery = deliveries.next().await.unwrap();
    delivery.settlement.settle(Disposition::Ack).await.unwrap();
    String::from_utf8(delivery.message.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_fanout_reaches_every_server_and_a_directed_message_one() {
    let transport = Transport::Memory(Broker::default());
    let mut one = transport.listen(subscription("one", 8)).await.unwrap();
    let mut two = transport.listen(subscription("two", 8)).await.unwrap();
    transport.publish(&to(Destination::Fanout { topic: "t".into() }, "all")).await.unwrap();
    assert_eq!((body(&mut one).await, body(&mut two).await), ("all".into(), "all".into()));
    let server = Destination::Server { exchange: "nova".into(), topic: "t".into(), server: "two".into() };
    transport.publish(&to(server, "two")).await.unwrap();
    assert_eq!(body(&mut two).await, "two");
}

#[tokio::test]
async fn what_no_queue_takes_is_unroutable() {
    let transport = Transport::Memory(Broker::default());
    assert_eq!(transport.publish(&to(topic(), "x")).await.unwrap(), Published::Unroutable);
}

#[tokio::test(start_paused = true)]
async fn prefetch_bounds_what_is_unsettled() {
    let transport = Transport::Memory(Broker::default());
    let mut deliveries = transport.listen(subscription("one", 2)).await.unwrap();
    for body in ["1", "2", "3"] {
        transport.publish(&to(topic(), body)).await.unwrap();
    }
    let first = deliveries.next().await.unwrap();
    let _second = deliveries.next().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(1), deliveries.next()).await.is_err());
    first.settlement.settle(Disposition::Ack).await.unwrap();
    assert_eq!(deliveries.next().await.unwrap().message.body, b"3"[..]);
}

#[tokio::test]
async fn what_is_not_settled_is_delivered_again() {
    let broker = Broker::default();
    let transport = Transport::Memory(broker.clone());
    let mut deliveries = transport.listen(subscription("one", 8)).await.unwrap();
    transport.publish(&to(topic(), "x")).await.unwrap();
    drop(deliveries.next().await.unwrap());
    let again = deliveries.next().await.unwrap();
    assert!(again.message.redelivered);
    again.settlement.settle(Disposition::Reject).await.unwrap();
    transport.publish(&to(topic(), "y")).await.unwrap();
    deliveries.cancel().await;
    assert_eq!(broker.waiting("t"), Some(1));
}

#[tokio::test(start_paused = true)]
async fn an_expired_message_is_not_delivered() {
    let broker = Broker::default();
    let transport = Transport::Memory(broker);
    let mut deliveries = transport.listen(subscription("one", 1)).await.unwrap();
    transport.publish(&to(topic(), "blocks")).await.unwrap();
    let held = deliveries.next().await.unwrap();
    let mut late = to(topic(), "late");
    late.expiration = Some(Duration::from_secs(1));
    transport.publish(&late).await.unwrap();
    transport.publish(&to(topic(), "lasts")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    held.settlement.settle(Disposition::Ack).await.unwrap();
    assert_eq!(body(&mut deliveries).await, "lasts");
}

#[tokio::test]
async fn a_closed_subscription_takes_its_own_queues_along() {
    let broker = Broker::default();
    let transport = Transport::Memory(broker.clone());
    transport.listen(subscription("one", 1)).await.unwrap().close().await;
    assert_eq!(broker.waiting("t"), Some(0));
    let fanout = to(Destination::Fanout { topic: "t".into() }, "x");
    assert_eq!(transport.publish(&fanout).await.unwrap(), Published::Unroutable);
}
