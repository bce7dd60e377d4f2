//! Who may know whom: each part of the corridor names only what is its business.
//!
//! Comments may say what they like. `ARCHITECTURE.md` says what each wall is for.

use super::{Source, hold};

/// The lines of code that mention one of the words, comments aside.
fn mentions(source: &Source, words: &[&str]) -> Vec<String> {
    let mentions = |line: &str| words.iter().any(|word| code(line).contains(word));
    source.complain_lines(mentions, &format!("must not know {}", words.join(", ")))
}

/// A line without its comment. A `//` inside a word, as in a URL, begins none.
fn code(line: &str) -> &str {
    let line = line.trim_start();
    if line.starts_with("//") { "" } else { line.split(" //").next().unwrap_or_default() }
}

fn lapin_beyond_rabbit(source: &Source) -> Vec<String> {
    if source.is_in("host/src") && !source.is_in("host/src/transport/rabbit") {
        return mentions(source, &["lapin"]);
    }
    Vec::new()
}

fn wasmtime_beyond_the_sandbox(source: &Source) -> Vec<String> {
    if source.is_in("host/src") && !source.is_in("host/src/sandbox") {
        return mentions(source, &["wasmtime"]);
    }
    Vec::new()
}

fn telemetry_beyond_traces(source: &Source) -> Vec<String> {
    if source.is_in("host/src") && !source.is_in("host/src/trace") {
        return mentions(source, &["prost", "opentelemetry"]);
    }
    Vec::new()
}

fn sockets_for_guests_elsewhere(source: &Source) -> Vec<String> {
    let guests = source.is_in("host/src/sandbox") || source.is_in("host/src/capability");
    // A guest's keys and values go to the operator's Redis, and no guest says where that is. Tests are servers.
    let may = ["host/src/capability/http", "host/src/capability/keyvalue/redis", "host/src/capability/tests"];
    if guests && !may.iter().any(|module| source.is_in(module)) {
        return mentions(source, &["std::net", "tokio::net", "TcpStream", "httparse", "rustls"]);
    }
    Vec::new()
}

fn an_envelope_that_does_more_than_bytes(source: &Source) -> Vec<String> {
    if source.is_in("host/src/envelope") { mentions(source, &["lapin", "tokio", "wasmtime"]) } else { Vec::new() }
}

fn a_transport_that_reads_messages(source: &Source) -> Vec<String> {
    let inner = ["wasmtime", "crate::envelope", "crate::dispatch", "crate::sandbox"];
    if source.is_in("host/src/transport") { mentions(source, &inner) } else { Vec::new() }
}

fn a_dispatch_that_sees_bytes(source: &Source) -> Vec<String> {
    let outer = ["lapin", "transport", "wasmtime", "Vec<u8>"];
    if source.is_in("host/src/dispatch") { mentions(source, &outer) } else { Vec::new() }
}

fn a_sandbox_that_sees_queues(source: &Source) -> Vec<String> {
    if source.is_in("host/src/sandbox") { mentions(source, &["lapin", "transport"]) } else { Vec::new() }
}

fn a_catalog_that_knows_who_comes(source: &Source) -> Vec<String> {
    let comers = ["lapin", "wasmtime", "crate::transport", "crate::serve", "crate::control"];
    if source.is_in("host/src/catalog") { mentions(source, &comers) } else { Vec::new() }
}

fn a_page_that_makes_markup_of_text(source: &Source) -> Vec<String> {
    // What callers and guests have written enters the page by `textContent`.
    let markup = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "createContextualFragment",
        "setHTML",
        "srcdoc",
        "eval(",
        "Function(",
        "javascript:",
    ];
    if source.path.starts_with("host/src/page/static/") { mentions(source, &markup) } else { Vec::new() }
}

#[test]
fn the_page_makes_no_markup_of_what_others_wrote() {
    hold(a_page_that_makes_markup_of_text, "host/src/page/static/log.js", "list.innerHTML += line.text;");
}

#[test]
fn the_catalog_does_not_know_who_comes() {
    hold(a_catalog_that_knows_who_comes, "host/src/catalog/keeper.rs", "use crate::control::protocol::Answer;");
}

#[test]
fn only_the_rabbit_transport_knows_lapin() {
    hold(lapin_beyond_rabbit, "host/src/serve.rs", "use lapin::Channel;");
}

#[test]
fn only_the_sandbox_knows_wasmtime() {
    hold(wasmtime_beyond_the_sandbox, "host/src/catalog/load.rs", "    let engine = wasmtime::Engine::default();");
}

#[test]
fn only_traces_know_the_wire_of_telemetry() {
    hold(telemetry_beyond_traces, "host/src/serve.rs", "use prost::Message;");
}

#[test]
fn one_place_opens_sockets_for_guests() {
    hold(sockets_for_guests_elsewhere, "host/src/sandbox/wasi/http.rs", "use tokio::net::TcpStream;");
}

#[test]
fn the_envelope_is_pure() {
    hold(an_envelope_that_does_more_than_bytes, "host/src/envelope/request.rs", "use tokio::time::sleep;");
}

#[test]
fn the_transport_does_not_look_into_messages() {
    hold(a_transport_that_reads_messages, "host/src/transport/memory.rs", "use crate::envelope::Request;");
}

#[test]
fn dispatch_sees_requests_and_not_bytes() {
    hold(a_dispatch_that_sees_bytes, "host/src/dispatch.rs", "fn dispatch(body: Vec<u8>) {}");
}

#[test]
fn the_sandbox_sees_no_queues() {
    hold(a_sandbox_that_sees_queues, "host/src/sandbox/log.rs", "use crate::transport::Delivery;");
}

#[test]
fn comments_may_name_what_code_may_not() {
    let text = "//! Unlike lapin.\n/// As lapin does.\nlet url = 1; // lapin\n";
    assert!(lapin_beyond_rabbit(&Source::new("host/src/serve.rs", text)).is_empty());
    assert_eq!(code("let url = \"rabbit://lapin\";"), "let url = \"rabbit://lapin\";");
}
