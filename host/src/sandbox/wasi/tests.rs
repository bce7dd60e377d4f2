//! Guests that use WASI, or attack through it, in a few lines of text.

use super::{MAX_HANDLES, offers};
use crate::{
    envelope::Answer,
    metrics::Metrics,
    sandbox::{Compiler, Config, Fault, Limits, LoadError, Program, Sandbox},
    settings::Bytes,
    testing::{self, load, sandbox, tight, typed::answer, wide},
};
use std::{sync::Arc, time::Duration};

const EXIT: &str =
    r#"(import "wasi:cli/exit@0.2.6" (instance $exit (export "exit" (func (param "status" (result))))))"#;

const POLL: &str = r#"
    (import "wasi:io/poll@0.2.3" (instance $poll
        (export "pollable" (type $p (sub resource)))
        (export "[method]pollable.block" (func (param "self" (borrow $p))))))
    (alias export $poll "pollable" (type $pollable))
    (import "wasi:clocks/monotonic-clock@0.2.3" (instance $clock
        (alias outer 1 $pollable (type $t)) (export "pollable" (type $p (eq $t)))
        (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))"#;

const STDERR: &str = r#"
    (import "wasi:io/error@0.2.9" (instance $error (export "error" (type (sub resource)))))
    (alias export $error "error" (type $io-error))
    (import "wasi:io/streams@0.2.9" (instance $streams
        (export "output-stream" (type $o (sub resource)))
        (alias outer 1 $io-error (type $t)) (export "error" (type $e (eq $t)))
        (type $failed (variant (case "last-operation-failed" (own $e)) (case "closed")))
        (export "stream-error" (type $stream-error (eq $failed)))
        (export "[method]output-stream.blocking-write-and-flush" (func
            (param "self" (borrow $o)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
    (alias export $streams "output-stream" (type $output))
    (import "wasi:cli/stderr@0.2.9" (instance $stderr
        (alias outer 1 $output (type $t)) (export "output-stream" (type $o (eq $t)))
        (export "get-stderr" (func (result (own $o))))))"#;

const FILES: &str = r#"
    (import "wasi:filesystem/types@0.2.9" (instance $files
        (export "descriptor" (type $d (sub resource)))
        (export "[method]descriptor.sync" (func (param "self" (borrow $d)) (result (result (error u8)))))))
    (alias export $files "descriptor" (type $descriptor))
    (import "wasi:filesystem/preopens@0.2.9" (instance $preopens
        (alias outer 1 $descriptor (type $t)) (export "descriptor" (type $d (eq $t)))
        (export "get-directories" (func (result (list (tuple (own $d) string)))))))"#;

const SOCKETS: &str = r#"
    (import "wasi:sockets/network@0.2.9" (instance $network
        (export "network" (type (sub resource)))
        (type $codes (enum "unknown" "access-denied" "not-supported")) (export "error-code" (type (eq $codes)))
        (type $families (enum "ipv4" "ipv6")) (export "ip-address-family" (type (eq $families)))))
    (alias export $network "network" (type $net))
    (alias export $network "error-code" (type $code))
    (alias export $network "ip-address-family" (type $family))
    (import "wasi:sockets/instance-network@0.2.9" (instance $instance
        (alias outer 1 $net (type $t)) (export "network" (type $n (eq $t)))
        (export "instance-network" (func (result (own $n))))))
    (import "wasi:sockets/tcp@0.2.9" (instance $tcp (export "tcp-socket" (type (sub resource)))))
    (alias export $tcp "tcp-socket" (type $socket))
    (import "wasi:sockets/tcp-create-socket@0.2.9" (instance $create
        (alias outer 1 $socket (type $t)) (export "tcp-socket" (type $s (eq $t)))
        (alias outer 1 $code (type $c)) (export "error-code" (type $e (eq $c)))
        (alias outer 1 $family (type $f)) (export "ip-address-family" (type $a (eq $f)))
        (export "create-tcp-socket" (func (param "address-family" $a) (result (result (own $s) (error $e)))))))"#;

mod http;

/// A typed handler of which method `m` has this body. `functions` are imported functions: their names in the body, the
/// instances that have them, their names there, and their core types.
fn component(imports: &str, functions: &[(&str, &str, &str, &str)], data: &str, body: &str) -> Vec<u8> {
    let (mut lowered, mut imported, mut given) = (String::new(), String::new(), String::new());
    for (name, instance, function, ty) in functions {
        lowered.push_str(&format!(
            r#"(core func ${name} (canon lower (func ${instance} "{function}")
                (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))"#
        ));
        imported.push_str(&format!(r#"(import "" "{name}" (func ${name} {ty}))"#));
        given.push_str(&format!(r#"(export "{name}" (func ${name}))"#));
    }
    let text = format!(
        r#"(component {imports}
            (core module $libc (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096)))
            (core instance $libc (instantiate $libc))
            {lowered}
            (core module $m {imported} (import "libc" "memory" (memory 1)) {data}
                (global $n (mut i32) (i32.const 0))
                (func (export "m") (result i32) {body}))
            (core instance $i (instantiate $m (with "libc" (instance $libc)) (with "" (instance {given}))))
            (func $m (result u32) (canon lift (core func $i "m")))
            (instance $api (export "m" (func $m)))
            (export "acme:test/api@1.0.0" (instance $api)))"#
    );
    wat::parse_str(text).unwrap()
}

async fn run_with(wasm: &[u8], limits: Limits) -> Result<Answer, Fault> {
    answer(&program(wasm, limits), "m", "{}").await
}

fn program(wasm: &[u8], limits: Limits) -> Program {
    load(sandbox(), wasm, limits).unwrap()
}

/// Writes `text` to standard error, `times` over.
fn printing(text: &str, times: u32, then: &str) -> Vec<u8> {
    let functions = [
        ("stderr", "stderr", "get-stderr", "(result i32)"),
        ("write", "streams", "[method]output-stream.blocking-write-and-flush", "(param i32 i32 i32 i32)"),
    ];
    let body = format!(
        "(local $stream i32) (local.set $stream (call $stderr))
        (loop $again (call $write (local.get $stream) (i32.const 100) (i32.const {}) (i32.const 8))
            (global.set $n (i32.add (global.get $n) (i32.const 1)))
            (br_if $again (i32.lt_u (global.get $n) (i32.const {times})))) {then}",
        text.len()
    );
    let data: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    component(STDERR, &functions, &format!(r#"(data (i32.const 100) "{data}")"#), &body)
}

fn returned(answer: Result<Answer, Fault>) -> String {
    match answer.unwrap() {
        Answer::Result(result) => result.get().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn exit_ends_the_guest_and_nothing_else() {
    let wasm =
        component(EXIT, &[("exit", "exit", "exit", "(param i32)")], "", "(call $exit (i32.const 1)) (i32.const 1)");
    let fault = run_with(&wasm, tight()).await.unwrap_err();
    assert!(matches!(&fault, Fault::Trapped { message, .. } if message == "it called exit(1)"), "{fault:?}");
}

#[tokio::test]
async fn what_is_printed_before_a_trap_says_why() {
    let traceback = "Traceback (most recent call last):\n  File \"app.py\"\nValueError: no \x1b[2J\nnote: the runtime's own words\n";
    let fault = run_with(&printing(traceback, 1, "(unreachable)"), tight()).await.unwrap_err();
    assert_eq!(fault.to_string(), "the handler trapped: ValueError: no \\u{1b}[2J");
    let go = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/tmp/x.go:3\nexit status 2";
    let fault = run_with(&printing(go, 1, "(unreachable)"), tight()).await.unwrap_err();
    assert_eq!(fault.to_string(), "the handler trapped: panic: boom");
}

/// Attacks the disk that holds the log, a byte at a time and in pieces of megabytes without an end.
#[tokio::test]
async fn a_flood_on_standard_error_is_a_flood_of_the_log() {
    for (text, times) in [("x\n", 100_000), (&*"x".repeat(50_000), 1000)] {
        let metrics = Metrics::default();
        let stack = Limits::default().stack;
        let config = Config { max_in_flight: 1, stack, cache: None, compiler: Compiler::Here };
        let sandbox = Arc::new(Sandbox::new(config, metrics.clone()).unwrap());
        let limits = Limits { log: Bytes(1000), ..wide() };
        let program = load(sandbox, &printing(text, times, "(i32.const 7)"), limits).unwrap();
        assert_eq!(returned(answer(&program, "m", "{}").await), "7");
        let text = metrics.encode();
        assert!(text.contains(r#"nova_host_limit_hits_total{handler="guest",limit="log"} 1"#), "{text}");
    }
}

/// Attacks the worker: a text of sixteen million lines without a letter costs nothing of the log's budget.
#[tokio::test]
async fn of_what_is_printed_at_once_only_the_beginning_is_looked_at() {
    let metrics = Metrics::default();
    let config = Config { max_in_flight: 1, stack: Limits::default().stack, cache: None, compiler: Compiler::Here };
    let sandbox = Arc::new(Sandbox::new(config, metrics.clone()).unwrap());
    let text = format!("{}last words\n", "\n".repeat(30_000));
    let program = load(sandbox, &printing(&text, 1, "(unreachable)"), tight()).unwrap();
    let fault = answer(&program, "m", "{}").await.unwrap_err();
    assert!(!fault.to_string().contains("last words"), "{fault}");
    let text = metrics.encode();
    assert!(text.contains(r#"nova_host_limit_hits_total{handler="guest",limit="log"} 1"#), "{text}");
}

const SLEEP: [(&str, &str, &str, &str); 2] = [
    ("after", "clock", "subscribe-duration", "(param i64) (result i32)"),
    ("block", "poll", "[method]pollable.block", "(param i32)"),
];

fn sleeping(nanoseconds: u64) -> Vec<u8> {
    let body = format!("(call $block (call $after (i64.const {nanoseconds}))) (i32.const 3)");
    component(POLL, &SLEEP, "", &body)
}

/// On the only thread: who sleeps does not hold it.
#[tokio::test(flavor = "current_thread")]
async fn a_guest_sleeps_without_a_thread_and_not_beyond_its_deadline() {
    let long = program(&sleeping(Duration::from_secs(3600).as_nanos() as u64), wide());
    let asleep = tokio::spawn(async move { answer(&long, "m", "{}").await });
    tokio::task::yield_now().await;
    assert_eq!(returned(run_with(&sleeping(1_000_000), wide()).await), "3");
    assert!(!asleep.is_finished());
    asleep.abort();
    for beyond in [Duration::from_secs(3600).as_nanos() as u64, u64::MAX >> 1] {
        let fault = run_with(&sleeping(beyond), tight()).await.unwrap_err();
        assert!(matches!(fault, Fault::TimedOut { .. }), "{fault:?}");
    }
}

#[tokio::test]
async fn a_guest_that_sleeps_uses_no_cpu_time() {
    let second = Duration::from_secs(1);
    let limits = Limits { cpu: Some(second), ..wide() };
    // It computes a little after it has slept, so that it would be stopped there.
    let compute = "(loop $again (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (global.get $n) (i32.const 10000000))))";
    let nanoseconds = (2 * second).as_nanos();
    let body = format!("(call $block (call $after (i64.const {nanoseconds}))) {compute} (i32.const 3)");
    let sleeping = component(POLL, &SLEEP, "", &body);
    assert_eq!(returned(run_with(&sleeping, limits).await), "3");
}

/// Attacks the host's memory: each handle is an entry of its tables.
#[tokio::test]
async fn handles_have_a_limit_and_those_that_are_dropped_do_not_count() {
    let hoard = "(loop $again (drop (call $after (i64.const 1))) (br $again)) (i32.const 0)";
    let fault = run_with(&component(POLL, &SLEEP, "", hoard), wide()).await.unwrap_err();
    assert!(fault.to_string().contains(&format!("more than {MAX_HANDLES} handles")), "{fault}");
    let imports = format!(r#"{POLL} (core func $gone (canon resource.drop $pollable))"#);
    let body = "(loop $again (call $free (call $after (i64.const 1)))
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (global.get $n) (i32.const 5000)))) (global.get $n)";
    let text = String::from_utf8(component_text(&imports, body)).unwrap();
    assert_eq!(returned(run_with(&wat::parse_str(text).unwrap(), wide()).await), "5000");
}

/// The same as [`component`] with [`SLEEP`], and with `$free`, which drops a pollable.
fn component_text(imports: &str, body: &str) -> Vec<u8> {
    format!(
        r#"(component {imports}
            (core func $after (canon lower (func $clock "subscribe-duration")))
            (core module $m (import "" "after" (func $after (param i64) (result i32)))
                (import "" "free" (func $free (param i32)))
                (global $n (mut i32) (i32.const 0)) (func (export "m") (result i32) {body}))
            (core instance $i (instantiate $m
                (with "" (instance (export "after" (func $after)) (export "free" (func $gone))))))
            (func $m (result u32) (canon lift (core func $i "m")))
            (instance $api (export "m" (func $m)))
            (export "acme:test/api@1.0.0" (instance $api)))"#
    )
    .into_bytes()
}

/// Attacks the worker: a list may name one handle a million times, and each is looked at.
#[tokio::test]
async fn what_is_polled_at_once_has_a_limit() {
    let imports = POLL.replace(
        r#"(export "[method]pollable.block" (func (param "self" (borrow $p))))))"#,
        r#"(export "poll" (func (param "in" (list (borrow $p))) (result (list u32))))))"#,
    );
    let poll = [
        ("after", "clock", "subscribe-duration", "(param i64) (result i32)"),
        ("poll", "poll", "poll", "(param i32 i32 i32)"),
    ];
    let body = |count: usize| {
        format!(
            "(local $p i32) (local.set $p (call $after (i64.const 1)))
            (loop $again (i32.store (i32.add (i32.const 8192) (i32.mul (global.get $n) (i32.const 4))) (local.get $p))
                (global.set $n (i32.add (global.get $n) (i32.const 1)))
                (br_if $again (i32.lt_u (global.get $n) (i32.const {count}))))
            (call $poll (i32.const 8192) (i32.const {count}) (i32.const 8)) (i32.load (i32.const 12))"
        )
    };
    let few = run_with(&component(&imports, &poll, "", &body(MAX_HANDLES)), tight()).await;
    assert_eq!(returned(few), MAX_HANDLES.to_string());
    let fault = run_with(&component(&imports, &poll, "", &body(MAX_HANDLES + 1)), tight()).await.unwrap_err();
    assert!(fault.to_string().contains("it polled more than 1024 handles at once"), "{fault}");
}

#[tokio::test]
async fn there_are_no_files() {
    let functions = [
        ("directories", "preopens", "get-directories", "(param i32)"),
        ("sync", "files", "[method]descriptor.sync", "(param i32 i32)"),
    ];
    let count = component(FILES, &functions, "", "(call $directories (i32.const 8)) (i32.load (i32.const 12))");
    assert_eq!(returned(run_with(&count, tight()).await), "0");
    // A descriptor that nobody gave out.
    let forged = component(FILES, &functions, "", "(call $sync (i32.const 1) (i32.const 8)) (i32.const 0)");
    assert!(run_with(&forged, tight()).await.is_err());
}

#[tokio::test]
async fn every_socket_is_refused() {
    let functions = [
        ("network", "instance", "instance-network", "(result i32)"),
        ("create", "create", "create-tcp-socket", "(param i32 i32)"),
    ];
    // The result's two bytes: that it is an error, and which.
    let body = "(drop (call $network)) (call $create (i32.const 0) (i32.const 8))
        (i32.add (i32.mul (i32.load8_u (i32.const 8)) (i32.const 10)) (i32.load8_u (i32.const 12)))";
    assert_eq!(returned(run_with(&component(SOCKETS, &functions, "", body), tight()).await), "11");
}

#[test]
fn what_is_offered_is_named_with_a_version_of_0_2() {
    for name in ["wasi:cli/exit@0.2.0", "wasi:io/poll@0.2.12", "wasi:sockets/tcp@0.2.9", "wasi:filesystem/types@0.2.1"]
    {
        assert!(offers(name), "{name}");
    }
    for name in [
        "wasi:cli/exit",
        "wasi:cli/exit@0.2",
        "wasi:cli/exit@0.2.",
        "wasi:cli/exit@0.2.0-rc-2023-11-10",
        "wasi:cli/exit@0.3.0",
        "wasi:cli/run@0.2.0",
        "wasi:http/types@0.2.0",
        "wasi:http/types@0.3.0",
        "wasi:keyvalue/store@0.2.0",
    ] {
        assert!(!offers(name), "{name}");
        let text = format!(r#"(component (import "{name}" (instance (export "f" (func)))))"#);
        let Ok(wasm) = wat::parse_str(text) else { continue };
        let error = load(testing::sandbox(), &wasm, tight()).unwrap_err();
        // A version that the component model does not know is refused before its name is read.
        match name {
            "wasi:http/types@0.2.0" => assert!(matches!(error, LoadError::NotGranted(_)), "{name}: {error}"),
            _ => assert!(matches!(error, LoadError::Imports(_) | LoadError::Compile(_)), "{name}: {error}"),
        }
    }
}
