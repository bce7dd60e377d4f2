//! Instances that serve several requests: what they keep, what they must not, and when they end.

use std::sync::Arc;

use super::{instance::KEPT_FOR, tests::invocation, *};
use crate::{
    envelope::{Answer, Context},
    settings::Bytes,
    testing::{DESCRIBE, fresh_sandbox, guest_with, load, sandbox, tight, wide},
};

/// Counts in the instance's own memory: 1 in a fresh one.
const COUNT: &str = "(i32.store (i32.const 2000) (i32.add (i32.load (i32.const 2000)) (i32.const 1)))";

/// Answers with the count, up to nine.
const TELL: &str = "(i32.store8 (i32.const 2100) (i32.add (i32.load (i32.const 2000)) (i32.const 48)))
    (i32.store (i32.const 404) (i32.const 2100)) (i32.store (i32.const 408) (i32.const 1)) (i32.const 400)";

/// A program that counts, does something, and answers.
fn counting(does: &str, limits: Limits) -> Program {
    counting_in(sandbox(), does, limits)
}

fn counting_in(sandbox: Arc<Sandbox>, does: &str, limits: Limits) -> Program {
    // Something to log, a hundred bytes of it.
    let fields = format!("(data (i32.const 2200) \"{}\")", "x".repeat(100));
    load(sandbox, &guest_with(DESCRIBE, &format!("{COUNT} {does} {TELL}"), &fields), limits).unwrap()
}

fn reusing(reuse: u32, limits: Limits) -> Limits {
    Limits { reuse, ..limits }
}

async fn count(program: &Program) -> String {
    match program.handle(invocation("{}")).await.unwrap() {
        Answer::Result(result) => result.get().to_owned(),
        other => panic!("{other:?}"),
    }
}

async fn counts(program: &Program, requests: usize) -> String {
    let mut all = String::new();
    for _ in 0..requests {
        all.push_str(&count(program).await);
    }
    all
}

#[tokio::test]
async fn an_instance_serves_as_many_requests_as_the_manifest_says() {
    assert_eq!(counts(&counting("", tight()), 3).await, "111");
    let program = counting("", reusing(3, tight()));
    // Asked what it offers, it is not one of them.
    program.describe().await.unwrap();
    assert_eq!(counts(&program, 7).await, "1231231");
}

#[tokio::test]
async fn an_instance_that_did_not_answer_serves_nobody_again() {
    let third = |does| format!("(if (i32.eq (i32.load (i32.const 2000)) (i32.const 3)) (then {does}))");
    let program = counting(&third("(unreachable)"), reusing(9, tight()));
    assert_eq!(counts(&program, 2).await, "12");
    assert!(matches!(program.handle(invocation("{}")).await, Err(Fault::Trapped { .. })));
    assert_eq!(count(&program).await, "1");

    let program = counting(&third("(loop $again (br $again))"), reusing(9, wide()));
    assert_eq!(counts(&program, 2).await, "12");
    // Dropped half-way, as when its connection is lost.
    let looping = program.handle(invocation("{}"));
    assert!(tokio::time::timeout(Duration::from_millis(20), looping).await.is_err());
    assert_eq!(count(&program).await, "1");
}

#[tokio::test]
async fn each_request_has_its_own_deadline() {
    let second = "(if (i32.eq (i32.load (i32.const 2000)) (i32.const 2)) (then (loop $again (br $again))))";
    let minute = Duration::from_secs(60);
    let program = counting(second, Limits { reuse: 9, timeout: minute, ..tight() });
    assert_eq!(count(&program).await, "1");
    // It arrived so long ago that its time is over; that of the first is not.
    let since = Instant::now().checked_sub(minute).unwrap();
    let late = program.handle(Invocation { since, ..invocation("{}") });
    let ended = tokio::time::timeout(minute / 2, late).await.unwrap();
    assert!(matches!(ended, Err(Fault::TimedOut { .. })), "{ended:?}");

    let program = counting("", reusing(9, wide()));
    let first = Instant::now();
    for since in [first, first + minute] {
        program.handle(Invocation { since, ..invocation("{}") }).await.unwrap();
        assert_eq!(program.instances().waiting(|state| state.asked.deadline()), [since + wide().timeout]);
    }
}

#[tokio::test]
async fn each_request_has_its_own_cpu_time() {
    // Long enough to be looked at by the clock that interrupts guests.
    let compute = "(loop $again
        (i32.store (i32.const 2300) (i32.add (i32.load (i32.const 2300)) (i32.const 1)))
        (br_if $again (i32.rem_u (i32.load (i32.const 2300)) (i32.const 10000000))))";
    let minute = Duration::from_secs(60);
    let program = counting(compute, Limits { reuse: 9, cpu: Some(minute), ..wide() });
    assert_eq!(count(&program).await, "1");
    // The first has used all that it may.
    program.instances().waiting(|state| state.cpu.used(minute));
    assert_eq!(count(&program).await, "2");
}

#[tokio::test]
async fn each_request_has_its_own_context_and_log() {
    let line = "(call $write (i32.const 2) (i32.const 2200) (i32.const 100))";
    let metrics = Metrics::default();
    let stack = Limits::default().stack;
    let config = Config { max_in_flight: 1, stack, cache: None, compiler: Compiler::Here };
    let sandbox = Arc::new(Sandbox::new(config, metrics.clone()).unwrap());
    let program = counting_in(sandbox, line, Limits { reuse: 9, log: Bytes(150), ..tight() });
    let context = Context::from_json(r#"{"auth_token": "secret"}"#).unwrap();
    let info = RequestInfo { context, ..RequestInfo::bare() };
    program.handle(Invocation { info, ..invocation("{}") }).await.unwrap();
    // While it waits it holds nothing of the request.
    assert_eq!(program.instances().waiting(|state| !state.asked.is_request()), [true]);
    assert_eq!(counts(&program, 3).await, "234");
    let text = metrics.encode();
    assert!(!text.contains("limit=\"log\""), "{text}");
    for line in [r#"{handler="guest",origin="fresh"} 1"#, r#"{handler="guest",origin="kept"} 3"#] {
        assert!(text.contains(&format!("nova_host_instances_total{line}\n")), "{text}");
    }
}

#[tokio::test]
async fn an_instance_that_grows_is_replaced_before_it_reaches_its_limit() {
    // Sixteen pages, of which it has one and takes two with each request.
    let grow = "(drop (memory.grow (i32.const 2)))";
    let program = counting(grow, Limits { reuse: 1000, memory: Bytes(16 << 16), ..tight() });
    assert_eq!(counts(&program, 8).await, "12341234");
}

#[tokio::test]
async fn no_more_are_kept_than_there_is_room_for_and_for_how_long() {
    let sandbox = fresh_sandbox(1, None).unwrap();
    let first = counting_in(Arc::clone(&sandbox), "", reusing(9, wide()));
    let second = counting_in(Arc::clone(&sandbox), "", reusing(9, wide()));
    assert_eq!(counts(&first, 2).await, "12");
    // There is room for one, and it is the other's.
    assert_eq!(counts(&second, 2).await, "11");
    drop(first);
    assert_eq!(counts(&second, 2).await, "12");
    tokio::time::pause();
    tokio::time::sleep(KEPT_FOR * 3).await;
    tokio::time::resume();
    assert_eq!(second.instances().waiting(|_| true), [true; 0]);
    assert_eq!(counts(&second, 2).await, "12");
}

#[tokio::test]
async fn a_request_that_is_chosen_for_recording_runs_in_a_fresh_instance_and_others_say_what_theirs_has_served() {
    let program = counting("", reusing(9, tight()));
    assert_eq!(counts(&program, 2).await, "12");
    let taped = async |is_chosen| {
        let tape = Tape::recording(1000, is_chosen);
        let mut invocation = invocation("{}");
        invocation.info.tape = tape.clone();
        program.handle(invocation).await.unwrap();
        tape.taken().unwrap().served
    };
    assert_eq!((taped(false).await, taped(true).await), (2, 0));
}
