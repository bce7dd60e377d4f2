//! A collector of traces, `tests/traces/receiver.py`: spans as OpenTelemetry's own classes in Python read them.
//!
//! Before it: `tests/setup.sh` has installed those. After it: a story looks at what came, and has it refuse what comes.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::Value;

use super::{eventually, log::Log, oslo::Python};

/// A collector that takes spans, until it is told otherwise. Ends with the value.
#[derive(Debug)]
pub(crate) struct Collector {
    process: Python,
    port: u16,
    came: Arc<Mutex<Came>>,
}

#[derive(Debug, Default)]
struct Came {
    spans: Vec<Span>,
    behaviours: usize,
}

/// A span.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Span {
    /// What is said of the service.
    pub(crate) resource: Value,
    /// The id of its trace, in hexadecimal, as are the next two.
    pub(crate) trace: String,
    /// Its own.
    pub(crate) span: String,
    /// That of the span above; empty where there is none.
    pub(crate) parent: String,
    /// `tracestate`.
    pub(crate) state: String,
    /// Its name.
    pub(crate) name: String,
    /// `CONSUMER`, `PRODUCER`, `CLIENT` or `INTERNAL`.
    pub(crate) kind: String,
    /// Nanoseconds since 1970.
    pub(crate) start: u64,
    /// The same.
    pub(crate) end: u64,
    /// Its attributes.
    pub(crate) attributes: Value,
    /// What has happened in it.
    pub(crate) events: Vec<Value>,
    /// Other spans that have to do with it.
    pub(crate) links: Vec<Value>,
    /// What its status says, where it is an error.
    pub(crate) error: Option<String>,
}

impl Span {
    /// The service's name.
    pub(crate) fn service(&self) -> &str {
        self.resource["service.name"].as_str().unwrap_or_default()
    }
}

impl Collector {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let variables = [("PYTHONDONTWRITEBYTECODE", "1")];
        let (process, mut output) = Python::run("venv", "traces/receiver.py", &[], &variables);
        let mut line = String::new();
        output.read_line(&mut line).ok();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("receiver.py: {}", Log::read(&process.log())));
        let came = Arc::new(Mutex::new(Came::default()));
        let into = Arc::clone(&came);
        // Ends with the collector's output.
        std::thread::spawn(move || listen(output, &into));
        Self { process, port, came }
    }

    /// Where it is: `http://ADDRESS:PORT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Has it behave otherwise, and waits until it does.
    pub(crate) fn behave(&self, how: &str) {
        let before = self.came().behaviours;
        self.process.write_line(how);
        eventually("the collector's change", || (self.came().behaviours > before).then_some(()));
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.came().spans.clone()
    }

    /// Waits for a span of this service and this name, and gives the first.
    pub(crate) fn span(&self, service: &str, name: &str) -> Span {
        eventually(&format!("the span {name:?} of {service}"), || {
            self.spans().into_iter().find(|span| span.service() == service && span.name == name)
        })
    }

    fn came(&self) -> std::sync::MutexGuard<'_, Came> {
        self.came.lock().expect("no holder panics")
    }
}

fn listen(output: BufReader<ChildStdout>, into: &Mutex<Came>) {
    for line in output.lines().map_while(Result::ok) {
        let mut came = into.lock().expect("no holder panics");
        match serde_json::from_str(&line) {
            Ok(span) => came.spans.push(span),
            Err(_) => came.behaviours += 1,
        }
    }
}
