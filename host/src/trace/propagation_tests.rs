//! What is read of what others have written, whatever they have.

use proptest::prelude::*;

use super::*;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn parent(text: &str) -> Option<TraceContext> {
    TraceContext::parse(text, None)
}

fn headers(all: &[(&str, &str)]) -> Headers {
    all.iter().map(|(name, value)| ((*name).to_owned(), Header::Text((*value).to_owned()))).collect()
}

fn context(json: &serde_json::Value) -> envelope::Context {
    envelope::Context::from_json(&json.to_string()).unwrap()
}

#[test]
fn what_is_right_is_written_as_it_was_read() {
    let read = TraceContext::parse(GOOD, Some(" a=1, b@x=2 ,,")).unwrap();
    assert!(read.is_sampled());
    assert_eq!(read.trace_id(), TRACE);
    assert_eq!(read.carried(), [(PARENT, GOOD.to_owned()), (STATE, "a=1, b@x=2 ,,".to_owned())]);
    // A later version may say more; what is known of it goes on as version 00.
    let later = parent("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-what-comes").unwrap();
    assert_eq!(later.carried()[0].1, format!("00-{TRACE}-b7ad6b7169203331-03"));
}

#[test]
fn what_is_not_exactly_right_is_as_if_it_were_not_there() {
    let wrong = [
        "",
        "00",
        // All zeros.
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        // Capital letters, other letters, other lengths, other marks.
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
        " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333ä-01",
    ];
    for text in wrong {
        assert_eq!(parent(text), None, "{text}");
    }
    assert_eq!(parent(&format!("01{}-{}", &GOOD[2..], "x".repeat(1 << 20))), None);
}

#[test]
fn a_state_that_makes_no_sense_is_left_out_and_the_parent_counts() {
    let long = ["a", "b", "c"].map(|key| format!("{key}={}", "x".repeat(200))).join(",");
    let many = (0..33).map(|at| format!("k{at}=v")).collect::<Vec<_>>().join(",");
    let wrong =
        ["", ",", "a", "=1", "a=", "A=1", "a=1,a=2", "a=b=c", "a=ä", "a=\u{7}", &many, &long, &"a=1,".repeat(1 << 18)];
    for state in wrong.into_iter().chain([&*format!("a={}", "x".repeat(257)), &*format!("{}=1", "x".repeat(257))]) {
        let read = TraceContext::parse(GOOD, Some(state)).unwrap();
        assert_eq!(read.state(), None, "{}", &state[..state.len().min(40)]);
    }
}

#[test]
fn the_context_is_asked_first_and_the_headers_then() {
    let other = "00-11111111111111111111111111111111-2222222222222222-00";
    let both = Incoming::read(&context(&serde_json::json!({"traceparent": GOOD})), &headers(&[(PARENT, other)]));
    assert_eq!((both.parent.as_ref(), both.other.as_ref()), (parent(GOOD).as_ref(), parent(other).as_ref()));
    let same = Incoming::read(&context(&serde_json::json!({"traceparent": GOOD})), &headers(&[(PARENT, GOOD)]));
    assert_eq!((same.parent, same.other), (parent(GOOD), None));
    // What is in the context and no trace does not hide what is in the headers.
    for hostile in [
        serde_json::json!({"traceparent": null}),
        serde_json::json!({"traceparent": [GOOD]}),
        serde_json::json!({"traceparent": "0".repeat(1 << 20)}),
        serde_json::json!({}),
    ] {
        let read = Incoming::read(&context(&hostile), &headers(&[(PARENT, GOOD), (STATE, "a=1")]));
        assert_eq!(read.parent, TraceContext::parse(GOOD, Some("a=1")));
        assert_eq!(read.headers, [(PARENT, GOOD.to_owned()), (STATE, "a=1".to_owned())]);
    }
    let number = Headers::from([(PARENT.to_owned(), Header::Number(1))]);
    assert_eq!(Incoming::read(&envelope::Context::default(), &number), Incoming::default());
}

#[test]
fn what_is_written_stands_in_the_place_of_what_was_there() {
    let mut said = context(&serde_json::json!({"a": 1, "traceparent": "x", "tracestate": "y", "z": {"b": [1.0]}}));
    write(&parent(GOOD).unwrap().carried(), &mut said);
    let mut expected = context(&serde_json::json!({"a": 1, "traceparent": GOOD, "z": {"b": [1.0]}}));
    assert_eq!(said, expected);
    expected.put("new", Some(envelope::Text::of(&1)));
    assert!(expected.to_json(&envelope::Text::null()).contains(r#""new": 1"#));
}

#[test]
fn ids_are_other_ones_each_time() {
    let first = TraceContext::fresh().unwrap();
    let second = first.below().unwrap();
    assert_eq!((first.trace, first.is_sampled()), (second.trace, false));
    assert_ne!(first.span, second.span);
    assert_ne!(first.trace, TraceContext::fresh().unwrap().trace);
}

proptest! {
    #[test]
    fn whatever_comes_what_is_read_is_bounded_and_reads_the_same_again(
        parent in "(00-)?[0-9a-f-]{0,60}|.{0,80}|[0-9a-g]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.{0,300})?",
        state in proptest::option::of("([a-z0-9@/*_-]{0,300}=[ -~]{0,300},? ?){0,40}|.{0,600}"),
    ) {
        if let Some(read) = TraceContext::parse(&parent, state.as_deref()) {
            let carried = read.carried();
            prop_assert_eq!(carried[0].1.len(), PARENT_LENGTH);
            let state = carried.get(1).map(|(_, state)| state.as_str());
            prop_assert!(state.is_none_or(|state| state.len() <= MAX_STATE));
            prop_assert_eq!(TraceContext::parse(&carried[0].1, state), Some(read));
        }
    }
}
