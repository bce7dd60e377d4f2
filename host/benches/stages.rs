//! What each stage of the corridor costs, and the whole of it, over `memory://`: one thread, no broker.
//!
//! `cargo bench --package nova-host --bench stages`; `make bench` puts the medians into docs/performance.md. Under
//! `cargo test` each runs once. The handlers are those of `handlers/`, as `handlers/build.sh` builds them.

#![expect(clippy::expect_used, reason = "a benchmark says what went wrong by panicking")]

use std::{path::Path, sync::Arc, time::Duration, time::Instant};

use criterion::{BatchSize, Criterion, Throughput};
use nova_host::{
    capability::{Capabilities, Grants},
    catalog::keeper::Keeper,
    client::{self, Client, Target},
    config::Config,
    dispatch,
    envelope::{Answer, Context, ReplyTo, Request, Style, Text},
    host::{Host, Observers},
    journal::{
        Arrived, Problem, Recorder,
        report::{Kind, State},
    },
    lending::{Lending, Slot, Standing},
    metrics::{Ending, Metrics},
    sandbox::{Compiler, Invocation, Limits, Program, RequestInfo, Sandbox},
    settings::Settings,
    transport::Transport,
};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::Semaphore};

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests at once where the whole corridor is measured.
const AT_ONCE: usize = 64;

/// What all of it needs.
struct Bench {
    runtime: Runtime,
    config: Config,
    sandbox: Arc<Sandbox>,
    keeper: Arc<Keeper>,
}

fn main() {
    let mut criterion = Criterion::default()
        .configure_from_args()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    let bench = Bench::new();
    bench.envelope(&mut criterion);
    bench.dispatch(&mut criterion);
    journal(&mut criterion);
    bench.sandbox(&mut criterion);
    bench.corridor(&mut criterion);
    criterion.final_summary();
}

impl Bench {
    fn new() -> Self {
        let handlers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/handlers");
        let mut settings = Settings::default();
        settings.set("transport_url", "memory://");
        settings.set("handlers.directory", handlers.to_str().expect("a plain path"));
        let (config, _) = Config::read(settings).expect("the settings are right");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let made = nova_host::sandbox::Config {
            max_in_flight: config.serve.max_in_flight,
            stack: config.limits.stack,
            cache: None,
            compiler: Compiler::Here,
        };
        let sandbox = Arc::new(Sandbox::new(made, Metrics::default()).expect("the machine has room"));
        let (policy, metrics) = (config.serve.dispatch.policy, Metrics::default());
        let keeper = Keeper::new(&config.handlers, &config.limits, policy, Arc::clone(&sandbox), metrics);
        runtime.block_on(keeper.load()).expect("handlers/build.sh has built the handlers");
        Self { runtime, config, sandbox, keeper }
    }

    fn envelope(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("envelope");
        for (name, size) in [("100 B", 60), ("7 kB", 7000), ("256 kB", 256 << 10)] {
            let value = Value::String("x".repeat(size));
            let body = message("echo", &json!({"value": value}));
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_function(format!("decode {name}"), |bencher| {
                bencher.iter(|| decode(&body));
            });
            let style = Style::OneMessage { monitor: Text::null() };
            let reply_to = ReplyTo { queue: "reply_1".to_owned(), message_id: "0".repeat(32), style };
            let answer = Answer::Result(Text::of(&value));
            group.bench_function(format!("encode {name}"), |bencher| {
                bencher.iter(|| reply_to.encode(&answer, || "1".repeat(32)));
            });
        }
    }

    fn dispatch(&self, criterion: &mut Criterion) {
        let (current, capabilities) = (self.keeper.current(), Capabilities::default());
        let request = decode(&message("add", &json!({"a": 1, "b": 2})));
        criterion.bench_function("resolve and admit", |bencher| {
            let admit = |request| {
                let resolved = dispatch::resolve(current, dispatch::Options::default(), request).expect("it is served");
                self.runtime
                    .block_on(resolved.admit(
                        &capabilities,
                        &standing(),
                        &nova_host::trace::Span::default(),
                        &nova_host::sandbox::Tape::default(),
                    ))
                    .expect("there is room")
            };
            bencher.iter_batched(|| request.clone(), admit, BatchSize::SmallInput);
        });
    }

    fn sandbox(&self, criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("sandbox");
        for (contract, name) in [("dynamic", "calculator"), ("typed", "calculator-typed")] {
            for (kind, reuse) in [("fresh", 1), ("reused", 1_000_000)] {
                let program = self.load(name, reuse);
                let offers = self.runtime.block_on(program.describe()).expect("it says what it offers");
                let offered = offers.iter().position(|offer| offer.methods.iter().any(|method| method == "add"));
                let endpoint = u32::try_from(offered.expect("it adds")).expect("a few endpoints");
                group.bench_function(format!("{contract}, {kind}"), |bencher| {
                    let handle = |invocation| self.runtime.block_on(program.handle(invocation)).expect("an answer");
                    bencher.iter_batched(|| add(endpoint), handle, BatchSize::SmallInput);
                });
            }
        }
    }

    fn corridor(&self, criterion: &mut Criterion) {
        let _inside = self.runtime.enter();
        let transport = Transport::new(self.config.transport_url.clone(), self.config.rabbit.clone());
        let current = self.keeper.current().clone();
        let metrics = Metrics::default();
        let starting = Host::start(&self.config, &metrics, transport.clone(), current, None, Observers::default());
        let host = self.runtime.block_on(starting).expect("it serves");
        let client = Client::new(transport);
        let call = || client.call(invocation(), client::CallOptions::default());
        let mut group = criterion.benchmark_group("corridor");
        group.bench_function("one call", |bencher| {
            bencher.iter(|| self.runtime.block_on(call()).expect("an answer"));
        });
        group.throughput(Throughput::Elements(AT_ONCE as u64));
        group.bench_function(format!("{AT_ONCE} calls at once"), |bencher| {
            let all = || futures_util::future::join_all((0..AT_ONCE).map(|_| call()));
            bencher.iter(|| self.runtime.block_on(all()));
        });
        group.finish();
        self.runtime.block_on(host.stop(std::future::pending()));
    }

    fn load(&self, name: &str, reuse: u32) -> Program {
        let path = self.config.handlers.directory.join(format!("{name}.wasm"));
        let wasm = std::fs::read(path).expect("handlers/build.sh has built the handlers");
        let limits = Limits { reuse, ..Limits::default() };
        self.runtime.block_on(self.sandbox.load(name, wasm, limits, Grants::default())).expect("it loads")
    }
}

/// What it costs a request to be in the journal, from its beginning to its end.
fn journal(criterion: &mut Criterion) {
    let (recorder, id) = (Recorder::default(), "0".repeat(32));
    let arrived = Arrived {
        kind: Kind::Call,
        method: "build_instances",
        namespace: Some("compute_task"),
        version: Some("1.6"),
        request_id: Some("req-6a5f1fd0-5d2e-4c5b-8f3e-0c9ad2c9ab4f"),
        message_id: Some(&id),
        trace_id: None,
    };
    let run = |outcome, problem: Option<&Problem<'_>>| {
        let entry = recorder.begin(&arrived);
        let progress = entry.progress().clone();
        progress.found("conductor", "0123456789ab", 1);
        progress.enter(State::Running);
        progress.enter(State::Releasing);
        entry.end(outcome, Duration::from_micros(123), problem);
    };
    let (message, frames) = ("x".repeat(100), vec!["at some function of the guest".to_owned(); 10]);
    let problem = Problem {
        module: "nova_host.errors",
        class: "HandlerTrapped",
        message: &message,
        frames: &frames,
        limit: None,
        recording: None,
    };
    let mut group = criterion.benchmark_group("journal");
    group.bench_function("a request", |bencher| bencher.iter(|| run(Ending::Replied, None)));
    group.bench_function("a failure", |bencher| bencher.iter(|| run(Ending::Trapped, Some(&problem))));
    group.finish();
}

/// A call as oslo.messaging sends it.
fn message(method: &str, arguments: &Value) -> Vec<u8> {
    let message = json!({
        "method": method, "args": arguments, "version": "1.0", "_msg_id": "0".repeat(32), "_reply_q": "reply_1",
        "_timeout": null, "_unique_id": "1".repeat(32), "_context_request_id": "req-1", "_context_user": "admin",
    });
    json!({"oslo.version": "2.0", "oslo.message": message.to_string()}).to_string().into_bytes()
}

fn decode(body: &[u8]) -> Request {
    Request::decode(body, Some("application/json"), None).expect("it is a request")
}

fn add(endpoint: u32) -> Invocation {
    Invocation {
        endpoint,
        method: "add".to_owned(),
        namespace: None,
        version: "1.0".to_owned(),
        arguments: r#"{"a": 1, "b": 2}"#.to_owned(),
        info: RequestInfo::bare(),
        since: Instant::now(),
    }
}

fn invocation() -> client::Invocation {
    client::Invocation {
        target: Target::new("nova", "conductor"),
        method: "add".to_owned(),
        arguments: Text::of(&json!({"a": 1, "b": 2})),
        context: Context::default(),
        origin: client::Provenance::default(),
    }
}

/// What a request holds that lends nothing.
fn standing() -> Arc<Standing> {
    let permits = Arc::new(Semaphore::new(1));
    let permit = Arc::clone(&permits).try_acquire_owned().expect("it is free");
    Arc::new(Standing::new(Lending::of(1, 0), Arc::new(Slot::new(permits, permit))))
}
