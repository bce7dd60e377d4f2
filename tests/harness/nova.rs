//! A real nova client, and the services that a conductor talks to.
//!
//! Before it: `tests/setup.sh` has installed nova in `target/venv-nova`. The other ends are `tests/nova/client.py` and
//! `tests/oslo/services.py`, which say what they understand.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, channel};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    PATIENCE,
    log::Log,
    oslo::{Python, Release},
};

/// nova's own RPC class of the conductor, in a process. Ends with the value.
#[derive(Debug)]
pub(crate) struct NovaClient(Lines);

/// An exception as nova's client met it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Exception {
    /// Its class and those above it, as `module.Class`.
    pub(crate) classes: Vec<String>,
    /// `str()` of it.
    pub(crate) message: String,
    /// Its keyword arguments.
    pub(crate) kwargs: Value,
}

/// A scheduler and two compute services, `host1` and `host2`. End with the value.
#[derive(Debug)]
pub(crate) struct Services(Lines);

/// A script that writes JSON, an object a line.
#[derive(Debug)]
struct Lines {
    process: Python,
    lines: Receiver<Value>,
}

impl NovaClient {
    /// Starts a client; nova takes some seconds.
    pub(crate) fn start(url: &str) -> Self {
        // What it imports is compiled once and kept, beside its sources in target/.
        let client = Self(Lines::of(Python::run("venv-nova", "nova/client.py", &[url], &[])));
        assert_eq!(client.0.next()["ok"], "ready");
        client
    }

    /// Casts `build_instances`, of today's version or at most this one, and returns when the broker has it.
    pub(crate) fn build(&self, version: Option<&str>, uuids: &[&str]) {
        self.ask(version, "cast", uuids).expect("the broker takes it");
    }

    /// Calls it, and returns what came of it.
    pub(crate) fn call(&self, version: Option<&str>, uuids: &[&str]) -> Result<Value, Exception> {
        self.ask(version, "call", uuids)
    }

    fn ask(&self, version: Option<&str>, how: &str, uuids: &[&str]) -> Result<Value, Exception> {
        self.0.process.write_line(&json!({"version": version, "how": how, "uuids": uuids}).to_string());
        let mut answer = self.0.next();
        match answer.get_mut("error") {
            Some(error) => Err(Exception::deserialize(error.take()).expect("client.py describes exceptions")),
            None => Ok(answer["ok"].take()),
        }
    }
}

impl Services {
    /// Starts them and waits until they consume.
    pub(crate) fn start(url: &str) -> Self {
        let (process, mut output) = Python::start(Release::Newest, "services.py", &[url]);
        let mut line = String::new();
        output.read_line(&mut line).ok();
        assert_eq!(line.trim(), "ready", "services.py: {}", Log::read(&process.log()));
        Self(Lines::of((process, output)))
    }

    /// Tells the scheduler how to answer from now on: `choose`, `one`, `none`, `large` or `silent`.
    pub(crate) fn behave(&self, behaviour: &str) {
        self.0.process.write_line(behaviour);
        assert_eq!(self.0.next()["behaviour"], behaviour, "a request came first");
    }

    /// The next request that one of them got.
    pub(crate) fn next(&self) -> Value {
        self.0.next()
    }
}

impl Lines {
    fn of((process, output): (Python, BufReader<ChildStdout>)) -> Self {
        let (sender, lines) = channel();
        // Ends with the script's output.
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or_else(|_| json!({"no JSON": line}));
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    fn next(&self) -> Value {
        self.lines.recv_timeout(5 * PATIENCE).unwrap_or_else(|error| {
            let log = Log::read(&self.process.log());
            panic!("nothing from the script: {error}\n{log}")
        })
    }
}
