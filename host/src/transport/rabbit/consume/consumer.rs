//! A subscription: one task that owns a consuming connection for as long as the subscription lasts.
//!
//! Before it: [`super::super::Client`] starts it. After it: deliveries leave through a channel of the transport's; its taker
//! takes a permit first, so that the broker's prefetch and not a buffer of ours holds what waits.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::{mpsc, oneshot};

use super::{
    super::wire::{
        connect::{Connector, Patience, Purpose, Role},
        link::Link,
        task::Task,
    },
    offsets::Offsets,
    session::Session,
    settle::Settlement,
};
use crate::transport::{
    connections::Carries,
    error::Error,
    message::Arrived,
    publication::Retry,
    topology::{Topology, Transient},
};

/// A subscription that delivers. Dropped, its connection is closed and the broker takes back what is unsettled; its own
/// queues stay until they expire.
pub struct Consumer {
    queues: Vec<String>,
    commands: mpsc::Sender<Command>,
    task: Task,
}

/// What the task is told, and how it says that it is done.
enum Command {
    /// Take so many more of each queue before some are settled.
    Widen(u16, oneshot::Sender<()>),
    Cancel(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// What to connect to, declare and consume: the same for every connection of a subscription.
struct Plan {
    connector: Arc<Connector>,
    carries: Carries,
    topology: Topology,
    /// How far each stream among the queues has been read.
    streams: HashMap<String, Offsets>,
    prefetch: u16,
    /// Whether the last connection ended with an internal error of the broker's at a queue that is not durable.
    suspects_transient_queues: AtomicBool,
    /// Whether it is to be spared queues that are not durable, which were to be durable and are bound to an exchange that is
    /// not.
    denies_transient_queues: AtomicBool,
}

/// The task.
struct Worker {
    plan: Plan,
    sender: mpsc::Sender<Arrived<Settlement>>,
    commands: mpsc::Receiver<Command>,
    /// How many more than the prefetch are taken.
    more: u16,
}

/// Why a session is not used any more.
enum End {
    Lost(String),
    /// `None` where the owner has gone.
    Told(Option<Command>),
}

impl Consumer {
    /// Connects, declares, consumes; from then on reconnects by itself.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where the broker refuses, [`Error::Unreachable`] after the last attempt that `retry` allows.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the connection is closed.
    pub(crate) async fn start(
        connector: Arc<Connector>,
        carries: Carries,
        topology: Topology,
        prefetch: u16,
        retry: Retry,
        sender: mpsc::Sender<Arrived<Settlement>>,
    ) -> Result<Self, Error> {
        let (command_sender, commands) = mpsc::channel(1);
        let streams = topology.streams.iter().map(|queue| (queue.clone(), Offsets::default())).collect();
        let queues = topology.queues.clone();
        let (suspects_transient_queues, denies_transient_queues) = <(AtomicBool, AtomicBool)>::default();
        let plan = Plan {
            connector,
            carries,
            topology,
            streams,
            prefetch,
            suspects_transient_queues,
            denies_transient_queues,
        };
        let session = plan.connect(Patience::UntilRefused(retry)).await?;
        let worker = Worker { plan, sender, commands, more: 0 };
        Ok(Self { queues, commands: command_sender, task: Task::spawn(worker.run(session)) })
    }

    /// The names of the queues that are consumed.
    #[must_use]
    pub fn queues(&self) -> Vec<String> {
        self.queues.clone()
    }

    /// Takes so many more deliveries of each queue before some are settled; 0 ends that.
    pub async fn widen(&mut self, more: u16) {
        self.tell(|done| Command::Widen(more, done)).await;
    }

    /// Stops consuming and gives back what has arrived and was not handed over. What was handed over can still be
    /// settled.
    pub async fn cancel(&mut self) {
        self.tell(Command::Cancel).await;
    }

    /// Cancels, deletes our own queues, closes the connection; the broker takes back what is unsettled.
    pub async fn close(self) {
        self.tell(Command::Close).await;
        drop(self.task);
    }

    async fn tell(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, is_done) = oneshot::channel();
        if self.commands.send(command(done)).await.is_ok() {
            // Without an answer the task has ended, and with it all that was to be ended.
            is_done.await.ok();
        }
    }
}

impl Plan {
    async fn connect(&self, patience: Patience) -> Result<Session, Error> {
        self.connector.connect(self, patience).await
    }
}

impl Purpose for Plan {
    type Ready = Session;

    const ROLE: Role = Role::Consuming;

    async fn prepare(&self, link: Link) -> Result<Session, Error> {
        let broker = link.broker().to_owned();
        let transient = match self.denies_transient_queues.load(Ordering::Relaxed) {
            true => Transient::Denied,
            false => Transient::Permitted,
        };
        let opened = Session::open(link, self.topology.clone(), self.streams.clone(), self.prefetch, transient).await;
        let is_suspect = matches!(&opened, Err(error) if error.is_internal_at_transient_queue());
        let was_suspect = self.suspects_transient_queues.swap(is_suspect, Ordering::Relaxed);
        if let Err(error) = &opened {
            // A start that was refused, or another client, has declared the exchange. A durable queue may be bound to it.
            let is_denied = error.is_denial_of_transient_queue(was_suspect) && !self.topology.has_transient_queues();
            self.denies_transient_queues.store(is_denied, Ordering::Relaxed);
            if is_denied {
                let reason = format!("{error}; declaring durable queues, though their exchange is not durable");
                return Err(Error::Unreachable { broker, reason });
            }
        }
        let mut session = opened.map_err(|error| error.meaning(broker, was_suspect))?;
        session.link.is_ready(self.connector.connections.open(self.carries));
        Ok(session)
    }
}

impl Worker {
    async fn run(mut self, session: Session) {
        let (mut session, mut command) = self.deliver(session).await;
        let limit = self.plan.connector.config.connect_timeout;
        // Closing without cancelling is cancelling first.
        if let (Some(session), Some(_)) = (&mut session, &command) {
            session.cancel(limit).await;
        }
        // What was handed over is being settled now; the connection stays for that.
        while let Some(Command::Cancel(done) | Command::Widen(_, done)) = command {
            done.send(()).ok();
            command = self.keep(&mut session).await;
        }
        if let Some(Command::Close(done)) = command {
            if let Some(session) = session {
                session.close(limit).await;
            }
            done.send(()).ok();
        }
    }

    /// Delivers until told otherwise, over as many connections as it takes. Gives the last one, if it lives.
    async fn deliver(&mut self, mut session: Session) -> (Option<Session>, Option<Command>) {
        loop {
            let reason = match self.pump(&mut session).await {
                End::Told(Some(Command::Widen(more, done))) => {
                    self.more = more;
                    done.send(()).ok();
                    match session.widen(more).await {
                        Ok(()) => continue,
                        Err(reason) => reason,
                    }
                }
                End::Told(command) => return (Some(session), command),
                End::Lost(reason) => reason,
            };
            tracing::warn!(broker = session.broker(), reason, "lost the connection to RabbitMQ that consumes");
            drop(session);
            session = match self.reconnect().await {
                Ok(reconnected) => reconnected,
                Err(command) => return (None, command),
            };
        }
    }

    /// Connects again; or gives what is asked for meanwhile.
    async fn reconnect(&mut self) -> Result<Session, Option<Command>> {
        let reconnected = async {
            self.plan.connector.pause_after_loss().await;
            self.plan.connect(Patience::Forever).await
        };
        let mut reconnected = std::pin::pin!(reconnected);
        loop {
            tokio::select! {
                reconnected = &mut reconnected => {
                    // An error cannot be, with that patience.
                    let mut session = reconnected.map_err(|_| None)?;
                    // Where that fails, the session says so when it is asked for the next delivery.
                    session.widen(self.more).await.ok();
                    return Ok(session);
                }
                command = self.commands.recv() => match command {
                    Some(Command::Widen(more, done)) => {
                        self.more = more;
                        done.send(()).ok();
                    }
                    command => return Err(command),
                },
            }
        }
    }

    /// Waits for the next command, and lets go of a session that ends before: who is settling waits for nothing then.
    async fn keep(&mut self, session: &mut Option<Session>) -> Option<Command> {
        if let Some(living) = session {
            let reason = tokio::select! {
                command = self.commands.recv() => return command,
                reason = living.lost() => reason,
            };
            tracing::warn!(broker = living.broker(), reason, "lost the connection to RabbitMQ that consumed");
            *session = None;
        }
        self.commands.recv().await
    }

    /// Hands deliveries over for as long as the session lives and nothing else is asked.
    async fn pump(&mut self, session: &mut Session) -> End {
        loop {
            tokio::select! {
                command = self.commands.recv() => return End::Told(command),
                arrived = session.arrive() => if let Err(reason) = arrived { return End::Lost(reason) },
            }
            tokio::select! {
                biased;
                permit = self.sender.reserve() => match permit {
                    Ok(permit) => {
                        if let Some(arrived) = session.take() {
                            permit.send(arrived);
                        }
                    }
                    Err(_) => {
                        session.give_back().await;
                        return End::Told(self.commands.recv().await);
                    }
                },
                command = self.commands.recv() => return End::Told(command),
                // Stale by then: the broker delivers it again.
                held = session.hold() => if let Err(reason) = held { return End::Lost(reason) },
            }
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").finish_non_exhaustive()
    }
}
