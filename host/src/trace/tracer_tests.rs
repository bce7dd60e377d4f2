//! Which requests are recorded, and what is said of them.

use tokio::sync::mpsc::Receiver;

use super::*;
use crate::{
    envelope,
    metrics::Metrics,
    trace::{Kind, otlp, sampler::Share},
    transport::Header,
};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn tracer(share: Share) -> (Tracer, Receiver<otlp::Span>) {
    let (queue, spans) = Queue::new(4000, Metrics::default());
    (Tracer::new(Sampler { follows_parent: true, share }, queue), spans)
}

fn request(context: &serde_json::Value) -> Request {
    let message = serde_json::json!({
        "method": "add\n", "namespace": "n", "_msg_id": "m", "_reply_q": "q", "_context_request_id": "req-1",
        "args": {"secret": "S3cr3t"}, "_context_auth_token": "S3cr3t",
    });
    let mut message = message.as_object().unwrap().clone();
    message.extend(context.as_object().unwrap().clone());
    let body = serde_json::json!({"oslo.version": "2.0", "oslo.message": serde_json::Value::from(message).to_string()});
    Request::decode(body.to_string().as_bytes(), Some("application/json"), None).unwrap()
}

fn receive(tracer: &Tracer, context: &serde_json::Value, header: Option<&str>) -> Span {
    let headers = header.map(|header| ("traceparent".to_owned(), Header::Text(header.to_owned())));
    tracer.receive(&request(context), &headers.into_iter().collect())
}

fn text<'a>(span: &'a otlp::Span, key: &str) -> Option<&'a str> {
    let attribute = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        otlp::Value::Text(text) => Some(text),
        _ => None,
    }
}

fn all(spans: &mut Receiver<otlp::Span>) -> Vec<otlp::Span> {
    std::iter::from_fn(|| spans.try_recv().ok()).collect()
}

/// What goes on in a context, and in headers.
fn carried(span: &Span, before: &serde_json::Value) -> (serde_json::Value, Vec<(&'static str, String)>) {
    let mut context = envelope::Context::from_json(&before.to_string()).unwrap();
    let headers = span.carry(&mut context);
    let mut after: serde_json::Value = serde_json::from_str(&context.to_json(&envelope::Text::null())).unwrap();
    after.as_object_mut().unwrap().remove("client_timeout");
    (after, headers)
}

#[test]
fn a_request_of_a_caller_that_records_is_below_its_span_and_says_nothing_secret() {
    let (tracer, mut spans) = tracer(Share::NONE);
    let span = receive(&tracer, &serde_json::json!({"_context_traceparent": CALLER}), Some(CALLER));
    assert_eq!(span.trace_id().as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    drop(span);
    let spans = all(&mut spans);
    let [span] = spans.as_slice() else { panic!("one span") };
    assert_eq!(span.parent_span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
    assert_eq!((span.name.as_str(), span.kind, span.links.len(), span.flags), ("add receive", 5, 0, 1));
    assert_eq!((text(span, "rpc.method"), text(span, "rpc.service")), (Some("add"), Some("n")));
    assert_eq!((text(span, "messaging.message.id"), text(span, "openstack.request_id")), (Some("m"), Some("req-1")));
    assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    assert!(!format!("{span:?}").contains("S3cr3t"));
}

#[test]
fn of_two_callers_the_contexts_is_the_parent_and_the_headers_is_a_link() {
    let (tracer, mut spans) = tracer(Share::NONE);
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    drop(receive(&tracer, &serde_json::json!({"_context_traceparent": CALLER}), Some(other)));
    let spans = all(&mut spans);
    assert_eq!(spans[0].trace_id[0], 0x0a);
    assert_eq!(
        (spans[0].links[0].trace_id.clone(), spans[0].links[0].span_id.clone()),
        (vec![0x11; 16], vec![0x22; 8])
    );
}

#[test]
fn a_caller_that_does_not_record_is_followed_and_nobody_behind_decides_anew() {
    let (tracer, mut spans) = tracer(Share::ALL);
    let unsampled = CALLER.replace("-01", "-00");
    let span = receive(&tracer, &serde_json::json!({}), Some(&unsampled));
    let below = span.child(|| -> &str { panic!("nobody needs its name") }, Kind::Internal);
    let (context, headers) = carried(&below, &serde_json::json!({"a": 1}));
    assert_eq!((&context["traceparent"], headers), (&unsampled.clone().into(), vec![("traceparent", unsampled)]));
    drop((span, below));
    assert!(all(&mut spans).is_empty());
}

#[test]
fn a_trace_that_begins_here_and_is_not_in_the_share_is_known_to_all_behind() {
    let (tracer, mut spans) = tracer(Share::NONE);
    let span = receive(&tracer, &serde_json::json!({}), None);
    let (context, headers) = carried(&span, &serde_json::json!({}));
    let parent = context["traceparent"].as_str().unwrap();
    assert!(parent.ends_with("-00") && parent.contains(&span.trace_id().unwrap()), "{parent}");
    assert_eq!(headers, [("traceparent", parent.to_owned())]);
    drop(span);
    assert!(all(&mut spans).is_empty());
}

#[test]
fn what_is_sent_names_the_span_that_sends_it() {
    let (tracer, mut spans) = tracer(Share::ALL);
    let span =
        receive(&tracer, &serde_json::json!({"_context_tracestate": "a=1", "_context_traceparent": CALLER}), None);
    let run = span.child(|| "run", Kind::Internal);
    let sends = run.child(|| "t.m".to_owned(), Kind::Producer);
    let (context, headers) = carried(&sends, &serde_json::json!({"traceparent": CALLER, "tracestate": "b=2"}));
    assert_eq!(sends.headers(), headers);
    drop((span, run, sends));
    let spans = all(&mut spans);
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", hex(&of("t.m").span_id));
    assert_eq!(context, serde_json::json!({"traceparent": expected, "tracestate": "a=1"}));
    assert_eq!(headers, [("traceparent", expected), ("tracestate", "a=1".to_owned())]);
    assert_eq!(of("t.m").parent_span_id, of("run").span_id);
    assert_eq!(of("run").parent_span_id, of("add receive").span_id);
    assert_eq!(of("run").trace_state, "a=1");
}

#[test]
fn where_tracing_is_off_contexts_stay_as_they_are_and_headers_go_on() {
    let off = Tracer::default();
    let before = serde_json::json!({"traceparent": CALLER, "tracestate": "no state"});
    let span = receive(&off, &serde_json::json!({"_context_traceparent": CALLER}), None);
    assert_eq!(carried(&span, &before), (before.clone(), Vec::new()));
    assert_eq!(span.trace_id().as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
    let span = receive(&off, &serde_json::json!({}), Some(CALLER));
    assert_eq!(
        carried(&span, &serde_json::json!({})),
        (serde_json::json!({}), vec![("traceparent", CALLER.to_owned())])
    );
    let span = receive(&off, &serde_json::json!({}), Some("nonsense"));
    assert_eq!((carried(&span, &before).1, span.trace_id()), (Vec::new(), None));
}

#[test]
fn what_a_guest_says_is_bounded_and_never_in_the_hosts_name() {
    let (tracer, mut spans) = tracer(Share::ALL);
    let span = receive(&tracer, &serde_json::json!({}), None);
    span.set("nova_host.handler", Value::from("h"));
    span.attribute("nova_host.handler", Value::Text("another".into()));
    span.attribute("", Value::Truth(true));
    span.attribute("a\nb", Value::Text("c\u{202e}d".into()));
    span.attribute("n", Value::Integer(1));
    span.attribute("n", Value::Number(2.5));
    span.attribute("long", Value::Text("x".repeat(1 << 20)));
    for number in 0..1000 {
        span.attribute(&format!("k{number}"), Value::Truth(true));
        span.event(&"e".repeat(1 << 12), &[("k".repeat(1 << 12), Value::Text("v".repeat(1 << 12)))]);
    }
    span.fail("Some\nError");
    drop(span);
    let span = all(&mut spans).remove(0);
    assert_eq!(text(&span, "nova_host.handler"), Some("h"));
    assert_eq!(text(&span, r"a\nb"), Some(r"c\u{202e}d"));
    assert_eq!(span.attributes.iter().filter(|attribute| attribute.key == "n").count(), 1);
    assert!(span.attributes.len() <= 128 && span.events.len() <= 128);
    assert!(span.dropped_attributes_count > 800 && span.dropped_events_count > 800);
    assert!(prost::Message::encoded_len(&span) < 24 << 10, "{}", prost::Message::encoded_len(&span));
    assert_eq!(span.status.unwrap().message, r"Some\nError");
}

#[test]
fn what_a_guest_says_keeps_out_nothing_of_the_hosts_and_what_it_replaces_gives_back_its_room() {
    let (tracer, mut spans) = tracer(Share::ALL);
    let span = receive(&tracer, &serde_json::json!({}), None);
    for number in 0..1000 {
        span.attribute("replaced", Value::Text(format!("{number:01000}")));
    }
    span.attribute("small", Value::Truth(true));
    span.attribute("replaced", Value::Truth(true));
    // All of the room, and all of the places.
    for number in 0..200 {
        span.attribute(&format!("{number:04}"), Value::Text("v".repeat(1 << 10)));
    }
    for number in 0..200 {
        span.attribute(&format!("k{number}"), Value::Truth(true));
    }
    for key in ["nova_host.digest", "nova_host.generation", "nova_host.outcome"] {
        span.set(key, Value::from("said"));
    }
    span.fail("Late");
    drop(span);
    let span = all(&mut spans).remove(0);
    for key in ["nova_host.digest", "nova_host.generation", "nova_host.outcome"] {
        assert_eq!(text(&span, key), Some("said"));
    }
    assert_eq!((text(&span, "error.type"), span.status.as_ref().unwrap().message.as_str()), (Some("Late"), "Late"));
    let guests = span.attributes.iter().filter(|attribute| attribute.key.starts_with('0')).count();
    assert_eq!((guests, span.attributes.iter().any(|attribute| attribute.key == "small")), (14, true));
    // Nothing that was replaced was left out.
    let tried = 402;
    let kept = span.attributes.iter().filter(|known| !known.key.contains('.')).count();
    assert_eq!(usize::try_from(span.dropped_attributes_count).unwrap(), tried - kept);
}

#[test]
fn small_things_are_held_against_a_guest_with_what_it_takes_to_keep_them() {
    let (tracer, mut spans) = tracer(Share::ALL);
    let span = receive(&tracer, &serde_json::json!({}), None);
    let small: Vec<_> = (0..100).map(|_| ("k".to_owned(), Value::Truth(true))).collect();
    for _ in 0..100 {
        span.event("e", &small);
    }
    drop(span);
    let span = all(&mut spans).remove(0);
    let attributes: usize = span.events.iter().map(|event| event.attributes.len()).sum();
    let kept = attributes * size_of::<otlp::KeyValue>() + span.events.len() * size_of::<otlp::Event>();
    assert!(attributes > 100 && kept <= 16 << 10, "{attributes} attributes, {kept} bytes");
}

#[test]
fn what_a_handler_asks_for_in_a_loop_leaves_room_for_spans_of_the_hosts() {
    let (tracer, mut spans) = tracer(Share::ALL);
    let span = receive(&tracer, &serde_json::json!({}), None);
    for _ in 0..2000 {
        drop(span.asked(|| "asked", Kind::Client));
    }
    assert!(!span.asked(|| "asked", Kind::Client).is_recorded());
    let own: Vec<_> = (0..16).map(|_| span.child(|| "own", Kind::Internal)).collect();
    assert!(own.iter().all(Span::is_recorded));
    assert!(!span.child(|| "own", Kind::Internal).is_recorded());
    drop((span, own));
    assert_eq!(all(&mut spans).len(), 1000);
}

#[test]
fn a_request_that_does_too_much_is_recorded_as_far_as_is_allowed_and_goes_on_below_what_is() {
    let (tracer, mut spans) = tracer(Share::ALL);
    let span = receive(&tracer, &serde_json::json!({}), None);
    for _ in 0..2000 {
        drop(span.child(|| "more", Kind::Internal));
    }
    let beyond = span.child(|| "more", Kind::Producer);
    assert!(!beyond.is_recorded());
    assert_eq!(beyond.headers(), span.headers());
    drop((span, beyond));
    assert_eq!(all(&mut spans).len(), 1000);
}
