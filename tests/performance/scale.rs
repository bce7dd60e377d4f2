//! What grows, and what must not: many handlers, many requests at once, large payloads, many requests in flight.

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nova_host::{
    client::{CallOptions, Client, Invocation, Provenance, Target},
    envelope::{Context, Text},
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::measure::{self, Usage};
use crate::harness::{Broker, LIMIT, Scratch, Serve, Vhost, client, handlers, nova_host};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    /// Handlers that are loaded.
    pub(super) handlers: &'static [usize],
    /// Callers at once.
    pub(super) outstanding: &'static [usize],
    /// Bytes that are echoed.
    pub(super) payloads: &'static [usize],
    /// Requests that run at once.
    pub(super) in_flight: &'static [usize],
    /// How long a line of a table is measured.
    pub(super) turn: Duration,
}

const MIB: f64 = (1 << 20) as f64;

/// A service with a client.
pub(super) struct Service {
    host: Serve,
    runtime: Runtime,
    client: Arc<Client>,
    vhost: Vhost,
    scratch: Scratch,
    started_in: Duration,
}

impl Service {
    /// Serves the files of a directory that `fill` makes; `None` serves ours.
    pub(super) fn start(fill: Option<&dyn Fn(&Scratch)>, more: &str) -> Self {
        let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
        std::fs::create_dir(scratch.path().join("handlers")).expect("the scratch directory is writable");
        let directory = match fill {
            Some(fill) => {
                fill(&scratch);
                scratch.path().join("handlers")
            }
            None => handlers().to_owned(),
        };
        let configuration = format!(
            "transport_url = \"{}\"\nhandlers.directory = \"{}\"\ncontrol.socket = \"{}/control.sock\"\n{more}\n",
            vhost.url(),
            directory.display(),
            scratch.path().display(),
        );
        scratch.write("nova-host.toml", &configuration);
        let started = Instant::now();
        let host = Serve::with_config(&configuration);
        let started_in = started.elapsed();
        let (runtime, client) = client(&vhost.url());
        Self { host, runtime, client, vhost, scratch, started_in }
    }

    pub(super) fn calls(&self, of: &Invocation, outstanding: usize, time: Duration) -> measure::Round {
        measure::calls(&self.runtime, &self.client, of, outstanding, time)
    }

    /// What a command of `nova-host` prints, with the service's configuration.
    pub(super) fn command(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(nova_host());
        command.args(arguments).arg("--config").arg(self.scratch.path().join("nova-host.toml"));
        let output = command.env_remove("NOVA_HOST_BENCH").output().expect("nova-host runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.host.pid()
    }

    fn rss(&self) -> f64 {
        Usage::of(self.host.pid()).rss as f64 / MIB
    }
}

fn request(namespace: Option<&str>, method: &str, arguments: Value) -> Invocation {
    let target = Target { namespace: namespace.map(str::to_owned), ..Target::new("nova", "conductor") };
    let (arguments, context, origin) = (Text::of(&arguments), Context::default(), Provenance::default());
    Invocation { target, method: method.to_owned(), arguments, context, origin }
}

pub(super) fn add(namespace: Option<&str>) -> Invocation {
    request(namespace, "add", json!({"a": 1, "b": 2}))
}

/// Handlers, each in a namespace of its own: time to start and to exchange one, memory, latency.
pub(super) fn many_handlers(size: Size) -> String {
    let mut text = String::from(
        "| handlers | start | RSS MiB | call, p50 ms | exchange of one |\n| --- | --- | --- | --- | --- |\n",
    );
    let component = handlers().join("calculator-typed.wasm");
    for count in size.handlers {
        let fill = |scratch: &Scratch| {
            let folder = scratch.path().join("handlers");
            for number in 0..*count {
                let copied = std::fs::copy(&component, folder.join(format!("h{number}.wasm")));
                copied.expect("the directory is writable");
                let manifest = format!("[[endpoint]]\nnamespace = \"h{number}\"\n");
                std::fs::write(folder.join(format!("h{number}.toml")), manifest).expect("the directory is writable");
            }
        };
        // Once to have the code compiled, once to start with all of it in the cache.
        let cache = Scratch::new();
        let more = format!("handlers.cache = \"{}/cache\"", cache.path().display());
        drop(Service::start(Some(&fill), &more));
        let service = Service::start(Some(&fill), &more);
        let last = format!("h{}", count - 1);
        let round = service.calls(&add(Some(&last)), 1, size.turn);
        // Without a manifest beside it: the handler keeps its own.
        let other = service.scratch.path().join(format!("{last}.wasm"));
        std::fs::copy(&component, &other).expect("the scratch directory is writable");
        let started = Instant::now();
        let mut command = Command::new(nova_host());
        command.args(["handlers", "add", "--config"]).arg(service.scratch.path().join("nova-host.toml")).arg(other);
        let replaced = command.env_remove("NOVA_HOST_BENCH").output();
        let replaced = replaced.expect("the host runs");
        assert!(replaced.status.success(), "{}", String::from_utf8_lossy(&replaced.stderr));
        let exchange = started.elapsed().as_secs_f64() * 1e3;
        writeln!(
            text,
            "| {count} | {:.0} ms | {:.0} | {:.2} | {exchange:.0} ms |",
            service.started_in.as_secs_f64() * 1e3,
            service.rss(),
            round.percentile(0.5)
        )
        .expect("text grows");
    }
    text
}

/// Callers at once, of one host with `max_in_flight` as it comes.
pub(super) fn many_callers(size: Size) -> String {
    let service = Service::start(None, "");
    let mut text = String::from(
        "| callers | calls/s | p50 ms | p99 ms | CPU s per 1000 calls | RSS MiB |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for outstanding in size.outstanding {
        let before = Usage::of(service.host.pid());
        let round = service.calls(&add(None), *outstanding, size.turn);
        let cpu = (Usage::of(service.host.pid()).cpu - before.cpu).as_secs_f64() * 1e3 / round.calls as f64;
        let (rate, half, worst) = (round.rate(), round.percentile(0.5), round.percentile(0.99));
        writeln!(text, "| {outstanding} | {rate:.0} | {half:.2} | {worst:.2} | {cpu:.3} | {:.0} |", service.rss())
            .expect("text grows");
    }
    text
}

/// Bytes there and back.
pub(super) fn payloads(size: Size) -> String {
    let service = Service::start(None, "");
    let mut text =
        String::from("| bytes | p50 ms | MB/s | CPU s per 1000 calls | RSS MiB |\n| --- | --- | --- | --- | --- |\n");
    for bytes in size.payloads {
        let request = request(None, "echo", json!({"value": "x".repeat(*bytes)}));
        let before = Usage::of(service.host.pid());
        let round = service.calls(&request, 1, size.turn);
        let cpu = (Usage::of(service.host.pid()).cpu - before.cpu).as_secs_f64() * 1e3 / round.calls as f64;
        let rate = round.rate() * *bytes as f64 / 1e6;
        writeln!(text, "| {bytes} | {:.2} | {rate:.1} | {cpu:.3} | {:.0} |", round.percentile(0.5), service.rss())
            .expect("text grows");
    }
    text
}

/// Requests that run at once and do not end: what each holds of the host's memory.
pub(super) fn in_flight(size: Size) -> String {
    let mut text = String::from("| in flight | RSS MiB | KiB for each |\n| --- | --- | --- |\n");
    for count in size.in_flight {
        let service =
            Service::start(None, &format!("max_in_flight = {count}\nlimits.timeout = \"600s\"\ngrace_period = \"0s\""));
        service.runtime.block_on(service.client.call(add(None), CallOptions::from(LIMIT))).expect("an answer");
        let before = service.rss();
        for _ in 0..*count {
            let endless = service.client.cast(request(None, "loop_forever", json!({})), CallOptions::from(LIMIT));
            service.runtime.block_on(endless).expect("the broker has it");
        }
        let all = *count as u64;
        service.vhost.eventually("conductor", |queue| queue.unacknowledged == all && queue.ready == 0);
        let rss = service.rss();
        writeln!(text, "| {count} | {rss:.0} | {:.0} |", (rss - before) * 1024.0 / *count as f64).expect("text grows");
    }
    text
}
