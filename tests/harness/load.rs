//! Senders at full speed: our own client, and oslo.messaging's.
//!
//! Before it: a story has a broker and a [`Ledger`]. After it: the ledger knows what each sender was told. Every sender
//! calls and casts in turn, so that what waits in the queue is bounded by the number of senders.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::thread::JoinHandle;
use std::time::Duration;

use nova_host::{
    client::{CallOptions, Client, Error, Invocation, Provenance, Target},
    config::Config,
    envelope::{Context, Text},
    settings::Settings,
    transport::{Routing, Transport},
};
use serde_json::json;
use tokio::runtime::Runtime;

use super::{
    OsloClient, PATIENCE,
    ledger::{Fate, Kind, Ledger},
    oslo::OsloError,
};

/// How long a sender waits where nothing may be lost; whatever takes longer is. A cluster that has to notice that a node is frozen takes half
/// a minute on a loaded machine.
pub(crate) const LIMIT: Duration = PATIENCE.saturating_mul(3);

/// Requests of our own client, from as many tasks as are to be outstanding. They share the client's two connections.
#[derive(Debug)]
pub(crate) struct Load {
    runtime: Runtime,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// Requests of oslo.messaging's client, from as many threads.
#[derive(Debug)]
pub(crate) struct OsloLoad {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Load {
    /// Starts to send to topic `conductor` on `nova`, with so many requests outstanding, each for at most `limit`.
    pub(crate) fn start(url: &str, outstanding: usize, limit: Duration, ledger: &Arc<Ledger>) -> Self {
        let (runtime, client) = client(url);
        let stop = Arc::new(AtomicBool::new(false));
        let task = |_| runtime.spawn(send(Arc::clone(&client), limit, Arc::clone(ledger), Arc::clone(&stop)));
        let tasks = (0..outstanding).map(task).collect();
        Self { runtime, tasks, stop }
    }

    /// Sends nothing more, and waits for what is outstanding.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            self.runtime.block_on(task).expect("no sender panics");
        }
    }
}

impl OsloLoad {
    /// Starts to send to topic `conductor` on `nova`, with so many requests outstanding.
    pub(crate) fn start(url: &str, outstanding: usize, ledger: &Arc<Ledger>) -> Self {
        let client = Arc::new(OsloClient::start(url));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = |_| {
            let (client, ledger, stop) = (Arc::clone(&client), Arc::clone(ledger), Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    oslo_send(&client, &ledger);
                }
            })
        };
        Self { threads: (0..outstanding).map(thread).collect(), stop }
    }

    /// Sends nothing more, and waits for what is outstanding.
    pub(crate) fn finish(self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            thread.join().expect("no sender panics");
        }
    }
}

/// Our own client, and the runtime that it lives in.
pub(crate) fn client(url: &str) -> (Runtime, Arc<Client>) {
    let mut settings = Settings::default();
    settings.set("transport_url", url);
    let (config, _) = Config::read(settings).expect("the URL is right");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads are free");
    let client = {
        let _inside = runtime.enter();
        Arc::new(Client::new(Transport::new(config.transport_url, config.rabbit)))
    };
    (runtime, client)
}

/// What asks the handler `record` to write a number.
pub(crate) fn record(target: Target, number: u64) -> Invocation {
    Invocation {
        target,
        method: "record".to_owned(),
        arguments: Text::of(&json!({"n": number})),
        context: Context::default(),
        origin: Provenance::default(),
    }
}

/// A confirmation alone does not mean that a queue has the message: a topic without one is an error here.
pub(crate) fn options(limit: Duration) -> CallOptions {
    CallOptions { routing: Routing::Mandatory, ..limit.into() }
}

fn conductor() -> Target {
    Target::new("nova", "conductor")
}

async fn send(client: Arc<Client>, limit: Duration, ledger: Arc<Ledger>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let number = ledger.begin(Kind::Call);
        let fate = match client.call(record(conductor(), number), options(limit)).await {
            Ok(result) if result.get() == number.to_string() => Fate::Answered,
            Ok(result) => Fate::Wrong(result.get().to_owned()),
            Err(Error::TimedOut { .. }) => Fate::Unanswered,
            Err(Error::NotSent { .. }) => Fate::Unsure,
            Err(error) => Fate::Wrong(error.to_string()),
        };
        ledger.end(number, fate);
        let number = ledger.begin(Kind::Cast);
        let fate = match client.cast(record(conductor(), number), options(limit)).await {
            Ok(()) => Fate::Confirmed,
            Err(Error::NotSent { .. }) => Fate::Unsure,
            Err(error) => Fate::Wrong(error.to_string()),
        };
        ledger.end(number, fate);
    }
}

/// What says that a connection has gone. oslo.messaging raises it as it is where a connection of its pool is made meanwhile.
const LOST: [&str; 3] =
    ["builtins.OSError", "amqp.exceptions.RecoverableConnectionError", "kombu.exceptions.OperationalError"];

/// Whether a sender is told that its request may not have been sent.
fn is_of_sending(error: &OsloError) -> bool {
    let own = format!("{}.{}", error.module, error.class);
    let mut classes = error.bases.iter().chain([&own]);
    error.class == "MessageDeliveryFailure" || classes.any(|class| LOST.contains(&class.as_str()))
}

fn oslo_send(client: &OsloClient, ledger: &Ledger) {
    let record = |number: u64| json!({"topic": "conductor", "method": "record", "args": {"n": number}, "timeout": LIMIT.as_secs()});
    let number = ledger.begin(Kind::Call);
    let fate = match client.call(record(number)) {
        Ok(result) if result == number => Fate::Answered,
        Ok(result) => Fate::Wrong(result.to_string()),
        Err(error) if error.class == "MessagingTimeout" => Fate::Unanswered,
        Err(error) if is_of_sending(&error) => Fate::Unsure,
        Err(error) => Fate::Wrong(format!("{error:?}")),
    };
    ledger.end(number, fate);
    let number = ledger.begin(Kind::Cast);
    let fate = match client.cast(record(number)) {
        Ok(()) => Fate::Confirmed,
        Err(error) if is_of_sending(&error) => Fate::Unsure,
        Err(error) => Fate::Wrong(format!("{error:?}")),
    };
    ledger.end(number, fate);
}
