//! Brokers that restart, in order and not, under queues that survive it.

use super::{DURABLE, QUORUM, Scene, rounds, url};
use crate::harness::Broker;

#[test]
fn a_broker_that_is_restarted_or_killed_under_load_keeps_what_is_in_durable_and_quorum_queues() {
    let broker = Broker::private();
    let vhosts = [broker.vhost(), broker.vhost()];
    let mut scenes = [Scene::new(), Scene::new()];
    for ((scene, vhost), options) in scenes.iter_mut().zip(&vhosts).zip([DURABLE, QUORUM]) {
        scene.host(&url(vhost, options));
        scene.load(&url(vhost, options));
    }
    for _ in 0..rounds(1) {
        scenes.iter().for_each(Scene::wait_until_answered);
        broker.restart();
        scenes.iter().for_each(Scene::wait_until_answered);
        broker.sync();
        broker.kill();
        broker.start();
    }
    scenes.iter().for_each(Scene::wait_until_answered);
    for (scene, name) in scenes.into_iter().zip(["durable queues", "quorum queues"]) {
        let tally = scene.end(&format!("broker restarted and killed, {name}"));
        tally.assert_nothing_lost();
        assert_eq!(tally.again, 0, "{tally}");
    }
}
