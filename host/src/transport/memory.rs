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

use super::{
    destination::{Destination, Subscription},
    message::{Arrived, Carried, Disposition, Header, Message, NOT_COPIED, Origin},
    publication::{Copied, Lifetime, Publication, Published, Routing},
    topology,
};

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

/// What a message carries beside body and headers, for copies of it.
#[derive(Debug)]
struct Beside {
    content_type: Option<String>,
    compression: Option<String>,
    expiration: Option<Duration>,
}

/// The consumers of one subscription, one task a queue.
#[derive(Debug)]
pub struct Consumer {
    broker: Broker,
    tasks: Vec<AbortHandle>,
    /// Those that it consumes.
    queues: Vec<Arc<Queue>>,
    sender: mpsc::Sender<Arrived<Settlement>>,
    /// Those that take more than the prefetch.
    wide: Vec<AbortHandle>,
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
    pub(super) fn listen(&self, subscription: &Subscription, sender: mpsc::Sender<Arrived<Settlement>>) -> Consumer {
        let mut consumer = Consumer::new(self, sender, Vec::new());
        let Subscription { exchange, topics, server, prefetch, queue_prefix } = subscription;
        for topic in topics {
            let (exchange, topic, server) = (exchange.clone(), topic.clone(), server.clone());
            let shared_name = format!("{queue_prefix}{topic}");
            let shared =
                self.bind(Destination::Topic { exchange: exchange.clone(), topic: topic.clone() }, &shared_name);
            let direct_name = format!("{queue_prefix}{topic}.{server}");
            let direct = self.bind(Destination::Server { exchange, topic: topic.clone(), server }, &direct_name);
            let fanout_name = format!("{topic}_fanout_{}", uuid::Uuid::new_v4().simple());
            let fanout = self.bind(Destination::Fanout { topic }, &fanout_name);
            consumer.own.push(Arc::clone(&fanout));
            for queue in [shared, direct, fanout] {
                consumer.consume(queue, usize::from(*prefetch));
            }
        }
        consumer
    }

    /// Makes a reply queue and consumes it.
    pub(super) fn listen_for_replies(&self, name: &str, sender: mpsc::Sender<Arrived<Settlement>>) -> Consumer {
        let queue = self.bind(Destination::Queue(name.to_owned()), name);
        let mut consumer = Consumer::new(self, sender, vec![Arc::clone(&queue)]);
        consumer.consume(queue, Semaphore::MAX_PERMITS);
        consumer
    }

    /// Puts a message into every queue that the destination leads to.
    pub(super) fn publish(&self, publication: &Publication) -> Published {
        let message = Message { body: publication.body.clone(), ..beside(publication) };
        self.send(&publication.destination, publication.routing, message)
    }

    fn send(&self, destination: &Destination, routing: Routing, message: Message) -> Published {
        let queues = self.reached(destination);
        let route = topology::route(destination, &topology::Options::default());
        for queue in &queues {
            let mut message = message.clone();
            let expires = message.expiration.and_then(deadline);
            message.origin.exchange = route.exchange_name().to_owned();
            message.origin.routing_key.clone_from(&route.key);
            queue.push(Waiting { message, expires });
        }
        match routing {
            Routing::Mandatory if queues.is_empty() => Published::Unroutable,
            Routing::Mandatory | Routing::BestEffort => Published::Confirmed,
        }
    }

    /// The queues that a destination leads to. Every queue can be reached by its name.
    fn reached(&self, destination: &Destination) -> Vec<Arc<Queue>> {
        match destination {
            Destination::Queue(name) => self.queue(name).into_iter().collect(),
            other => self.routes().get(other).cloned().unwrap_or_default(),
        }
    }

    /// Makes a queue that a destination leads to and that nobody consumes yet, such as one for dead letters.
    pub fn declare(&self, destination: Destination, queue: &str) {
        self.bind(destination, queue);
    }

    /// Takes the first message of a queue that waits; it is gone from there.
    #[must_use]
    pub fn take(&self, queue: &str) -> Option<Message> {
        lock(&self.queue(queue)?.ready).pop_front().map(|waiting| waiting.message)
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
        self.send(destination, Routing::BestEffort, message.clone());
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

/// What a message carries beside its body.
fn beside(publication: &Publication) -> Message {
    let Some(Copied { carried, original, added, lifetime }) = &publication.copied else {
        let content_type = Some(CONTENT_TYPE.to_owned());
        let own = publication.headers.iter();
        let headers = own.map(|(name, value)| ((*name).to_owned(), Header::Text(value.clone()))).collect();
        return Message { content_type, expiration: publication.expiration, headers, ..Message::default() };
    };
    let mut headers = original.clone();
    headers.retain(|name, _| !NOT_COPIED.contains(&name.as_str()));
    headers.extend(added.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let carried = carried.as_ref().and_then(Carried::get::<Beside>);
    Message {
        content_type: carried.and_then(|beside| beside.content_type.clone()),
        compression: carried.and_then(|beside| beside.compression.clone()),
        expiration: carried.and_then(|beside| beside.expiration).and_then(|expiration| match lifetime {
            Lifetime::Same => Some(expiration),
            Lifetime::Left(left) => Some(*left),
            Lifetime::Unbounded => None,
        }),
        headers,
        ..Message::default()
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
    /// The names of the queues that are consumed.
    pub(super) fn queues(&self) -> Vec<String> {
        self.queues.iter().map(|queue| queue.name.clone()).collect()
    }

    fn new(broker: &Broker, sender: mpsc::Sender<Arrived<Settlement>>, own: Vec<Arc<Queue>>) -> Self {
        Self { broker: broker.clone(), tasks: Vec::new(), queues: Vec::new(), sender, wide: Vec::new(), own }
    }

    /// Takes so many more messages of each queue before some are settled; 0 ends that.
    pub(super) fn widen(&mut self, more: u16) {
        self.wide.drain(..).for_each(|task| task.abort());
        if more > 0 {
            let taking = self.queues.iter().map(|queue| self.take(Arc::clone(queue), more.into())).collect();
            self.wide = taking;
        }
    }

    fn consume(&mut self, queue: Arc<Queue>, prefetch: usize) {
        self.tasks.push(self.take(Arc::clone(&queue), prefetch));
        self.queues.push(queue);
    }

    fn take(&self, queue: Arc<Queue>, prefetch: usize) -> AbortHandle {
        let sender = self.sender.clone();
        let permits = Arc::new(Semaphore::new(prefetch));
        let task = tokio::spawn(async move {
            // Aborted at any await, no message is lost: a settlement that is dropped puts it back.
            while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
                let waiting = queue.pop().await;
                let mut message = waiting.message.clone();
                let origin = Origin { queue: queue.name.clone(), ..message.origin.clone() };
                // As a classic queue, it knows that it has delivered a message before, and not how often.
                message.note_arrival(origin, None);
                let (content_type, compression) = (message.content_type.clone(), message.compression.clone());
                message.carried =
                    Some(Carried::new(Beside { content_type, compression, expiration: message.expiration }));
                let settlement = Settlement { queue: Arc::clone(&queue), unsettled: Some(waiting), _prefetch: permit };
                if sender.send(Arrived { message, settlement }).await.is_err() {
                    return;
                }
            }
        });
        task.abort_handle()
    }

    /// Stops taking messages.
    pub(super) fn cancel(&mut self) {
        for task in self.tasks.drain(..).chain(self.wide.drain(..)) {
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
#[path = "memory/tests.rs"]
mod tests;
