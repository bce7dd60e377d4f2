//! Hosts that end, in order and not, while others serve the same topic.

use super::{MAX_IN_FLIGHT, PLAIN, Scene, rounds, url};
use crate::harness::{Broker, PATIENCE};

#[test]
fn a_host_that_is_told_to_stop_under_load_loses_nothing_and_nothing_runs_twice() {
    let vhost = Broker::shared().vhost();
    let mut scene = Scene::new();
    let mut serving = scene.host(&url(&vhost, PLAIN));
    scene.load(&url(&vhost, PLAIN));
    for _ in 0..rounds(3) {
        scene.wait_until_answered();
        let next = scene.host(&url(&vhost, PLAIN));
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
    let mut serving = scene.host(&url(&vhost, PLAIN));
    scene.load(&url(&vhost, PLAIN));
    for round in 0..kills {
        scene.wait_until_answered();
        // The next one is there already, or comes later: what was in flight waits for it.
        let next = if round % 2 == 0 { Some(scene.host(&url(&vhost, PLAIN))) } else { None };
        scene.hosts[serving].kill();
        serving = next.unwrap_or_else(|| scene.host(&url(&vhost, PLAIN)));
    }
    scene.wait_until_answered();
    let tally = scene.end("SIGKILL, another host takes over");
    tally.assert_nothing_lost();
    assert!(tally.again <= kills as u64 * MAX_IN_FLIGHT, "{tally}");
}

#[test]
fn two_hosts_that_are_restarted_in_turn_lose_nothing() {
    let vhost = Broker::shared().vhost();
    let mut scene = Scene::new();
    let mut pair = [scene.host(&url(&vhost, PLAIN)), scene.host(&url(&vhost, PLAIN))];
    scene.load(&url(&vhost, PLAIN));
    for round in 0..rounds(4) {
        scene.wait_until_answered();
        let old = &mut scene.hosts[pair[round % 2]];
        old.signal("TERM");
        assert!(old.wait(PATIENCE).is_some_and(|status| status.success()));
        pair[round % 2] = scene.host(&url(&vhost, PLAIN));
    }
    scene.wait_until_answered();
    let tally = scene.end("rolling restart of two hosts");
    tally.assert_nothing_lost();
    assert_eq!(tally.again, 0, "{tally}");
}
