//! Guests that misbehave, each in a few lines of text. Whatever they do, the host gets a [`Fault`] or a [`LoadError`].

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::{
    envelope::{Answer, Text},
    settings::Bytes,
    testing::{DESCRIBE, ECHO, LOOP, fresh_sandbox, guest, guest_with, load, program, sandbox, tight, wide},
};

pub(super) fn invocation(arguments: &str) -> Invocation {
    crate::testing::invocation("m", arguments)
}

async fn run_with(component: &[u8], limits: Limits) -> Result<Answer, Fault> {
    load(sandbox(), component, limits).unwrap().handle(invocation(r#"{"a": 1}"#)).await
}

async fn run(handle: &str) -> Result<Answer, Fault> {
    run_with(&guest(handle), tight()).await
}

fn refused(component: &[u8]) -> String {
    load(sandbox(), component, tight()).unwrap_err().to_string()
}

async fn description_refused(describe: &str, fields: &str) -> String {
    let program = load(sandbox(), &guest_with(describe, ECHO, fields), tight()).unwrap();
    program.describe().await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_request_runs_and_its_result_comes_back() {
    let answer = run(ECHO).await.unwrap();
    assert_eq!(answer, Answer::Result(Text::parse(r#"{"a": 1}"#.into()).unwrap()));
}

#[tokio::test]
async fn a_nan_has_the_same_bits_on_every_machine() {
    // 0/0: x86 makes it negative. The result is "0" where it is canonical.
    let bits = "(i32.reinterpret_f32 (f32.div (f32.convert_i32_u (local.get 0)) (f32.convert_i32_u (local.get 0))))";
    let digit = format!("(i32.add (i32.const 48) (i32.ne {bits} (i32.const 0x7fc00000)))");
    let handle = format!(
        "(i32.store8 (i32.const 3990) {digit}) (i32.store (i32.const 404) (i32.const 3990))
         (i32.store (i32.const 408) (i32.const 1)) (i32.const 400)"
    );
    assert_eq!(run(&handle).await.unwrap(), Answer::Result(Text::parse("0".into()).unwrap()));
}

#[tokio::test]
async fn a_guest_says_what_it_offers() {
    let offers = load(sandbox(), &guest(ECHO), tight()).unwrap().describe().await.unwrap();
    assert_eq!(offers, [EndpointOffer { namespace: None, version: "1.0".into(), methods: vec!["m".into()] }]);
}

#[tokio::test]
async fn an_endless_loop_ends_at_the_deadline() {
    let fault = run(LOOP).await.unwrap_err();
    assert!(matches!(&fault, Fault::TimedOut { limit, .. } if *limit == tight().timeout), "{fault:?}");
    assert!(fault.frames().iter().any(|frame| frame.contains("handle")), "{fault:?}");
}

#[tokio::test]
async fn an_endless_loop_in_describe_or_start_ends_as_well() {
    let text = description_refused(LOOP, "").await;
    assert!(text.contains("did not finish within"), "{text}");
    let start = "(func $start (loop $again (br $again))) (start $start)";
    let fault = run_with(&guest_with(DESCRIBE, ECHO, start), tight()).await.unwrap_err();
    assert!(matches!(fault, Fault::TimedOut { .. }), "{fault:?}");
}

#[tokio::test]
async fn an_endless_loop_ends_with_its_cpu_time_long_before_its_deadline() {
    let limits = Limits { cpu: Some(Duration::from_millis(20)), ..wide() };
    let fault = run_with(&guest(LOOP), limits.clone()).await.unwrap_err();
    assert_eq!(fault.to_string(), "the handler used more than 20ms of CPU time (limits.cpu)");
    assert!(fault.frames().iter().any(|frame| frame.contains("handle")), "{fault:?}");
    // What it computes before it is asked counts.
    let start = "(func $start (loop $again (br $again))) (start $start)";
    let fault = run_with(&guest_with(DESCRIBE, ECHO, start), limits).await.unwrap_err();
    assert!(matches!(fault, Fault::OutOfCpu { .. }), "{fault:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_busy_guest_leaves_its_thread_to_others() {
    let (endless, echo) = (program(LOOP, wide()), program(ECHO, tight()));
    let busy = tokio::spawn(async move { endless.handle(invocation("{}")).await });
    tokio::task::yield_now().await;
    // On the only thread: this ends because the guest yields.
    echo.handle(invocation("{}")).await.unwrap();
    assert!(!busy.is_finished());
    busy.abort();
}

#[tokio::test]
async fn memory_beyond_the_limit_is_not_given() {
    let grow = "(drop (memory.grow (i32.const 16))) (unreachable)";
    let limits = Limits { memory: Bytes(1 << 20), ..tight() };
    let fault = run_with(&guest(grow), limits).await.unwrap_err();
    assert!(matches!(&fault, Fault::OutOfMemory { limit: Bytes(1_048_576), .. }), "{fault:?}");
    // All memories count together: 10 pages of this one and the 1 of the other.
    let more = guest_with(DESCRIBE, ECHO, "(memory $other 10)");
    let fault = run_with(&more, Limits { memory: Bytes(10 << 16), ..tight() }).await.unwrap_err();
    assert!(matches!(&fault, Fault::OutOfMemory { .. }), "{fault:?}");
}

#[tokio::test]
async fn deep_recursion_ends() {
    let fields = "(func $deep (param i64) (result i64) (i64.add (call $deep (local.get 0)) (i64.const 1)))";
    let component = guest_with(DESCRIBE, "(drop (call $deep (i64.const 0))) (unreachable)", fields);
    assert!(matches!(run_with(&component, tight()).await.unwrap_err(), Fault::OutOfStack { .. }));
}

#[tokio::test]
async fn a_trap_tells_the_guests_last_words_and_where_it_was() {
    let fault = run("(unreachable)").await.unwrap_err();
    let Fault::Trapped { message, frames } = fault else { panic!("{fault:?}") };
    assert!(message.contains("unreachable"), "{message}");
    // Of its debug information, which tells the paths of its author's machine, nothing.
    assert_eq!(frames.last().map(String::as_str), Some("at handle"), "{frames:?}");
    // Its words are the text at 1000, which is followed by line breaks that must not reach a log.
    let words = r#"(call $panicking (i32.const 2000) (i32.const 11)) (unreachable)"#;
    let component = guest_with(DESCRIBE, words, r#"(data (i32.const 2000) "boom\0a\1b[31mx")"#);
    let fault = run_with(&component, tight()).await.unwrap_err();
    assert_eq!(fault.to_string(), "the handler trapped: boom\\n\\u{1b}[31mx");
}

#[tokio::test]
async fn garbage_is_no_result() {
    let garbage =
        "(i32.store (i32.const 404) (i32.const 1000)) (i32.store (i32.const 408) (i32.const 2)) (i32.const 400)";
    let fault = run(garbage).await.unwrap_err();
    assert!(matches!(&fault, Fault::InvalidResult { reason } if reason.contains("not JSON")), "{fault:?}");
}

#[tokio::test]
async fn a_forged_string_is_no_result() {
    let forged =
        "(i32.store (i32.const 404) (i32.const -16)) (i32.store (i32.const 408) (i32.const 64)) (i32.const 400)";
    let fault = run(forged).await.unwrap_err();
    assert!(!matches!(fault, Fault::Unavailable { .. }), "{fault:?}");
}

#[tokio::test]
async fn a_result_beyond_the_limit_is_refused() {
    let large =
        "(i32.store (i32.const 404) (i32.const 4096)) (i32.store (i32.const 408) (i32.const 60000)) (i32.const 400)";
    let fault = run_with(&guest(large), Limits { result: Bytes(1000), ..tight() }).await.unwrap_err();
    assert!(matches!(&fault, Fault::ResultTooLarge { .. }), "{fault:?}");
}

#[tokio::test]
async fn what_describe_returns_must_make_sense() {
    assert!(description_refused("(unreachable)", "").await.contains("describe failed"));
    assert_eq!(description_refused("(i32.const 3000)", "").await, "describe returned no endpoint");
    // The same method twice: both entries of the list point to it.
    let twice = r#"(data (i32.const 224) "\02\00\00\00") (data (i32.const 308) "\f2\03\00\00\01\00\00\00")"#;
    assert!(description_refused(DESCRIBE, twice).await.contains("\"m\" twice"));
    // A list of a hundred million endpoints.
    let forged = r#"(data (i32.const 104) "\00\e1\f5\05")"#;
    assert!(description_refused(DESCRIBE, forged).await.contains("describe failed"));
}

#[test]
fn what_is_no_component_is_refused_and_named() {
    assert!(refused(b"").contains("not WebAssembly"));
    assert!(refused(b"#!/bin/sh\n").contains("not WebAssembly"));
    assert!(refused(&wat::parse_str("(module)").unwrap()).contains("a core module, not a component"));
    let text = refused(b"\0asm\x0d\0\x01\0garbage");
    assert!(text.contains("does not compile"), "{text}");
    let text = refused(&wat::parse_str("(component)").unwrap());
    assert!(text.contains("nova:rpc/handler"), "{text}");
}

#[test]
fn an_unknown_import_is_refused_by_its_name() {
    let http = r#"(component (import "wasi:http/types@0.2.0" (instance (export "f" (func)))))"#;
    let text = refused(&wat::parse_str(http).unwrap());
    assert!(text.starts_with("imports wasi:http/types@0.2.0, which"), "{text}");
    let unknown = r#"(component (import "nova:rpc/log@0.1.0" (instance (export "shout" (func)))))"#;
    let text = refused(&wat::parse_str(unknown).unwrap());
    assert!(text.contains("does not fit the world") && text.contains("shout"), "{text}");
}

#[test]
fn compiled_code_is_kept_and_a_damaged_entry_compiled_again() {
    let directory = tempfile::tempdir().unwrap();
    let cache = directory.path().join("cache");
    let component = guest(ECHO);
    let fresh = || fresh_sandbox(1, Some(&cache)).unwrap();
    let load_it = || load(fresh(), &component, tight()).unwrap();
    load_it();
    let entries = || std::fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    let [entry] = entries().try_into().unwrap();
    let kept = std::fs::read(&entry).unwrap();
    for damaged in [&kept[..kept.len() / 2], &kept[..7], b"", &[&kept[..kept.len() - 1], b"x"].concat()] {
        std::fs::write(&entry, damaged).unwrap();
        load_it();
        assert_eq!(std::fs::read(&entry).unwrap(), kept);
    }
    // Taken from there, not compiled: another component's code under our name is what runs.
    load(fresh(), &guest("(unreachable)"), tight()).unwrap();
    let foreign = entries().into_iter().find(|path| *path != entry).unwrap();
    std::fs::rename(&foreign, &entry).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    assert!(runtime.block_on(load_it().handle(invocation("{}"))).is_err());
}

#[test]
fn a_cache_that_others_can_write_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = fresh_sandbox(1, Some(directory.path())).unwrap_err().to_string();
    assert!(error.contains("can be written by others"), "{error}");
}
