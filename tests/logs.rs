//! The log: what stands in each line, who reads it, and how much there is of it.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, Scratch, Serve, eventually, guest::answering, nova_host, repository};
use crate::oslo::configuration;

/// The fields that the page names in the table behind a line of it.
fn documented(behind: &str) -> Vec<String> {
    let page = std::fs::read_to_string(repository().join("docs/errors.md")).expect("it is there");
    let table = page.split_once(behind).expect("the page has the table").1.trim_start();
    let rows = table.lines().take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.split('`').nth(1).expect("a field").to_owned()).collect()
}

fn keys(object: &Value) -> Vec<String> {
    object.as_object().expect("an object").keys().cloned().collect()
}

#[test]
fn the_fields_of_a_line_of_json_are_those_of_the_page() {
    let vhost = Broker::shared().vhost();
    let scratch = Scratch::new();
    let file = scratch.write("nova-host.toml", configuration(&vhost, "host-1", "log = \"debug\""));
    let mut host = Serve::unready(["--json".as_ref(), "--config".as_ref(), file.as_os_str()]);
    host.wait_for_log("\"serving\"");
    let client = OsloClient::start(&vhost.url());
    let failed = json!({"topic": "conductor", "method": "panic", "args": {"message": "boom"}, "version": "1.0"});
    client.call(failed).expect_err("a trap");
    let line = eventually("the end of the call", || {
        let log = host.log();
        let line = log.lines().find(|line| line.contains("\"handled\""))?.to_owned();
        serde_json::from_str::<Value>(&line).ok()
    });
    let mut all = documented("Each line has:");
    let mut handled = documented("A line `handled` ends each request, and has besides:");
    let mut request = documented("`span` of a line about a request has:");
    all.append(&mut handled);
    all.sort_unstable();
    request.sort_unstable();
    assert_eq!(keys(&line), all, "{line}");
    // What the request does not have is left out: there was no namespace, and no trace.
    let span = keys(&line["span"]);
    assert!(span.iter().all(|key| request.contains(key)) && span.len() >= request.len() - 3, "{span:?} {request:?}");
    assert_eq!((&line["level"], &line["outcome"]), (&json!("ERROR"), &json!("trapped")));
    // Every line is an object.
    host.log().lines().for_each(|line| drop(serde_json::from_str::<Value>(line).expect(line)));
}

#[test]
fn what_is_logged_changes_while_the_service_runs() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join("handlers")).expect("the scratch directory is writable");
    let configuration = format!(
        "transport_url = \"memory://\"\nhandlers.directory = \"{path}/handlers\"\nhandlers.cache = \"{path}/cache\"\n\
         control.socket = \"{path}/control.sock\"\nlog = \"warn\"\n",
        path = scratch.path().display(),
    );
    let file = scratch.write("nova-host.toml", configuration).display().to_string();
    let ask = |more: &[&str]| -> Output {
        let mut command = Command::new(nova_host());
        command.args(["log-level", "--config", &file]).args(more).output().expect("nova-host runs")
    };
    assert_eq!(ask(&[]).status.code(), Some(6));
    let mut host = Serve::unready(["--config", &file]);
    let levels = eventually("the host", || Some(ask(&[])).filter(|told| told.status.success()));
    assert_eq!(String::from_utf8_lossy(&levels.stdout), "warn\n");

    let changed = ask(&["info,handler=debug", "--json"]);
    assert_eq!(String::from_utf8_lossy(&changed.stdout), "{\"levels\":\"info,handler=debug\"}\n", "{changed:?}");
    host.wait_for_log("an operator has changed what is logged");
    scratch.write("handlers/a.wasm", answering("1"));
    host.wait_for_log("handler loaded");
    assert_eq!(String::from_utf8_lossy(&ask(&[]).stdout), "info,handler=debug\n");

    let wrong = ask(&["loud"]);
    assert_eq!(wrong.status.code(), Some(2), "{wrong:?}");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("is no level"), "{wrong:?}");
    assert!(ask(&["warn"]).status.success());
    scratch.write("handlers/b.wasm", answering("2"));
    std::fs::remove_file(scratch.path().join("handlers/a.wasm")).expect("it is there");
    scratch.write("handlers/c.wasm", b"no component");
    host.wait_for_log("c.wasm");
    assert_eq!(host.log().matches("handler removed").count(), 0, "{}", host.log());
    host.stop();
}

#[test]
fn systemds_journal_gets_priorities_and_nobody_else_does() {
    let scratch = Scratch::new();
    scratch.write("a.wasm", b"no component");
    scratch.write("b.wasm", answering("1"));
    let log = |stream: Option<u64>| {
        let path = scratch.path().join("log");
        let file = File::create(&path).expect("the scratch directory is writable");
        let metadata = file.metadata().expect("it is there");
        let stream = stream.map_or_else(String::new, |more| format!("{}:{}", metadata.dev(), metadata.ino() + more));
        let mut command = Command::new(nova_host());
        command.args(["check", "--transport-url", "memory://", "--log", "info", "--handlers"]).arg(scratch.path());
        command.env("JOURNAL_STREAM", stream).stderr(file).status().expect("nova-host runs");
        std::fs::read_to_string(path).expect("it is there")
    };
    let journal = log(Some(0));
    let prefix = |line: &str| line.get(..3).unwrap_or_default().to_owned();
    let of = |word: &str| journal.lines().find(|line| line.contains(word)).map(prefix);
    assert_eq!((of(" ERROR "), of(" INFO ")), (Some("<3>".to_owned()), Some("<6>".to_owned())), "{journal}");
    for other in [None, Some(1)] {
        let text = log(other);
        assert!(text.contains(" ERROR ") && !text.contains("<3>"), "{text}");
    }
}
