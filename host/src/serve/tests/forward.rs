//! Stories of requests for the service behind this one.

use super::*;
use crate::{
    forward::{Config as Forward, Fallback, Forwarding, Pattern, Rule},
    testing::{DECLINE, generation_with, program},
    transport::{ATTEMPTS, FORWARDED, FORWARDS, Header},
};

fn fallback() -> Destination {
    Destination::Exchange { exchange: "legacy".into(), routing_key: "t".into() }
}

fn forwarding(rules: &[(&str, &str)]) -> Forwarding {
    forwarding_behind(None, rules)
}

fn forwarding_behind(front: Option<&str>, rules: &[(&str, &str)]) -> Forwarding {
    let fallback = Fallback { exchange: "legacy".into(), topic: None };
    let mut config =
        Forward { fallback, front: front.map(str::to_owned), topics: vec!["t".into()], ..Forward::default() };
    for (pattern, side) in rules {
        let rule = Rule { side: Some(side.parse().unwrap()), on_failure: None };
        config.rules.set(&Pattern::parse(pattern).unwrap(), rule);
    }
    Forwarding::new(Some(&config)).unwrap()
}

/// A service before another, whose queue is `legacy`.
async fn service(handle: &str, rules: &[(&str, &str)]) -> Service {
    let broker = Broker::default();
    broker.declare(fallback(), "legacy");
    start(broker, handle, forwarding(rules)).await
}

async fn start(broker: Broker, handle: &str, forwarding: Forwarding) -> Service {
    serving(broker, catalog(handle, tight()), forwarding).await
}

async fn serving(broker: Broker, catalog: Catalog, forwarding: Forwarding) -> Service {
    let with = with(&Transport::Memory(broker.clone()), catalog, Some(forwarding));
    serving_with(broker, with).await
}

async fn serving_with(broker: Broker, with: With) -> Service {
    let transport = Transport::Memory(broker.clone());
    let (shutdown, metrics) = (Shutdown::default(), Metrics::default());
    let config = Config { max_in_flight: 4, server: "front".into(), ..Config::default() };
    let journal = with.journal.clone();
    let task = Service::serve(&metrics, with, config, &shutdown).await;
    Service { broker, client: Client::new(transport), shutdown, metrics, journal, task }
}

async fn forwarded(service: &Service) -> Message {
    loop {
        if let Some(message) = service.broker.take("legacy") {
            return message;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn counted(service: &Service, line: &str) -> bool {
    service.metrics.encode().lines().any(|counted| counted == format!("nova_host_forward_requests_total{line}"))
}

#[tokio::test]
async fn what_no_handler_has_goes_on_as_it_came() {
    let service = service(ECHO, &[]).await;
    let mut sent =
        message(json!({"method": "n", "namespace": "ns", "_msg_id": "i", "_reply_q": "r", "_unique_id": "u"}));
    sent.headers.insert("kept".to_owned(), Header::Number(1));
    sent.expiration = Some(Duration::from_secs(60));
    service.broker.inject(&topic(), &sent);
    let went = forwarded(&service).await;
    service.idle().await;
    assert_eq!((&went.body, &went.content_type), (&sent.body, &sent.content_type));
    assert_eq!(went.headers.get("kept"), Some(&Header::Number(1)));
    assert_eq!(went.headers.get(FORWARDED), Some(&Header::Text("front".into())));
    assert_eq!(went.headers.get(FORWARDS), Some(&Header::Number(1)));
    assert_eq!(went.headers.len(), sent.headers.len() + 2, "{:?}", went.headers);
    assert!(went.expiration.unwrap() <= Duration::from_secs(60) && went.expiration.unwrap() > Duration::from_secs(50));
    assert!(counted(&service, r#"{method="ns.n",side="forwarded"} 1"#), "{}", service.metrics.encode());
}

#[tokio::test]
async fn what_a_handler_has_stays_unless_a_rule_says_otherwise() {
    let service = service(ECHO, &[]).await;
    assert_eq!(service.call("m").await.unwrap().get(), r#"{"a": 1}"#);
    assert!(counted(&service, r#"{method="m",side="served"} 1"#), "{}", service.metrics.encode());
    drop(service);
    let service = self::service(ECHO, &[("m", "forward")]).await;
    service.broker.inject(&topic(), &message(json!({"method": "m"})));
    forwarded(&service).await;
    assert!(service.call("n").await.is_err() || service.broker.waiting("legacy") == Some(1));
}

#[tokio::test]
async fn a_mark_of_ours_does_not_go_on_with_a_copy_that_counted_its_attempts() {
    let service = service(ECHO, &[]).await;
    let mut sent = message(json!({"method": "n"}));
    sent.headers.insert(ATTEMPTS.to_owned(), Header::Number(3));
    service.broker.inject(&topic(), &sent);
    assert_eq!(forwarded(&service).await.headers.get(ATTEMPTS), None);
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_told_where_there_is_no_fallback() {
    let service = start(Broker::default(), ECHO, forwarding(&[])).await;
    let begun = tokio::time::Instant::now();
    let text = service.client.call(invocation("n"), Duration::from_secs(60)).await.unwrap_err().to_string();
    assert!(
        text.contains("FallbackUnavailable")
            && text.contains("exchange legacy, key t")
            && text.contains("no queue there"),
        "{text}"
    );
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert!(counted(&service, r#"{method="n",side="failed"} 1"#), "{}", service.metrics.encode());
}

#[tokio::test(start_paused = true)]
async fn a_fallback_that_comes_back_after_long_is_found_however_many_requests_there_are() {
    let service = start(Broker::default(), ECHO, forwarding(&[])).await;
    let steady = {
        let broker = service.broker.clone();
        tokio::spawn(async move {
            loop {
                broker.inject(&topic(), &message(json!({"method": "n"})));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
    };
    tokio::time::sleep(Duration::from_secs(120)).await;
    service.broker.declare(fallback(), "legacy");
    tokio::time::timeout(Duration::from_secs(60), forwarded(&service)).await.expect("it is found");
    steady.abort();
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_a_while_for_a_fallback_that_is_starting() {
    let service = start(Broker::default(), ECHO, forwarding(&[])).await;
    let mut sent = message(json!({"method": "n"}));
    sent.expiration = Some(Duration::from_secs(60));
    service.broker.inject(&topic(), &sent);
    tokio::time::sleep(Duration::from_secs(3)).await;
    service.broker.declare(fallback(), "legacy");
    let left = forwarded(&service).await.expiration.expect("it expires as it would have");
    assert!(left <= Duration::from_secs(57), "{left:?}");
}

#[tokio::test]
async fn what_was_forwarded_already_is_refused_and_says_by_whom() {
    let broker = Broker::default();
    // The fallback leads back here.
    let forwarding = forwarding(&[]);
    let service = start(broker.clone(), ECHO, forwarding).await;
    broker.declare(fallback(), "t");
    let text = service.call("n").await.unwrap_err().to_string();
    assert!(text.contains("FallbackUnavailable") && text.contains("forwarded already, by front"), "{text}");
    // What a handler has is served, however it came.
    let mut sent = message(json!({"method": "m"}));
    sent.headers.insert(FORWARDED.to_owned(), Header::Text("other".into()));
    service.broker.inject(&topic(), &sent);
    service.idle().await;
    assert!(counted(&service, r#"{method="m",side="served"} 1"#), "{}", service.metrics.encode());
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_by_the_alternates_is_sent_on_for_half_a_minute_whatever_its_headers_say() {
    for headers in [
        vec![],
        vec![(FORWARDED, Header::Text("other".into())), (FORWARDS, Header::Number(1))],
        vec![(FORWARDED, Header::Text("other".into())), (FORWARDS, Header::Number(i64::MIN))],
        vec![(FORWARDED, Header::Number(7)), (FORWARDS, Header::Text("many".into()))],
    ] {
        let broker = Broker::default();
        broker.declare(fallback(), "t");
        let service = start(broker.clone(), ECHO, forwarding_behind(Some("front"), &[])).await;
        let (begun, mut sent) = (tokio::time::Instant::now(), message(json!({"method": "n", "_unique_id": "u"})));
        sent.headers.extend(headers.into_iter().map(|(name, value)| (name.to_owned(), value)));
        broker.inject(&topic(), &sent);
        while !counted(&service, r#"{method="n",side="failed"} 1"#) {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(begun.elapsed() < Duration::from_secs(40), "it ends");
        }
    }
}

#[tokio::test]
async fn a_fanout_that_no_handler_has_is_left_to_the_servers_behind() {
    let service = service(ECHO, &[]).await;
    service.broker.inject(&Destination::Fanout { topic: "t".into() }, &message(json!({"method": "n"})));
    service.broker.inject(&topic(), &message(json!({"method": "last"})));
    let went = forwarded(&service).await;
    assert!(String::from_utf8_lossy(&went.body).contains("last"));
    while !counted(&service, r#"{method="n",side="left"} 1"#) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(service.broker.waiting("legacy"), Some(0));
}

#[tokio::test]
async fn a_rule_to_serve_what_no_handler_has_is_answered_as_a_service_without_it_would() {
    let service = service(ECHO, &[("n", "serve")]).await;
    let text = service.call("n").await.unwrap_err().to_string();
    assert!(text.contains("Endpoint does not support RPC method n"), "{text}");
    assert_eq!(service.broker.waiting("legacy"), Some(0));
}

#[tokio::test]
async fn what_a_handler_declines_goes_on_as_it_came() {
    for policy in ["", "[delivery]\npolicy = \"at-most-once\""] {
        let broker = Broker::default();
        broker.declare(fallback(), "legacy");
        let handler = generation_with("guest", "1.0", &["m"], program(DECLINE, tight()), policy);
        let service = serving(broker, Catalog::default().with(handler).unwrap(), forwarding(&[("m", "serve")])).await;
        let sent = message(json!({"method": "m", "args": {"a": 1}}));
        service.broker.inject(&topic(), &sent);
        assert_eq!(forwarded(&service).await.body, sent.body);
        service.idle().await;
        assert!(counted(&service, r#"{method="m",side="forwarded"} 1"#), "{}", service.metrics.encode());
    }
}

#[tokio::test]
async fn a_failure_goes_on_only_where_that_is_said() {
    let service = service("(unreachable)", &[]).await;
    let text = service.call("m").await.unwrap_err().to_string();
    assert!(text.contains("HandlerTrapped"), "{text}");
    drop(service);
    let forwarding = forwarding(&[]);
    let rule = Rule { side: None, on_failure: Some(crate::forward::OnFailure::Forward) };
    forwarding.set(&Pattern::parse("m").unwrap(), Some(rule));
    let broker = Broker::default();
    broker.declare(fallback(), "legacy");
    for handle in ["(unreachable)", LOOP] {
        let service = start(broker.clone(), handle, forwarding.clone()).await;
        let sent = message(json!({"method": "m", "args": {"a": 1}}));
        broker.inject(&topic(), &sent);
        assert_eq!(forwarded(&service).await.body, sent.body, "{handle}");
        let failures = service.journal.failures();
        assert!(matches!(&*failures[0].outcome, "trapped" | "timed_out"), "an operator reads it all the same");
        service.shutdown.stop.cancel();
        service.task.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_handler_fails_and_which_nobody_takes_then_is_counted_once() {
    let forwarding = forwarding(&[]);
    let rule = Rule { side: None, on_failure: Some(crate::forward::OnFailure::Forward) };
    forwarding.set(&Pattern::parse("m").unwrap(), Some(rule));
    let service = start(Broker::default(), "(unreachable)", forwarding).await;
    let text = service.client.call(invocation("m"), Duration::from_secs(60)).await.unwrap_err().to_string();
    assert!(text.contains("FallbackUnavailable"), "{text}");
    let journal = service.journal.journal();
    assert_eq!(journal.methods.iter().map(|stats| stats.requests).collect::<Vec<_>>(), [1]);
    assert_eq!(journal.failures.len(), 2, "an operator reads of both");
}

#[tokio::test(start_paused = true)]
async fn the_trace_of_what_was_not_answered_here_says_what_became_of_it() {
    let broker = Broker::default();
    broker.declare(fallback(), "legacy");
    let (tracer, mut ended) = crate::trace::recording();
    let with = with(&Transport::Memory(broker.clone()), catalog(ECHO, tight()), Some(forwarding(&[])));
    let service = serving_with(broker, With { tracer, ..with }).await;
    let sent = message(json!({"method": "n"}));
    service.broker.inject(&topic(), &sent);
    forwarded(&service).await;
    service.broker.inject(&Destination::Fanout { topic: "t".into() }, &sent);
    let mut all: Vec<String> = Vec::new();
    while all.len() < 2 {
        all.extend(ended().into_iter().filter(|span| span.contains("n receive")));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for outcome in ["forwarded", "left"] {
        let says =
            |span: &&String| span.contains("\"nova_host.outcome\"") && span.contains(&format!("Text({outcome:?})"));
        assert_eq!(all.iter().filter(says).count(), 1, "{outcome}: {all:?}");
    }
}
