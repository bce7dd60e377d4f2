//! `docs/recording.md`: each of its commands does what it says.

use std::fs;
use std::process::Command;

use super::Desk;
use crate::harness::{Scratch, handlers, nova_host, repository};

#[test]
fn every_command_of_the_page_runs() {
    let page = fs::read_to_string(repository().join("docs/recording.md")).expect("it is there");
    let fenced = |kind: &str| -> Vec<String> {
        let open = format!("```{kind}\n");
        page.split(&open).skip(1).filter_map(|rest| Some(rest.split("```").next()?.to_owned())).collect()
    };
    let desk = Desk { scratch: Scratch::new() };
    let component = fs::read(handlers().join("calculator.wasm")).expect("it is built");
    desk.scratch.write("handlers/calculator.wasm", &component);
    // The same code in another file is another component.
    desk.scratch.write("new.wasm", [&component[..], b"\x00\x03\x01xy"].concat());
    desk.scratch.write("nova-host.toml", fenced("toml").concat());
    let commands: Vec<String> = fenced("sh").concat().lines().map(str::to_owned).collect();
    assert!(commands.len() > 8, "{commands:?}");
    let directory = nova_host().parent().expect("it is in a directory").display().to_string();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap_or_default());
    let mut said = String::new();
    for command in commands {
        let id = desk.scratch.path().join("recordings").read_dir().ok().and_then(|mut entries| {
            let name = entries.next()?.ok()?.file_name().to_string_lossy().into_owned();
            Some(name.split('.').next()?.to_owned())
        });
        let command = command.replace("ID", &id.unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-c", &command]).env("PATH", &path).current_dir(desk.scratch.path());
        let output = shell.output().expect("a shell");
        assert!(output.status.success(), "{command}: {output:?}");
        if !command.contains(" call ") {
            said += &String::from_utf8_lossy(&output.stdout);
        }
    }
    assert!(said.contains("**************") && !said.contains("hunter2"), "{said}");
    assert!(said.contains("2 replayed: 2 the same, 0 not") && said.contains("note: another component"), "{said}");
}
