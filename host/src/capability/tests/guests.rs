//! Guests that send requests, from the request that they handle to its outcome.

use super::World;
use crate::{
    catalog::Catalog,
    dispatch::{Options, Outcome, resolve},
    envelope::Request,
    sandbox::{Fault, Limits, LoadError},
    settings::Settings,
    testing::{Asks, CALL, CAST, ECHO, LOOP, asking, current, generation, load, load_granted, sandbox, tight, wide},
};

const ASKS: Asks<'static> =
    Asks { broker: None, topic: "t", method: "m", arguments: r#"{"n": 1}"#, server: None, timeout_ms: None };

fn request() -> Request {
    let message = r#"{"method": "m", "args": {"a": 1}, "_unique_id": "u", "_context_user_id": "ada"}"#;
    Request::decode(message.as_bytes(), Some("application/json"), None).unwrap()
}

/// Handles a request with a guest that is granted method `m` of topic `t`.
async fn outcome(world: &World, asks: Asks<'_>, handle: &str, limits: Limits) -> Outcome {
    let mut settings = Settings::default();
    settings.add_file("grants.rpc = [\"t.m\"]").unwrap();
    let grants = super::Grants::read(&mut settings, super::Values::default());
    let program = load_granted(sandbox(), &asking(asks, handle), limits, grants).unwrap();
    let catalog = Catalog::default().with(generation("guest", "1.0", &["m"], program)).unwrap();
    let resolved = resolve(&current(catalog), Options::default(), request()).unwrap();
    resolved
        .admit(
            &world.capabilities,
            &crate::testing::standing(),
            &crate::trace::Span::default(),
            &crate::sandbox::Tape::default(),
        )
        .await
        .unwrap()
        .run()
        .await
}

#[test]
fn an_import_that_is_not_granted_is_refused_by_name() {
    let error = load(sandbox(), &asking(ASKS, ECHO), tight()).unwrap_err();
    assert!(matches!(error, LoadError::NotGranted(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "imports nova:rpc/client@0.1.0, which is not granted (grants.rpc): grant it in the manifest, or leave it out; see \
         docs/capabilities.md"
    );
}

#[tokio::test]
async fn a_guest_calls_and_answers_with_the_result() {
    let mut world = World::new().await;
    let world_ = World { capabilities: world.capabilities.clone(), ..World::new().await };
    let answer = async {
        let asked = world.asked().await;
        world.reply(&asked, serde_json::json!({"result": {"b": 2}})).await;
        asked
    };
    let (outcome, asked) = tokio::join!(outcome(&world_, ASKS, CALL, wide()), answer);
    let Outcome::Replied(result) = outcome else { panic!("{outcome:?}") };
    assert_eq!(result.get(), r#"{"b":2}"#);
    assert_eq!((&asked["_context_user_id"], &asked["_nova_host_hops"]), (&"ada".into(), &1.into()));
}

#[tokio::test]
async fn a_guest_learns_why_there_is_no_result() {
    let world = World::new().await;
    for (asks, reason) in [
        (Asks { method: "other", ..ASKS }, "t/other is not granted (grants.rpc in the manifest)"),
        (Asks { arguments: "[1]", ..ASKS }, "the arguments of m are not a JSON object: they are a list"),
        (Asks { server: Some("gone"), ..ASKS }, "nobody serves server gone of topic t on nova"),
        (Asks { timeout_ms: Some(10), ..ASKS }, "no reply to m within 10ms"),
        (Asks { timeout_ms: Some(0), ..ASKS }, "no time is left to call m"),
    ] {
        let outcome = outcome(&world, asks, CALL, wide()).await;
        let Outcome::Failed(failure) = outcome else { panic!("{asks:?}: {outcome:?}") };
        assert!(failure.message.starts_with(reason), "{asks:?}: {failure}");
    }
}

#[tokio::test]
async fn the_casts_of_a_guest_that_succeeds_are_sent() {
    let mut world = World::new().await;
    let outcome = outcome(&world, ASKS, &format!("{CAST} {CAST} {ECHO}"), wide()).await;
    assert!(matches!(outcome, Outcome::Replied(_)), "{outcome:?}");
    assert_eq!(world.asked().await["args"]["n"], 1);
    assert_eq!(world.asked().await["args"]["n"], 1);
    assert!(world.is_silent().await);
}

#[tokio::test]
async fn the_casts_of_a_guest_that_does_not_succeed_are_not_sent() {
    let mut world = World::new().await;
    let denied = "(i32.store8 (i32.const 3200) (i32.const 122))";
    for (handle, limits) in [
        (format!("{CAST} (unreachable)"), wide()),
        (format!("{CAST} {LOOP}"), tight()),
        (format!("{CAST} (call $decline) {ECHO}"), wide()),
        // Another topic than before: a failure of the handler's own.
        (format!("{CAST} {denied} {CAST} {ECHO}"), wide()),
        // An answer that is none.
        (
            format!(
                "{CAST} (i32.store (i32.const 404) (i32.const 3200)) (i32.store (i32.const 408) (i32.const 1)) (i32.const 400)"
            ),
            wide(),
        ),
    ] {
        let outcome = outcome(&world, ASKS, &handle, limits).await;
        assert!(!matches!(outcome, Outcome::Replied(_)), "{handle}: {outcome:?}");
        assert!(world.is_silent().await, "{handle}");
    }
}

#[tokio::test]
async fn a_cast_that_nobody_takes_after_all_is_the_requests_outcome() {
    let world = World::new().await;
    let asks = Asks { server: Some("gone"), ..ASKS };
    let outcome = outcome(&world, asks, &format!("{CAST} {ECHO}"), wide()).await;
    let Outcome::Unreleased(unreleased) = outcome else { panic!("{outcome:?}") };
    assert_eq!((unreleased.released, unreleased.all), (0, 1));
}

#[tokio::test]
async fn a_guest_that_waits_for_ever_is_stopped_at_its_deadline() {
    let world = World::new().await;
    // It asks for more time than it has, and again.
    let asks = Asks { timeout_ms: Some(3_600_000), ..ASKS };
    let again = "(loop $again (call $call (i32.const 3000) (i32.const 3600)) (br $again)) (unreachable)";
    let limits = Limits { timeout: std::time::Duration::from_millis(300), ..tight() };
    let outcome = outcome(&world, asks, again, limits).await;
    assert!(matches!(outcome, Outcome::Faulted(Fault::TimedOut { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_pointer_to_nowhere_traps_the_guest_alone() {
    let world = World::new().await;
    for handle in [
        "(call $call (i32.const -8) (i32.const 3600)) (call $answer)",
        "(call $call (i32.const 3000) (i32.const -8)) (call $answer)",
        // A topic of four gigabytes.
        "(i32.store (i32.const 3016) (i32.const -1)) (call $call (i32.const 3000) (i32.const 3600)) (call $answer)",
        // A record that is not aligned.
        "(call $call (i32.const 3001) (i32.const 3600)) (call $answer)",
    ] {
        let outcome = outcome(&world, Asks { timeout_ms: Some(10), ..ASKS }, handle, wide()).await;
        assert!(matches!(outcome, Outcome::Faulted(_)), "{handle}: {outcome:?}");
    }
}
