//! What messages say of their trace, and what goes on: read strictly, written once, and the same to the byte where it must be.

use serde_json::json;

use super::{CALLER, Story, ask, tell};
use crate::harness::Span;

#[test]
fn a_request_is_recorded_where_its_caller_is_and_not_where_it_is_not() {
    let mut story = Story::begin("sample = 0");
    story.probe();
    let unsampled = CALLER.replace("-01", "-00");
    story.publish("tell", &tell(), &json!({"_context_traceparent": unsampled}), &json!({}));
    let (headers, message) = story.probed();
    assert_eq!((&message["_context_traceparent"], &headers["traceparent"]), (&json!(unsampled), &json!(unsampled)));
    // Nobody's trace, and not in the share.
    story.publish("tell", &tell(), &json!({}), &json!({}));
    let (headers, message) = story.probed();
    assert!(message["_context_traceparent"].as_str().is_some_and(|parent| parent.ends_with("-00")), "{message}");
    assert_eq!(headers["traceparent"], message["_context_traceparent"]);
    // By the context, and by a header alone.
    let state = json!({"_context_traceparent": CALLER, "_context_tracestate": "a=1"});
    story.publish("tell", &tell(), &state, &json!({}));
    let (headers, message) = story.probed();
    assert_eq!((&message["_context_tracestate"], &headers["tracestate"]), (&json!("a=1"), &json!("a=1")));
    story.publish("tell", &tell(), &json!({}), &json!({"traceparent": CALLER, "baggage": "much=of-it"}));
    let (headers, message) = story.probed();
    assert!(
        message["_context_traceparent"].as_str().is_some_and(|parent| parent.starts_with(&CALLER[..35])),
        "{message}"
    );
    assert_eq!(headers.as_object().expect("headers").len(), 1, "{headers}");
    let spans = story.end();
    let received: Vec<&Span> = spans.iter().filter(|span| span.name == "tell receive").collect();
    assert_eq!(received.len(), 2, "{spans:?}");
    assert!(received.iter().all(|span| span.parent == "b7ad6b7169203331" && CALLER.contains(&span.trace)));
    assert!(spans.iter().all(|span| CALLER.contains(&span.trace)));
}

#[test]
fn hostile_traceparents_are_as_if_they_were_not_there() {
    let mut story = Story::begin("");
    story.probe();
    let zeros = "00-00000000000000000000000000000000-0000000000000000-01";
    let large = "0".repeat(1 << 20);
    let hostile = ["", "nonsense", zeros, &CALLER.to_uppercase(), &format!("{CALLER}-more"), &large, "\u{0}\n\u{202e}"];
    for text in hostile {
        // A frame has no room for the largest one.
        let headers = if text.len() < 1 << 16 { json!({"traceparent": text, "tracestate": text}) } else { json!({}) };
        story.publish("tell", &tell(), &json!({"_context_traceparent": text, "_context_tracestate": text}), &headers);
        let (headers, message) = story.probed();
        let parent = message["_context_traceparent"].as_str().expect("a trace of our own");
        assert!(parent.len() == 55 && parent.ends_with("-01") && headers["traceparent"] == parent, "{parent}");
        assert!(message.get("_context_tracestate").is_none() && headers.as_object().is_some_and(|all| all.len() == 1));
    }
    story.publish(
        "tell",
        &tell(),
        &json!({"_context_traceparent": [CALLER], "_context_tracestate": 7}),
        &json!({"traceparent": 7}),
    );
    story.probed();
    let spans = story.end();
    let received = spans.iter().filter(|span| span.name == "tell receive");
    assert_eq!(received.filter(|span| span.parent.is_empty() && span.links.is_empty()).count(), hostile.len() + 1);
}

#[test]
fn headers_do_not_grow_over_fifty_hops_and_the_trace_is_one() {
    let mut story = Story::begin("");
    story.probe();
    let mut arguments = ("tell", tell());
    for _ in 0..50 {
        arguments = ("ask", ask("conductor", arguments.0, &arguments.1));
    }
    let context = json!({"_context_traceparent": CALLER, "_context_tracestate": "a=1,b=2"});
    story.publish(arguments.0, &arguments.1, &context, &json!({"traceparent": CALLER, "tracestate": "a=1,b=2"}));
    let (headers, message) = story.probed();
    assert_eq!(headers.as_object().expect("headers").len(), 2, "{headers}");
    assert_eq!((&headers["tracestate"], &message["_context_tracestate"]), (&json!("a=1,b=2"), &json!("a=1,b=2")));
    assert_eq!(headers["traceparent"].as_str().map(str::len), Some(55));
    let entries = message.as_object().expect("an object").keys().filter(|key| key.starts_with("_context_"));
    assert_eq!(entries.count(), 2, "{message}");
    let spans = story.end();
    assert_eq!(spans.iter().filter(|span| span.name.ends_with(" receive")).count(), 51);
    assert!(spans.iter().all(|span| CALLER.contains(&span.trace)));
}

#[test]
fn where_nothing_is_traced_contexts_are_the_same_to_the_byte_and_headers_go_on() {
    let story = Story::with("", |_| String::new());
    story.probe();
    let odd = json!({"_context_traceparent": CALLER, "_context_tracestate": "NO STATE", "_context_z": {"b": [1.0]}});
    story.publish("tell", &tell(), &odd, &json!({}));
    let (headers, message) = story.probed();
    for (name, value) in odd.as_object().expect("an object") {
        assert_eq!(&message[name], value, "{message}");
    }
    assert_eq!(headers, json!({}));
    story.publish("tell", &tell(), &json!({}), &json!({"traceparent": CALLER, "tracestate": "a=1"}));
    let (headers, message) = story.probed();
    assert_eq!(headers, json!({"traceparent": CALLER, "tracestate": "a=1"}));
    assert!(message.get("_context_traceparent").is_none(), "{message}");
    // The log knows whose trace it is all the same.
    assert!(story.host.log().lines().any(|line| line.contains("trace_id=\"0af7651916cd43dd8448eb211c80319c\"")));
}

#[test]
fn a_request_that_goes_on_to_the_service_behind_is_the_same_to_the_byte() {
    let mut story = Story::with("", |collector| {
        format!("[forward]\nexchange = \"legacy\"\n[tracing]\nendpoint = \"{}\"", collector.endpoint())
    });
    story.vhost.declare_exchange("legacy", "topic");
    story.vhost.declare_queue("behind", &json!({}));
    story.vhost.bind("legacy", "behind", "conductor");
    let message = json!({"method": "theirs", "args": {}, "_context_traceparent": CALLER, "_unique_id": "u"});
    let body = json!({"oslo.version": "2.0", "oslo.message": message.to_string()}).to_string();
    let other = CALLER.replace("b7", "c8");
    let properties = json!({"content_type": "application/json", "headers": {"traceparent": other, "x": "y"}});
    assert!(story.vhost.publish("nova", "conductor", &properties, body.as_bytes()));
    story.vhost.eventually("behind", |queue| queue.ready > 0);
    let came = story.vhost.take("behind", 1).remove(0);
    assert_eq!(came.body, body.as_bytes());
    let headers = &came.properties["headers"];
    assert_eq!((&headers["traceparent"], &headers["x"]), (&json!(other), &json!("y")));
    let spans = story.end();
    let of = |name: &str| spans.iter().find(|span| span.name == name).expect("it was recorded");
    let (received, forwarded) = (of("theirs receive"), of("forward"));
    assert_eq!((received.parent.as_str(), &forwarded.parent), ("b7ad6b7169203331", &received.span));
    assert_eq!((&forwarded.attributes["nova_host.why"], forwarded.error.as_ref()), (&json!("unserved"), None));
    // Of two callers the context's is the parent.
    assert_eq!(received.links[0]["span"], other[36..52]);
}

#[test]
fn what_osprofiler_says_goes_on_as_it_came() {
    let story = Story::begin("");
    story.probe();
    let profiled =
        json!({"hmac_key": "k", "base_id": "5f7b7f4c-6ef9-4ed8-8f41-0b8a9f2f6b3c", "parent_id": "p", "n": 1.0});
    story.publish("tell", &tell(), &json!({"_context_trace_info": profiled}), &json!({}));
    let (_, message) = story.probed();
    assert_eq!(message["_context_trace_info"], profiled);
    assert!(message["_context_traceparent"].is_string());
}
