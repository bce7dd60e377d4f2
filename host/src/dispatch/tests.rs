//! What is refused, in the reference's order of checks, and what is admitted.

use std::{sync::Arc, time::Duration};

use super::*;
use crate::{
    metrics::Ending,
    sandbox::Limits,
    settings::Bytes,
    testing::{
        DECLINE, DESCRIBE, ECHO, LOOP, catalog, current, generation, load, marking, program, sandbox, tight, wide,
    },
};

fn request(message: &str) -> Request {
    Request::decode(message.as_bytes(), Some("application/json"), None).unwrap()
}

async fn dispatch(catalog: &Current, request: Request) -> Outcome {
    let admitted = match resolve(catalog, Options::default(), request) {
        Ok(resolved) => {
            let (standing, span) = (crate::testing::standing(), crate::trace::Span::default());
            resolved.admit(&Capabilities::default(), &standing, &span, &Tape::default()).await
        }
        Err(refusal) => Err(refusal),
    };
    match admitted {
        Ok(admitted) => admitted.run().await,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

async fn refused(catalog: &Current, message: &str) -> String {
    match dispatch(catalog, request(message)).await {
        Outcome::Refused(refusal) => refusal.to_string(),
        other => panic!("{message}: {other:?}"),
    }
}

#[tokio::test]
async fn the_first_thing_wrong_is_what_the_reference_says() {
    let catalog = current(catalog(ECHO, tight()));
    let unsupported = "Endpoint does not support RPC version";
    for (message, expected) in [
        (r#"{"method": "nope"}"#, "Endpoint does not support RPC method nope".to_owned()),
        (r#"{"method": ""}"#, "Endpoint does not support RPC method ".to_owned()),
        (r#"{"method": "nope", "args": null}"#, "Endpoint does not support RPC method nope".to_owned()),
        (r#"{}"#, "attribute name must be string, not 'NoneType'".to_owned()),
        (r#"{"method": 7, "args": []}"#, "attribute name must be string, not 'int'".to_owned()),
        (r#"{"method": "m", "args": null}"#, "'NoneType' object has no attribute 'items'".to_owned()),
        (r#"{"method": "m", "args": []}"#, "'list' object has no attribute 'items'".to_owned()),
        (r#"{"method": "m", "version": "1.1"}"#, format!("{unsupported} 1.1. Attempted method: m")),
        (r#"{"method": "m", "version": null}"#, format!("{unsupported} None. Attempted method: m")),
        (r#"{"version": "2.0"}"#, format!("{unsupported} 2.0. Attempted method: None")),
        (r#"{"method": "m", "version": 1}"#, "'int' object has no attribute 'split'".to_owned()),
        (r#"{"method": "m", "version": "1"}"#, "list index out of range".to_owned()),
        (r#"{"method": "m", "namespace": ""}"#, format!("{unsupported} 1.0. Attempted method: m")),
        (r#"{"method": "m", "namespace": 7}"#, format!("{unsupported} 1.0. Attempted method: m")),
        // Where nobody has the namespace, the version is not even read.
        (r#"{"method": "m", "namespace": "x", "version": 1}"#, format!("{unsupported} 1. Attempted method: m")),
    ] {
        assert_eq!(refused(&catalog, message).await, expected, "{message}");
    }
}

#[tokio::test]
async fn null_and_absent_mean_the_same_where_they_do_in_python() {
    let catalog = current(catalog(ECHO, tight()));
    for message in [r#"{"method": "m"}"#, r#"{"method": "m", "namespace": null, "args": {}}"#] {
        assert_eq!(dispatch(&catalog, request(message)).await, Outcome::Replied(Text::parse("{}".into()).unwrap()));
    }
}

#[tokio::test]
async fn a_declined_request_is_one_that_nobody_serves() {
    let catalog = current(catalog(DECLINE, tight()));
    let outcome = dispatch(&catalog, request(r#"{"method": "m"}"#)).await;
    assert_eq!(outcome, Outcome::Declined { method: "m".into() });
    assert_eq!((outcome.ending(), outcome.limit()), (Ending::Declined, None));
    let nobody = dispatch(&catalog, request(r#"{"method": "n"}"#)).await;
    let told = |outcome: Outcome| match crate::reply::verdict(outcome, crate::reply::Kind::Call).answer {
        crate::envelope::Answer::Failure(failure) => failure.to_string().replace("method n", "method m"),
        result => panic!("{result:?}"),
    };
    assert_eq!(told(outcome), told(nobody));
}

#[tokio::test]
async fn what_a_handler_adds_to_its_trace_is_its_runs_in_its_request() {
    let handle = "(call $set (i32.const 1010) (i32.const 1) (i32.const 3) (i64.const 1) (i32.const 0))
        (call $add (i32.const 1010) (i32.const 1) (i32.const 0) (i32.const 0))";
    let component = marking(DESCRIBE, &format!("{handle} {ECHO}"), "");
    let program = load(sandbox(), &component, tight()).unwrap();
    let catalog = current(Catalog::default().with(generation("guest", "1.0", &["m"], program)).unwrap());
    for _ in 0..2 {
        let (span, mut ended) = crate::trace::recorded();
        let resolved = resolve(&catalog, Options::default(), request(r#"{"method": "m"}"#)).unwrap();
        let admitted = resolved
            .admit(&Capabilities::default(), &crate::testing::standing(), &span, &Tape::default())
            .await
            .unwrap();
        assert!(matches!(admitted.run().await, Outcome::Replied(_)));
        let run = ended().into_iter().find(|run| run.contains("run guest")).expect("its run");
        assert!(run.contains("Truth(true)") && run.contains("Event {"), "{run}");
    }
}

#[tokio::test]
async fn arguments_beyond_the_limit_do_not_reach_the_handler() {
    let catalog = current(catalog(ECHO, Limits { arguments: Bytes(10), ..tight() }));
    let fits = dispatch(&catalog, request(r#"{"method": "m", "args": {"a": 123}}"#)).await;
    assert!(matches!(fits, Outcome::Replied(_)), "{fits:?}");
    let text = refused(&catalog, r#"{"method": "m", "args": {"a": 1234}}"#).await;
    assert_eq!(text, "the arguments have 11 bytes, more than 10 B (limits.arguments)");
}

#[tokio::test]
async fn a_handler_of_limited_concurrency_waits_and_then_refuses() {
    let limits = Limits { concurrency: Some(1), timeout: Duration::from_millis(200), ..tight() };
    let busy = current(catalog(LOOP, limits));
    let one = || dispatch(&busy, request(r#"{"method": "m"}"#));
    let (first, second, third) = tokio::join!(one(), one(), one());
    let outcomes = [first, second, third];
    let refused = outcomes.iter().filter(|outcome| **outcome == Outcome::Refused(Refusal::Busy)).count();
    let ran = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Faulted(Fault::TimedOut { .. }))).count();
    // The second may or may not find the place that the first leaves at the very end of its wait.
    assert!(ran >= 1 && refused >= 1 && ran + refused == 3, "{outcomes:?}");
}

#[tokio::test]
async fn the_host_says_what_it_serves() {
    let serving = current(catalog(ECHO, tight()));
    let ask = r#"{"method": "describe", "namespace": "nova_host"}"#;
    let Outcome::Replied(text) = dispatch(&serving, request(ask)).await else { panic!("refused") };
    let said: serde_json::Value = serde_json::from_str(text.get()).unwrap();
    let [handler] = said["handlers"].as_array().unwrap().as_slice() else { panic!("{said}") };
    let catalog = serving.get();
    let generation = catalog.generations().first().unwrap();
    assert_eq!(handler["name"], "guest");
    assert_eq!(handler["digest"], generation.program.digest().as_str());
    assert_eq!(handler["generation"], generation.number);
    let own = serde_json::json!([{"namespace": null, "version": "1.0", "methods": ["m"]}]);
    assert_eq!(handler["endpoints"], own);
    assert_eq!(said["host"]["endpoints"][0]["namespace"], "nova_host");
    // Asking the host is no traffic of a handler's, and nothing that would keep a generation.
    assert_eq!((generation.accepted(), generation.in_flight()), (0, 0));
}

#[tokio::test]
async fn the_host_itself_is_asked_by_the_same_rules() {
    let serving = current(catalog(ECHO, tight()));
    let unsupported = "Endpoint does not support RPC version 1.1. Attempted method: describe";
    for (rest, expected) in [
        (r#""method": "nope""#, "Endpoint does not support RPC method nope"),
        (r#""method": "describe", "version": "1.1""#, unsupported),
        (r#""method": "describe", "version": 1"#, "'int' object has no attribute 'split'"),
        (r#""method": "describe", "args": []"#, "'list' object has no attribute 'items'"),
        (r#""method": "describe", "args": {"a": 1}"#, "NovaHost.describe() got an unexpected keyword argument 'a'"),
    ] {
        let message = format!(r#"{{"namespace": "nova_host", {rest}}}"#);
        assert_eq!(refused(&serving, &message).await, expected, "{message}");
    }
}

#[tokio::test]
async fn a_request_ends_on_the_generation_that_accepted_it_and_keeps_no_other() {
    let looping = generation("one", "1.0", &["m"], program(LOOP, wide()));
    let other = generation("two", "2.0", &["m"], program(ECHO, tight()));
    let weak = (Arc::downgrade(&looping), Arc::downgrade(&other));
    let both = Catalog::default().with(looping).and_then(|catalog| catalog.with(other)).unwrap();
    let serving = current(both);
    let running = {
        let serving = serving.clone();
        tokio::spawn(async move { dispatch(&serving, request(r#"{"method": "m"}"#)).await })
    };
    while weak.0.upgrade().is_none_or(|generation| generation.in_flight() == 0) {
        tokio::task::yield_now().await;
    }
    serving.replace(catalog(ECHO, tight()));
    // Nobody runs on the second: it is gone at once. The first goes with its last request.
    assert!(weak.1.upgrade().is_none());
    assert_eq!(weak.0.upgrade().map(|generation| (generation.in_flight(), generation.accepted())), Some((1, 1)));
    let new = dispatch(&serving, request(r#"{"method": "m"}"#)).await;
    assert_eq!(new, Outcome::Replied(Text::parse("{}".into()).unwrap()));
    running.abort();
    assert!(running.await.is_err());
    assert!(weak.0.upgrade().is_none());
}
