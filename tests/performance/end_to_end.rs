//! Nova Host beside a native server that does the least that the protocol allows, and beside oslo.messaging's, on one
//! broker: callers in a closed loop, and casts. The servers take turns, in rounds.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nova_host::{
    client::{Client, Invocation, Provenance, Target},
    envelope::{Context, Text},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::measure::{self, Usage, median};
use crate::harness::{Broker, OsloServer, Serve, Vhost, client, handlers, nova_host, repository};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Rounds in which every server has its turn.
    pub(super) rounds: usize,
    /// How long a turn lasts.
    pub(super) turn: Duration,
    /// Callers at once.
    pub(super) outstanding: &'static [usize],
    /// Casts in a turn.
    pub(super) casts: usize,
}

/// Names of the servers, in the order of the table.
const NAMES: [&str; 3] = ["native echo", "Nova Host", "oslo.messaging"];

/// Senders of casts at once.
const SENDERS: usize = 16;

/// What a server came to in a cell of the table.
#[derive(Clone, Debug, Default)]
struct Cell {
    rates: Vec<f64>,
    halves: Vec<f64>,
    worst: Vec<f64>,
    /// Milliseconds of its processor time for each call.
    cpu: Vec<f64>,
    rss: Vec<f64>,
}

/// A server, in a virtual host of its own, with a client.
struct Server {
    pid: u32,
    runtime: Runtime,
    client: Arc<Client>,
    _process: Process,
    _vhost: Vhost,
}

#[expect(dead_code, reason = "they end when they are dropped")]
enum Process {
    Native(Native),
    Nova(Serve),
    Python(OsloServer),
}

/// The native server. It ends when its standard input does, with us.
struct Native(Child);

impl Drop for Native {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

impl Server {
    fn start(name: &str) -> Self {
        let vhost = Broker::shared().vhost();
        let url = vhost.url();
        let (pid, process) = match name {
            "native echo" => {
                let native = native(&url);
                (native.0.id(), Process::Native(native))
            }
            "Nova Host" => {
                let handlers = handlers().to_str().expect("a plain path");
                let nova = Serve::with_arguments(["--transport-url", &url, "--handlers", handlers]);
                (nova.pid(), Process::Nova(nova))
            }
            _ => {
                let python = OsloServer::start(&url, "conductor", "python-1");
                (python.pid(), Process::Python(python))
            }
        };
        let (runtime, client) = client(&url);
        Self { pid, runtime, client, _process: process, _vhost: vhost }
    }
}

fn native(url: &str) -> Native {
    // Cargo builds examples with tests.
    let program = nova_host().with_file_name("examples").join("echo");
    let mut command = Command::new(&program);
    command.args([url, "conductor"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}: cargo builds it", program.display()));
    let mut line = String::new();
    let stdout = child.stdout.take().expect("it is a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("the native server writes a line");
    assert_eq!(line, "ready\n", "the native server has ended");
    Native(child)
}

/// What is sent: about 100 bytes, the arguments of a real `build_instances`, and 256 kB.
fn bodies() -> [(&'static str, Value); 3] {
    let path = repository().join("tests/golden/nova/17-task-build_instances-chain.json");
    let chain = within(&std::fs::read_to_string(&path).expect("a golden message"));
    let envelope = within(chain["client_connection_frames"][0]["body"].as_str().expect("a body"));
    let real = within(envelope["oslo.message"].as_str().expect("a message"))["args"].take();
    [("100 B", json!("x".repeat(60))), ("build_instances", real), ("256 kB", json!("x".repeat(256 << 10)))]
}

fn within(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn echo(value: &Value) -> Invocation {
    Invocation {
        target: Target::new("nova", "conductor"),
        method: "echo".to_owned(),
        arguments: Text::of(&json!({"value": value})),
        context: Context::default(),
        origin: Provenance::default(),
    }
}

/// Measures, and writes the tables.
pub(super) fn run(size: Size) -> String {
    let servers: Vec<Server> = NAMES.iter().map(|name| Server::start(name)).collect();
    let mut text = String::new();
    for (body, value) in bodies() {
        let request = echo(&value);
        let bytes = request.arguments.get().len();
        let mut cells = vec![vec![Cell::default(); servers.len()]; size.outstanding.len()];
        let mut casts = vec![Vec::new(); servers.len()];
        for _ in 0..size.rounds {
            for (cells, outstanding) in cells.iter_mut().zip(size.outstanding) {
                for (cell, server) in cells.iter_mut().zip(&servers) {
                    cell.add(server, &request, *outstanding, size.turn);
                }
            }
            for (casts, Server { runtime, client, .. }) in casts.iter_mut().zip(&servers) {
                casts.push(measure::casts(runtime, client, &request, SENDERS, size.casts));
            }
        }
        writeln!(text, "\n### {body}: arguments of {bytes} bytes\n").expect("text grows");
        text.push_str(&table(size.outstanding, &cells));
        let rates: Vec<String> =
            NAMES.iter().zip(casts).map(|(name, rates)| format!("{name} {:.0}", median(rates))).collect();
        writeln!(text, "\nCasts taken in a second, from {SENDERS} senders: {}.", rates.join(", ")).expect("text grows");
    }
    text
}

impl Cell {
    fn add(&mut self, server: &Server, request: &Invocation, outstanding: usize, turn: Duration) {
        let before = Usage::of(server.pid);
        let round = measure::calls(&server.runtime, &server.client, request, outstanding, turn);
        let after = Usage::of(server.pid);
        self.rates.push(round.rate());
        self.halves.push(round.percentile(0.5));
        self.worst.push(round.percentile(0.99));
        self.cpu.push((after.cpu - before.cpu).as_secs_f64() * 1e3 / round.calls as f64);
        self.rss.push(after.rss as f64 / f64::from(1 << 20));
    }
}

fn table(outstanding: &[usize], cells: &[Vec<Cell>]) -> String {
    let mut text = String::from(
        "| outstanding | server | calls/s | of native | p50 ms | p99 ms | CPU s per 1000 calls | of native | RSS MiB |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for (outstanding, cells) in outstanding.iter().zip(cells) {
        for (name, cell) in NAMES.iter().zip(cells) {
            let [rate, half, worst, cpu, rss] =
                [&cell.rates, &cell.halves, &cell.worst, &cell.cpu, &cell.rss].map(|of| median(of.iter().copied()));
            // Of each round by itself: what else the machine does is then on both sides.
            let against = |of: &[f64], native: &[f64]| median(of.iter().zip(native).map(|(a, b)| a / b));
            let (faster, dearer) = (against(&cell.rates, &cells[0].rates), against(&cell.cpu, &cells[0].cpu));
            writeln!(
                text,
                "| {outstanding} | {name} | {rate:.0} | {faster:.2} | {half:.2} | {worst:.2} | {cpu:.3} | {dearer:.2} | {rss:.0} |"
            )
            .expect("text grows");
        }
    }
    text
}
