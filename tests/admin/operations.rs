//! What operators do over HTTP is what they do over the control socket.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{ALICE, Story};
use crate::harness::{Scratch, Serve, eventually, guest::answering, handlers, nova_host, repository};

#[test]
fn handlers_are_listed_added_rolled_back_and_removed_and_each_change_is_a_line_of_the_log() {
    let story = Story::begin();
    let api = story.alice();
    assert_eq!(api.get("/api/v1/status").succeeds()["ready"], true);
    let two = answering("2");
    let expected = json!({"answer": "replaced", "generation": 2, "instead_of": 1});
    assert_eq!(api.upload("name=a", &two).succeeds(), expected);
    assert_eq!(api.upload("name=a", &two).succeeds(), json!({"answer": "unchanged", "generation": 2}));
    assert_eq!(fs::read(story.scratch.path().join("handlers/a.wasm")).expect("it is there"), two);
    let list = api.get("/api/v1/handlers").succeeds();
    assert_eq!((&list["handlers"][0]["name"], &list["handlers"][0]["serving"]["generation"]), (&json!("a"), &json!(2)));
    let back = api.ask("POST", "/api/v1/handlers/a/rollback", b"").succeeds();
    assert_eq!((&back["answer"], &back["generation"]), (&json!("rolled-back"), &json!(1)));
    let reason = api.ask("POST", "/api/v1/handlers/a/rollback", b"").fails(404);
    assert!(reason.contains("no earlier version of a is kept"), "{reason}");
    assert_eq!(api.ask("DELETE", "/api/v1/handlers/a", b"").succeeds(), json!({"answer": "removed"}));
    assert!(api.ask("DELETE", "/api/v1/handlers/%2e%2e%2fb", b"").fails(404).contains("no handler ../b"));
    let audit = story.audit();
    let told: Vec<_> = audit.iter().filter_map(|line| line.split("an operator ").nth(1)).collect();
    assert_eq!(told.len(), 6, "{audit:?}");
    for (line, expected) in told.iter().zip([
        "what=\"add a\" outcome=\"done\"",
        "what=\"add a\" outcome=\"done\"",
        "what=\"roll back a\" outcome=\"done\"",
        "what=\"roll back a\" outcome=\"refused: no earlier version",
        "what=\"remove a\" outcome=\"done\"",
        "what=\"remove ../b\" outcome=\"refused: no handler",
    ]) {
        assert!(line.starts_with("who=\"alice\" role=operate from=\"127.0.0.1:") && line.contains(expected), "{line}");
    }
    assert!(!story.host.log().contains(ALICE));
}

#[test]
fn a_manifest_comes_before_its_component_and_both_are_tried_as_one() {
    let story = Story::begin();
    let (api, wasm) = (story.alice(), answering("3"));
    let send = |parameters: &str, manifest: &str| api.upload(parameters, &[manifest.as_bytes(), &wasm].concat());
    let manifest = "limits.timeout = \"7s\"\n";
    send(&format!("name=a&manifest={}", manifest.len()), manifest).succeeds();
    let file = story.scratch.path().join("handlers/a.toml");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), manifest);
    // One that is not sent stays; one that is empty is none.
    send("name=a&force=true", "").succeeds();
    assert_eq!(fs::read_to_string(&file).expect("it is there"), manifest);
    send("name=a&manifest=0", "").succeeds();
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "");
    let reason = send("name=a&manifest=9", "no = toml").fails(422);
    assert!(reason.contains("not TOML at line 1"), "{reason}");
}

#[test]
fn what_cannot_be_served_or_read_is_refused_with_the_reason_and_leaves_nothing() {
    let story = Story::begin();
    let api = story.alice();
    for (parameters, body, status, expected) in [
        ("name=a", &b"no component"[..], 422, "not WebAssembly"),
        ("", b"x", 400, "the parameter name is needed"),
        ("name=../a", b"x", 400, "../a"),
        ("name=a&name=b", b"x", 400, "given twice"),
        (
            "name=a&colour=red",
            b"x",
            400,
            "there is no parameter colour here; there is: name, force, gate, ignore, manifest",
        ),
        ("name=a&force=yes", b"x", 400, "force must be true or false"),
        ("name=a&gate=speed", b"x", 400, "\"speed\" is no gate; there are: all, interface"),
        ("name=a&gate=recordings=0", b"x", 400, "recordings: 0 is not from 1"),
        ("name=a&gate=all&ignore=a", b"x", 400, "ignore: \"a\" is no path"),
        ("name=a&gate=all&force=true", b"x", 400, "leave out force, or gate"),
        ("name=a&manifest=9", b"x", 400, "shorter than the manifest"),
        ("name=a&manifest=99999999", b"x", 413, "a manifest has at most"),
        ("name=%zz", b"x", 400, "an escape that is none"),
    ] {
        let reason = api.upload(parameters, body).fails(status);
        assert!(reason.contains(expected), "{parameters}: {reason}");
    }
    let reason = api.ask("POST", "/api/v1/handlers?name=a", b"x").fails(415);
    assert!(reason.contains("application/wasm"), "{reason}");
    let reason = api.put("/api/v1/log-level", &json!({"levels": "x".repeat(70_000)})).fails(413);
    assert!(reason.contains("64 KiB"), "{reason}");
    for (body, expected) in [(json!({"level": "info"}), "unknown field"), (json!({"levels": "loud"}), "is no level")] {
        let reason = api.put("/api/v1/log-level", &body).fails(400);
        assert!(reason.contains(expected), "{reason}");
    }
    let reason = api.put("/api/v1/forward/*", &json!({"side": "serve"})).fails(422);
    assert!(reason.contains("forwards nothing"), "{reason}");
    assert!(api.get("/api/v1/handler").fails(404).contains("/api/v1/openapi.json has all"));
    assert_eq!(api.ask("PATCH", "/api/v1/handlers", b"").header("allow"), Some("GET, POST"));
    // Nothing of what was sent stays.
    let left = fs::read_dir(story.scratch.path().join("handlers")).expect("it is there");
    let left: Vec<_> = left.map(|entry| entry.expect("it is there").file_name()).collect();
    assert_eq!(left, ["a.wasm"]);
}

#[test]
fn a_canary_begins_pauses_goes_on_and_ends_over_http() {
    let story = Story::begin();
    let api = story.alice();
    let wasm = api.with("Content-Type", "application/wasm");
    let begin =
        |parameters: &str, body: &[u8]| wasm.ask("POST", &format!("/api/v1/handlers/a/canary{parameters}"), body);
    for (parameters, status, expected) in [
        ("?steps=0%25", 400, "0%"),
        ("?every=soon", 400, "soon"),
        ("?min_requests=many", 400, "min_requests must be a number"),
        ("?until=3", 400, "there is no parameter until here"),
        ("?name=b", 400, "there is no parameter name here"),
    ] {
        let reason = begin(parameters, &answering("2")).fails(status);
        assert!(reason.contains(expected), "{parameters}: {reason}");
    }
    assert!(begin("", b"no component").fails(422).contains("not WebAssembly"));
    let change = |verb: &str| api.ask("POST", &format!("/api/v1/handlers/a/{verb}"), b"");
    for verb in ["promote", "abort", "pause", "resume"] {
        assert!(change(verb).fails(404).contains("no canary"), "{verb}");
    }
    let canary = || api.get("/api/v1/handlers").succeeds()["handlers"][0]["canary"].clone();
    let on_trial =
        begin("?steps=10%25,50%25&every=1h&max_latency=2x&by=context.project_id", &answering("2")).succeeds();
    assert_eq!((&on_trial["answer"], &on_trial["generation"]), (&json!("on-trial"), &json!(2)), "{on_trial}");
    let running = canary();
    assert_eq!(running["stage"], "running");
    assert_eq!(running["steps"], json!(["10%", "50%"]));
    assert_eq!(running["by"], "context.project_id");
    assert!(begin("", &answering("3")).fails(422).contains("canary"));
    assert_eq!(change("pause").succeeds()["answer"], "paused");
    assert_eq!(canary()["stage"], "paused");
    assert_eq!(change("resume").succeeds()["answer"], "resumed");
    assert_eq!(change("abort").succeeds()["answer"], "aborted");
    assert_eq!(canary()["stage"], "rolled-back");
    begin("", &answering("3")).succeeds();
    assert_eq!(change("promote").succeeds()["answer"], "replaced");
    assert_eq!(api.get("/api/v1/handlers").succeeds()["handlers"][0]["serving"]["generation"], 3);
    let audit = story.audit().join("\n");
    for done in ["canary", "pause", "resume", "abort", "promote"] {
        assert!(audit.contains(done) && audit.contains("alice"), "{done}: {audit}");
    }
    for path in ["canary", "promote", "abort", "pause", "resume"] {
        let refused = story.bob().ask("POST", &format!("/api/v1/handlers/a/{path}"), b"");
        refused.fails(403);
    }
}

#[test]
fn a_shadow_begins_and_ends_over_http() {
    let story = Story::begin();
    let wasm = story.alice().with("Content-Type", "application/wasm");
    let path = "/api/v1/handlers/a/shadow?share=25%25&noise=true&ignore=/at,/**/host&until=1000";
    assert_eq!(wasm.ask("POST", path, &answering("2")).succeeds()["answer"], "shadowed");
    let shadow = || story.alice().get("/api/v1/handlers").succeeds()["handlers"][0]["shadow"].clone();
    let running = shadow();
    assert_eq!(
        (&running["stage"], &running["share"], &running["noise"]),
        (&json!("running"), &json!("25%"), &json!(true))
    );
    assert_eq!((&running["ignore"], &running["until"]), (&json!(["/at", "/**/host"]), &json!(1000)));
    wasm.ask("POST", "/api/v1/handlers/a/shadow", &answering("3")).fails(422);
    assert_eq!(story.alice().ask("POST", "/api/v1/handlers/a/abort", b"").succeeds()["answer"], "shadow-ended");
    assert_eq!(shadow()["stage"], "aborted");
    assert_eq!(story.alice().get("/api/v1/handlers").succeeds()["handlers"][0]["serving"]["generation"], 1);
}

#[test]
fn what_is_changed_over_http_is_seen_on_the_control_socket() {
    let story = Story::begin();
    let api = story.alice();
    assert_eq!(api.put("/api/v1/log-level", &json!({"levels": "error"})).succeeds(), json!({"levels": "error"}));
    let told = Command::new(nova_host())
        .args(["log-level", "--config"])
        .arg(
            story
                .scratch
                .write("c.toml", format!("control.socket = \"{}/control.sock\"", story.scratch.path().display())),
        )
        .output()
        .expect("nova-host runs");
    assert_eq!(String::from_utf8_lossy(&told.stdout), "error\n", "{told:?}");
    // Who changes something cannot have it hidden.
    api.put("/api/v1/log-level", &json!({"levels": "off"})).succeeds();
    api.ask("DELETE", "/api/v1/handlers/a", b"").succeeds();
    let audit = story.audit();
    assert!(audit.last().is_some_and(|line| line.contains("remove a")), "{audit:?}");
    let metrics = api.get("/metrics");
    assert!(metrics.body.contains("nova_host_admin_requests_total{outcome=\"done\"}"), "{}", metrics.body);
    assert_eq!(api.get("/api/v1/metrics").header("content-type"), metrics.header("content-type"));
}

#[test]
fn a_change_goes_on_where_its_client_does_not_wait() {
    let story = Story::begin();
    let wasm = answering("2");
    let mut stream = std::net::TcpStream::connect(story.api().address()).expect("the service listens");
    let head = format!(
        "POST /api/v1/handlers?name=a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ALICE}\r\n\
         Content-Type: application/wasm\r\nContent-Length: {}\r\n\r\n",
        wasm.len()
    );
    std::io::Write::write_all(&mut stream, &[head.as_bytes(), &wasm].concat()).expect("it reads");
    drop(stream);
    let serving =
        |api: &crate::harness::Api| api.get("/api/v1/handlers").succeeds()["handlers"][0]["serving"]["generation"] == 2;
    // It may have gone before all was read: then nothing has changed, and nothing is left.
    eventually("the end of it", || {
        let files = fs::read_dir(story.scratch.path().join("handlers")).expect("it is there").count();
        (files == 1 && (serving(&story.alice()) || story.audit().is_empty())).then_some(())
    });
}

#[test]
fn the_description_is_valid_openapi_and_has_what_is_served() {
    let story = Story::begin();
    let answered = story.api().get("/api/v1/openapi.json");
    let document = answered.succeeds();
    let file = story.scratch.write("openapi.json", &answered.body);
    let python = repository().join("target/venv-openapi/bin/python");
    let judged = Command::new(python).args(["-m", "openapi_spec_validator"]).arg(&file).output();
    let judged = judged.expect("tests/setup.sh has installed it");
    assert!(judged.status.success(), "{judged:?}");
    assert_eq!(document["paths"]["/api/v1/handlers"]["post"]["description"], "Takes the role `operate`.");
    // Every path that can be looked at is there, and is what it says.
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let Some(get) = methods.get("get") else { continue };
        // Their heads: events have no end.
        let answered = story.alice().ask("HEAD", &path.replace("{file}", "page.css"), b"");
        let content = get["responses"]["200"]["content"].as_object().expect("content");
        let types: Vec<_> = content.keys().map(String::as_str).collect();
        match answered.status {
            200 if types == ["*/*"] => {}
            200 => assert_eq!([answered.header("content-type").expect("a type")], types[..], "{path}"),
            status => assert_eq!((status, path.as_str()), (422, "/api/v1/forward")),
        }
    }
}

/// The commands of a page's section, of which each is in a block.
fn blocks(heading: &str) -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/operating.md")).expect("it is there");
    let section = page.split("\n## ").find(|section| section.starts_with(heading)).expect("the section");
    section.split("```sh\n").skip(1).filter_map(|rest| Some(rest.split("```").next()?.to_owned())).collect()
}

#[test]
fn the_commands_of_the_documentation_do_what_it_says() {
    let scratch = Scratch::new();
    let path = scratch.path().display().to_string();
    let blocks = blocks("The admin API");
    let [token, commands] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    let run = |script: String, token: &str| {
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &script]).current_dir(scratch.path());
        let ran = bash.env("TOKEN", token).stdin(Stdio::null()).output().expect("bash is there");
        assert!(ran.status.success(), "{script}\n{ran:?}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    };
    let token = token.replace("/etc/nova-host", &path);
    let token = run(format!("{token}\nprintf %s \"$TOKEN\""), "");
    let calculator = fs::read(handlers().join("calculator.wasm")).expect("it was built");
    fs::write(scratch.path().join("calculator.wasm"), &calculator).expect("it is ours");
    scratch.write("calculator.toml", "limits.timeout = \"5s\"\n");
    scratch.write("handlers/a.wasm", answering("1"));
    let host = Serve::with_config(&format!(
        "transport_url = \"memory://\"\nhandlers.directory = \"{path}/handlers\"\ncontrol.socket = \"none\"\n\
         forward.exchange = \"legacy\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntokens = \"{path}/tokens\"\n"
    ));
    let address = crate::harness::Api::of(&host).address().to_owned();
    assert!(commands.contains("http://127.0.0.1:9465"));
    let said = run(commands.replace("127.0.0.1:9465", &address), &token);
    for expected in [
        r#""phase":"serving""#,
        r#"{"answer":"added","generation":2}"#,
        r#"{"answer":"replaced","generation":3,"instead_of":2}"#,
        r#"{"answer":"rolled-back","generation":2"#,
        r#"{"answer":"removed"}"#,
        r#"{"levels":"info,handler=debug"}"#,
        r#""side":"serve 10%""#,
        "nova_host_admin_requests_total",
    ] {
        assert!(said.contains(expected), "no {expected} in\n{said}");
    }
    let log = host.log();
    assert!(log.contains("who=\"alice\"") && !log.contains(&token), "{log}");
}
