//! What is counted, and that whatever comes is counted in bounded memory.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    report::{Report, Unseen},
    *,
};

fn inventory() -> Inventory {
    Inventory::new("nova", &["a".to_owned(), "a.b".to_owned()])
}

fn note(inventory: &mut Inventory, exchange: &str, routing_key: &str, message: &Value, foresight: Option<Foresight>) {
    let body = message.to_string();
    let request = Request::decode(body.as_bytes(), Some("application/json"), None);
    let bytes = body.len();
    inventory.note(Observed { exchange, routing_key, bytes, request: request.as_ref(), foresight });
}

fn told(inventory: &Inventory) -> Report {
    Report::of(inventory, Duration::from_secs(10), Unseen::default())
}

#[test]
fn requests_are_told_apart_by_how_they_were_sent() {
    let mut inventory = inventory();
    let call = json!({"method": "m", "_msg_id": "1", "_reply_q": "reply_1", "version": "1.10"});
    let cast = json!({"method": "m", "version": "1.9"});
    note(&mut inventory, "nova", "a", &call, None);
    note(&mut inventory, "nova", "a.host.example.org", &call, None);
    note(&mut inventory, "a_fanout", "", &cast, None);
    note(&mut inventory, "nova", "a", &json!({"method": "m", "version": "nonsense"}), None);
    note(&mut inventory, "nova", "a.b", &cast, None);
    note(&mut inventory, "nova", "a.b.host", &cast, None);
    note(&mut inventory, "nova", "a", &json!({"result": 1, "failure": null, "_msg_id": "1"}), None);
    note(&mut inventory, "nova", "a", &json!([]), None);

    let report = told(&inventory);
    assert_eq!((report.requests, report.replies, report.undecodable), (6, 1, 1));
    let [method, other] = report.methods.as_slice() else { panic!("{report:?}") };
    assert_eq!((method.topic.as_str(), method.namespace.as_ref(), method.method.as_str()), ("a", None, "m"));
    assert_eq!((method.calls, method.casts, method.fanout, method.directed), (2, 2, 1, 1));
    assert_eq!((method.calls_per_second, method.fanout_share), (0.2, 0.25));
    let versions = &method.versions;
    assert_eq!((versions.lowest.as_deref(), versions.highest.as_deref()), (Some("1.9"), Some("1.10")));
    assert_eq!((versions.unreadable, method.callers.distinct, method.callers.busiest[0].calls), (1, 1, 2));
    assert_eq!((other.topic.as_str(), other.casts, other.directed), ("a.b", 2, 1));
}

#[test]
fn what_handlers_would_do_is_told_with_numbers_where_it_differs() {
    let mut inventory = Inventory::new("nova", &["a".to_owned()]);
    let versions = || Foresight::OtherVersions(vec!["1.10".parse().unwrap(), "1.4".parse().unwrap()]);
    note(&mut inventory, "nova", "a", &json!({"method": "lacks"}), Some(Foresight::Lacking));
    note(&mut inventory, "nova", "a", &json!({"method": "mixed"}), Some(Foresight::Host));
    note(&mut inventory, "nova", "a", &json!({"method": "mixed"}), Some(versions()));
    let lines = table::lines(&told(&inventory), 10).join("\n");
    assert!(lines.contains("1 answered by (the host); 1 refused: only version 1.4, 1.10"), "{lines}");
    assert!(lines.lines().any(|line| line.contains("lacks") && line.ends_with("  lacking")), "{lines}");
    assert!(lines.starts_with("exchange nova, topic a: 3 requests in 10 s\n"), "{lines}");
}

#[test]
fn the_table_is_cut_and_says_what_was_not_seen() {
    let mut inventory = inventory();
    for method in ["one", "two", "three"] {
        note(&mut inventory, "nova", "a", &json!({"method": method}), None);
    }
    let unseen = Unseen { dropped: 7, connections_lost: 2, seconds_away: 1.5, is_away: true };
    let report = Report::of(&inventory, Duration::from_secs(3), unseen);
    assert_eq!(report.methods[0].casts_per_second, 0.667);
    let lines = table::lines(&report, 2).join("\n");
    for said in ["at least 7 messages", "1.5 s without a connection, which was lost 2 times", "and 1 methods more"] {
        assert!(lines.contains(said), "{said}: {lines}");
    }
    let silent = Unseen { seconds_away: 4.5, is_away: true, ..Unseen::default() };
    let lines = table::lines(&Report::of(&inventory, Duration::from_secs(3), silent), 2).join("\n");
    assert!(lines.contains("in the last 4.5 s, in which the broker did not answer"), "{lines}");
}

#[test]
fn names_of_others_break_no_line_and_take_no_room() {
    let mut inventory = inventory();
    let long = "x".repeat(1 << 20);
    for name in ["<img src=x onerror=alert(1)>", "\u{1b}[2J\u{1b}]0;t\u{7}\n", &long, "", "\u{202e}cba"] {
        let call = json!({"method": name, "namespace": name, "version": name, "_msg_id": "1", "_reply_q": name});
        note(&mut inventory, "nova", "a", &call, None);
    }
    note(&mut inventory, "nova", "a", &json!({"method": {"a": 1}, "namespace": 5, "version": []}), None);
    let report = told(&inventory);
    let shown = table::lines(&report, 100);
    assert!(shown.iter().all(|line| !line.chars().any(char::is_control) && line.len() < 1000), "{shown:?}");
    let json = serde_json::to_string(&report).unwrap();
    assert!(json.len() < 10_000 && !json.contains("\\u001b") && json.contains("(dict)"), "{json}");
}

#[test]
fn methods_and_callers_beyond_the_bounds_are_counted_together() {
    let mut inventory = inventory();
    let many = MAX_METHODS + 100;
    for number in 0..many {
        let call = json!({"method": format!("m{number}"), "_msg_id": "1", "_reply_q": format!("reply_{number}")});
        note(&mut inventory, "nova", "a", &call, None);
    }
    let report = told(&inventory);
    let others = report.others.as_ref().unwrap();
    assert_eq!((report.methods.len(), others.calls, report.requests), (MAX_METHODS, 100, many as u64));
    assert_eq!(others.callers.distinct, 100);
}

fn name() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[a-c]{1,2}".prop_map(Value::from),
        ".{0,200}".prop_map(Value::from),
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
    ]
}

proptest! {
    /// Whatever is sent, everything is counted once, and every line is one.
    #[test]
    fn everything_is_counted_once(
        messages in prop::collection::vec((name(), name(), name(), any::<bool>(), ".{0,10}", ".{0,10}"), 0..60),
    ) {
        let mut inventory = inventory();
        for (method, namespace, version, wants_answer, exchange, key) in &messages {
            let mut message = json!({"method": method, "namespace": namespace, "version": version});
            if *wants_answer {
                message["_msg_id"] = json!("1");
                message["_reply_q"] = json!(format!("reply{key}"));
            }
            note(&mut inventory, exchange, key, &message, Some(Foresight::Lacking));
        }
        let report = told(&inventory);
        let sums = |of: fn(&report::Method) -> u64| report.methods.iter().chain(&report.others).map(of).sum::<u64>();
        let calls = messages.iter().filter(|message| message.3).count() as u64;
        prop_assert_eq!((sums(|m| m.calls), sums(|m| m.casts)), (calls, messages.len() as u64 - calls));
        prop_assert_eq!(sums(|m| m.handlers.as_ref().map_or(0, |handlers| handlers.lacking)), messages.len() as u64);
        let lines = table::lines(&report, 1000);
        prop_assert!(lines.iter().all(|line| !line.chars().any(char::is_control)));
    }
}
