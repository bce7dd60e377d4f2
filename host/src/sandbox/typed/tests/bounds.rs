//! Typed handlers that attack the host's memory with what they return, which is made of values and of JSON there.

use super::*;
use crate::{
    sandbox::Limits,
    testing::{self, memory::peak},
};

/// Four MiB of memory, of which a result may have one.
fn limits() -> Limits {
    Limits { memory: Bytes(4 << 20), result: Bytes(1 << 20), ..tight() }
}

/// A handler that returns three MiB of control characters, which JSON writes six times as long, or 40,000 sets of flags.
fn large() -> Program {
    let flags: Vec<String> = (0..32).map(|at| format!("f{at}")).collect();
    let wit = format!(
        "package acme:large@1.0.0;
        interface api {{
            flags many {{ {} }}
            record small {{ message: string, code: u8 }}
            variant wrong {{ small(small), text(string), many(list<string>) }}
            flagged: func() -> list<many>;
            words: func() -> string;
            raises: func() -> result<u8, string>;
            raises-case: func() -> result<u8, wrong>;
            long-name: func() -> map<string, u8>;
        }}
        world test {{ export api; }}",
        flags.join(", ")
    );
    let length = 3 << 20;
    let function = |name: &str, body: &str| {
        format!(
            r#"(func (export "acme:large/api@1.0.0#{name}") (result i32)
                (memory.fill (i32.const 65536) (i32.const 1) (i32.const {length})) {body} (i32.const 16))"#
        )
    };
    let at = |place: u32, number: u32| format!("(i32.store (i32.const {place}) (i32.const {number}))");
    let text = |place: u32| format!("{} {}", at(place, 65536), at(place + 4, length));
    let module = format!(
        r#"(module (memory (export "memory") 64)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
            {} {} {} {} {})"#,
        function(
            "flagged",
            &format!(
                "(memory.fill (i32.const 65536) (i32.const 255) (i32.const 160000)) {} {}",
                at(16, 65536),
                at(20, 40_000)
            )
        ),
        function("words", &text(16)),
        function("raises", &format!("{} {}", at(16, 1), text(20))),
        // The second case of the variant: its text.
        function("raises-case", &format!("{} {} {}", at(16, 1), at(20, 1), text(24))),
        // A list of one entry at 32.
        function("long-name", &format!("{} {} {}", at(16, 32), at(20, 1), text(32))),
    );
    testing::load(sandbox(), &component(&wit, &module), limits()).unwrap()
}

#[tokio::test]
async fn what_is_returned_costs_the_host_no_more_than_a_few_times_the_limits() {
    let large = large();
    for method in ["flagged", "words", "raises", "raises_case", "long_name"] {
        let (answered, most) = peak(answer(&large, method, "{}")).await;
        assert!(most < 12 << 20, "{method}: {most} bytes");
        let fault = answered.unwrap_err().to_string();
        assert!(fault.contains("limits.result"), "{method}: {fault}");
    }
}

#[tokio::test]
async fn an_exceptions_words_are_cut_and_its_class_is_told() {
    let wit = "package acme:large@1.0.0; interface api { m: func() -> result<u8, string>; } world test { export api; }";
    let module = r#"(module (memory (export "memory") 4)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "acme:large/api@1.0.0#m") (result i32)
            (memory.fill (i32.const 1000) (i32.const 120) (i32.const 200000))
            (i32.store (i32.const 16) (i32.const 1)) (i32.store (i32.const 20) (i32.const 1000))
            (i32.store (i32.const 24) (i32.const 200000)) (i32.const 16)))"#;
    let program = testing::load(sandbox(), &component(wit, module), limits()).unwrap();
    let failure = failure(&program, "m", "{}").await;
    assert_eq!(failure.class, "RuntimeError");
    assert_eq!(failure.message, format!("{}…", "x".repeat(64 << 10)));
    assert_eq!(failure.args.get(), format!("[\"{}\"]", failure.message));
}
