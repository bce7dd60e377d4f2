//! Handlers are exchanged while the service runs: by files, by commands, and back.
//!
//! Components are made of text, each version with an answer of its own ([`crate::harness::guest`]). [`load`] exchanges
//! versions under full load.

mod canary;
mod commands;
mod files;
mod gates;
mod load;
mod shadow;
mod versions;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, OsloError, PATIENCE, Scratch, Serve, Vhost, eventually, nova_host};

/// A service with a directory of handlers of its own, and a Python client of it.
struct Story {
    vhost: Vhost,
    scratch: Scratch,
    host: Serve,
    client: OsloClient,
}

impl Story {
    /// Starts with these files in the directory.
    fn begin(files: &[(&str, &[u8])]) -> Self {
        Self::configured(files, "")
    }

    /// The same; `more` is added to the configuration, with the scratch directory for `SCRATCH`.
    fn configured(files: &[(&str, &[u8])], more: &str) -> Self {
        let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
        std::fs::create_dir(scratch.path().join("handlers")).expect("the scratch directory is writable");
        for (name, content) in files {
            scratch.write(&format!("handlers/{name}"), content);
        }
        let configuration = format!(
            "transport_url = \"{}\"\nserver = \"host-1\"\nhandlers.directory = \"{path}/handlers\"\n\
             control.socket = \"{path}/control.sock\"\n\
             log = \"info,nova_host::catalog::generation=debug\"\n{more}\n",
            vhost.url(),
            path = scratch.path().display(),
            more = more.replace("SCRATCH", &scratch.path().display().to_string()),
        );
        scratch.write("nova-host.toml", &configuration);
        let host = Serve::with_config(&configuration);
        let client = OsloClient::start(&vhost.url());
        Self { vhost, scratch, host, client }
    }

    /// Ends the host and starts it again, with the same configuration.
    fn restart(&mut self) {
        assert!(self.host.stop().success());
        self.host = Serve::with_config(&self.configuration());
    }

    fn configuration(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("nova-host.toml")).expect("it was written")
    }

    /// A file of the directory of handlers.
    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join("handlers").join(name)
    }

    /// Calls a method of version 1.0 in the null namespace.
    fn call(&self, method: &str) -> Result<Value, Box<OsloError>> {
        self.client.call(json!({"topic": "conductor", "method": method, "timeout": PATIENCE.as_secs()}))
    }

    /// What method `m` answers.
    fn answer(&self) -> Value {
        self.call("m").expect("a result")
    }

    /// Waits until method `m` answers this, which no call before may contradict: it answers this or `before`.
    fn becomes(&self, before: &Value, after: &Value) {
        eventually(&format!("the answer {after}"), || {
            let answer = self.answer();
            assert!(answer == *before || answer == *after, "{answer} is neither {before} nor {after}");
            (answer == *after).then_some(())
        });
    }

    /// Runs a command of `nova-host` with the host's configuration.
    fn command(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.prepared(arguments).output().expect("nova-host runs"))
    }

    fn prepared(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(nova_host());
        command.args(arguments).arg("--config").arg(self.scratch.path().join("nova-host.toml"));
        command.env_remove("NOVA_HOST_SOAK");
        command
    }

    /// `nova-host handlers` and what follows.
    fn handlers(&self, arguments: &[&str]) -> Ran {
        self.command(&[&["handlers"], arguments].concat())
    }

    /// Writes a file that lies nowhere near the handlers, and has it added under its name.
    fn add(&self, name: &str, component: &[u8], options: &[&str]) -> Ran {
        let file = self.scratch.write(&format!("new/{name}.wasm"), component).display().to_string();
        self.handlers(&[&["add", &file], options].concat())
    }

    /// What the host lists of a handler; null where it knows none of that name.
    fn listed(&self, name: &str) -> Value {
        let list = self.handlers(&["list", "--json"]).json();
        let handlers = list["handlers"].as_array().expect("a list");
        handlers.iter().find(|handler| handler["name"] == name).cloned().unwrap_or(Value::Null)
    }

    /// Waits until the host has refused a version, and returns why.
    fn refusal(&self, name: &str) -> String {
        eventually("a refusal", || self.listed(name)["refused"]["reason"].as_str().map(str::to_owned))
    }
}

/// A command that has ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    fn succeeds(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        &self.stdout
    }

    /// Fails with this exit code; returns what was complained about, which must be short.
    #[track_caller]
    fn fails(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stderr.lines().count() <= 2, "too much is said: {self:?}");
        &self.stderr
    }
}

/// Longer than a change of a file takes to be noticed.
const NOTICED: Duration = Duration::from_millis(1500);
