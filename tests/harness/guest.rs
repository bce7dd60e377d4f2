//! Components of a few lines of WebAssembly text: what a test wants of a handler, made in milliseconds.
//!
//! Used by the unit tests of `host/` and by stories that need many versions of a handler.

#![allow(dead_code, reason = "every part is for any test, and not every part is in use on both sides")]

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// `describe` of a guest that offers method `m`, version 1.0, null namespace.
pub(crate) const DESCRIBE: &str = "(i32.const 100)";

/// `handle` that returns the arguments.
pub(crate) const ECHO: &str =
    "(i32.store (i32.const 404) (local.get 8)) (i32.store (i32.const 408) (local.get 9)) (i32.const 400)";

/// `handle` that never ends.
pub(crate) const LOOP: &str = "(loop $again (br $again)) (unreachable)";

/// `handle` that leaves every request to others.
pub(crate) const DECLINE: &str = "(call $decline) (i32.const 400)";

/// The file that the text is in, as far as debug information knows.
pub(crate) const FILE: &str = concat!("/ho", "me/somebody/guests/guest.wat");

/// A component of which `handle` has this body. Its parameters are, flattened: 0 the endpoint, 1 and 2 the method, 3 to
/// 5 the namespace, 6 and 7 the version, 8 and 9 the arguments. A result lies at 400: a byte that is 0 for ok, then
/// from 404 the string.
pub(crate) fn guest(handle: &str) -> Vec<u8> {
    guest_with(DESCRIBE, handle, "")
}

/// The same with a body of `describe`, and other fields of the module.
pub(crate) fn guest_with(describe: &str, handle: &str, fields: &str) -> Vec<u8> {
    guest_of("dynamic", "", describe, handle, fields)
}

/// A component that can look at the time that is left, with `$left`, in milliseconds.
pub(crate) fn timed(handle: &str, fields: &str) -> Vec<u8> {
    let imports = r#"
            (import "nova:rpc/request-info@0.1.0" "time-left-ms" (func $left (result i64)))"#;
    guest_of("dynamic", imports, DESCRIBE, handle, fields)
}

/// A request that a guest sends, in the null namespace, without a version.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks<'a> {
    /// The broker by its name; `None` is the service's own.
    pub(crate) broker: Option<&'a str>,
    /// The topic.
    pub(crate) topic: &'a str,
    /// The method.
    pub(crate) method: &'a str,
    /// The keyword arguments.
    pub(crate) arguments: &'a str,
    /// One server of the topic.
    pub(crate) server: Option<&'a str>,
    /// Milliseconds that a call may take.
    pub(crate) timeout_ms: Option<u64>,
}

/// Calls; answers with the result, or fails with the error's text.
pub(crate) const CALL: &str = "(call $call (i32.const 3000) (i32.const 3600)) (call $answer)";

/// Casts, and goes on; or fails with the error's text.
pub(crate) const CAST: &str = "(call $cast (i32.const 3000) (i32.const 3600))
    (if (i32.load8_u (i32.const 3600)) (then (return (call $answer))))";

/// A component that may send a request: its `handle` is made of [`CALL`], [`CAST`] and others.
pub(crate) fn asking(asks: Asks<'_>, handle: &str) -> Vec<u8> {
    asking_with(asks, "", handle)
}

/// The same with the state `$set`, and `$many`, which sends the request of a list.
pub(crate) fn hoarding(asks: Asks<'_>, handle: &str) -> Vec<u8> {
    let imports = r#"
            (import "nova:rpc/client@0.1.0" "call-many" (func $many (param i32 i32 i32)))
            (import "nova:rpc/keyvalue@0.1.0" "set" (func $set (param i32 i32 i32 i32 i32 i64 i32)))"#;
    asking_with(asks, imports, handle)
}

fn asking_with(asks: Asks<'_>, more: &str, handle: &str) -> Vec<u8> {
    // The record is at 3000, its texts from 3200, what comes back at 3600; the parts of a failure at 3900.
    let Asks { broker, topic, method, arguments, server, timeout_ms } = asks;
    let (mut data, mut texts) = ([0; 104], Vec::new());
    let mut put = |at: usize, text: &str| {
        data[at..at + 4].copy_from_slice(&(3200 + texts.len() as u32).to_le_bytes());
        data[at + 4..at + 8].copy_from_slice(&(text.len() as u32).to_le_bytes());
        texts.extend_from_slice(text.as_bytes());
    };
    put(12, topic);
    put(56, method);
    put(64, arguments);
    for (at, text) in [(4, broker), (24, server)] {
        if let Some(text) = text {
            put(at, text);
        }
    }
    (data[0], data[20]) = (broker.is_some().into(), server.is_some().into());
    if let Some(timeout) = timeout_ms {
        data[72] = 1;
        data[80..88].copy_from_slice(&timeout.to_le_bytes());
    }
    let literal = |bytes: &[u8]| bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>();
    let fields = format!(
        r#"(data (i32.const 3000) "{}") (data (i32.const 3200) "{}") (data (i32.const 3900) "E[]{{}}")
            (func $answer (result i32)
                (if (i32.load8_u (i32.const 3600))
                    (then
                        (i32.store8 (i32.const 400) (i32.const 1))
                        (i32.store (i32.const 404) (i32.const 3900)) (i32.store (i32.const 408) (i32.const 1))
                        (i32.store (i32.const 412) (i32.const 3900)) (i32.store (i32.const 416) (i32.const 1))
                        (i32.store (i32.const 420) (i32.load (i32.const 3608)))
                        (i32.store (i32.const 424) (i32.load (i32.const 3612)))
                        (i32.store (i32.const 428) (i32.const 3901)) (i32.store (i32.const 432) (i32.const 2))
                        (i32.store (i32.const 436) (i32.const 3903)) (i32.store (i32.const 440) (i32.const 2)))
                    (else
                        (i32.store (i32.const 404) (i32.load (i32.const 3604)))
                        (i32.store (i32.const 408) (i32.load (i32.const 3608)))))
                (i32.const 400))"#,
        literal(&data),
        literal(&texts),
    );
    let imports = format!(
        r#"
            (import "nova:rpc/client@0.1.0" "call" (func $call (param i32 i32)))
            (import "nova:rpc/client@0.1.0" "cast" (func $cast (param i32 i32))){more}"#
    );
    guest_of("capable", &imports, DESCRIBE, handle, &fields)
}

fn guest_of(world: &str, imports: &str, describe: &str, handle: &str, fields: &str) -> Vec<u8> {
    // The list of endpoints is at 100, the endpoint at 200, its list of methods at 300.
    let module = format!(
        r#"(module
            (import "nova:rpc/log@0.1.0" "panicking" (func $panicking (param i32 i32)))
            (import "nova:rpc/log@0.1.0" "write" (func $write (param i32 i32 i32)))
            (import "nova:rpc/request-info@0.1.0" "decline" (func $decline)){imports}
            (memory $memory (export "memory") 1)
            (global $free (mut i32) (i32.const 4096))
            (data (i32.const 100) "\c8\00\00\00\01\00\00\00")
            (data (i32.const 200) "\00\00\00\00\00\00\00\00\00\00\00\00\e8\03\00\00\03\00\00\00\2c\01\00\00\01\00\00\00")
            (data (i32.const 300) "\f2\03\00\00\01\00\00\00")
            (data (i32.const 1000) "1.0")
            (data (i32.const 1010) "m")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (global.get $free))
                (global.set $free
                    (i32.and (i32.add (i32.add (local.get $at) (local.get 3)) (i32.const 7)) (i32.const -8)))
                (local.get $at))
            (func $describe (export "nova:rpc/handler@0.1.0#describe") (result i32) {describe})
            (func $handle (export "nova:rpc/handler@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {handle})
            {fields})"#
    );
    let mut resolve = Resolve::default();
    let (package, _) =
        resolve.push_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit")).expect("the text is a component");
    let world = resolve.select_world(&[package], Some(world)).expect("the text is a component");
    // With debug information: line 1 is the line of `(module`.
    let mut parser = wat::Parser::new();
    parser.generate_dwarf(wat::GenerateDwarf::Lines);
    let mut bytes = parser.parse_str(Some(FILE.as_ref()), module).expect("the text is a component");
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).expect("the text is a component");
    ComponentEncoder::default()
        .module(&bytes)
        .expect("the text is a component")
        .validate(true)
        .encode()
        .expect("it is one")
}

/// A component that adds to its trace: `$set` an attribute, `$add` an event, and `$recording` says whether anybody sees it.
pub(crate) fn marking(describe: &str, handle: &str, fields: &str) -> Vec<u8> {
    let imports = r#"
            (import "nova:rpc/trace@0.1.0" "is-recording" (func $recording (result i32)))
            (import "nova:rpc/trace@0.1.0" "set-attribute" (func $set (param i32 i32 i32 i64 i32)))
            (import "nova:rpc/trace@0.1.0" "add-event" (func $add (param i32 i32 i32 i32)))"#;
    guest_of("capable", imports, describe, handle, fields)
}

/// A component that counts its requests in its state, and answers with their number, up to nine. With other fields of
/// the module.
pub(crate) fn counting(fields: &str) -> Vec<u8> {
    let imports = r#"
            (import "nova:rpc/keyvalue@0.1.0" "increment" (func $increment (param i32 i32 i64 i32)))"#;
    // What comes back is at 3000: whether it failed, and from 3008 the number.
    let handle = "(call $increment (i32.const 2000) (i32.const 1) (i64.const 1) (i32.const 3000))
        (if (i32.load8_u (i32.const 3000)) (then (unreachable)))
        (i32.store8 (i32.const 2001) (i32.add (i32.const 48) (i32.wrap_i64 (i64.load (i32.const 3008)))))
        (i32.store (i32.const 404) (i32.const 2001)) (i32.store (i32.const 408) (i32.const 1)) (i32.const 400)";
    guest_of("capable", imports, DESCRIBE, handle, &format!("(data (i32.const 2000) \"n\") {fields}"))
}

/// A component of which method `m`, version 1.0, answers this JSON.
pub(crate) fn answering(answer: &str) -> Vec<u8> {
    answering_with(answer, "")
}

/// The same with other fields of the module. What lies at 1000 is the version, three letters; at 1010 the method, one.
pub(crate) fn answering_with(answer: &str, fields: &str) -> Vec<u8> {
    let length = answer.len();
    let handle = format!(
        "(i32.store (i32.const 404) (i32.const 2000)) (i32.store (i32.const 408) (i32.const {length})) (i32.const 400)"
    );
    let data: String = answer.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    guest_with(DESCRIBE, &handle, &format!(r#"(data (i32.const 2000) "{data}") {fields}"#))
}
