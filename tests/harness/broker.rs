//! A private RabbitMQ for the tests, run by `tests/broker.sh`.
//!
//! Before it: `tests/setup.sh` has installed RabbitMQ. After it: [`super::vhost`], one for each test. Most tests share
//! one broker; those that stop or pause it start their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::{PATIENCE, Vhost, http, process, repository};

/// A running broker. It ends when this value is dropped or this process ends, whichever is first.
#[derive(Debug)]
pub(crate) struct Broker {
    amqp_port: u16,
    management_port: u16,
    script: Mutex<Script>,
}

/// The script that runs the node, and the node it runs.
#[derive(Debug)]
struct Script {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    errors: ChildStderr,
    node_pid: u32,
}

/// What the script says when the node takes connections.
#[derive(Debug, PartialEq)]
struct Ready {
    amqp_port: u16,
    management_port: u16,
    pid: u32,
}

impl Broker {
    /// The broker that the tests of this process share, started by the first who asks. Never stop this one.
    pub(crate) fn shared() -> &'static Self {
        static SHARED: OnceLock<Result<Broker, String>> = OnceLock::new();
        match SHARED.get_or_init(Self::start_script) {
            Ok(broker) => broker,
            Err(reason) => panic!("{reason}"),
        }
    }

    /// A broker of one's own, to stop, kill and pause; takes about five seconds.
    pub(crate) fn private() -> Self {
        Self::start_script().unwrap_or_else(|reason| panic!("{reason}"))
    }

    /// A fresh virtual host, which goes with the value.
    pub(crate) fn vhost(&self) -> Vhost {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        http::request(self.management_port, "PUT", &format!("vhosts/{name}"), None).expect("the broker is there");
        Vhost::new(self.amqp_port, self.management_port, name)
    }

    /// The process id of the node; another one after each start.
    pub(crate) fn pid(&self) -> u32 {
        self.script().node_pid
    }

    /// Stops the node in order. Clients are told; durable queues and persistent messages stay.
    pub(crate) fn stop(&self) {
        self.script().command("stop");
    }

    /// Starts the node again, on the same ports and data.
    pub(crate) fn start(&self) {
        self.script().command("start");
    }

    /// Stops the node in order and starts it again.
    pub(crate) fn restart(&self) {
        self.script().command("restart");
    }

    /// Kills the node as a power cut does; [`Broker::start`] starts it again.
    pub(crate) fn kill(&self) {
        process::signal(self.pid(), "KILL");
    }

    /// Freezes the node: connections stay open, new ones are taken by the kernel, nothing is answered.
    pub(crate) fn pause(&self) {
        process::signal(self.pid(), "STOP");
    }

    /// Thaws the node.
    pub(crate) fn resume(&self) {
        process::signal(self.pid(), "CONT");
    }

    fn start_script() -> Result<Self, String> {
        let mut command = Command::new(repository().join("tests/broker.sh"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot run tests/broker.sh: {error}"))?;
        let commands = child.stdin.take().expect("standard input is piped");
        let mut answers = BufReader::new(child.stdout.take().expect("standard output is piped"));
        let mut errors = child.stderr.take().expect("standard error is piped");

        match read_line(&mut answers).as_deref().and_then(parse_ready) {
            Some(Ready { amqp_port, management_port, pid }) => {
                let script = Mutex::new(Script { child, commands, answers, errors, node_pid: pid });
                Ok(Self { amqp_port, management_port, script })
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
        let script = self.script.get_mut().unwrap_or_else(PoisonError::into_inner);
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
            self.node_pid = ready.pid;
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
    let number = |name: &str| {
        fields.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('=')?.parse::<u32>().ok())
    };
    Some(Ready {
        amqp_port: u16::try_from(number("amqp_port")?).ok()?,
        management_port: u16::try_from(number("management_port")?).ok()?,
        pid: number("pid")?,
    })
}

#[test]
fn the_ready_line_is_understood() {
    let ready = parse_ready("ready amqp_port=1 management_port=2 pid=3 url=rabbit://guest:guest@127.0.0.1:1/");
    assert_eq!(ready, Some(Ready { amqp_port: 1, management_port: 2, pid: 3 }));
    assert_eq!(parse_ready("stopped"), None);
}
