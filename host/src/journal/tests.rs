//! The journal, from a request's beginning to what an operator reads.

use std::time::Duration;

use super::{
    Arrived, Problem, Recorder,
    report::{Kind, State},
};
use crate::metrics::{Ending, Limit};

fn arrived(method: &str) -> Arrived<'_> {
    Arrived {
        kind: Kind::Call,
        method,
        namespace: Some("ns"),
        version: Some("1.0"),
        request_id: Some("req-1"),
        message_id: Some("msg-1"),
        trace_id: None,
    }
}

fn problem<'a>(message: &'a str, frames: &'a [String]) -> Problem<'a> {
    Problem {
        module: "nova_host.errors",
        class: "HandlerTimedOut",
        message,
        frames,
        limit: Some(Limit::Timeout),
        recording: None,
    }
}

#[test]
fn a_request_in_flight_is_listed_with_how_far_it_is_until_it_is_dropped() {
    let recorder = Recorder::default();
    let first = recorder.begin(&arrived("first"));
    let second = recorder.begin(&arrived("second"));
    let told = recorder.journal().requests;
    assert_eq!(told.iter().map(|live| &*live.requested.method).collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!((told[0].state, told[0].requested.handler.as_deref()), (State::WaitingForPlace, None));
    let elsewhere = second.progress().clone();
    elsewhere.found("h", "abc", 7);
    for state in State::ALL {
        elsewhere.enter(state);
        let told = recorder.journal().requests;
        assert_eq!(told[1].state, state);
        assert_eq!((told[1].requested.handler.as_deref(), told[1].requested.generation), (Some("h"), Some(7)));
    }
    drop((first, second));
    elsewhere.enter(State::Running);
    assert!(recorder.journal().requests.is_empty());
}

#[test]
fn a_failure_is_kept_printable_and_bounded_and_counted_by_its_class() {
    let recorder = Recorder::default();
    let method = format!("m\u{1b}{}", "x".repeat(1000));
    let entry = recorder.begin(&arrived(&method));
    entry.progress().found("h", "abc", 7);
    let frames = vec!["at f\n".repeat(500); 500];
    let message = "no\n".repeat(5000);
    entry.end(Ending::TimedOut, Duration::from_millis(3), Some(&problem(&message, &frames)));
    // It is counted once, however often it ends.
    entry.end(Ending::Unforwarded, Duration::from_millis(5), Some(&problem("no fallback", &[])));
    let entry = recorder.begin(&arrived(&method));
    entry.progress().found("h", "abc", 7);
    entry.end(Ending::Replied, Duration::from_millis(1), None);
    let journal = recorder.journal();
    assert_eq!((journal.failures.len(), &*journal.failures[0].outcome), (2, "unforwarded"));
    let failure = &journal.failures[1];
    assert_eq!(
        (&*failure.outcome, &*failure.class, failure.limit.as_deref(), failure.took_us),
        ("timed_out", "nova_host.errors.HandlerTimedOut", Some("timeout"), 3000)
    );
    assert_eq!(failure.frames.len(), super::MAX_FRAMES);
    let text = serde_json::to_string(&journal).unwrap();
    assert!(!text.contains("\\u001b") && !failure.message.contains('\n'), "{text}");
    assert!(text.len() < 20_000, "{}", text.len());
    let stats = &journal.methods[0];
    assert_eq!((stats.requests, stats.failures[0].count, stats.major), (2, 1, 1));
    assert!(stats.last_fault_ms.is_some());
    assert_eq!(journal, serde_json::from_str(&text).unwrap());
}

#[test]
fn a_request_that_no_handler_has_is_no_methods() {
    let recorder = Recorder::default();
    recorder.begin(&arrived("nobody's")).end(Ending::Refused, Duration::ZERO, Some(&problem("no", &[])));
    let journal = recorder.journal();
    assert_eq!((journal.failures.len(), journal.methods.len()), (1, 0));
    assert_eq!(journal.failures[0].requested.handler, None);
}

#[test]
fn requests_begin_and_end_in_many_threads_at_once() {
    let recorder = Recorder::default();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let entry = recorder.begin(&arrived("m"));
                    entry.progress().found("h", "abc", 7);
                    entry.end(Ending::Replied, Duration::from_micros(5), None);
                }
            });
        }
        (0..50).for_each(|_| assert!(recorder.journal().requests.len() <= 8));
    });
    let journal = recorder.journal();
    assert!(journal.requests.is_empty());
    assert_eq!(journal.methods[0].requests, 4000);
}
