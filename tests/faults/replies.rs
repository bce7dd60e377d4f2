//! Replies whose queue is missing when they are sent: the caller is away, and may come back.

use serde_json::{Value, json};

use super::{PLAIN, Scene, url};
use crate::harness::{Broker, Vhost, eventually};

/// A caller's queue that nobody has declared yet.
const QUEUE: &str = "reply_of_a_caller_who_is_away";

/// Calls as somebody whose queue is missing, and waits until the host knows.
fn call(scene: &mut Scene, vhost: &Vhost, number: u64) {
    let request = json!({
        "method": "record", "args": {"n": number}, "_msg_id": format!("call-{number}"), "_reply_q": QUEUE,
        "_timeout": null, "_unique_id": format!("unique-{number}"),
    });
    let json_type = json!({"content_type": "application/json"});
    assert!(vhost.publish("nova", "conductor", &json_type, request.to_string().as_bytes()));
    scene.hosts.last_mut().expect("a host").wait_for_log("it is missing");
}

/// The caller comes back; the answer that it finds.
fn answer(vhost: &Vhost) -> Value {
    vhost.declare_queue(QUEUE, &json!({}));
    let reply = eventually("the reply", || vhost.take(QUEUE, 1).pop());
    let outer: Value = serde_json::from_slice(&reply.body).expect("JSON");
    serde_json::from_str(outer["oslo.message"].as_str().expect("text")).expect("JSON")
}

#[test]
fn a_reply_whose_queue_is_missing_outlives_the_host_that_is_killed() {
    let vhost = Broker::shared().vhost();
    let mut scene = Scene::new();
    let first = scene.host(&url(&vhost, PLAIN));
    call(&mut scene, &vhost, 7);
    scene.hosts[first].kill();
    let second = scene.host(&url(&vhost, PLAIN));
    scene.hosts[second].wait_for_log("it is missing");
    let answer = answer(&vhost);
    assert_eq!((&answer["result"], &answer["_msg_id"]), (&json!(7), &json!("call-7")));
    vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == 0);
}

#[test]
fn callers_who_have_gone_do_not_hold_up_the_others() {
    let vhost = Broker::shared().vhost();
    let mut scene = Scene::new();
    scene.host(&url(&vhost, PLAIN));
    // More than there are places.
    for number in 0..2 * super::MAX_IN_FLIGHT {
        call(&mut scene, &vhost, 1_000_000 + number);
    }
    vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == super::MAX_IN_FLIGHT / 3);
    let client = crate::harness::OsloClient::start(&vhost.url());
    let sum = client.call(json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}}));
    assert_eq!(sum.expect("an answer"), 3);
    vhost.declare_queue(QUEUE, &json!({}));
    vhost.eventually(QUEUE, |queue| queue.ready == 2 * super::MAX_IN_FLIGHT);
    vhost.eventually("conductor", |queue| queue.unacknowledged == 0);
}
