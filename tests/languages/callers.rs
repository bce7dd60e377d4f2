//! The two ways to ask a calculator: through RabbitMQ with Python's client, and over `memory://` with `nova-host call`.
//!
//! Both serve the component twice: as it is, and in the namespace `hurried` with a second for a request. Only what never
//! ends is asked for there, so that a slow machine changes nothing.

use std::process;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Calculator;
use crate::harness::{Broker, OsloClient, Scratch, Serve, Vhost, languages, nova_host};

/// The manifest of the second.
const HURRIED: &str = "grants.rpc = [\"nobody/*\"]\ngrants.http = [\"http://127.0.0.1:1\"]\ngrants.keyvalue = true\n\
                       [limits]\ntimeout = \"1s\"\n[[endpoint]]\noffered.version = \"1.3\"\noffered.namespace = false\n\
                       namespace = \"hurried\"\nmethods = [\"loop_forever\"]\n";

/// The manifest of the first: only what all calculators have. Those that could do more may not be refused for it.
const PLAIN: &str = "grants.rpc = [\"nobody/*\"]\ngrants.http = [\"http://127.0.0.1:1\"]\ngrants.keyvalue = true\n\
                     [[endpoint]]\noffered.version = \"1.3\"\noffered.namespace = false\nmethods = [\"add\", \"divide\", \
                     \"echo\", \"concat\", \"blob\", \"not_found\", \"context\", \"log\", \"panic\", \"loop_forever\", \
                     \"allocate\", \"calls\", \"object_action\", \"mark\"]\n";

/// What follows in both where a calculator has more: two handlers must not offer the same.
const NOTHING_ELSE: &str = "[[endpoint]]\noffered.version = \"2.0\"\nmethods = []\n\
                            [[endpoint]]\noffered.version = \"2.1\"\nmethods = []\n";

/// What is logged: of handlers also the details, among them what they add to their trace.
const LOG: &str = "info,handler=debug";

/// Who asks.
pub(super) enum Caller {
    Oslo(Oslo),
    Command(Command),
}

/// An exception, as a caller meets it.
#[derive(Debug, Deserialize)]
pub(super) struct Raised {
    pub(super) class: String,
    pub(super) message: String,
    /// `None` where the caller is not told.
    pub(super) kwargs: Option<Value>,
}

/// A request.
pub(super) struct Asked<'a> {
    pub(super) method: &'a str,
    pub(super) args: Value,
    pub(super) namespace: Option<&'a str>,
    pub(super) context: Value,
}

impl Caller {
    pub(super) fn ask(&self, asked: &Asked<'_>) -> Result<Value, Raised> {
        match self {
            Self::Oslo(oslo) => oslo.ask(asked),
            Self::Command(command) => command.ask(asked).0,
        }
    }

    /// Bytes of the largest arguments that it can send: Linux has 128 KiB for an argument of a command.
    pub(super) fn largest(&self) -> usize {
        match self {
            Self::Oslo(_) => 1 << 20,
            Self::Command(_) => 96 << 10,
        }
    }

    /// Asks, and waits until the log has these texts; returns it, too.
    pub(super) fn ask_and_read(&mut self, asked: &Asked<'_>, texts: &[&str]) -> (Result<Value, Raised>, String) {
        match self {
            Self::Oslo(oslo) => {
                let answer = oslo.ask(asked);
                texts.iter().for_each(|text| oslo.host.wait_for_log(text));
                (answer, oslo.host.log().into())
            }
            Self::Command(command) => {
                let (answer, log) = command.ask(asked);
                texts.iter().for_each(|text| assert!(log.contains(text), "no {text:?} in {log}"));
                (answer, log)
            }
        }
    }
}

/// A directory with one of them, or both.
fn directory(calculator: &Calculator, manifests: &[(&str, &str)]) -> Scratch {
    let scratch = Scratch::new();
    let component = calculator.read();
    for (name, manifest) in manifests {
        scratch.write(&format!("{name}.wasm"), &component);
        let more = if calculator.name == "calculator" { NOTHING_ELSE } else { "" };
        scratch.write(&format!("{name}.toml"), format!("{manifest}{more}"));
    }
    scratch
}

/// A service on RabbitMQ, and a Python client of it.
pub(super) struct Oslo {
    host: Serve,
    client: OsloClient,
    vhost: Vhost,
    _handlers: Scratch,
}

impl Oslo {
    pub(super) fn serving(calculator: &Calculator) -> Self {
        Self::with(Broker::shared().vhost(), directory(calculator, &[("plain", PLAIN), ("slow", HURRIED)]))
    }

    /// The same with this manifest.
    pub(super) fn granting(calculator: &Calculator, manifest: &str) -> Self {
        Self::with(Broker::shared().vhost(), directory(calculator, &[("one", manifest)]))
    }

    fn with(vhost: Vhost, handlers: Scratch) -> Self {
        let host = Serve::with_config(&format!(
            "transport_url = \"{}\"\nlog = \"{LOG}\"\nserver = \"host-1\"\nhandlers.directory = \"{}\"\nhandlers.cache = \"{}\"\n",
            vhost.url(),
            handlers.path().display(),
            languages().join("cache").display(),
        ));
        let client = OsloClient::start(&vhost.url());
        Self { host, client, vhost, _handlers: handlers }
    }

    /// The client alone.
    pub(super) fn client(&self) -> &OsloClient {
        &self.client
    }

    /// The broker's part that they share.
    pub(super) fn vhost(&self) -> &Vhost {
        &self.vhost
    }

    fn ask(&self, asked: &Asked<'_>) -> Result<Value, Raised> {
        let mut request = json!({
            "topic": "conductor", "version": "1.3", "method": asked.method, "args": asked.args,
            "context": asked.context, "timeout": 120,
        });
        if let Some(namespace) = asked.namespace {
            request["namespace"] = json!(namespace);
        }
        self.client.call(request).map_err(|error| match error.remote {
            Some(remote) => Raised {
                class: remote.exc_type,
                message: remote.value.as_str().unwrap_or_default().to_owned(),
                kwargs: None,
            },
            // The text goes on with the traceback.
            None => Raised {
                class: error.class,
                message: error.text.lines().next().unwrap_or_default().to_owned(),
                kwargs: None,
            },
        })
    }
}

/// The service inside of each command.
pub(super) struct Command {
    plain: Scratch,
    hurried: Scratch,
}

impl Command {
    pub(super) fn serving(calculator: &Calculator) -> Self {
        let one = |manifest| directory(calculator, &[("one", manifest)]);
        Self { plain: one(PLAIN), hurried: one(HURRIED) }
    }

    /// With this manifest. What it keeps outlives a command.
    pub(super) fn granting(calculator: &Calculator, manifest: &str) -> Self {
        Self { plain: directory(calculator, &[("one", manifest)]), hurried: Scratch::new() }
    }

    fn ask(&self, asked: &Asked<'_>) -> (Result<Value, Raised>, String) {
        let handlers = if asked.namespace.is_some() { &self.hurried } else { &self.plain };
        let mut command = process::Command::new(nova_host());
        command.args(["call", "--json", "--transport-url", "memory://", "--log", LOG, "--version", "1.3"]);
        command.args(["--timeout", "120s", "--handlers"]).arg(handlers.path());
        command.arg("--set").arg(format!("handlers.cache={}", languages().join("cache").display()));
        command.arg("--set").arg(format!("keyvalue.path={}", self.plain.path().join("state").display()));
        command.arg("--context").arg(asked.context.to_string());
        if let Some(namespace) = asked.namespace {
            command.args(["--namespace", namespace]);
        }
        command.arg(asked.method).arg(asked.args.to_string());
        let output = command.current_dir(handlers.path()).output().expect("the program runs");
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        let answer = match output.status.code() {
            Some(0) => Ok(serde_json::from_slice(&output.stdout).expect("a result is JSON")),
            Some(1) => {
                let mut failures = log.lines().filter_map(|line| serde_json::from_str::<Raised>(line).ok());
                Err(failures.next_back().unwrap_or_else(|| panic!("no failure in {log}")))
            }
            _ => panic!("{} failed ({}): {log}", asked.method, output.status),
        };
        (answer, log)
    }
}
