//! A private RabbitMQ for the tests, run by `tests/broker.sh`.
//!
//! Before it: `tests/setup.sh` has installed RabbitMQ. After it: [`super::vhost`], one for each test. Most tests share
//! one broker; those that stop or pause it start their own, and some start a cluster. Which RabbitMQ that is, `TEST_RABBITMQ`
//! says in the environment: 3.10, 4.0 or 4.3. A story that depends on it asks [`Broker::is_at_least`].

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::{PATIENCE, Scratch, Vhost, process, repository};

/// A running broker. It ends when this value is dropped or this process ends, whichever is first.
#[derive(Debug)]
pub(crate) struct Broker {
    ports: Ports,
    release: Release,
    script: Mutex<Script>,
}

/// A release of RabbitMQ: major and minor.
type Release = (u32, u32);

/// Where the nodes listen, in their order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ports {
    /// For AMQP.
    pub(super) amqp: Vec<u16>,
    /// For the management API.
    pub(super) management: Vec<u16>,
}

/// The script that runs the nodes, and their process ids.
#[derive(Debug)]
struct Script {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    errors: ChildStderr,
    pids: Vec<u32>,
}

/// What the script says when the nodes take connections.
#[derive(Debug, PartialEq)]
struct Ready {
    ports: Ports,
    pids: Vec<u32>,
    release: Release,
}

impl Broker {
    /// The broker that the tests of this process share, started by the first who asks. Never stop this one.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<Broker, String>> = OnceLock::new();
        match SHARED.get_or_init(|| Self::start_script(&[])) {
            Ok(broker) => broker,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// A broker of one's own, to stop, kill and pause; takes about five seconds.
    pub(crate) fn private() -> Self {
        Self::cluster(1)
    }

    /// A cluster of one's own; three nodes take about twenty seconds. What names no node means the first.
    pub(crate) fn cluster(nodes: usize) -> Self {
        Self::with_arguments(&["--nodes".as_ref(), nodes.to_string().as_ref()])
    }

    /// A broker of one's own that speaks TLS, with the certificates of a directory (see [`super::Certificates`]) and
    /// more lines of configuration.
    pub(crate) fn tls(directory: &Path, configuration: &str) -> Self {
        let more = directory.join("rabbitmq.conf");
        std::fs::write(&more, format!("{configuration}\n")).expect("the directory is writable");
        Self::with_arguments(&["--tls".as_ref(), directory.as_ref(), "--configuration".as_ref(), more.as_ref()])
    }

    /// A broker of one's own with more lines of configuration.
    pub(crate) fn configured(configuration: &str) -> Self {
        let scratch = Scratch::new();
        let more = scratch.write("rabbitmq.conf", format!("{configuration}\n"));
        Self::with_arguments(&["--configuration".as_ref(), more.as_ref()])
    }

    fn with_arguments(arguments: &[&OsStr]) -> Self {
        Self::start_script(arguments).unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// Whether it is RabbitMQ `major.minor` or later.
    pub(crate) fn is_at_least(&self, major: u32, minor: u32) -> bool {
        self.release >= (major, minor)
    }

    /// A fresh virtual host, which goes with the value.
    pub(crate) fn vhost(&self) -> Vhost {
        self.vhost_named("test")
    }

    /// A fresh virtual host whose name begins in some way.
    pub(crate) fn vhost_named(&self, prefix: &str) -> Vhost {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("{prefix}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let vhost = Vhost::new(self.ports.clone(), name);
        vhost.create();
        vhost
    }

    /// The process id of the node; another one after each start.
    pub(crate) fn pid(&self) -> u32 {
        self.pid_of(0)
    }

    /// The number of the node, from 0, that listens at an address `127.0.0.1:PORT`.
    pub(crate) fn node_at(&self, address: &str) -> usize {
        let is_it = |port: &u16| address == format!("127.0.0.1:{port}");
        self.ports.amqp.iter().position(is_it).unwrap_or_else(|| panic!("no node listens at {address:?}"))
    }

    /// Stops the node in order. Clients are told; durable queues and persistent messages stay.
    pub(crate) fn stop(&self) {
        self.script().command("stop");
    }

    /// Starts the node again, on the same ports and data.
    pub(crate) fn start(&self) {
        self.start_node(0);
    }

    /// Starts a node again.
    pub(crate) fn start_node(&self, node: usize) {
        self.script().command(&format!("start {}", node + 1));
    }

    /// Stops the node in order and starts it again.
    pub(crate) fn restart(&self) {
        self.restart_node(0);
    }

    /// Stops a node in order and starts it again.
    pub(crate) fn restart_node(&self, node: usize) {
        self.script().command(&format!("restart {}", node + 1));
    }

    /// Waits until the nodes are in step, and has them write to disk which quorum queues they have, as they do three minutes after a declaration. RabbitMQ
    /// 3.10 forgets queues otherwise when it is killed, and what is in them.
    pub(crate) fn sync(&self) {
        self.script().command("sync");
    }

    /// Kills the node as a power cut does; [`Broker::start`] starts it again.
    pub(crate) fn kill(&self) {
        self.kill_node(0);
    }

    /// Kills a node; [`Broker::start_node`] starts it again.
    pub(crate) fn kill_node(&self, node: usize) {
        process::signal(self.pid_of(node), "KILL");
    }

    /// Freezes a node: connections stay open, new ones are taken by the kernel, nothing is answered.
    pub(crate) fn pause_node(&self, node: usize) {
        process::signal(self.pid_of(node), "STOP");
    }

    /// Runs `rabbitmqctl` with the words of a line.
    pub(crate) fn control(&self, line: &str) {
        self.script().command(&format!("ctl {line}"));
    }

    /// Thaws a node.
    pub(crate) fn resume_node(&self, node: usize) {
        process::signal(self.pid_of(node), "CONT");
    }

    fn pid_of(&self, node: usize) -> u32 {
        self.script().pids[node]
    }

    fn start_script(arguments: &[&OsStr]) -> Result<Self, String> {
        let mut command = Command::new(repository().join("tests/broker.sh"));
        command.args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot run tests/broker.sh: {error}"))?;
        let commands = child.stdin.take().expect("standard input is piped");
        let mut answers = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut errors = child.stderr.take().expect("standard error is piped");

        match read_line(&mut answers).as_deref().and_then(parse_ready) {
            Some(Ready { ports, pids, release }) => {
                let script = Mutex::new(Script { child, commands, answers, errors, pids });
                Ok(Self { ports, release, script })
            }
            None => {
                let mut reason = String::new();
                errors.read_to_string(&mut reason).ok();
                Err(format!("no broker; run tests/setup.sh (or make test)\n{reason}"))
            }
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // A test that panicked with the lock held has already failed; the others go on.
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let port = self.ports.amqp.first().copied().unwrap_or_default();
        let script = self.script.get_mut().unwrap_or_else(PoisonError::into_inner);
        if std::thread::panicking() {
            let logs = repository().join(format!("target/brokers/{port}"));
            // A second panic would end all tests: whatever goes wrong here is left alone.
            if writeln!(script.commands, "logs {}", logs.display()).is_ok() && read_line(&mut script.answers).is_some()
            {
                eprintln!("the broker's logs are in {}", logs.display());
            }
        }
        // The script kills the node, even a paused one, and removes its data.
        process::signal(script.child.id(), "TERM");
        process::end(&mut script.child, PATIENCE);
    }
}

impl Script {
    fn command(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("tests/broker.sh runs");
        let answer = read_line(&mut self.answers).unwrap_or_else(|| {
            let mut reason = String::new();
            self.errors.read_to_string(&mut reason).ok();
            panic!("tests/broker.sh ended at {command:?}: {reason}")
        });
        if let Some(ready) = parse_ready(&answer) {
            self.pids = ready.pids;
        }
    }
}

/// The next line, without its end; `None` at the end of the stream.
fn read_line(answers: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    answers.read_line(&mut line).ok()?;
    line.strip_suffix('\n').map(str::to_owned)
}

fn parse_ready(line: &str) -> Option<Ready> {
    let fields = line.strip_prefix("ready ")?;
    let mut release = value(fields, "release")?.split('.').map(str::parse);
    Some(Ready {
        ports: Ports { amqp: numbers(fields, "amqp_port")?, management: numbers(fields, "management_port")? },
        pids: numbers(fields, "pid")?,
        release: (release.next()?.ok()?, release.next()?.ok()?),
    })
}

/// What follows `name=`.
fn value<'a>(fields: &'a str, name: &str) -> Option<&'a str> {
    fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

/// The numbers of `name=1,2,3`.
fn numbers<N: FromStr>(fields: &str, name: &str) -> Option<Vec<N>> {
    value(fields, name)?.split(',').map(|number| number.parse().ok()).collect()
}

#[test]
fn the_ready_line_is_understood() {
    let ready = parse_ready(
        "ready amqp_port=1,4 management_port=2,5 pid=3,6 release=3.10.8 url=rabbit://guest:guest@127.0.0.1:1/",
    );
    let ports = Ports { amqp: vec![1, 4], management: vec![2, 5] };
    assert_eq!(ready, Some(Ready { ports, pids: vec![3, 6], release: (3, 10) }));
    assert_eq!(parse_ready("stopped"), None);
}
