//! `memory://`: the broker in this process.
//!
//! Before it: [`super::Transport`]. The same exchanges, queues, prefetch, expiry, redelivery and reply queues as with
//! RabbitMQ, and nothing outside the process: for development, examples and fast tests. What is in the queues ends
//! with the process.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc},
    task::AbortHandle,
    time::Instant,
};

use super::{Delivery, Destination, Disposition, Message, Publication, Published, Routing, Subscription};

/// What every message carries here: [`Publication::body`] is JSON.
const CONTENT_TYPE: &str = "application/json";

/// How often [`Broker::drained`] looks. Only a client that is about to exit waits there.
const POLL: Duration = Duration::from_millis(2);

/// A broker. Clones are the same broker; it ends with the last one.
#[derive(Clone, Debug, Default)]
pub struct Broker {
    routes: Arc<Mutex<HashMap<Destination, Vec<Arc<Queue>>>>>,
}

#[derive(Debug)]
struct Queue {
    name: String,
    ready: Mutex<VecDeque<Waiting>>,
    /// Messages that were taken and not settled.
    unsettled: AtomicUsize,
    arrived: Notify,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    expires: Option<Instant>,
}

/// The consumers of one subscription, one task a queue.
#[derive(Debug)]
pub struct Consumer {
    broker: Broker,
    tasks: Vec<AbortHandle>,
    /// Queues that end with the subscription.
    own: Vec<Arc<Queue>>,
}

/// A delivery's place in its queue until it is settled.
#[derive(Debug)]
pub struct Settlement {
    queue: Arc<Queue>,
    /// `None` once settled.
    unsettled: Option<Waiting>,
    _prefetch: OwnedSemaphorePermit,
}

impl Broker {
    /// Makes the three queues of each topic, where they do not exist, and consumes them.
    pub(super) fn listen(&self, subscription: &Subscription, sender: mpsc::Sender<Delivery>) -> Consumer {
        let mut consumer = Consumer { broker: self.clone(), tasks: Vec::new(), own: Vec::new() };
        let Subscription { exchange, topics, server, prefetch } = subscription;
        for topic in topics {
            let (exchange, topic, server) = (exchange.clone(), topic.clone(), server.clone());
            let shared = self.bind(Destination::Topic { exchange: exchange.clone(), topic: topic.clone() }, &topic);
            let direct_name = format!("{topic}.{server}");
            let direct = self.bind(Destination::Server { exchange, topic: topic.clone(), server }, &direct_name);
            let fanout_name = format!("{topic}_fanout_{}", uuid::Uuid::new_v4().simple());
            let fanout = self.bind(Destination::Fanout { topic }, &fanout_name);
            consumer.own.push(Arc::clone(&fanout));
            for queue in [shared, direct, fanout] {
                consumer.consume(queue, usize::from(*prefetch), sender.clone());
            }
        }
        consumer
    }

    /// Makes a reply queue and consumes it.
    pub(super) fn listen_for_replies(&self, name: &str, sender: mpsc::Sender<Delivery>) -> Consumer {
        let queue = self.bind(Destination::Queue(name.to_owned()), name);
        let mut consumer = Consumer { broker: self.clone(), tasks: Vec::new(), own: vec![Arc::clone(&queue)] };
        consumer.consume(queue, Semaphore::MAX_PERMITS, sender);
        consumer
    }

    /// Puts a message into every queue that the destination leads to.
    pub(super) fn publish(&self, publication: &Publication) -> Published {
        let routes = self.routes();
        let queues = routes.get(&publication.destination).map(Vec::as_slice).unwrap_or_default();
        for queue in queues {
            let message = Message {
                body: publication.body.clone(),
                content_type: Some(CONTENT_TYPE.to_owned()),
                compression: None,
                redelivered: false,
            };
            queue.push(Waiting { message, expires: publication.expiration.and_then(deadline) });
        }
        match publication.routing {
            Routing::Mandatory if queues.is_empty() => Published::Unroutable,
            Routing::Mandatory | Routing::BestEffort => Published::Confirmed,
        }
    }

    /// Waits until no queue holds a message, ready or unsettled.
    pub(super) async fn drained(&self) {
        let held = || -> usize {
            let routes = self.routes();
            routes
                .values()
                .flatten()
                .map(|queue| lock(&queue.ready).len() + queue.unsettled.load(Ordering::Acquire))
                .sum()
        };
        while held() > 0 {
            tokio::time::sleep(POLL).await;
        }
    }

    /// How many messages wait in a queue; `None` where there is no such queue.
    #[must_use]
    pub fn waiting(&self, queue: &str) -> Option<usize> {
        self.queue(queue).map(|queue| lock(&queue.ready).len())
    }

    /// How many messages of a queue were taken and not settled; `None` where there is no such queue.
    #[must_use]
    pub fn unsettled(&self, queue: &str) -> Option<usize> {
        self.queue(queue).map(|queue| queue.unsettled.load(Ordering::Acquire))
    }

    fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        self.routes().values().flatten().find(|candidate| candidate.name == name).cloned()
    }

    /// Puts a message as it is into a topic's queue, as another kind of client might.
    pub fn inject(&self, destination: &Destination, message: &Message) {
        for queue in self.routes().get(destination).into_iter().flatten() {
            queue.push(Waiting { message: message.clone(), expires: None });
        }
    }

    fn bind(&self, destination: Destination, name: &str) -> Arc<Queue> {
        let mut routes = self.routes();
        // Queue names know nothing of exchanges: the same name is the same queue.
        let existing = routes.values().flatten().find(|queue| queue.name == name).cloned();
        let queue = existing.unwrap_or_else(|| {
            Arc::new(Queue {
                name: name.to_owned(),
                ready: Mutex::default(),
                unsettled: AtomicUsize::new(0),
                arrived: Notify::new(),
            })
        });
        let bound = routes.entry(destination).or_default();
        if !bound.iter().any(|other| Arc::ptr_eq(other, &queue)) {
            bound.push(Arc::clone(&queue));
        }
        queue
    }

    fn remove(&self, queue: &Arc<Queue>) {
        self.routes().retain(|_, bound| {
            bound.retain(|other| !Arc::ptr_eq(other, queue));
            !bound.is_empty()
        });
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<Destination, Vec<Arc<Queue>>>> {
        lock(&self.routes)
    }
}

impl Queue {
    fn push(&self, waiting: Waiting) {
        lock(&self.ready).push_back(waiting);
        self.arrived.notify_one();
    }

    /// Gives a message back to where it came from.
    fn put_back(&self, mut waiting: Waiting) {
        waiting.message.redelivered = true;
        lock(&self.ready).push_front(waiting);
        self.arrived.notify_one();
    }

    /// Waits for a message that has not expired.
    async fn pop(&self) -> Waiting {
        loop {
            let next = {
                let mut ready = lock(&self.ready);
                let next = ready.pop_front();
                if next.is_some() {
                    // Within the lock, so that no message is ever in neither count.
                    self.unsettled.fetch_add(1, Ordering::AcqRel);
                }
                // One notification may stand for several messages, and another consumer may be waiting.
                if !ready.is_empty() {
                    self.arrived.notify_one();
                }
                next
            };
            match next {
                Some(waiting) if waiting.expires.is_none_or(|expires| expires > Instant::now()) => return waiting,
                Some(_) => {
                    self.unsettled.fetch_sub(1, Ordering::AcqRel);
                }
                None => self.arrived.notified().await,
            }
        }
    }
}

impl Consumer {
    fn consume(&mut self, queue: Arc<Queue>, prefetch: usize, sender: mpsc::Sender<Delivery>) {
        let permits = Arc::new(Semaphore::new(prefetch));
        let task = tokio::spawn(async move {
            // Aborted at any await, no message is lost: a settlement that is dropped puts it back.
            while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
                let waiting = queue.pop().await;
                let message = waiting.message.clone();
                let settlement = Settlement { queue: Arc::clone(&queue), unsettled: Some(waiting), _prefetch: permit };
                let settlement = super::Settlement::Memory(settlement);
                if sender.send(Delivery { message, settlement }).await.is_err() {
                    return;
                }
            }
        });
        self.tasks.push(task.abort_handle());
    }

    /// Stops taking messages.
    pub(super) fn cancel(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    /// Deletes the queues that are the subscription's own.
    pub(super) fn close(mut self) {
        self.cancel();
        for queue in self.own.drain(..) {
            self.broker.remove(&queue);
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl Settlement {
    /// Settles the delivery.
    pub(super) fn settle(mut self, disposition: Disposition) {
        if let Some(waiting) = self.unsettled.take()
            && disposition == Disposition::Requeue
        {
            self.queue.put_back(waiting);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if let Some(waiting) = self.unsettled.take() {
            self.queue.put_back(waiting);
        }
        self.queue.unsettled.fetch_sub(1, Ordering::AcqRel);
    }
}

fn deadline(expiration: Duration) -> Option<Instant> {
    Instant::now().checked_add(expiration)
}

/// A panic while the lock was held cannot leave the maps half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Deliveries, Transport};

    fn subscription(server: &str, prefetch: u16) -> Subscription {
        Subscription { exchange: "nova".into(), topics: vec!["t".into()], server: server.into(), prefetch }
    }

    fn to(destination: Destination, body: &str) -> Publication {
        Publication { destination, routing: Routing::Mandatory, expiration: None, body: body.into() }
    }

    fn topic() -> Destination {
        Destination::Topic { exchange: "nova".into(), topic: "t".into() }
    }

    async fn body(deliveries: &mut Deliveries) -> String {
        let delivery = deliveries.next().await.unwrap();
        delivery.settlement.settle(Disposition::Ack).await.unwrap();
        String::from_utf8(delivery.message.body).unwrap()
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
        assert_eq!(deliveries.next().await.unwrap().message.body, b"3");
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
}
