//! The table on a terminal, and without one.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::json;

use super::{Watching, call};
use crate::harness::{Broker, OsloClient, OsloServer, PATIENCE, Scratch, eventually, nova_host, process};

#[test]
fn without_a_terminal_the_table_comes_once_at_the_end() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let client = OsloClient::start(&vhost.url());
    let mut watching = Watching::start(&vhost, &[]);
    client.call(call("add", &json!({"args": {"a": 1, "b": 2}}))).expect("an answer");
    assert_eq!(watching.stdout(), "");
    assert!(watching.end().success());
    let shown = watching.stdout();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("exchange nova, topic conductor: 1 requests in "), "{shown}");
    assert!(lines[2].starts_with("namespace  method  versions  calls/s"), "{shown}");
    assert!(lines[3].starts_with("(none)     add     1.0"), "{shown}");
}

#[test]
fn it_ends_by_itself_after_its_time() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let mut watching = Watching::json(&vhost, &["--for", "1s"]);
    assert!(process::wait(&mut watching.child, PATIENCE).expect("it ends").success());
    let report: serde_json::Value = serde_json::from_str(&watching.stdout()).expect("JSON");
    assert!(report["seconds"].as_f64() >= Some(1.0), "{report}");
}

#[test]
fn a_terminal_is_redrawn_and_is_as_before_after_ctrl_c() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let client = OsloClient::start(&vhost.url());
    let scratch = Scratch::new();
    let typescript = scratch.path().join("typescript");
    // `exec`: a shell that stays (dash does, bash does not) gets the ctrl-c as well, and ends with 130.
    let typed = format!("exec {} watch --transport-url {}", nova_host().display(), vhost.url());
    // A terminal of its own; what is typed here is typed there.
    let mut script = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &typed])
        .arg(&typescript)
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh")
        .current_dir(scratch.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script is part of util-linux");
    let shown = || String::from_utf8_lossy(&std::fs::read(&typescript).unwrap_or_default()).into_owned();
    eventually("the first table", || shown().contains("0 requests in").then_some(()));
    client.call(call("add", &json!({"args": {"a": 1, "b": 2}}))).expect("an answer");
    eventually("the call in it", || (shown().contains("1 requests in") && shown().contains("add")).then_some(()));
    assert!(shown().contains("\x1b[?1049h\x1b[?25l") && !shown().contains("\x1b[?1049l"), "{:?}", shown());
    script.stdin.as_mut().expect("it is piped").write_all(b"\x03").expect("it reads");
    let status = process::wait(&mut script, PATIENCE).expect("it ends");
    let shown = shown();
    assert!(status.success(), "{shown}");
    let (_, after) = shown.split_once("\x1b[?25h\x1b[?1049l").expect("the terminal is as before");
    assert!(after.contains("1 requests in") && after.contains("add") && !after.contains('\x1b'), "{after:?}");
}
