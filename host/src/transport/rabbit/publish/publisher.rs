//! Publishing: one task that owns the connection which all publications of a client share.
//!
//! Before it: [`super::super::Client::publish`] hands messages over, and again those that were lost. After it:
//! [`super::outbox`] sends them. It takes one task: lapin numbers messages when they are given to it and writes them
//! when it comes to it, so two tasks that publish on one channel may get each other's confirmations.

use std::{sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};

use super::{
    super::wire::{
        connect::{Connector, Patience, Purpose, Role},
        link::Link,
        task::{Task, let_others_run},
    },
    outbox::Outbox,
    parcel::{Attempted, Job, Parcel, Refusal},
};
use crate::transport::{
    connections::{Carries, Connections},
    error::Error,
};

/// How many messages may wait for the task. Each has a caller who waits too, so it need not be many.
const QUEUE_LENGTH: usize = 64;

/// The publishing task.
#[derive(Debug)]
pub(crate) struct Publisher {
    jobs: mpsc::Sender<Job>,
    closing: watch::Sender<bool>,
    task: Task,
}

/// The way to the task.
#[derive(Debug)]
pub(crate) struct Handle(mpsc::Sender<Job>);

/// The task.
struct Worker {
    connector: Arc<Connector>,
    jobs: mpsc::Receiver<Job>,
    closing: watch::Receiver<bool>,
}

/// What the connection is for.
struct Publishing(Connections);

/// Why an outbox is not used any more.
enum End {
    Lost(String),
    Closed,
}

impl Publisher {
    /// Starts the task. It connects when it has something to publish.
    pub(crate) fn start(connector: Arc<Connector>) -> Self {
        let (job_sender, jobs) = mpsc::channel(QUEUE_LENGTH);
        let (closing_sender, closing) = watch::channel(false);
        let worker = Worker { connector, jobs, closing };
        Self { jobs: job_sender, closing: closing_sender, task: Task::spawn(worker.run()) }
    }

    /// The way to the task.
    pub(crate) fn handle(&self) -> Handle {
        Handle(self.jobs.clone())
    }

    /// Whether the task has ended: only when it panicked.
    pub(crate) fn has_ended(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Takes no more messages, waits for those on their way and closes the connection, for no longer than `limit`.
    pub(crate) async fn close(self, limit: Duration) {
        self.closing.send_replace(true);
        self.task.finish(limit).await;
    }
}

impl Handle {
    /// Sends a message once.
    pub(crate) async fn publish(self, parcel: Arc<Parcel>) -> Attempted {
        let (job, is_answered) = Job::new(parcel);
        if self.0.send(job).await.is_err() {
            return Attempted::Again;
        }
        is_answered.await.unwrap_or(Attempted::Again)
    }
}

impl Purpose for Publishing {
    type Ready = Outbox;

    const ROLE: Role = Role::Publishing;

    async fn prepare(&self, mut link: Link) -> Result<Outbox, Error> {
        link.is_ready(self.0.open(Carries::Publications));
        Ok(Outbox::new(link))
    }
}

impl Worker {
    async fn run(mut self) {
        let limit = self.connector.config.connect_timeout;
        let Some(mut outbox) = self.connect_when_needed().await else { return };
        loop {
            match self.pump(&mut outbox).await {
                End::Closed => return outbox.close(limit).await,
                End::Lost(reason) => {
                    tracing::warn!(broker = outbox.broker(), reason, "lost the connection to RabbitMQ that publishes");
                }
            }
            // Whoever waits for a message in it sends that again.
            drop(outbox);
            let reconnected = async {
                self.connector.pause_after_loss().await;
                self.connect(Patience::Forever).await
            };
            outbox = tokio::select! {
                reconnected = reconnected => match reconnected {
                    Ok(reconnected) => reconnected,
                    // Cannot be, with that patience.
                    Err(_) => return,
                },
                () = closing(&self.closing) => return,
            };
        }
    }

    /// Waits for the first message and connects. Where the broker refuses, that is the answer to everyone who waits.
    async fn connect_when_needed(&mut self) -> Option<Outbox> {
        loop {
            let job = tokio::select! {
                job = self.jobs.recv() => job?,
                () = closing(&self.closing) => return None,
            };
            let connected = tokio::select! {
                connected = self.connect(self.connector.patience()) => connected,
                () = closing(&self.closing) => return None,
            };
            match connected {
                Ok(mut outbox) => {
                    outbox.submit(job);
                    return Some(outbox);
                }
                Err(error) => {
                    let reason = match error {
                        Error::Refused { reason, .. } => reason,
                        error => error.to_string(),
                    };
                    let refused = || Attempted::Refused(Refusal::Other(reason.clone()));
                    job.answer(refused());
                    while let Ok(job) = self.jobs.try_recv() {
                        job.answer(refused());
                    }
                }
            }
        }
    }

    /// Sends and confirms for as long as the connection lives.
    async fn pump(&mut self, outbox: &mut Outbox) -> End {
        let (mut is_closing, mut is_done) = (false, false);
        while !is_done || outbox.unanswered() > 0 {
            tokio::select! {
                advanced = outbox.advance() => if let Err(reason) = advanced {
                    return End::Lost(reason);
                },
                job = self.jobs.recv(), if !is_done => match job {
                    Some(job) => {
                        if outbox.unanswered() > 0 {
                            // It is a busy time: what else is being published right now goes in the same write.
                            let_others_run().await;
                        }
                        outbox.submit(job);
                        while let Ok(job) = self.jobs.try_recv() {
                            outbox.submit(job);
                        }
                    }
                    None => is_done = true,
                },
                () = closing(&self.closing), if !is_closing => {
                    is_closing = true;
                    self.jobs.close();
                }
            }
        }
        End::Closed
    }

    async fn connect(&self, patience: Patience) -> Result<Outbox, Error> {
        self.connector.connect(&Publishing(self.connector.connections.clone()), patience).await
    }
}

/// Waits until the owner closes; or has gone, which aborts the task anyway.
async fn closing(closing: &watch::Receiver<bool>) {
    closing.clone().wait_for(|closing| *closing).await.ok();
}
