//! Nothing that was confirmed to its sender is lost, whatever breaks: broker, connection, node, host.
//!
//! Every story keeps the service under load, breaks something, waits until calls are answered again, and counts: what
//! senders were told against what the hosts' logs say has run. Its numbers go to `target/faults.txt`. With
//! `NOVA_HOST_SOAK` in the environment everything happens [`SOAK`] times as often; `make soak` does that.

mod cluster;
mod connections;
mod hosts;
mod replies;
mod restarts;

use std::fs::{self, File};
use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::harness::{LIMIT, Ledger, Load, OsloLoad, Proxy, Serve, Tally, Vhost, handlers, repository};

/// How many times as long the long form is.
const SOAK: usize = 20;

/// Requests that our own client has outstanding: more than one host takes at once, so that some wait in the queue.
const OUTSTANDING: usize = 96;

/// Requests at once in a host.
const MAX_IN_FLIGHT: u64 = 64;

/// Requests that oslo.messaging's client has outstanding.
const OSLO_OUTSTANDING: usize = 4;

/// Long enough for hundreds of requests to be on their way, and for nobody to notice that anything is wrong.
const MOMENT: Duration = Duration::from_millis(300);

/// A service under load.
struct Scene {
    ledger: Arc<Ledger>,
    loads: Vec<Load>,
    oslo_loads: Vec<OsloLoad>,
    hosts: Vec<Serve>,
}

impl Scene {
    fn new() -> Self {
        Self { ledger: Arc::default(), loads: Vec::new(), oslo_loads: Vec::new(), hosts: Vec::new() }
    }

    /// Starts another host, which lives until the end of the story unless it is ended; returns its number.
    fn host(&mut self, url: &str) -> usize {
        self.host_with(url, "")
    }

    /// The same with more lines of configuration.
    fn host_with(&mut self, url: &str, configuration: &str) -> usize {
        let number = self.hosts.len();
        self.hosts.push(Serve::with_config(&format!(
            "transport_url = \"{url}\"\nserver = \"host-{number}\"\nhandlers.directory = \"{}\"\n\
             max_in_flight = {MAX_IN_FLIGHT}\n{configuration}\n",
            handlers().display()
        )));
        number
    }

    /// Starts senders of both kinds.
    fn load(&mut self, url: &str) {
        self.loads.push(Load::start(url, OUTSTANDING, LIMIT, &self.ledger));
        self.oslo_loads.push(OsloLoad::start(url, OSLO_OUTSTANDING, &self.ledger));
    }

    /// Waits until the service answers again: more calls than could have been answered before.
    fn wait_until_answered(&self) {
        self.ledger.wait_for_answers(3 * OUTSTANDING);
    }

    /// Stops sending, waits for what is outstanding, and counts, with patience for casts that are still in a queue.
    fn end(mut self, name: &str) -> Tally {
        self.finish();
        let tally = self.ledger.tally(|| self.logs());
        report(&format!("{name}: {tally}"));
        if !tally.is_complete() {
            self.keep_logs(name);
        }
        tally
    }

    /// The same where requests may be lost: counts once the queue is empty.
    fn end_with_losses(mut self, name: &str, vhost: &Vhost) -> Tally {
        self.finish();
        vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == 0);
        // What was acknowledged last may still run.
        self.hosts.iter_mut().for_each(Serve::end);
        let tally = self.ledger.compare(&self.logs());
        report(&format!("{name}: {tally}"));
        if tally.again > 0 || !tally.wrong.is_empty() {
            self.keep_logs(name);
        }
        tally
    }

    /// Stops sending, and waits for what is outstanding.
    fn finish(&mut self) {
        self.loads.drain(..).for_each(Load::finish);
        self.oslo_loads.drain(..).for_each(OsloLoad::finish);
    }

    fn logs(&self) -> Vec<String> {
        self.hosts.iter().map(|host| host.log().into()).collect()
    }

    /// Puts the hosts' logs where they outlive the story.
    fn keep_logs(&self, name: &str) {
        let directory = repository().join("target/faults").join(name.replace(|c: char| !c.is_alphanumeric(), "-"));
        fs::create_dir_all(&directory).expect("target/ is writable");
        for (number, host) in self.hosts.iter().enumerate() {
            fs::write(directory.join(format!("host-{number}.log")), String::from(host.log()))
                .expect("target/ is writable");
        }
        eprintln!("the hosts' logs are in {}", directory.display());
    }
}

/// How often something happens that happens so often in the short form.
fn rounds(short: usize) -> usize {
    if is_soak() { SOAK * short } else { short }
}

/// Whether this is the long form.
fn is_soak() -> bool {
    std::env::var_os("NOVA_HOST_SOAK").is_some()
}

/// Adds a line to `target/faults.txt`, which has the lines of one run.
fn report(line: &str) {
    static FILE: OnceLock<Mutex<File>> = OnceLock::new();
    let file = FILE.get_or_init(|| {
        let directory = repository().join("target");
        fs::create_dir_all(&directory).expect("target/ is writable");
        Mutex::new(File::create(directory.join("faults.txt")).expect("target/ is writable"))
    });
    eprintln!("{line}");
    writeln!(file.lock().unwrap_or_else(PoisonError::into_inner), "{line}").expect("target/ is writable");
}

/// Options for queues that live as long as the broker.
const PLAIN: &str = "";

/// Options for queues on disk. Queues for replies would go with the broker, and what is in them.
const DURABLE: &str = "&amqp_durable_queues=true&rabbit_transient_quorum_queue=true";

/// Options for replicated queues.
const QUORUM: &str = "&rabbit_quorum_queue=true&rabbit_transient_quorum_queue=true";

/// The transport URL with options that every party of a story needs, and a heartbeat that finds dead connections soon.
fn url(vhost: &Vhost, options: &str) -> String {
    with_options(&vhost.url(), options)
}

/// The same by way of proxies.
fn url_by(vhost: &Vhost, proxies: &[&Proxy], options: &str) -> String {
    let addresses: Vec<String> = proxies.iter().map(|proxy| proxy.address().to_owned()).collect();
    with_options(&vhost.url_by(&addresses), options)
}

fn with_options(url: &str, options: &str) -> String {
    format!("{url}?heartbeat_timeout_threshold=2{options}")
}
