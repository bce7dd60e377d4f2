//! Which requests are kept.

use std::path::Path;

use super::*;
use crate::{
    envelope::Text,
    recording::form::sample,
    settings::Settings,
    testing::{ECHO, invocation, program, tight},
};

fn keeper(directory: &Path, settings: &str) -> (Keeper, Metrics) {
    let mut all = Settings::default();
    all.add_file(&format!("[record]\ndirectory = {directory:?}\n{settings}")).unwrap();
    let config = Config::read(&mut all).unwrap();
    all.finish().unwrap();
    let metrics = Metrics::default();
    (Keeper::start(&config, &metrics).unwrap(), metrics)
}

fn draft() -> Draft {
    let Recording { handler, request, limits, .. } = sample();
    Draft { handler, request, policy: "at-least-once", limits, config: Values::default() }
}

/// Runs a request that may be taped, and ends it.
async fn ended(keeper: &Keeper, method: &str, is_failure: bool, took: Duration) -> Option<String> {
    let begun = keeper.begin(method, || Some("req-1".to_owned()));
    let mut invocation = invocation("m", "{}");
    invocation.info.tape = begun.tape.clone();
    program(ECHO, tight()).handle(invocation).await.unwrap();
    keeper.end(begun, Some(draft()), "outcome", is_failure, took)
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

const QUICK: Duration = Duration::from_millis(1);

#[tokio::test]
async fn failures_and_slow_requests_are_kept_and_nothing_else() {
    let scratch = scratch();
    let (keeper, metrics) = keeper(&scratch.path().join("r"), "outcomes = [\"failures\", \"slow > 500ms\"]");
    assert_eq!(ended(&keeper, "m", false, QUICK).await, None);
    let failed = ended(&keeper, "m", true, QUICK).await.unwrap();
    let slow = ended(&keeper, "m", false, Duration::from_millis(501)).await.unwrap();
    drop(keeper);
    let listed: Vec<_> = ring::list(&scratch.path().join("r")).unwrap().into_iter().map(|file| file.id).collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&failed) && listed.contains(&slow));
    assert!(metrics.encode().contains("nova_host_recordings_total{fate=\"kept\"} 2"), "{}", metrics.encode());
}

#[tokio::test]
async fn a_method_and_a_share_are_chosen_at_the_beginning() {
    let scratch = scratch();
    let (keeper, _) = keeper(&scratch.path().join("r"), "methods = [\"named\"]");
    assert!(ended(&keeper, "named", false, QUICK).await.is_some());
    // Nothing is taped that cannot be kept.
    assert!(!keeper.begin("other", || Some("req-1".to_owned())).tape.is_on());
    let (all, _) = self::keeper(&scratch.path().join("s"), "share = \"100%\"");
    assert!(ended(&all, "other", false, QUICK).await.is_some());
}

#[tokio::test]
async fn what_is_beyond_the_budget_is_counted_and_not_kept() {
    let scratch = scratch();
    let (few, metrics) = keeper(&scratch.path().join("r"), "share = \"100%\"\nper_second = 1");
    assert!(ended(&few, "m", false, QUICK).await.is_some());
    assert_eq!(ended(&few, "m", false, QUICK).await, None);
    assert!(metrics.encode().contains("nova_host_recordings_total{fate=\"over_rate\"} 1"));
    // The rate is asked before anything is copied.
    let begun = few.begin("m", || None);
    begun.tape.ends_for_tests();
    let huge = Draft { request: Asked { arguments: Text::of(&"x".repeat(5 << 20)), ..draft().request }, ..draft() };
    assert_eq!(few.end(begun, Some(huge), "outcome", false, QUICK), None);
    assert!(metrics.encode().contains("nova_host_recordings_total{fate=\"over_rate\"} 2"), "{}", metrics.encode());
    let (small, metrics) = keeper(&scratch.path().join("s"), "share = \"100%\"\nrequest_bytes = \"1 KiB\"");
    let begun = small.begin("m", || None);
    let large = Draft { request: Asked { arguments: Text::of(&"x".repeat(2000)), ..draft().request }, ..draft() };
    begun.tape.ends_for_tests();
    assert_eq!(small.end(begun, Some(large), "outcome", false, QUICK), None);
    assert!(metrics.encode().contains("nova_host_recordings_total{fate=\"too_large\"} 1"));
}

#[tokio::test]
async fn while_none_can_be_written_none_is_named() {
    let scratch = scratch();
    let directory = scratch.path().join("r");
    let (keeper, metrics) = keeper(&directory, "share = \"100%\"\nper_second = 1000");
    let until = async |what: &str| {
        while !metrics.encode().contains(what) {
            tokio::task::yield_now().await;
        }
    };
    let moved = scratch.path().join("moved");
    std::fs::rename(&directory, &moved).unwrap();
    // The first one may be named: nobody knew.
    let _ = ended(&keeper, "m", false, QUICK).await;
    until("nova_host_recordings_total{fate=\"failed\"} 1").await;
    assert_eq!(ended(&keeper, "m", false, QUICK).await, None);
    until("nova_host_recordings_total{fate=\"failed\"} 2").await;
    std::fs::rename(&moved, &directory).unwrap();
    let _ = ended(&keeper, "m", false, QUICK).await;
    until("nova_host_recordings_total{fate=\"kept\"} 1").await;
    assert!(ended(&keeper, "m", false, QUICK).await.is_some());
}
