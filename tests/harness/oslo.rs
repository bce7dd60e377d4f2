//! Real oslo.messaging clients and servers, run by Python in `target/venv` and `target/venv-old`.
//!
//! Before it: `tests/setup.sh` has installed them. The other end is `tests/oslo/client.py` and `tests/oslo/server.py`,
//! which say what a request may hold and which methods there are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{PATIENCE, Scratch, log::Log, process, repository};

/// Which oslo.messaging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// 18.3.1.
    Newest,
    /// 1.3.0, which speaks Havana's wire.
    Oldest,
}

/// A client process with one transport. Ends with the value.
#[derive(Debug)]
pub(crate) struct OsloClient {
    process: Python,
    state: Arc<Mutex<State>>,
}

/// Requests on the way.
#[derive(Debug, Default)]
struct State {
    last_id: u64,
    waiting: HashMap<u64, Sender<Answer>>,
}

/// A request that was sent and whose answer may still come.
#[derive(Debug)]
pub(crate) struct Outstanding {
    answer: Receiver<Answer>,
    log: PathBuf,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The result, or the exception that the caller met.
    pub(crate) outcome: Result<Value, Box<OsloError>>,
    /// How long the caller waited.
    pub(crate) took: Duration,
}

/// A Python exception.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct OsloError {
    /// The class, such as `MessagingTimeout` or `InstanceNotFound_Remote`.
    #[serde(rename = "type")]
    pub(crate) class: String,
    /// The module of the class.
    pub(crate) module: String,
    /// The classes above it, nearest first, as `module.Class`.
    pub(crate) bases: Vec<String>,
    /// `str()` of it.
    #[serde(rename = "str")]
    pub(crate) text: String,
    /// Its positional arguments.
    pub(crate) args: Vec<Value>,
    /// Its attribute `kwargs`, `{}` where it has none.
    pub(crate) kwargs: Value,
    /// What a `RemoteError` knows.
    pub(crate) remote: Option<Remote>,
}

/// The attributes of a `RemoteError`: an exception that the client could not, or would not, rebuild.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Remote {
    /// The class.
    pub(crate) exc_type: String,
    /// The message.
    pub(crate) value: Value,
    /// The lines of the traceback.
    pub(crate) traceback: Value,
}

/// A server process, which serves the methods of `tests/oslo/server.py`. Ends with the value.
#[derive(Debug)]
pub(crate) struct OsloServer {
    process: Python,
}

impl OsloClient {
    /// Starts a client that rebuilds builtin exceptions only.
    pub(crate) fn start(url: &str) -> Self {
        Self::allowing(url, &[])
    }

    /// Starts a client that also rebuilds exceptions of the modules named, such as `nova.exception`.
    pub(crate) fn allowing(url: &str, modules: &[&str]) -> Self {
        Self::of(Release::Newest, url, modules)
    }

    /// Starts a client that traces what it sends as oslo.messaging does it, in the name of this service.
    pub(crate) fn traced(url: &str, service: &str, collector: &str) -> Self {
        Self::run(Release::Newest, &[url], &tracing(service, collector))
    }

    /// Starts a client of a release. The oldest rebuilds exceptions of nova in any case.
    pub(crate) fn of(release: Release, url: &str, modules: &[&str]) -> Self {
        let arguments: Vec<&str> = [url].into_iter().chain(modules.iter().copied()).collect();
        Self::run(release, &arguments, &[])
    }

    fn run(release: Release, arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let (process, answers) = Python::start_in(release, "client.py", arguments, variables);
        let state = Arc::new(Mutex::new(State::default()));
        let reader = Arc::clone(&state);
        // Ends with the client's output.
        std::thread::spawn(move || {
            for line in answers.lines().map_while(Result::ok) {
                reader.lock().expect("no holder panics").take(&line);
            }
            // Whoever still waits learns that nothing comes.
            reader.lock().expect("no holder panics").waiting.clear();
        });
        Self { process, state }
    }

    /// Calls and waits. The request is an object: `topic`, `method`, and what `tests/oslo/client.py` lists.
    pub(crate) fn call(&self, request: Value) -> Result<Value, Box<OsloError>> {
        self.start_call(request).wait().outcome
    }

    /// Casts and waits until the broker has it.
    pub(crate) fn cast(&self, request: Value) -> Result<(), Box<OsloError>> {
        self.send("cast", request).wait().outcome.map(drop)
    }

    /// Calls without waiting.
    pub(crate) fn start_call(&self, mut request: Value) -> Outstanding {
        // oslo's own default is as long as our patience.
        if request.get("timeout").is_none() {
            request["timeout"] = json!(30);
        }
        self.send("call", request)
    }

    fn send(&self, operation: &str, mut request: Value) -> Outstanding {
        let (sender, answer) = channel();
        let mut state = self.state.lock().expect("no holder panics");
        state.last_id += 1;
        let id = state.last_id;
        state.waiting.insert(id, sender);
        drop(state);
        request["op"] = json!(operation);
        request["id"] = json!(id);
        self.process.write_line(&request.to_string());
        Outstanding { answer, log: self.process.log() }
    }
}

impl State {
    fn take(&mut self, line: &str) {
        #[derive(Deserialize)]
        struct Line {
            id: u64,
            seconds: f64,
            error: Option<Box<OsloError>>,
            #[serde(default)]
            ok: Value,
        }
        let line: Line = serde_json::from_str(line).expect("client.py writes JSON");
        let outcome = line.error.map_or(Ok(line.ok), Err);
        if let Some(sender) = self.waiting.remove(&line.id) {
            // The test may have given up.
            sender.send(Answer { outcome, took: Duration::from_secs_f64(line.seconds) }).ok();
        }
    }
}

impl Outstanding {
    /// Waits for the answer.
    ///
    /// # Panics
    ///
    /// With the client's log, where it ended or took longer than any timeout.
    pub(crate) fn wait(&self) -> Answer {
        self.answer
            .recv_timeout(5 * PATIENCE)
            .unwrap_or_else(|error| panic!("no answer from client.py: {error}\n{}", Log::read(&self.log)))
    }

    /// The answer if it has come.
    pub(crate) fn poll(&self) -> Option<Answer> {
        self.answer.try_recv().ok()
    }
}

impl OsloServer {
    /// Starts a server on the exchange `nova` and waits until it consumes.
    pub(crate) fn start(url: &str, topic: &str, server: &str) -> Self {
        Self::of(Release::Newest, url, topic, server)
    }

    /// Starts a server of a release.
    pub(crate) fn of(release: Release, url: &str, topic: &str, server: &str) -> Self {
        Self::on(release, url, topic, server, "nova")
    }

    /// Starts a server of a release on another exchange.
    pub(crate) fn on(release: Release, url: &str, topic: &str, server: &str, exchange: &str) -> Self {
        Self::run(release, &[url, topic, server, exchange], &[])
    }

    /// Starts a server that traces what it gets as oslo.messaging does it, in the name of this service.
    pub(crate) fn traced(url: &str, topic: &str, service: &str, collector: &str) -> Self {
        Self::run(Release::Newest, &[url, topic, "python-1", "nova"], &tracing(service, collector))
    }

    fn run(release: Release, arguments: &[&str], variables: &[(&str, String)]) -> Self {
        let (process, mut answers) = Python::start_in(release, "server.py", arguments, variables);
        let mut line = String::new();
        answers.read_line(&mut line).ok();
        assert_eq!(line.trim(), "ready", "server.py: {}", Log::read(&process.log()));
        Self { process }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.process.log()).expect("its log")
    }

    /// Kills it, and waits until it has gone. Its log stays.
    pub(crate) fn kill(&mut self) {
        self.process.child.kill().expect("it is ours");
        self.process.child.wait().expect("it is ours");
    }
}

/// What switches oslo.messaging's tracing on, and has it send what it has soon.
fn tracing(service: &str, collector: &str) -> [(&'static str, String); 2] {
    [("OSLO_TRACING", format!("{service}@{collector}")), ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned())]
}

/// A script of `tests/oslo/` that ends when its input does.
#[derive(Debug)]
pub(super) struct Python {
    child: Child,
    input: Mutex<Option<ChildStdin>>,
    scratch: Scratch,
}

impl Python {
    pub(super) fn start(release: Release, script: &str, arguments: &[&str]) -> (Self, BufReader<ChildStdout>) {
        Self::start_in(release, script, arguments, &[])
    }

    fn start_in(
        release: Release,
        script: &str,
        arguments: &[&str],
        variables: &[(&str, String)],
    ) -> (Self, BufReader<ChildStdout>) {
        let environment = match release {
            Release::Newest => "venv",
            Release::Oldest => "venv-old",
        };
        // Nothing but sources in tests/.
        let own = [("PYTHONDONTWRITEBYTECODE", "1")];
        let more = variables.iter().map(|(name, value)| (*name, value.as_str()));
        Self::run(environment, &format!("oslo/{script}"), arguments, &own.into_iter().chain(more).collect::<Vec<_>>())
    }

    /// Starts a script of `tests/` in an environment of `target/`, with more variables.
    pub(super) fn run(
        environment: &str,
        script: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> (Self, BufReader<ChildStdout>) {
        let interpreter = repository().join("target").join(environment).join("bin/python");
        assert!(interpreter.exists(), "no {}; run tests/setup.sh (or make test)", interpreter.display());
        let scratch = Scratch::new();
        let log = File::create(scratch.path().join("log")).expect("the scratch directory is writable");
        let mut child = Command::new(interpreter)
            .arg(repository().join("tests").join(script))
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the interpreter runs");
        let input = Mutex::new(child.stdin.take());
        let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
        (Self { child, input, scratch }, output)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.scratch.path().join("log")
    }

    pub(super) fn write_line(&self, line: &str) {
        let mut input = self.input.lock().expect("no holder panics");
        // Where the script has ended, whoever waits for its answer says so, with its log.
        if let Some(input) = input.as_mut() {
            writeln!(input, "{line}").ok();
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.input.get_mut().map(Option::take).ok();
        process::end(&mut self.child, Duration::from_secs(5));
        if std::thread::panicking() {
            Log::read(&self.log()).tell(&format!("Python {}", self.child.id()));
        }
    }
}
