//! Guests that attack through the handles of `wasi:http`. What is sent and received is tested without guests, in
//! `capability/http`.

use super::*;
use crate::{
    capability::{Grants, Values},
    settings::Settings,
    testing::{load_granted, memory::peak},
};

const TYPES: &str = r#"
    (import "wasi:http/types@0.2.3" (instance $types
        (export "fields" (type $fields (sub resource)))
        (type $wrong (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
        (export "header-error" (type $header-error (eq $wrong)))
        (export "outgoing-request" (type $request (sub resource)))
        (export "incoming-request" (type $incoming (sub resource)))
        (export "[constructor]fields" (func (result (own $fields))))
        (export "[method]fields.append" (func (param "self" (borrow $fields)) (param "name" string)
            (param "value" (list u8)) (result (result (error $header-error)))))
        (export "[method]fields.set" (func (param "self" (borrow $fields)) (param "name" string)
            (param "values" (list (list u8))) (result (result (error $header-error)))))
        (export "[constructor]outgoing-request" (func (param "headers" (own $fields)) (result (own $request))))
        (export "[method]outgoing-request.headers" (func (param "self" (borrow $request)) (result (own $fields))))
        (export "[method]outgoing-request.set-path-with-query" (func (param "self" (borrow $request))
            (param "path-with-query" (option string)) (result (result))))
        (export "[method]outgoing-request.set-authority" (func (param "self" (borrow $request))
            (param "authority" (option string)) (result (result))))
        (export "[method]incoming-request.consume" (func (param "self" (borrow $incoming)) (result (result))))))"#;

const FUNCTIONS: [(&str, &str, &str, &str); 8] = [
    ("fields", "types", "[constructor]fields", "(result i32)"),
    ("append", "types", "[method]fields.append", "(param i32 i32 i32 i32 i32 i32)"),
    ("set", "types", "[method]fields.set", "(param i32 i32 i32 i32 i32 i32)"),
    ("request", "types", "[constructor]outgoing-request", "(param i32) (result i32)"),
    ("headers", "types", "[method]outgoing-request.headers", "(param i32) (result i32)"),
    ("path", "types", "[method]outgoing-request.set-path-with-query", "(param i32 i32 i32 i32) (result i32)"),
    ("authority", "types", "[method]outgoing-request.set-authority", "(param i32 i32 i32 i32) (result i32)"),
    ("consume", "types", "[method]incoming-request.consume", "(param i32) (result i32)"),
];

/// Text for the guest to use.
const DATA: &str = r#"(data (i32.const 100) "x-a\r\nb: c") (data (i32.const 120) "Host")
    (data (i32.const 200) "/a b") (data (i32.const 210) "u@h") (data (i32.const 220) "/a?b")"#;

fn granted() -> Grants {
    let mut settings = Settings::default();
    settings.add_file("grants.http = [\"https://a.org\"]").unwrap();
    Grants::read(&mut settings, Values::default())
}

fn load(body: &str) -> Program {
    load_granted(sandbox(), &component(TYPES, &FUNCTIONS, DATA, body), wide(), granted()).unwrap()
}

async fn run(body: &str) -> Result<Answer, Fault> {
    answer(&load(body), "m", "{}").await
}

/// What came of an `append` to new fields: 0, or one more than the error.
fn appending(name: (u32, u32), value: (u32, u32)) -> String {
    format!(
        "(call $append (call $fields) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const {}) (i32.const 8))
        (i32.add (i32.load8_u (i32.const 8)) (i32.load8_u (i32.const 9)))",
        name.0, name.1, value.0, value.1
    )
}

#[tokio::test]
async fn a_header_with_two_lines_or_of_the_hosts_own_is_refused() {
    let (name, two_lines, host) = ((100, 3), (100, 10), (120, 4));
    assert_eq!(returned(run(&appending(name, name)).await), "0");
    assert_eq!(returned(run(&appending(name, two_lines)).await), "1");
    assert_eq!(returned(run(&appending(two_lines, name)).await), "1");
    assert_eq!(returned(run(&appending(host, name)).await), "2");
    // The request's own are not to be changed any more.
    let fixed = "(call $append (call $headers (call $request (call $fields)))
        (i32.const 100) (i32.const 3) (i32.const 100) (i32.const 3) (i32.const 8))
        (i32.add (i32.load8_u (i32.const 8)) (i32.load8_u (i32.const 9)))";
    assert_eq!(returned(run(fixed).await), "3");
}

#[tokio::test]
async fn what_is_no_path_or_host_cannot_be_set() {
    let set = |what: &str, at: u32, length: u32| {
        format!("(call ${what} (call $request (call $fields)) (i32.const 1) (i32.const {at}) (i32.const {length}))")
    };
    for (what, at, length, refused) in
        [("path", 220, 4, "0"), ("path", 200, 4, "1"), ("authority", 212, 1, "0"), ("authority", 210, 3, "1")]
    {
        assert_eq!(returned(run(&set(what, at, length)).await), refused, "{what} {at}");
    }
}

/// Attacks the host's memory: headers are kept there, behind handles.
#[tokio::test]
async fn headers_that_are_held_have_a_limit_all_handles_together() {
    let append =
        "(call $append (local.get $f) (i32.const 100) (i32.const 1) (i32.const 300) (i32.const 20000) (i32.const 8))";
    let one = format!("(local $f i32) (local.set $f (call $fields)) (loop $again {append} (br $again)) (i32.const 0)");
    let many = format!("(local $f i32) (loop $again (local.set $f (call $fields)) {append} (br $again)) (i32.const 0)");
    let empty = "(local $f i32) (local.set $f (call $fields)) (loop $again
        (call $append (local.get $f) (i32.const 100) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 8))
        (br $again)) (i32.const 0)";
    // Handed on, they are held as before.
    let requests = format!(
        "(local $f i32) (loop $again (local.set $f (call $fields)) {append} (drop (call $request (local.get $f)))
        (br $again)) (i32.const 0)"
    );
    for body in [one, many, empty.to_owned(), requests] {
        // Letters to make values of, behind the locals.
        let (locals, code) = body.split_at("(local $f i32)".len());
        let body = format!("{locals} (memory.fill (i32.const 300) (i32.const 120) (i32.const 20000)) {code}");
        let fault = run(&body).await.unwrap_err();
        assert!(fault.to_string().contains("more than 256 KiB of HTTP headers"), "{body}: {fault}");
    }
    let handles = run("(loop $again (drop (call $fields)) (br $again)) (i32.const 0)").await.unwrap_err();
    assert!(handles.to_string().contains(&format!("more than {MAX_HANDLES} handles")), "{handles}");
}

/// Attacks the host's memory: each value that a header is set to has the name once more, here 4000 times 30,000 letters.
#[tokio::test]
async fn what_a_header_is_set_to_is_counted_before_it_is_kept() {
    let set = "(memory.fill (i32.const 300) (i32.const 120) (i32.const 30000))
        (call $set (call $fields) (i32.const 300) (i32.const 30000) (i32.const 32000) (i32.const 4000) (i32.const 8))
        (i32.const 0)";
    let program = load(set);
    let (fault, most) = peak(answer(&program, "m", "{}")).await;
    assert!(fault.unwrap_err().to_string().contains("more than 256 KiB of HTTP headers"));
    assert!(most < 2 << 20, "{most}");
}

#[tokio::test]
async fn the_half_that_serves_is_linked_and_cannot_be_used() {
    // There is no handle on a request that comes in, and none can be forged.
    assert!(run("(call $consume (i32.const 1))").await.is_err());
    let error = super::load(sandbox(), &component(TYPES, &FUNCTIONS, DATA, "(i32.const 0)"), tight()).unwrap_err();
    assert!(
        error.to_string().starts_with("imports wasi:http/types@0.2.3, which is not granted (grants.http)"),
        "{error}"
    );
}

/// A grant is for the 0.2 that is spoken here.
#[test]
fn another_version_is_refused_although_it_is_granted() {
    for name in ["wasi:http/types@0.3.0", "wasi:http/types@0.2.0-rc-2023-11-10", "wasi:http/types"] {
        let text = format!(r#"(component (import "{name}" (instance (export "f" (func)))))"#);
        let error = load_granted(sandbox(), &wat::parse_str(text).unwrap(), tight(), granted()).unwrap_err();
        assert!(matches!(error, LoadError::Imports(_)), "{name}: {error}");
    }
}
