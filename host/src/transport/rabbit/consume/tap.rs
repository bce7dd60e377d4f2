//! What others send, overheard: one task that owns a connection for as long as somebody watches.
//!
//! Before it: [`super::super::Client::tap`] starts it. After it: copies leave through a channel; nothing is taken from the
//! servers that they were sent to.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use lapin::message::Delivery;
use serde_json::Value;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior},
};

use super::{
    super::wire::{
        connect::{Connector, Patience, Purpose, Role},
        link::Link,
        properties::{self, Properties},
        shown,
        task::{Task, lock},
    },
    tapping::{Event, Tapping},
};
use crate::transport::{
    error::Error,
    message::{Carried, Message, Origin},
    publication::Retry,
    topology::{self, Tapped},
};

/// How often the broker is asked what it had no room for.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

/// How long what is on its way is waited for at the end.
const MAX_REST: Duration = Duration::from_secs(2);

/// A broker that has not answered for so long counts as away, though its connection is not known to be lost: that takes two
/// heartbeats.
const SILENT: Duration = Duration::from_secs(3);

/// A watcher. Dropped, its connection is closed, and its queues go with that.
pub struct Tap {
    copies: mpsc::Receiver<Vec<Overheard>>,
    losses: Arc<Mutex<Counted>>,
    stop: Option<oneshot::Sender<()>>,
    _task: Task,
}

/// A copy of what was sent to somebody else.
#[derive(Debug)]
pub struct Overheard {
    /// The message.
    pub message: Message,
}

/// What a watcher has not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Copies that the broker had no room for or that expired before they were delivered, as far as it has said.
    pub dropped: u64,
    /// How often the connection was lost. Nothing is copied meanwhile.
    pub connections: u64,
    /// How long there was no connection, in all.
    pub away: Duration,
    /// Whether there is none now, or none over which the broker answers.
    pub is_away: bool,
}

#[derive(Debug, Default)]
struct Counted {
    losses: Losses,
    /// Since when there is no connection.
    since: Option<Instant>,
    /// Since when the broker has not answered what it was asked.
    asked: Option<Instant>,
}

/// What to connect to and declare. The queues have other names each time: the broker may not have noticed yet that the
/// connection before has gone, and they would still be that one's alone.
struct Plan {
    connector: Arc<Connector>,
    tapped: Tapped,
}

struct Worker {
    plan: Plan,
    copies: mpsc::Sender<Vec<Overheard>>,
    losses: Arc<Mutex<Counted>>,
    /// Told, or dropped with its owner.
    stop: oneshot::Receiver<()>,
    is_stopped: bool,
}

impl Tap {
    /// Connects, declares, consumes; from then on reconnects by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses or an exchange is missing, [`Error::Unreachable`] where no host answers.
    pub(crate) async fn start(connector: Arc<Connector>, tapped: Tapped) -> Result<Self, Error> {
        let plan = Plan { connector, tapped };
        let tapping = plan.connector.connect(&plan, Patience::UntilRefused(Retry::Times(0))).await?;
        let (sender, copies) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let losses = Arc::<Mutex<Counted>>::default();
        let worker = Worker { plan, copies: sender, losses: Arc::clone(&losses), stop: stopped, is_stopped: false };
        Ok(Self { copies, losses, stop: Some(stop), _task: Task::spawn(worker.run(tapping)) })
    }

    /// The next copies; `None` after the last ones that came before [`Tap::stop`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next(&mut self) -> Option<Vec<Overheard>> {
        self.copies.recv().await
    }

    /// What was not seen so far.
    #[must_use]
    pub fn losses(&self) -> Losses {
        let counted = lock(&self.losses);
        let since = counted.since.or(counted.asked.filter(|asked| asked.elapsed() >= SILENT));
        let away = since.map_or(Duration::ZERO, |since| since.elapsed());
        Losses { away: counted.losses.away + away, is_away: since.is_some(), ..counted.losses }
    }

    /// Ends it, after what is on its way. Waits for nothing.
    pub fn stop(&mut self) {
        self.stop = None;
    }
}

impl Counted {
    /// Notes that there is no connection, since the broker was asked in vain or from now on.
    fn is_away(&mut self) {
        let asked = self.asked.take();
        self.since = asked.or_else(|| Some(Instant::now()));
    }
}

impl Overheard {
    fn of(delivery: Delivery) -> Self {
        let Delivery { exchange, routing_key, redelivered, properties, data, .. } = delivery;
        // As it was published: what its headers say of another origin may be a lie.
        let origin =
            Origin { exchange: exchange.to_string(), routing_key: routing_key.to_string(), queue: String::new() };
        let message = Message { origin, ..properties::message(properties, data, redelivered) };
        Self { message }
    }

    /// All that it carries beside its body, by AMQP's names.
    #[must_use]
    pub fn properties(&self) -> Value {
        let carried = self.message.carried.as_ref().and_then(Carried::get::<Properties>);
        carried.map_or(Value::Null, |properties| shown::properties(properties.get()))
    }
}

impl Purpose for Plan {
    type Ready = Tapping;

    const ROLE: Role = Role::Watching;

    async fn prepare(&self, link: Link) -> Result<Tapping, Error> {
        Tapping::open(link, &topology::tap(&self.tapped)).await
    }
}

impl Worker {
    async fn run(mut self, mut tapping: Tapping) {
        while let Some(reason) = self.pump(&mut tapping).await {
            tracing::warn!(broker = tapping.broker(), reason, "lost the connection to RabbitMQ that watches");
            drop(tapping);
            {
                let mut counted = lock(&self.losses);
                counted.losses.connections += 1;
                counted.is_away();
            }
            if self.is_stopped {
                return;
            }
            let reconnected = async {
                self.plan.connector.pause_after_loss().await;
                self.plan.connector.connect(&self.plan, Patience::Forever).await
            };
            tapping = tokio::select! {
                // An error cannot be, with that patience.
                reconnected = reconnected => match reconnected {
                    Ok(tapping) => tapping,
                    Err(_) => return,
                },
                _ = &mut self.stop => return,
            };
            let mut counted = lock(&self.losses);
            if let Some(since) = counted.since.take() {
                counted.losses.away += since.elapsed();
            }
        }
        if !self.finish(tapping).await {
            lock(&self.losses).is_away();
        }
    }

    /// Hands copies over for as long as the connection lives; why it does not any more, `None` where it is to end.
    async fn pump(&mut self, tapping: &mut Tapping) -> Option<String> {
        let mut counting = tokio::time::interval(COUNTED_EVERY);
        counting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut taken: Option<(u64, Vec<Overheard>)> = None;
        loop {
            let event = tokio::select! {
                _ = &mut self.stop => {
                    self.is_stopped = true;
                    break;
                }
                _ = counting.tick() => match self.count(tapping).await {
                    Ok(()) => continue,
                    Err(reason) => return Some(reason),
                },
                permit = self.copies.reserve(), if taken.is_some() => {
                    let Ok(permit) = permit else { break };
                    if let Some((last, copies)) = taken.take() {
                        permit.send(copies);
                        if let Err(reason) = tapping.took(last).await {
                            return Some(reason);
                        }
                    }
                    continue;
                }
                event = tapping.next(taken.is_none()) => event,
            };
            match event {
                Event::Copies(copies) => taken = overheard(copies),
                Event::Lost(reason) => return Some(reason),
            }
        }
        if let Some((last, copies)) = taken {
            // Without a taker there is nobody to count them.
            self.copies.send(copies).await.ok();
            return tapping.took(last).await.err();
        }
        None
    }

    /// Asks the broker what it had no room for.
    async fn count(&self, tapping: &mut Tapping) -> Result<(), String> {
        lock(&self.losses).asked.get_or_insert_with(Instant::now);
        let dropped = tapping.dropped().await?;
        let mut counted = lock(&self.losses);
        counted.losses.dropped += dropped;
        counted.asked = None;
        Ok(())
    }

    /// Hands over what is on its way, and counts what is not waited for. Whether the broker has answered to the end.
    async fn finish(&self, mut tapping: Tapping) -> bool {
        lock(&self.losses).asked = Some(Instant::now());
        let until = Instant::now() + MAX_REST;
        while let Some(copies) = tapping.rest(until).await {
            if !self.hand_over(copies, &mut tapping).await {
                return false;
            }
        }
        let limit = self.plan.connector.config.connect_timeout.min(MAX_REST);
        let until = Instant::now() + limit;
        tapping.cancel(limit).await;
        while let Some(copies) = tapping.drain(until).await {
            if !self.hand_over(copies, &mut tapping).await {
                return false;
            }
        }
        let is_answered = matches!(tokio::time::timeout(limit, self.count(&mut tapping)).await, Ok(Ok(())));
        let left = tapping.end(limit).await;
        lock(&self.losses).losses.dropped += left;
        is_answered
    }

    /// Whether somebody has taken them, and the broker hears of it.
    async fn hand_over(&self, copies: Vec<Delivery>, tapping: &mut Tapping) -> bool {
        let Some((last, copies)) = overheard(copies) else { return true };
        self.copies.send(copies).await.is_ok() && tapping.took(last).await.is_ok()
    }
}

/// Copies, and the number of the last one.
fn overheard(deliveries: Vec<Delivery>) -> Option<(u64, Vec<Overheard>)> {
    let last = deliveries.last()?.delivery_tag;
    Some((last, deliveries.into_iter().map(Overheard::of).collect()))
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap").finish_non_exhaustive()
    }
}
