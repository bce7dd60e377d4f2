//! What Prometheus reads from a service that works, and whom it pages.

use std::time::Duration;

use nova_host::{
    config::Config,
    settings::Settings,
    transport::{Carries, Connected, Depth, Depths, Transport},
};
use serde_json::json;
use tokio_util::task::AbortOnDropHandle;

use crate::harness::{Broker, OsloClient, PATIENCE, Prometheus, Scratch, eventually, prometheus::promtool, repository};
use crate::oslo::serve;

#[test]
fn prometheus_learns_of_requests_faults_and_limits() {
    let vhost = Broker::shared().vhost();
    let host = serve(&vhost, "host-1", "metrics.listen = \"127.0.0.1:0\"\nlimits.timeout = \"2s\"");
    let client = OsloClient::start(&vhost.url());
    let call = |method: &str, args| client.call(json!({"topic": "conductor", "method": method, "args": args}));
    call("add", json!({"a": 1, "b": 2})).expect("a result");
    call("loop_forever", json!({})).expect_err("a timeout");
    // A name that nobody offers makes no series.
    call("no_such_method_of_mine", json!({})).expect_err("no such method");

    eventually("an idle service", || host.metrics().contains("nova_host_deliveries_in_flight 0\n").then_some(()));
    let text = host.metrics();
    for line in [
        r#"nova_host_requests_total{handler="calculator",outcome="replied"} 1"#,
        r#"nova_host_requests_total{handler="calculator",outcome="timed_out"} 1"#,
        r#"nova_host_requests_total{handler="",outcome="refused"} 1"#,
        r#"nova_host_limit_hits_total{handler="calculator",limit="timeout"} 1"#,
        r#"nova_host_requests_running{handler="calculator"} 0"#,
        r#"nova_host_generations_loaded_total{handler="conductor"} 1"#,
    ] {
        assert!(text.lines().any(|written| written == line), "no {line} in\n{text}");
    }
    assert!(!text.contains("no_such_method_of_mine"));
}

/// The value of a series, by its name with labels.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn prometheus_learns_who_computes_what_waits_and_how_long_it_has_waited() {
    let vhost = Broker::shared().vhost();
    let more = "metrics.listen = \"127.0.0.1:0\"\nlimits.timeout = \"600s\"\nmax_in_flight = 2\ngrace_period = \"1s\"";
    let mut host = serve(&vhost, "host-1", more);
    let text = host.metrics();
    assert_eq!((value(&text, "nova_host_permits"), value(&text, "nova_host_permits_free")), (Some(2.0), Some(2.0)));
    assert!(text.contains("nova_host_handler_info{handler=\"calculator\",digest=\""), "{text}");
    // A message says when it was sent.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let sent = json!({"content_type": "application/json", "timestamp": now - 100});
    assert!(vhost.publish("nova", "conductor", &sent, br#"{"method": "add", "args": {"a": 1, "b": 2}}"#));
    eventually("the wait", || {
        let text = host.metrics();
        let bucket = |upper| value(&text, &format!("nova_host_queue_wait_seconds_bucket{{le=\"{upper}\"}}"));
        (bucket("60.0") == Some(0.0) && bucket("300.0") == Some(1.0)).then_some(())
    });
    eventually("the method", || {
        let series = r#"nova_host_method_requests_total{handler="calculator",method="add",outcome="replied"}"#;
        (value(&host.metrics(), series) == Some(1.0)).then_some(())
    });

    // More than it takes, and what it has taken does not end.
    let client = OsloClient::start(&vhost.url());
    for _ in 0..7 {
        client.cast(json!({"topic": "conductor", "method": "loop_forever"})).expect("the broker has it");
    }
    let computed = |text: &str| value(text, r#"nova_host_guest_cpu_seconds_total{handler="calculator"}"#);
    let text = eventually("a backlog", || {
        let text = host.metrics();
        let waiting = value(&text, r#"nova_host_queue_messages{queue="conductor"}"#);
        (waiting.is_some_and(|waiting| waiting > 0.0) && computed(&text).is_some_and(|seconds| seconds > 0.1))
            .then_some(text)
    });
    assert_eq!(value(&text, "nova_host_permits_free"), Some(0.0), "{text}");
    assert_eq!(value(&text, r#"nova_host_queue_consumers{queue="conductor"}"#), Some(1.0), "{text}");
    assert_eq!(value(&text, r#"nova_host_queue_consumers{queue="conductor_fanout"}"#), Some(1.0), "{text}");
    assert!(value(&text, "nova_host_drain_seconds").is_some_and(|seconds| seconds > 1.0), "{text}");
    assert_eq!(value(&text, "nova_host_publications_unconfirmed"), Some(0.0), "{text}");
    host.stop();
}

#[test]
fn a_queue_that_has_gone_is_looked_at_without_harm_to_the_others_and_to_who_consumes() {
    let vhost = Broker::shared().vhost();
    let mut settings = Settings::default();
    settings.set("transport_url", vhost.url());
    let (config, _) = Config::read(settings).expect("the URL is right");
    let runtime = tokio::runtime::Runtime::new().expect("threads are free");
    runtime.block_on(async {
        let transport = Transport::new(config.transport_url.clone(), config.rabbit.clone());
        let deliveries = transport.listen(config.subscription()).await.expect("the broker is there");
        let queues = ["gone", "conductor", "gone too"].map(|queue| (queue.to_owned(), queue.to_owned()));
        let depths = Depths::default();
        let looking = AbortOnDropHandle::new(tokio::spawn({
            let (transport, depths) = (transport.clone(), depths.clone());
            async move { transport.look_at(queues.into(), depths).await }
        }));
        let known = tokio::time::timeout(PATIENCE, async {
            loop {
                let known = depths.known();
                if !known.is_empty() {
                    return known;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let known = known.await.expect("a look");
        assert_eq!(
            known.into_iter().collect::<Vec<_>>(),
            [("conductor".to_owned(), Depth { messages: 0, consumers: 1 })]
        );
        let connections = transport.connections().expect("a broker");
        assert_eq!(connections.of(Carries::Requests), Connected { open: 1, blocked: 0, made: 1 });
        drop(looking);
        deliveries.close().await;
        transport.close().await;
    });
}

#[test]
fn what_the_broker_does_not_confirm_is_counted_and_grows_old() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    // The alarm has to be there before the first reply: on a busy machine the command for it takes 20 seconds.
    let host = serve(&vhost, "host-1", "metrics.listen = \"127.0.0.1:0\"\nlimits.timeout = \"45s\"");
    let client = OsloClient::start(&vhost.url());
    // The broker blocks a connection when it has read something from it: one reply is, and the others are not.
    // So they end one after the other.
    let running = "nova_host_requests_running{handler=\"calculator\"}";
    let calls = [1.0, 2.0, 3.0].map(|number| {
        let call = client.start_call(json!({"topic": "conductor", "method": "loop_forever", "timeout": 300}));
        eventually("a request that runs", || (value(&host.metrics(), running) == Some(number)).then_some(()));
        std::thread::sleep(Duration::from_millis(300));
        call
    });
    broker.control("set_vm_memory_high_watermark absolute 1000");
    // It looks once a second, and must have before the first reply comes.
    eventually("the alarm", || vhost.broker_is_short().then_some(()));
    eventually("an age", || {
        let text = host.metrics();
        let is_old = value(&text, "nova_host_publications_oldest_age_seconds").is_some_and(|seconds| seconds > 1.0);
        (is_old && value(&text, "nova_host_publications_unconfirmed") >= Some(1.0)).then_some(())
    });
    broker.control("set_vm_memory_high_watermark absolute 1GB");
    for call in calls {
        let remote = call.wait().outcome.expect_err("it fails").remote.expect("a RemoteError");
        assert_eq!(remote.exc_type, "HandlerTimedOut");
    }
    eventually("their confirmation", || {
        let text = host.metrics();
        let all = ["nova_host_publications_unconfirmed", "nova_host_publications_oldest_age_seconds"];
        all.iter().all(|series| value(&text, series) == Some(0.0)).then_some(())
    });
}

#[test]
fn the_alerts_are_rules_that_fire_when_they_should_and_only_then() {
    let deploy = repository().join("deploy");
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let said = promtool(&deploy, &arguments);
        assert!(said.status.success(), "{said:?}");
    }
    // A rule that never fires, and one that always does, are seen.
    let read = |name| std::fs::read_to_string(deploy.join(name)).expect("it is there");
    for broken in [read("alerts.yml").replace(" > ", " > 1e9 + "), read("alerts.yml").replace(" > ", " > -1e9 + ")] {
        let scratch = Scratch::new();
        scratch.write("alerts.yml", broken);
        scratch.write("alerts_test.yml", read("alerts_test.yml"));
        assert!(!promtool(scratch.path(), &["test", "rules", "alerts_test.yml"]).status.success());
    }
}

#[test]
fn a_real_prometheus_reads_a_real_host_and_pages_when_its_broker_goes() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let mut host = serve(&vhost, "host-1", "metrics.listen = \"127.0.0.1:0\"");
    // Without the patience of people.
    let rules = std::fs::read_to_string(repository().join("deploy/alerts.yml")).expect("it is there");
    let rules: String =
        rules.lines().filter(|line| !line.trim().starts_with("for: ")).flat_map(|line| [line, "\n"]).collect();
    let prometheus = Prometheus::start(&host.metrics_address(), &rules);
    let call = json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}});
    assert_eq!(OsloClient::start(&vhost.url()).call(call).expect("a result"), 3);
    let method = "nova_host_method_requests_total{job=\"nova-host\",method=\"add\",outcome=\"replied\"}";
    eventually("the call", || (prometheus.query(method).first()?.1 > 0.5).then_some(()));
    let (labels, one) = prometheus.query("nova_host_build_info").remove(0);
    assert_eq!((labels["version"].as_str(), one), (Some(env!("CARGO_PKG_VERSION")), 1.0));
    assert!(prometheus.query("process_resident_memory_bytes")[0].1 > 1e6);
    eventually("a look at the queues", || (!prometheus.query("nova_host_queue_consumers").is_empty()).then_some(()));
    assert_eq!(prometheus.firing(), [] as [&str; 0]);
    // Whatever the dashboard asks is understood.
    let dashboard = std::fs::read_to_string(repository().join("deploy/dashboard.json")).expect("it is there");
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let asked = panels
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .filter_map(|target| target["expr"].as_str());
    let asked: Vec<String> = asked
        .map(|asked| asked.replace("$__rate_interval", "1m").replace("$instance", ".*").replace("$handler", ".*"))
        .collect();
    assert!(asked.len() > 30, "{asked:?}");
    asked.iter().for_each(|asked| drop(prometheus.query(asked)));

    broker.kill();
    eventually("a page", || prometheus.firing().contains(&"NovaHostNotConnected".to_owned()).then_some(()));
    broker.start();
    eventually("its end", || prometheus.firing().is_empty().then_some(()));
    host.stop();
    eventually("another page", || (prometheus.firing() == ["NovaHostDown"]).then_some(()));
}
