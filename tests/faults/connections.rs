//! Connections that are cut, freeze or crawl.

use super::{MOMENT, PLAIN, Scene, rounds, url_by};
use crate::harness::{Broker, Proxy, Vhost, Way};

/// A service whose host and whose callers reach the broker through a proxy each.
struct Story {
    _vhost: Vhost,
    scene: Scene,
    of_host: Proxy,
    of_callers: Proxy,
}

impl Story {
    fn begin() -> Self {
        let vhost = Broker::shared().vhost();
        let [of_host, of_callers] = [0, 1].map(|_| Proxy::start(&vhost.addresses()[0]));
        let mut scene = Scene::new();
        scene.host(&url_by(&vhost, &[&of_host], PLAIN));
        scene.load(&url_by(&vhost, &[&of_callers], PLAIN));
        Self { _vhost: vhost, scene, of_host, of_callers }
    }

    /// One host runs nothing twice, however often it is asked.
    fn end(self, name: &str) {
        self.scene.wait_until_answered();
        let tally = self.scene.end(name);
        tally.assert_nothing_lost();
        assert_eq!(tally.again, 0, "{tally}");
    }
}

#[test]
fn connections_that_are_cut_again_and_again_lose_nothing() {
    let story = Story::begin();
    for _ in 0..rounds(6) {
        story.scene.ledger.wait_for_answers(fastrand::usize(1..200));
        story.of_host.cut();
        story.scene.ledger.wait_for_answers(fastrand::usize(1..200));
        story.of_callers.cut();
    }
    story.end("connections of host and callers cut in turn");
}

#[test]
fn confirmations_that_are_held_back_and_then_cut_lose_nothing_and_run_nothing_twice() {
    let story = Story::begin();
    for round in 0..rounds(4) {
        story.scene.wait_until_answered();
        // What is sent arrives, and its confirmation does not: between publish and confirm, of replies and of requests.
        let (held, other) =
            if round % 2 == 0 { (&story.of_host, &story.of_callers) } else { (&story.of_callers, &story.of_host) };
        held.hold(Way::Back);
        std::thread::sleep(MOMENT);
        held.cut();
        held.go_on();
        story.scene.wait_until_answered();
        // And the other way: what is sent does not arrive.
        other.hold(Way::There);
        std::thread::sleep(MOMENT);
        other.cut();
        other.go_on();
    }
    story.end("connections held in one direction, then cut");
}

#[test]
fn connections_that_are_dead_without_a_word_are_found_and_lose_nothing() {
    let story = Story::begin();
    for _ in 0..rounds(1) {
        story.scene.wait_until_answered();
        story.of_host.forget();
        story.scene.wait_until_answered();
        story.of_callers.forget();
    }
    story.scene.wait_until_answered();
    // A way that crawls for a while is no fault at all.
    story.of_host.slow(true);
    story.scene.ledger.wait_for_answers(20);
    story.of_host.slow(false);
    story.end("half-open connections of host and callers, then a slow one");
}
