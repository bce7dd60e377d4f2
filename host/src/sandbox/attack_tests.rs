//! Guests that attack one limit each, in a few lines of text, and what is left for the others afterwards.

use super::{tests::invocation, *};
use crate::{
    envelope::Answer,
    testing::{
        DESCRIBE, ECHO, LOOP, fresh_sandbox, guest, guest_with, load, memory::peak, program, sandbox, tight, wide,
    },
};

async fn attack(handle: &str, fields: &str, limits: Limits) -> Result<Answer, Fault> {
    load(sandbox(), &guest_with(DESCRIBE, handle, fields), limits).unwrap().handle(invocation(r#"{"a": 1}"#)).await
}

/// Attacks the sum: three memories grow in turn, none of them far.
#[tokio::test]
async fn many_memories_share_one_limit() {
    let grow = "(loop $again
        (drop (memory.grow $b (i32.const 1))) (drop (memory.grow $c (i32.const 1))) (drop (memory.grow $d (i32.const 1)))
        (br $again)) (unreachable)";
    let limits = Limits { memory: Bytes(2 << 20), ..tight() };
    let fault = attack(grow, "(memory $b 1) (memory $c 1) (memory $d 1)", limits).await.unwrap_err();
    assert_eq!(fault.to_string(), "the handler wanted more than 2 MiB of memory (limits.memory)");
}

/// Attacks the pool: every request would take more slots than it has.
#[test]
fn more_memories_than_the_pool_has_for_one_are_refused_when_the_component_is_loaded() {
    let component = guest_with(DESCRIBE, ECHO, &"(memory 1)".repeat(4));
    let error = load(sandbox(), &component, tight()).unwrap_err().to_string();
    assert!(error.starts_with("is not accepted: ") && error.contains("memories"), "{error}");
}

/// Attacks the host's memory beside linear memory: tables hold pointers of the host.
#[tokio::test]
async fn tables_have_a_limit_when_they_grow_and_when_they_begin() {
    let grow = "(loop $again (drop (table.grow $t (ref.null func) (i32.const 1000))) (br $again)) (unreachable)";
    let fault = attack(grow, "(table $t 1 funcref)", tight()).await.unwrap_err();
    assert_eq!(fault.to_string(), "the handler wanted more than 20000 elements of tables (limits.tables)");
    assert!(fault.frames().iter().any(|frame| frame.contains("handle")), "{fault:?}");
    let fault = attack(ECHO, "(table 15000 funcref) (table 15000 funcref)", tight()).await.unwrap_err();
    assert!(matches!(fault, Fault::OutOfTables { limit: 20_000, .. }), "{fault:?}");
}

/// A component of one module is made of three instances: itself, and what wires it to its imports.
#[tokio::test]
async fn instances_have_a_limit() {
    let fault = attack(ECHO, "", Limits { instances: 2, ..tight() }).await.unwrap_err();
    assert_eq!(fault.to_string(), "the handler is made of more than 2 core instances (limits.instances)");
    attack(ECHO, "", Limits { instances: 3, ..tight() }).await.unwrap();
}

/// Recursion that one stack has room for and another has not.
#[tokio::test]
async fn the_stack_is_as_deep_as_was_asked_for() {
    let fields = "(func $deep (param i32) (result i32)
        (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
            (else (i32.add (call $deep (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))))";
    let component = guest_with(DESCRIBE, &format!("(drop (call $deep (i32.const 6000))) {ECHO}"), fields);
    let config = |stack| Config { max_in_flight: 1, stack, cache: None, compiler: Compiler::Here };
    for (stack, fits) in [(Bytes(64 << 10), false), (Bytes(2 << 20), true)] {
        let sandbox = Arc::new(Sandbox::new(config(stack), Metrics::default()).unwrap());
        let limits = Limits { stack, ..tight() };
        let outcome = load(sandbox, &component, limits).unwrap().handle(invocation("{}")).await;
        assert_eq!(outcome.is_ok(), fits, "{stack}: {outcome:?}");
        if let Err(fault) = outcome {
            assert_eq!(fault.to_string(), "the handler recursed deeper than 64 KiB of stack (limits.stack)");
        }
    }
}

/// Attacks the disk that holds the log, and whoever reads it. The guest itself may go on.
#[tokio::test]
async fn a_flood_of_log_lines_is_cut_off_and_counted_once() {
    let metrics = Metrics::default();
    let config = Config { max_in_flight: 1, stack: Limits::default().stack, cache: None, compiler: Compiler::Here };
    let sandbox = Arc::new(Sandbox::new(config, metrics.clone()).unwrap());
    let flood = format!(
        "(loop $again (call $write (i32.const 2) (i32.const 5000) (i32.const 60000))
            (global.set $count (i32.add (global.get $count) (i32.const 1)))
            (br_if $again (i32.lt_u (global.get $count) (i32.const 200)))) {ECHO}"
    );
    let component = guest_with(DESCRIBE, &flood, "(global $count (mut i32) (i32.const 0))");
    load(sandbox, &component, wide()).unwrap().handle(invocation("{}")).await.unwrap();
    let text = metrics.encode();
    assert!(text.contains(r#"nova_host_limit_hits_total{handler="guest",limit="log"} 1"#), "{text}");
}

/// Attacks the host's memory with a line that it must copy.
#[tokio::test]
async fn a_huge_log_line_ends_the_guest() {
    let huge = format!("(call $write (i32.const 2) (i32.const 0) (i32.const 60000)) {ECHO}");
    let fault = attack(&huge, "", Limits { result: Bytes(10_000), ..tight() }).await.unwrap_err();
    assert_eq!(fault.to_string(), "the handler handed over more than 10000 B at once (limits.result)");
}

/// Attacks the host's reading: a line that lies outside of the memory, one of no level, and one that is not UTF-8.
#[tokio::test]
async fn forged_log_lines_end_the_guest() {
    let not_utf8 = r#"(data (i32.const 3000) "\ff\fe")"#;
    for call in [
        "(call $write (i32.const 2) (i32.const -16) (i32.const 64))",
        "(call $write (i32.const 99) (i32.const 0) (i32.const 1))",
        "(call $write (i32.const 2) (i32.const 3000) (i32.const 2))",
    ] {
        let fault = attack(&format!("{call} {ECHO}"), not_utf8, tight()).await.unwrap_err();
        assert!(matches!(fault, Fault::InvalidResult { .. } | Fault::Trapped { .. }), "{call}: {fault:?}");
    }
}

/// Attacks whoever reads why it was refused. Of ten thousand interfaces the validator itself has enough.
#[test]
fn thousands_of_imports_are_refused_in_a_line() {
    for (count, expected) in [(900, "imports a:b/i0@1.0.0, a:b/i1@1.0.0, "), (10_000, "does not compile: ")] {
        let imports: String = (0..count).map(|n| format!("(import \"a:b/i{n}@1.0.0\" (instance))")).collect();
        let component = wat::parse_str(format!("(component {imports})")).unwrap();
        let error = load(sandbox(), &component, tight()).unwrap_err().to_string();
        assert!(error.starts_with(expected) && error.len() < 1000, "{error}");
        assert_eq!(error.contains("and 890 more"), count == 900, "{error}");
    }
}

/// Attacks the compiler and the tables of an instance, and is not a crime.
#[tokio::test]
async fn ten_thousand_functions_run() {
    let functions = "(func)".repeat(10_000);
    attack(ECHO, &functions, wide()).await.unwrap();
}

#[test]
fn a_component_beyond_the_bound_is_not_even_looked_at() {
    let error = load(sandbox(), &vec![0; MAX_COMPONENT + 1], tight()).unwrap_err();
    assert!(matches!(error, LoadError::TooLarge(_)), "{error}");
}

/// Calls that are given up while they run, begin and wait leave every slot of the pool to the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_can_be_cancelled_anywhere() {
    let sandbox = fresh_sandbox(2, None).unwrap();
    let endless = load(Arc::clone(&sandbox), &guest(LOOP), wide()).unwrap();
    let room = 2 + SPARE_INSTANCES;
    for round in 0..50_u64 {
        let calls: Vec<_> = (0..room)
            .map(|_| {
                let endless = endless.clone();
                tokio::spawn(async move { endless.handle(invocation("{}")).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(round * 100)).await;
        for call in calls {
            call.abort();
            assert!(call.await.unwrap_err().is_cancelled());
        }
    }
    let echo = load(sandbox, &guest(ECHO), wide()).unwrap();
    let all = futures_util::future::join_all((0..room).map(|_| echo.handle(invocation("{}")))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
}

/// Attacks its neighbours' CPU: many more busy guests than there are workers. The neighbour's requests end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn busy_guests_leave_a_worker_to_the_others() {
    let endless = program(LOOP, wide());
    let busy: Vec<_> = (0..32)
        .map(|_| {
            let endless = endless.clone();
            tokio::spawn(async move { endless.handle(invocation("{}")).await })
        })
        .collect();
    let echo = program(ECHO, wide());
    for _ in 0..20 {
        echo.handle(invocation("{}")).await.unwrap();
    }
    busy.iter().for_each(tokio::task::JoinHandle::abort);
}

/// Attacks the host's own stack: debug information of functions in one another, so many that whoever looks for the line of a
/// trap would recurse until the process ends.
#[tokio::test]
async fn hostile_debug_information_does_not_end_the_host() {
    const LEVELS: usize = 400_000;
    // A unit and a function, both from 1 to 65536, and functions that are inlined into it, without anything else.
    let abbreviations = b"\x01\x11\x01\x11\x01\x12\x06\0\0\x02\x2e\x01\x11\x01\x12\x06\0\0\x03\x1d\x01\0\0\0";
    let range = b"\x01\0\0\0\0\0\x01\0";
    let mut unit = b"\x04\0\0\0\0\0\x04\x01".to_vec();
    unit.extend(range);
    unit.push(2);
    unit.extend(range);
    unit.extend(std::iter::repeat_n(3, LEVELS));
    unit.extend(std::iter::repeat_n(0, LEVELS + 2));
    let mut information = u32::try_from(unit.len()).unwrap().to_le_bytes().to_vec();
    information.extend(unit);
    let literal = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let component = format!(
        r#"(component
            (core module $m
                (func (export "f") unreachable)
                (@custom ".debug_abbrev" "{}")
                (@custom ".debug_info" "{}"))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $api (export "f" (func $f)))
            (export "acme:attack/api@1.0.0" (instance $api)))"#,
        literal(abbreviations),
        literal(&information),
    );
    let program = load(sandbox(), &wat::parse_str(component).unwrap(), tight()).unwrap();
    let invocation = Invocation { method: "f".to_owned(), ..invocation("{}") };
    let fault = program.handle(invocation).await.unwrap_err();
    assert!(matches!(fault, Fault::Trapped { .. }), "{fault:?}");
}

/// Attacks the host's memory: a trap copies the names of up to 32 frames, which are as long as the component allows.
#[tokio::test]
async fn a_name_too_long_to_copy_is_nobodys() {
    let component = |length: usize| {
        let name = "f".repeat(length);
        format!(
            r#"(component (core module $m (func ${name} (export "f") unreachable))
                (core instance $i (instantiate $m)) (func $f (canon lift (core func $i "f")))
                (instance $api (export "f" (func $f))) (export "acme:attack/api@1.0.0" (instance $api)))"#
        )
    };
    let frames = async |length: usize| {
        let program = load(sandbox(), &wat::parse_str(component(length)).unwrap(), tight()).unwrap();
        let invocation = Invocation { method: "f".to_owned(), ..invocation("{}") };
        let (fault, most) = peak(program.handle(invocation)).await;
        assert!(most < 1 << 20, "{most}");
        fault.unwrap_err().frames().to_vec()
    };
    assert_eq!(frames(100).await, [format!("at {}", "f".repeat(100))]);
    assert_eq!(frames(5 << 20).await, ["at function 0"]);
}
