//! Hosts that end, in order and not, while others serve the same topic.

use std::collections::BTreeSet;

use super::{MAX_IN_FLIGHT, OUTSTANDING, Scene, rounds};
use crate::harness::{Broker, Load, PATIENCE};

#[test]
fn a_host_that_is_told_to_stop_under_load_loses_nothing_and_nothing_runs_twice() {
    let vhost = Broker::shared().vhost();
    let mut scene = Scene::new();
    let mut serving = scene.host(&vhost.url());
    scene.load(&vhost.url());
    for _ in 0..rounds(3) {
        scene.wait_until_answered();
        let next = scene.host(&vhost.url());
        scene.wait_until_answered();
        assert!(scene.hosts[serving].stop().success());
        serving = next;
    }
    scene.wait_until_answered();
    let tally = scene.end("SIGTERM, another host takes over");
    tally.assert_nothing_lost();
    assert_eq!(tally.again, 0, "{tally}");
}

#[test]
fn a_host_that_is_killed_under_load_loses_nothing_and_at_most_what_was_in_flight_runs_twice() {
    let vhost = Broker::shared().vhost();
    let mut scene = Scene::new();
    let kills = rounds(4);
    let mut serving = scene.host(&vhost.url());
    scene.load(&vhost.url());
    for round in 0..kills {
        scene.wait_until_answered();
        // The next one is there already, or comes later: what was in flight waits for it.
        let next = if round % 2 == 0 { Some(scene.host(&vhost.url())) } else { None };
        scene.hosts[serving].kill();
        serving = next.unwrap_or_else(|| scene.host(&vhost.url()));
    }
    scene.wait_until_answered();
    let tally = scene.end("SIGKILL, another host takes over");
    tally.assert_nothing_lost();
    assert!(tally.again <= kills as u64 * MAX_IN_FLIGHT, "{tally}");
}

#[test]
fn a_host_that_is_killed_under_load_runs_nothing_twice_where_the_policy_is_at_most_once() {
    const POLICY: &str = "delivery.policy = \"at-most-once\"";
    let vhost = Broker::shared().vhost();
    let mut scene = Scene::new();
    let kills = rounds(4);
    let mut serving = scene.host_with(&vhost.url(), POLICY);
    // Calls that are lost are answered by nobody.
    scene.loads.push(Load::start(&vhost.url(), OUTSTANDING, PATIENCE / 2, &scene.ledger));
    for _ in 0..kills {
        scene.wait_until_answered();
        let next = scene.host_with(&vhost.url(), POLICY);
        scene.hosts[serving].kill();
        serving = next;
    }
    scene.wait_until_answered();
    let tally = scene.end_with_losses("SIGKILL, at-most-once", &vhost);
    assert_eq!(tally.wrong, [""; 0], "{tally}");
    assert_eq!(tally.again, 0, "{tally}");
    // What was in flight, and nothing that waited.
    let gone: BTreeSet<u64> = tally.lost.iter().chain(&tally.unanswered).copied().collect();
    assert!(gone.len() as u64 <= kills as u64 * MAX_IN_FLIGHT, "{tally}");
}

#[test]
fn two_hosts_that_are_restarted_in_turn_lose_nothing() {
    let vhost = Broker::shared().vhost();
    let mut scene = Scene::new();
    let mut pair = [scene.host(&vhost.url()), scene.host(&vhost.url())];
    scene.load(&vhost.url());
    for round in 0..rounds(4) {
        scene.wait_until_answered();
        let old = &mut scene.hosts[pair[round % 2]];
        old.signal("TERM");
        assert!(old.wait(PATIENCE).is_some_and(|status| status.success()));
        pair[round % 2] = scene.host(&vhost.url());
    }
    scene.wait_until_answered();
    let tally = scene.end("rolling restart of two hosts");
    tally.assert_nothing_lost();
    assert_eq!(tally.again, 0, "{tally}");
}
