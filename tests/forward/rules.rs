//! Who serves what is said in the configuration, and changed while the service runs.

use serde_json::json;

use super::{Story, request};

/// The sum as the handler makes it: the Python service is asked for a method that the handler has too.
fn add(story: &Story, id: &str) -> bool {
    let before = story.host.went("add", "served");
    let asked = request("add", &json!({"args": {"a": 1, "b": 2}, "context": {"request_id": id}}));
    assert_eq!(story.client.call(asked).expect("a result"), 3);
    story.host.went("add", "served") > before
}

#[test]
fn a_method_moves_to_a_handler_and_back_while_the_service_runs() {
    let story = Story::begin("methods.add = \"forward\"");
    assert!(!add(&story, "r"));
    let told = story.host.forward(&["set", "add", "serve"]);
    assert!(told.contains("rule: add: serve\n"), "{told}");
    assert!(add(&story, "r"));
    story.host.forward(&["set", "add", "serve", "0%"]);
    assert!(!add(&story, "r"));
    story.host.forward(&["set", "add", "serve"]);
    let told = story.host.forward(&["set", "add", "default"]);
    assert!(told.contains("rule: add: forward\n"), "{told}");
    assert!(!add(&story, "r"));
    let log = story.host.serve.log();
    assert!(log.contains("an operator has set what is forwarded"), "it is in the log");
}

#[test]
fn a_share_stays_on_its_side() {
    let story = Story::begin("methods.add = \"serve 50%\"");
    let sides: Vec<bool> = (0..16).map(|number| add(&story, &format!("req-{number}"))).collect();
    assert!(sides.contains(&true) && sides.contains(&false), "{sides:?}");
    let again: Vec<bool> = (0..16).map(|number| add(&story, &format!("req-{number}"))).collect();
    assert_eq!(sides, again);
}

#[test]
fn mistakes_are_refused_and_change_nothing() {
    let story = Story::begin("");
    for (arguments, expected) in [
        (&["set", "nobody_has_it", "serve"][..], "no handler has nobody_has_it: add one"),
        (&["set", "nobody.*", "serve"], "no handler has nobody.*"),
        (&["set", "add", "perhaps"], "is no rule: expected serve, forward, or a share"),
        (&["set", "add", "serve", "150%"], "a share is from 0% to 100%"),
        (&["set", ".", "serve"], "names no method"),
        (&["set", "add", "serve", "--on-failure", "perhaps"], "neither \"forward\""),
        (&["set", "add"], "required"),
    ] {
        let output = story.host.run(&[&["forward"], arguments].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && told.contains(expected), "{arguments:?}: {told}");
    }
    let told = story.host.forward(&["list"]);
    assert_eq!(told.matches("rule:").count(), 1, "{told}");
}

#[test]
fn a_service_that_forwards_nothing_says_so() {
    let vhost = crate::harness::Broker::shared().vhost();
    let host = super::Front::start(&vhost, "alone", "");
    let output = host.run(&["forward", "list"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && told.contains("this service forwards nothing"), "{told}");
}
