//! Traces: one from a Python client through a handler to a Python server, and what a collector, a caller or a message can do to them.

mod cost;
mod messages;

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{
    Broker, Collector, OsloClient, OsloServer, Scratch, Serve, Span, Vhost, Web, eventually,
    guest::{LOOP, guest},
    guests, nova_host,
};

/// Whom the handler may ask, and what else it may.
const GRANTS: &str = "grants.rpc = [\"conductor/*\", \"scheduler/*\", \"probe/*\"]\ngrants.keyvalue = true\n";

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A service with the courier, and a collector.
struct Story {
    vhost: Vhost,
    host: Serve,
    collector: Collector,
    _scratch: Scratch,
}

impl Story {
    /// Starts them; `tracing` is added to the section.
    fn begin(tracing: &str) -> Self {
        Self::with("", |collector| format!("[tracing]\nendpoint = \"{}\"\n{tracing}", collector.endpoint()))
    }

    /// Starts them with more in the manifest, which may name a web server.
    fn with(manifest: &str, config: impl FnOnce(&Collector) -> String) -> Self {
        let (vhost, scratch, collector) = (Broker::shared().vhost(), Scratch::new(), Collector::start());
        let component = std::fs::read(guests().join("courier.wasm")).expect("it was built");
        scratch.write("handlers/courier.wasm", component);
        scratch.write("handlers/loop.wasm", guest(LOOP));
        scratch.write("handlers/loop.toml", "limits.timeout = \"1s\"");
        let web = if manifest.contains("grants.http") { "" } else { "grants.http = [\"http://127.0.0.1:1\"]\n" };
        scratch.write("handlers/courier.toml", format!("{GRANTS}{web}{manifest}"));
        let host = Serve::with_config(&format!(
            "transport_url = \"{}\"\nserver = \"host-1\"\nhandlers.directory = \"{path}/handlers\"\n\
             control.socket = \"none\"\nmetrics.listen = \"127.0.0.1:0\"\nrpc.max_hops = 100\n\
             log = \"debug,lapin=off\"\n{}",
            vhost.url(),
            config(&collector),
            path = scratch.path().display(),
        ));
        Self { vhost, host, collector, _scratch: scratch }
    }

    /// A queue in which what handlers send to topic `probe` waits.
    fn probe(&self) {
        self.vhost.declare_queue("probe", &json!({}));
        self.vhost.bind("nova", "probe", "probe");
    }

    /// The next message there: its headers, and what is inside its envelope.
    fn probed(&self) -> (Value, Value) {
        self.vhost.eventually("probe", |queue| queue.ready > 0);
        let message = self.vhost.take("probe", 1).remove(0);
        let outer: Value = serde_json::from_slice(&message.body).expect("JSON");
        let inner = serde_json::from_str(outer["oslo.message"].as_str().expect("a string")).expect("JSON");
        (message.properties["headers"].clone(), inner)
    }

    /// Publishes a cast to the service, with more entries in its message, and headers.
    fn publish(&self, method: &str, arguments: &Value, more: &Value, headers: &Value) {
        let mut message = json!({"method": method, "args": arguments, "version": "1.3"});
        message.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let body = json!({"oslo.version": "2.0", "oslo.message": message.to_string()}).to_string();
        let properties = json!({"content_type": "application/json", "headers": headers});
        assert!(self.vhost.publish("nova", "conductor", &properties, body.as_bytes()));
    }

    fn counted(&self, fate: &str) -> u64 {
        let series = format!("nova_host_spans_total{{fate=\"{fate}\"}} ");
        let metrics = self.host.metrics();
        metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).expect("it is counted")
    }

    /// The end of the host, after which the collector has all that it gets.
    fn end(&mut self) -> Vec<Span> {
        self.host.stop();
        self.collector.spans()
    }
}

/// What `tell` is given to send one cast to the probe.
fn tell() -> Value {
    json!({"target": {"topic": "probe"}, "name": "m", "arguments": {"a": 1}})
}

fn ask(topic: &str, method: &str, arguments: &Value) -> Value {
    json!({"target": {"topic": topic}, "name": method, "arguments": arguments})
}

#[test]
fn one_trace_goes_from_a_python_client_through_a_handler_to_a_python_server() {
    let mut story = Story::begin("name = \"nova-host-1\"");
    let endpoint = story.collector.endpoint();
    let _server = OsloServer::traced(&story.vhost.url(), "scheduler", "scheduler", &endpoint);
    let client = OsloClient::traced(&story.vhost.url(), "api", &endpoint);
    let arguments = ask("scheduler", "add", &json!({"a": 1, "b": 2}));
    let context = json!({"request_id": "req-1", "auth_token": "S3cr3t"});
    let call = json!({"topic": "conductor", "method": "ask", "args": arguments, "context": context});
    assert_eq!(client.call(call).expect("a sum"), 3);

    let of = |service: &str, name: &str| story.collector.span(service, name);
    let sent = of("api", "conductor.ask");
    let asked = of("scheduler", "add receive");
    let received = of("nova-host-1", "ask receive");
    let [waits, run, sends, replies] =
        ["wait for a place", "run courier", "scheduler.add", "reply"].map(|name| of("nova-host-1", name));
    // One trace, and each span below the one that has caused it.
    for span in [&asked, &received, &waits, &run, &sends, &replies] {
        assert_eq!(span.trace, sent.trace, "{span:?}");
        assert!(span.start <= span.end && span.start >= sent.start, "{span:?}");
    }
    assert_eq!((sent.parent.as_str(), &received.parent), ("", &sent.span));
    for below in [&waits, &run, &replies] {
        assert_eq!(below.parent, received.span, "{below:?}");
    }
    assert_eq!((&sends.parent, &asked.parent), (&run.span, &sends.span));
    assert_eq!([&received, &sends, &run].map(|span| span.kind.as_str()), ["CONSUMER", "PRODUCER", "INTERNAL"]);
    assert!(waits.end <= run.end && run.end <= replies.start && replies.end <= received.end);

    // As oslo names things: what it says of its own is what we say of ours.
    let shared = |span: &Span, name: &str| span.attributes[name].clone();
    for name in ["messaging.system", "messaging.operation", "rpc.method", "openstack.request_id"] {
        assert_eq!(shared(&received, name), if name == "rpc.method" { json!("ask") } else { shared(&asked, name) });
        let expected = if name == "rpc.method" { json!("add") } else { shared(&sent, name) };
        assert_eq!(shared(&sends, name), expected, "{name}");
    }
    assert_eq!(received.attributes["messaging.destination.name"], "conductor");
    assert_eq!(sends.attributes["messaging.destination.name"], "scheduler");
    assert!(received.attributes["messaging.message.id"].as_str().is_some_and(|id| id.len() == 32), "{received:?}");
    for span in [&received, &run] {
        assert_eq!(
            (&span.attributes["nova_host.handler"], &span.attributes["nova_host.outcome"]),
            (&json!("courier"), &json!("replied"))
        );
        assert!(span.attributes["nova_host.digest"].is_string() && span.attributes["nova_host.generation"] == 1);
        assert_eq!(span.error, None);
    }
    assert_eq!(replies.attributes["nova_host.fate"], "confirmed");
    assert_eq!(received.resource["service.instance.id"], "host-1");

    let spans = story.end();
    assert!(!format!("{spans:?}").contains("S3cr3t"));
    assert!(spans.iter().filter(|span| span.service() == "nova-host-1").all(|span| span.trace == sent.trace));
}

#[test]
fn everything_that_a_handler_does_has_a_span_and_what_failed_says_so() {
    let web = Web::start(|_| "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned());
    let at = format!("http://127.0.0.1:{}", web.port());
    let manifest = format!("grants.http = [\"{at}\"]\n");
    let story = Story::with(&manifest, |collector| format!("[tracing]\nendpoint = \"{}\"", collector.endpoint()));
    story.probe();
    let client = OsloClient::start(&story.vhost.url());
    let call = |method: &str, arguments: Value| {
        client.call(json!({"topic": "conductor", "method": method, "args": arguments}))
    };
    let of = |name: &str| story.collector.span("nova-host", name);

    call("tell", tell()).expect("told");
    let (receive, release, cast) = (of("tell receive"), of("release effects"), of("probe.m"));
    assert_eq!((&release.parent, &cast.parent), (&receive.span, &release.span));
    assert_eq!(
        (&cast.attributes["messaging.operation"], &release.attributes["nova_host.casts"]),
        (&json!("cast"), &json!(1))
    );
    let run = story.collector.spans().into_iter().find(|span| span.name == "run courier").expect("it ran");
    assert_eq!(run.events[0]["name"], "held");
    let (headers, message) = story.probed();
    let expected = format!("00-{}-{}-01", cast.trace, cast.span);
    assert_eq!((&message["_context_traceparent"], &headers["traceparent"]), (&json!(expected), &json!(expected)));

    call("count", json!({"key": "k", "delta": 2})).expect("a number");
    let increment = of("state increment");
    assert!(increment.error.is_none() && !format!("{increment:?}").contains("\"k\""));
    // What the handler adds is its run's, and the run's is the span that it is told.
    let count = of("count receive");
    let runs = |span: &Span| span.name == "run courier" && span.parent == count.span;
    let run = story.collector.spans().into_iter().find(runs).expect("it ran");
    let told = format!("00-{}-{}-01", run.trace, run.span);
    assert_eq!(run.attributes["courier.delta"], 2);
    let counted = json!({"name": "counted", "attributes": {"courier.sum": 2, "courier.span": told}});
    assert!(run.events.contains(&counted), "{run:?}");

    call("fetch", json!({"verb": "GET", "url": format!("{at}/secret-path")})).expect("a response");
    let get = of("GET");
    assert_eq!(
        (get.kind.as_str(), &get.attributes["http.response.status_code"], get.error.as_deref()),
        ("CLIENT", &json!(404), Some("404"))
    );
    let asked = web.next();
    assert!(asked.contains(&format!("traceparent: 00-{}-{}-01\r\n", get.trace, get.span)), "{asked}");
    let own = json!({"verb": "GET", "url": at, "headers": [["TraceParent", CALLER]]});
    call("fetch", own).expect("a response");
    let asked = web.next().to_lowercase();
    assert_eq!(asked.matches("traceparent").count(), 1, "{asked}");
    assert!(asked.contains(CALLER), "{asked}");

    call("ask", ask("scheduler", "add", &json!({"a": 1}))).expect_err("nobody is there");
    let failed = of("ask receive");
    assert!(failed.error.is_some() && of("scheduler.add").error.as_deref() == Some("unavailable"), "{failed:?}");
    call("divide", json!({"a": 1.0, "b": 0.0})).expect_err("no result");
    let failed = of("divide receive");
    assert_eq!(
        (failed.error.as_deref(), &failed.attributes["nova_host.outcome"]),
        (Some("ZeroDivisionError"), &json!("failed"))
    );
    call("no_such_method", json!({})).expect_err("there is none");
    assert_eq!(of("no_such_method receive").error.as_deref(), Some("NoSuchMethod"));
    assert!(!format!("{:?}", story.collector.spans()).contains("secret-path"));
}

#[test]
fn a_limit_that_a_request_ran_into_is_named() {
    let story = Story::begin("");
    let client = OsloClient::start(&story.vhost.url());
    client.call(json!({"topic": "conductor", "method": "m"})).expect_err("it never ends");
    for name in ["run loop", "m receive"] {
        let span = story.collector.span("nova-host", name);
        let of = |attribute: &str| span.attributes[attribute].as_str().unwrap_or_default();
        assert_eq!((of("nova_host.limit"), of("nova_host.outcome")), ("timeout", "timed_out"), "{span:?}");
        assert!(span.error.is_some(), "{span:?}");
    }
}

#[test]
fn a_collector_that_is_not_there_or_refuses_or_answers_nonsense_costs_spans_and_no_request() {
    let mut story = Story::begin("timeout = \"1s\"\nqueue = 40");
    let client = OsloClient::start(&story.vhost.url());
    let divide = || client.call(json!({"topic": "conductor", "method": "divide", "args": {"a": 1.0, "b": 2.0}}));
    for how in ["refuse", "hang up", "slow", "busy"] {
        story.collector.behave(how);
        let (failed, dropped) = (story.counted("failed"), story.counted("dropped"));
        eventually(&format!("spans that are lost: {how}"), || {
            for _ in 0..20 {
                assert_eq!(divide().expect("a result"), 0.5);
            }
            (story.counted("failed") > failed || story.counted("dropped") > dropped).then_some(())
        });
    }
    assert!(story.counted("failed") > 0 && story.counted("exported") == 0, "{}", story.host.metrics());
    // What is answered with 200 is taken, whatever its body is.
    story.collector.behave("garbage");
    eventually("spans that are taken", || {
        assert_eq!(divide().expect("a result"), 0.5);
        (story.counted("exported") > 0).then_some(())
    });
    story.collector.behave("take");
    story.collector.span("nova-host", "divide receive");
    story.host.wait_for_log("the collector takes the spans of traces again");
    let log = story.host.log();
    // Once for each reason.
    let told = log.lines().filter(|line| line.contains("does not take the spans")).count();
    assert!(told >= 1, "{log}");
    story.collector.behave("slow");
    divide().expect("a result");
    assert!(story.host.stop().success());
}

#[test]
fn every_line_about_a_request_has_the_id_of_its_trace() {
    let story = Story::begin("sample = 0");
    story.publish("divide", &json!({"a": 1.0, "b": 0.0}), &json!({"_context_traceparent": CALLER}), &json!({}));
    eventually("its end", || story.host.log().contains("handled").then_some(()));
    let log = story.host.log();
    let about = log.lines().filter(|line| line.contains("request{"));
    let lines: Vec<&str> = about.collect();
    assert!(!lines.is_empty() && lines.iter().all(|line| line.contains("0af7651916cd43dd8448eb211c80319c")), "{log}");
}

#[test]
fn what_is_wrong_with_it_is_said_at_the_start_and_no_secret_is() {
    let check = |name: &str, value: &str| {
        let mut command = Command::new(nova_host());
        command
            .args(["check", "--set", "handlers.directory=."])
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
        let output = command.env(name, value).current_dir(std::env::temp_dir()).output().expect("nova-host runs");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = check("NOVA_HOST_TRACING_HEADERS", "S3cr3t");
    assert!(
        code == Some(2) && said.contains("NOVA_HOST_TRACING_HEADERS: entry 1 is not NAME=VALUE"),
        "{code:?} {said}"
    );
    assert!(!said.contains("S3cr3t"), "{said}");
    // The variables of OpenTelemetry are for a whole machine, and keep nobody from starting.
    for (name, value, expected) in [
        ("OTEL_EXPORTER_OTLP_HEADERS", "S3cr3t", "entry 1 is not NAME=VALUE; the variable is ignored"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote", "is not known here"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "only http/protobuf is spoken here"),
    ] {
        let (code, said) = check(name, value);
        assert!(code != Some(2) && said.contains(&format!("warning: {name}: {expected}")), "{code:?} {said}");
        assert!(!said.contains("S3cr3t"), "{said}");
    }
}
