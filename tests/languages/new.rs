//! `nova-host new` and `nova-host build`, as their users call them.

use std::process::Command;

use crate::harness::{Scratch, languages, nova_host, repository};

/// Runs the program in a folder, with the languages' tools where `tests/setup.sh` has put them.
fn run(folder: &Scratch, arguments: &[&str]) -> Result<String, String> {
    let tools = repository().join("target/tools");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{0}/bin:{0}/node_modules/.bin:{path}", tools.display());
    let cache = format!("handlers.cache={}", languages().join("cache").display());
    let mut command = Command::new(nova_host());
    command.args(arguments).args(["--set", &cache, "--set", "handlers.compile_timeout=1h"]);
    let output = command.current_dir(folder.path()).env("PATH", path).output().expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Makes a project, builds it, and calls it.
pub(super) fn greets(language: &str, typed: bool) {
    let folder = Scratch::new();
    let mut new = vec!["new", "--lang", language, "greeter"];
    new.extend(typed.then_some("--typed"));
    run(&folder, &new).expect("a project");
    let built = run(&folder, &["build", "greeter"]).unwrap_or_else(|error| panic!("{language}: {error}"));
    assert!(built.contains("2 passed"), "{language}: {built}");
    let call = ["call", "--transport-url", "memory://", "--handlers", "greeter", "greet", r#"{"name": "Ada"}"#];
    assert_eq!(run(&folder, &call).as_deref(), Ok("\"hello, Ada\"\n"), "{language}");
}
