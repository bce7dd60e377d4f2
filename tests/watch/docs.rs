//! The commands of docs/takeover.md, run as they stand there.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::call;
use crate::harness::{Broker, OsloClient, OsloServer, Scratch, handlers, nova_host, repository};

/// The commands of the guide that begin like this: the lines of its blocks of `sh`, comments aside.
pub(crate) fn commands(beginning: &str) -> Vec<String> {
    let page = fs::read_to_string(repository().join("docs/takeover.md")).expect("the guide is there");
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines = blocks.flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or_default().trim());
    lines.filter(|line| line.starts_with(beginning)).map(str::to_owned).collect()
}

#[test]
fn every_command_of_the_guide_that_watches_runs() {
    let commands = commands("nova-host watch");
    assert!(commands.len() >= 3, "{commands:?}");
    let all = self::commands("").into_iter().filter(|command| !command.is_empty()).count();
    assert_eq!(commands.len() + self::commands("nova-host forward").len(), all, "others are run nowhere");
    let vhost = Broker::shared().vhost();
    let servers = ["conductor", "compute", "scheduler"].map(|topic| OsloServer::start(&vhost.url(), topic, "python-1"));
    let client = OsloClient::start(&vhost.url());
    let scratch = Scratch::new();
    fs::create_dir(scratch.path().join("handlers")).expect("it is writable");
    fs::copy(handlers().join("calculator.wasm"), scratch.path().join("handlers/calculator.wasm")).expect("it is built");
    let directory = nova_host().parent().expect("it lies somewhere").display().to_string();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap_or_default());
    for command in commands {
        // Not for as long as an operator would.
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        let minutes = words.iter().position(|word| word == "--for").map(|at| words[at + 1].clone());
        let short = match minutes {
            Some(minutes) => command.replace(&format!("--for {minutes}"), "--for 1s"),
            None => command.replacen("watch", "watch --for 1s", 1),
        };
        let mut running = Command::new("sh")
            .args(["-c", &short])
            .env("PATH", &path)
            .env("NOVA_HOST_TRANSPORT_URL", vhost.url())
            .current_dir(scratch.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("sh runs");
        client.call(call("add", &json!({"args": {"a": 1, "b": 2}}))).expect("an answer");
        assert!(running.wait().expect("it ends").success(), "{short}");
    }
    drop(servers);
    let inventory = fs::read_to_string(scratch.path().join("inventory.json")).expect("the guide makes one");
    let inventory: Value = serde_json::from_str(&inventory).expect("JSON");
    assert_eq!(inventory["topics"], json!(["conductor"]));
    assert!(scratch.path().join("samples.jsonl").exists());
}
