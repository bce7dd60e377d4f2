//! Publishing: one task that owns the connection which all publications of a client share.
//!
//! Before it: [`super::Client::publish`] hands messages over, and again those that were lost. After it:
//! [`super::outbox`] sends them. It takes one task: lapin numbers messages when they are given to it and writes them
//! when it comes to it, so two tasks that publish on one channel may get each other's confirmations.

use std::{sync::Arc, time::Duration};

use lapin::BasicProperties;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    connect::{Connector, Patience, Purpose, Role},
    link::Link,
    outbox::Outbox,
    task::{Task, let_others_run},
};
use crate::transport::{Error, Publication, Published, topology::Route};

/// How many messages may wait for the task. Each has a caller who waits too, so it need not be many.
const QUEUE_LENGTH: usize = 64;

/// How many messages may be unconfirmed at once.
const MAX_UNCONFIRMED: usize = 1024;

/// The publishing task.
#[derive(Debug)]
pub(super) struct Publisher {
    jobs: mpsc::Sender<Job>,
    closing: watch::Sender<bool>,
    task: Task,
}

/// The way to the task.
#[derive(Debug)]
pub(super) struct Handle(mpsc::Sender<Job>);

/// A message with all that it takes to send it.
#[derive(Debug)]
pub(super) struct Parcel {
    /// The message.
    pub(super) publication: Publication,
    /// What it carries beside its body.
    pub(super) properties: BasicProperties,
    /// Where it goes.
    pub(super) route: Route,
}

/// A message on its way, and whoever waits for it.
#[derive(Debug)]
pub(super) struct Job {
    /// The message.
    pub(super) parcel: Arc<Parcel>,
    answer: oneshot::Sender<Answer>,
}

/// What became of a message. Without an answer it is [`Answer::Again`].
#[derive(Debug)]
pub(super) enum Answer {
    /// The broker has confirmed it.
    Published(Published),
    /// The broker refuses; why and what to do.
    Refused(String),
    /// Nobody knows; it is to be sent again.
    Again,
}

/// The task.
struct Worker {
    connector: Arc<Connector>,
    jobs: mpsc::Receiver<Job>,
    closing: watch::Receiver<bool>,
}

/// What the connection is for.
struct Publishing;

/// Why an outbox is not used any more.
enum End {
    Lost(String),
    Closed,
}

impl Publisher {
    /// Starts the task. It connects when it has something to publish.
    pub(super) fn start(connector: Arc<Connector>) -> Self {
        let (job_sender, jobs) = mpsc::channel(QUEUE_LENGTH);
        let (closing_sender, closing) = watch::channel(false);
        let worker = Worker { connector, jobs, closing };
        Self { jobs: job_sender, closing: closing_sender, task: Task::spawn(worker.run()) }
    }

    /// The way to the task.
    pub(super) fn handle(&self) -> Handle {
        Handle(self.jobs.clone())
    }

    /// Whether the task has ended: only when it panicked.
    pub(super) fn has_ended(&self) -> bool {
        self.jobs.is_closed()
    }

    /// Takes no more messages, waits for those on their way and closes the connection, for no longer than `limit`.
    pub(super) async fn close(self, limit: Duration) {
        self.closing.send_replace(true);
        self.task.finish(limit).await;
    }
}

impl Handle {
    /// Sends a message once.
    pub(super) async fn publish(self, parcel: Arc<Parcel>) -> Answer {
        let (answer, is_answered) = oneshot::channel();
        if self.0.send(Job { parcel, answer }).await.is_err() {
            return Answer::Again;
        }
        is_answered.await.unwrap_or(Answer::Again)
    }
}

impl Job {
    /// Tells whoever waits.
    pub(super) fn answer(self, answer: Answer) {
        // Nobody waits any more where the caller ran out of time.
        self.answer.send(answer).ok();
    }

    /// Whether nobody waits any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }
}

impl Purpose for Publishing {
    type Ready = Outbox;

    const ROLE: Role = Role::Publishing;

    async fn prepare(&self, link: Link) -> Result<Outbox, Error> {
        Outbox::open(link).await
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
                    // Where that fails, the job is sent again, and the outbox says what is wrong when it is used.
                    outbox.submit(job).await.ok();
                    return Some(outbox);
                }
                Err(error) => {
                    let reason = match error {
                        Error::Refused { reason, .. } => reason,
                        error => error.to_string(),
                    };
                    job.answer(Answer::Refused(reason.clone()));
                    while let Ok(job) = self.jobs.try_recv() {
                        job.answer(Answer::Refused(reason.clone()));
                    }
                }
            }
        }
    }

    /// Sends and confirms for as long as the connection lives.
    async fn pump(&mut self, outbox: &mut Outbox) -> End {
        let (mut is_closing, mut is_done) = (false, false);
        while !is_done || outbox.unconfirmed() > 0 {
            let has_room = !is_done && outbox.unconfirmed() < MAX_UNCONFIRMED;
            tokio::select! {
                advanced = outbox.advance() => if let Err(reason) = advanced {
                    return End::Lost(reason);
                },
                job = self.jobs.recv(), if has_room => match job {
                    Some(job) => {
                        if outbox.unconfirmed() > 0 {
                            // It is a busy time: what else is being published right now goes in the same write.
                            let_others_run().await;
                        }
                        if let Err(reason) = self.submit(outbox, job).await {
                            return End::Lost(reason);
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

    /// Submits a job, and all others that wait by now and have room.
    async fn submit(&mut self, outbox: &mut Outbox, job: Job) -> Result<(), String> {
        let mut next = Some(job);
        while let Some(job) = next {
            outbox.submit(job).await?;
            let has_room = outbox.unconfirmed() < MAX_UNCONFIRMED;
            next = has_room.then(|| self.jobs.try_recv().ok()).flatten();
        }
        Ok(())
    }

    async fn connect(&self, patience: Patience) -> Result<Outbox, Error> {
        self.connector.connect(&Publishing, patience).await
    }
}

/// Waits until the owner closes; or has gone, which aborts the task anyway.
async fn closing(closing: &watch::Receiver<bool>) {
    closing.clone().wait_for(|closing| *closing).await.ok();
}
