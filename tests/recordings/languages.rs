//! Every language records and replays: clocks and random of its runtime, requests to others, state, log, HTTP.

use std::path::Path;

use serde_json::json;

use super::Desk;
use crate::harness::{Web, guests, languages};

/// What the calculators may do. Nobody listens on that port.
const MANIFEST: &str = r#"
grants.http = ["http://127.0.0.1:1"]
grants.rpc = ["conductor/*"]
grants.keyvalue = true
[config]
token = { value = "in the open", secret = true }
"#;

/// Records one request of each kind, and replays them. The Rust handler has neither `add`, `log` nor `fresh`.
fn tell(component: &Path, is_calculator: bool) -> Desk {
    let desk = Desk::with(&[component], MANIFEST);
    let ask = json!({"target": {"topic": "conductor", "version": "1.3"}, "name": "add", "arguments": {"a": 1, "b": 4}});
    for (method, arguments) in [
        ("ask", ask),
        ("setting", json!({"name": "token"})),
        ("count", json!({"key": "k", "delta": 3})),
        ("remember", json!({"key": "k", "value": "é", "then_fail": true})),
        ("fetch_kindly", json!({"url": "http://127.0.0.1:1/x?token=abcdefghij"})),
        ("log", json!({"message": "said in the open"})),
        ("fresh", json!({})),
    ] {
        if is_calculator || !["log", "fresh"].contains(&method) {
            desk.run(&["call", method, &arguments.to_string(), "--version", "1.3"]);
        }
    }
    let all = desk.replayed(&["--trace"]);
    // The one that is asked is recorded as well.
    assert_eq!(all.len(), if is_calculator { 8 } else { 5 }, "{all:#?}");
    for one in &all {
        assert_eq!((&one["same"], &one["differences"], &one["log"]), (&json!(true), &json!([]), &json!([])), "{one:#}");
    }
    let told = format!("{all:?}");
    assert!(!told.contains("in the open") && !told.contains("abcdefghij"), "{told}");
    let imports = ["client.call", "keyvalue.increment", "keyvalue.set", "outgoing-handler.handle", "log.write"];
    for import in imports.iter().take(if is_calculator { 5 } else { 4 }) {
        assert!(told.contains(import), "no {import} of {}", component.display());
    }
    desk
}

#[test]
fn rust_records_and_replays() {
    tell(&guests().join("courier.wasm"), false);
}

#[test]
fn python_records_and_replays_with_the_clocks_and_the_random_numbers_of_its_runtime() {
    let desk = tell(&languages().join("python.wasm"), true);
    // Another language writes the same arguments otherwise: where it does, it is named.
    let other = languages().join("javascript.wasm").display().to_string();
    let differing: Vec<_> =
        desk.replayed(&["--handler", &other]).into_iter().filter(|one| one["same"] == false).collect();
    let asked = differing.iter().find(|one| one["method"] == "ask").expect("it asks otherwise");
    let difference = &asked["differences"][0];
    assert_eq!(difference["import"], "nova:rpc/client.call", "{asked:#}");
    assert!(
        difference["expected"].as_str() != difference["got"].as_str() && difference["got"].is_string(),
        "{asked:#}"
    );
}

#[test]
fn go_records_and_replays_with_the_clocks_and_the_random_numbers_of_its_runtime() {
    tell(&languages().join("go.wasm"), true);
}

#[test]
fn javascript_records_and_replays() {
    tell(&languages().join("javascript.wasm"), true);
}

#[test]
fn c_records_and_replays() {
    tell(&languages().join("c.wasm"), true);
}

#[test]
fn what_a_server_answered_is_told_again_without_it() {
    for component in [guests().join("courier.wasm"), languages().join("python.wasm"), languages().join("go.wasm")] {
        let web = Web::start(|_| {
            let body = "é".repeat(50_000);
            let head =
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Subject-Token: gAAAAABsubject\r\nConnection: close";
            format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        });
        let url = format!("http://127.0.0.1:{}/v3", web.port());
        let desk = Desk::with(
            &[&component],
            &MANIFEST.replace("http://127.0.0.1:1\"", &format!("http://127.0.0.1:{}\"", web.port())),
        );
        let headers = json!([["X-Auth-Token", "gAAAAABtoken"]]);
        let asked = json!({"verb": "POST", "url": url, "headers": headers, "body": "{\"password\": \"hunter2!\"}"});
        let called = desk.run(&["call", "fetch", &asked.to_string(), "--version", "1.3"]);
        assert!(called.status.success(), "{called:?}");
        assert!(web.next().contains("hunter2!"), "the server gets what was sent");
        drop(web);
        let all = desk.replayed(&["--trace"]);
        assert!(all.len() == 1 && all[0]["same"] == true, "{all:#?}");
        let told = all[0].to_string();
        assert!(told.contains("incoming-body.read") && told.contains("éé"), "{}", component.display());
        for secret in ["gAAAAABtoken", "gAAAAABsubject", "hunter2!"] {
            assert!(!told.contains(secret), "{secret} of {}", component.display());
        }
    }
}
