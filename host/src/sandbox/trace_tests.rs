//! What a guest adds to its trace: bounded, printable, without secrets, and nobody's who does not trace.

use std::sync::{Arc, Mutex};

use super::{
    super::{bindings::trace::Value as Given, tests::invocation},
    *,
};
use crate::{
    capability::Grants,
    sandbox::{Invocation, Limits, RequestInfo},
    settings::Bytes,
    testing::{DESCRIBE, ECHO, load, marking, sandbox, tight},
};

/// Keeps what it is given.
#[derive(Clone, Debug, Default)]
struct Collected(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    is_sampled: bool,
    attributes: Vec<(String, Value)>,
    events: Vec<(String, Vec<(String, Value)>)>,
}

impl Marks for Collected {
    fn recording(&self) -> bool {
        self.0.lock().unwrap().is_sampled
    }

    fn ids(&self) -> Option<Ids> {
        Some(Ids { trace: "a".repeat(32), span: "b".repeat(16), flags: 1 })
    }

    fn attribute(&mut self, key: &str, value: Value) {
        self.0.lock().unwrap().attributes.push((key.to_owned(), value));
    }

    fn event(&mut self, name: &str, attributes: Vec<(String, Value)>) {
        self.0.lock().unwrap().events.push((name.to_owned(), attributes));
    }
}

impl Collected {
    fn sampled() -> Self {
        let collected = Self::default();
        collected.0.lock().unwrap().is_sampled = true;
        collected
    }

    /// What a request has added, and what was left out of it.
    fn of(&self, add: impl FnOnce(&mut Traced<'_>)) -> Dropped {
        self.of_granted(&Arc::default(), add)
    }

    fn of_granted(&self, grants: &Arc<Grants>, add: impl FnOnce(&mut Traced<'_>)) -> Dropped {
        let mut trace = Trace::new(Some(Box::new(self.clone())), true);
        let mut log = Log::new(Bytes(1 << 20), grants);
        add(&mut Traced { trace: &mut trace, log: &mut log });
        trace.dropped
    }

    fn attributes(&self) -> Vec<(String, Value)> {
        self.0.lock().unwrap().attributes.clone()
    }
}

fn text(text: &str) -> Given {
    Given::Text(text.to_owned())
}

#[test]
fn values_of_every_kind_reach_the_span() {
    let collected = Collected::sampled();
    collected.of(|traced| {
        let values = [text("é"), Given::Integer(i64::MIN), Given::Number(0.5), Given::Truth(true)];
        values.into_iter().enumerate().for_each(|(at, value)| traced.set(format!("k{at}"), value));
        traced.add("done".to_owned(), vec![Attribute { key: "n".to_owned(), value: Given::Integer(7) }]);
    });
    let kept = collected.0.lock().unwrap();
    let values: Vec<Value> = kept.attributes.iter().map(|(_, value)| value.clone()).collect();
    assert_eq!(values, [Value::Text("é".into()), Value::Integer(i64::MIN), Value::Number(0.5), Value::Truth(true)]);
    assert_eq!(kept.events, [("done".to_owned(), vec![("n".to_owned(), Value::Integer(7))])]);
}

#[test]
fn more_than_there_may_be_is_left_out_and_counted() {
    let collected = Collected::sampled();
    let dropped = collected.of(|traced| {
        (0..300).for_each(|at| traced.set(format!("k{at}"), Given::Integer(at)));
        // What is there may be changed.
        traced.set("k5".to_owned(), Given::Truth(true));
        for _ in 0..200 {
            let many = (0..20).map(|at| Attribute { key: format!("k{at}"), value: Given::Integer(at) });
            traced.add("e".to_owned(), many.collect());
        }
    });
    let kept = collected.0.lock().unwrap();
    assert_eq!(kept.attributes.len(), MAX_ATTRIBUTES + 1);
    assert_eq!(kept.attributes.last(), Some(&("k5".to_owned(), Value::Truth(true))));
    assert_eq!((kept.events.len(), kept.events[0].1.len()), (MAX_EVENTS, MAX_EVENT_ATTRIBUTES));
    let expected = Dropped { attributes: 300 - 128, events: 200 - 128, event_attributes: 128 * 4, reserved: 0 };
    assert_eq!(dropped, expected);
}

#[test]
fn the_hosts_own_attributes_are_not_the_guests() {
    let collected = Collected::sampled();
    let keys = ["nova_host.handler", "messaging.system", "rpc.method", "otel.status_code", "", " ", "\n"];
    let dropped = collected.of(|traced| {
        keys.iter().for_each(|key| traced.set((*key).to_owned(), text("mine")));
        ["nova_hosts", "rpc", "my.rpc.x"].iter().for_each(|key| traced.set((*key).to_owned(), text("mine")));
    });
    assert_eq!(collected.attributes().len(), 3, "{:?}", collected.attributes());
    assert_eq!(dropped.reserved, keys.len());
}

#[test]
fn keys_and_texts_are_printable_and_cut_at_a_letter() {
    let collected = Collected::sampled();
    collected.of(|traced| {
        traced.set("é".repeat(100), text(&"🦀".repeat(1000)));
        traced.set(format!("a{}", "é".repeat(100)), text(&format!("x{}", "\u{1b}".repeat(1000))));
        traced.add("n\r\n\u{202e}".repeat(100), vec![Attribute { key: "\u{0}".repeat(100), value: text("\n") }]);
    });
    let kept = collected.0.lock().unwrap();
    let texts = kept.attributes.iter().chain(&kept.events[0].1).flat_map(|(key, value)| {
        let Value::Text(text) = value else { panic!("{value:?}") };
        [(key, MAX_KEY), (text, MAX_TEXT)]
    });
    for (text, limit) in texts.chain([(&kept.events[0].0, MAX_KEY)]) {
        assert!(text.len() <= limit && !text.contains(|c: char| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
    assert_eq!((kept.attributes[0].0.len(), kept.attributes[1].0.len()), (64, 63));
    assert_eq!(kept.attributes[0].1, Value::Text("🦀".repeat(256)));
}

#[test]
fn no_secret_of_the_manifest_reaches_the_span_not_even_where_it_would_be_cut() {
    let manifest = "config.token = { value = \"hush-hush-token\", secret = true }";
    let grants = Arc::new(crate::catalog::load::grants(Some(manifest), &tight()).unwrap());
    let collected = Collected::sampled();
    collected.of_granted(&grants, |traced| {
        let secret = || format!("{}hush-hush-token", "x".repeat(MAX_TEXT - 6));
        traced.set("key of hush-hush-token".to_owned(), text(&secret()));
        let value = text("\"hush-hush-token\"");
        traced.add(
            format!("{}hush-hush-token", "x".repeat(60)),
            vec![Attribute { key: "hush-hush-token".to_owned(), value }],
        );
    });
    let kept = format!("{:?}", collected.0.lock().unwrap());
    assert!(!kept.contains("hush") && kept.contains("***"), "{kept}");
}

#[test]
fn what_nobody_sees_is_not_kept() {
    let unsampled = Collected::default();
    let dropped = unsampled.of(|traced| {
        assert!(!traced.is_seen());
        (0..300).for_each(|at| traced.set(format!("k{at}"), Given::Integer(at)));
    });
    assert!(unsampled.attributes().is_empty());
    assert_eq!(dropped, Dropped::default());
}

/// The log sees what is not sampled, and whoever traces does not.
#[test]
fn what_only_the_log_sees_is_not_the_spans() {
    let unsampled = Collected::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::sink);
    let dropped = tracing::subscriber::with_default(subscriber.finish(), || {
        unsampled.of(|traced| {
            assert!(traced.is_seen());
            (0..300).for_each(|at| traced.set(format!("k{at}"), Given::Integer(at)));
            traced.add("e".to_owned(), Vec::new());
        })
    });
    assert_eq!(dropped.attributes, 300 - MAX_ATTRIBUTES);
    let kept = unsampled.0.lock().unwrap();
    assert!(kept.attributes.is_empty() && kept.events.is_empty(), "{kept:?}");
}

/// Says what the trace is, marks it, and declines where nobody records.
const MARK: &str = r#"
    (if (i32.eqz (call $recording)) (then (call $decline)))
    (call $set (i32.const 2000) (i32.const 6) (i32.const 1) (i64.const -7) (i32.const 0))
    (call $set (i32.const 2000) (i32.const 4) (i32.const 0) (i64.const 2010) (i32.const 5))
    (call $add (i32.const 2020) (i32.const 4) (i32.const 0) (i32.const 0))"#;

const TEXTS: &str =
    r#"(data (i32.const 2000) "key.of") (data (i32.const 2010) "value") (data (i32.const 2020) "done")"#;

fn traced(marks: Option<Collected>) -> Invocation {
    let marks = marks.map(|collected| Box::new(collected) as Box<dyn Marks>);
    Invocation { info: RequestInfo { marks, ..RequestInfo::bare() }, ..invocation("{}") }
}

#[tokio::test]
async fn what_a_guest_adds_is_its_own_requests() {
    let component = marking(DESCRIBE, &format!("{MARK} {ECHO}"), TEXTS);
    let program = load(sandbox(), &component, Limits { reuse: 9, ..tight() }).unwrap();
    for _ in 0..3 {
        let collected = Collected::sampled();
        program.handle(traced(Some(collected.clone()))).await.unwrap();
        let kept = collected.0.lock().unwrap();
        let expected =
            [("key.of".to_owned(), Value::Integer(-7)), ("key.".to_owned(), Value::Text("value".to_owned()))];
        assert_eq!((&kept.attributes[..], kept.events.len()), (&expected[..], 1));
    }
    for nobody in [None, Some(Collected::default())] {
        let declined = program.handle(traced(nobody)).await;
        assert_eq!(declined, Err(crate::sandbox::Fault::Declined), "it was told that nobody records");
    }
}

#[tokio::test]
async fn describe_is_no_request_and_may_say_what_it_wants() {
    let component = marking(&format!("{} {DESCRIBE}", MARK.replace("(call $decline)", "(nop)")), ECHO, TEXTS);
    load(sandbox(), &component, tight()).unwrap().describe().await.unwrap();
}

#[tokio::test]
async fn any_number_of_attributes_is_no_trap() {
    let endless = "(local $n i32) (loop $again
        (call $set (i32.const 2000) (i32.const 6) (i32.const 0) (i64.const 30000) (i32.const 2030))
        (call $add (i32.const 30000) (i32.const 2030) (i32.const 0) (i32.const 0))
        (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))";
    let component = marking(DESCRIBE, &format!("{endless} {ECHO}"), TEXTS);
    let collected = Collected::sampled();
    load(sandbox(), &component, tight()).unwrap().handle(traced(Some(collected.clone()))).await.unwrap();
    assert_eq!(collected.0.lock().unwrap().events.len(), MAX_EVENTS);
}
