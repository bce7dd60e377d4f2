//! A live Python service is taken over: Nova Host stands before it, serves what its handlers have, and sends on the rest.

mod aside;
mod callers;
mod cost;
mod load;
mod rules;
mod trouble;

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, OsloServer, Release, Scratch, Serve, Vhost, handlers, nova_host};

/// Where the Python service listens.
const LEGACY: &str = "nova_legacy";

/// A Python service, and a host before it.
struct Story {
    vhost: Vhost,
    host: Front,
    python: OsloServer,
    client: OsloClient,
}

/// A host before another service.
struct Front {
    serve: Serve,
    scratch: Scratch,
}

impl Front {
    /// Starts one with handlers of `directory` and more settings.
    fn start(vhost: &Vhost, server: &str, more: &str) -> Self {
        Self::start_by(&vhost.url(), server, more)
    }

    /// The same, by a URL.
    fn start_by(url: &str, server: &str, more: &str) -> Self {
        let scratch = Scratch::new();
        let text = format!(
            "transport_url = \"{url}\"\nserver = \"{server}\"\ncontrol.socket = \"{}\"\nhandlers.directory = \"{}\"\n{more}\n",
            scratch.path().join("control.sock").display(),
            handlers().display()
        );
        let file = scratch.write("nova-host.toml", &text);
        let serve = Serve::with_arguments(["--config".as_ref(), file.as_os_str()]);
        Self { serve, scratch }
    }

    /// Runs `nova-host` with the configuration of the host.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(nova_host());
        command.current_dir(self.scratch.path()).args(arguments);
        command.env_remove("NOVA_HOST_SOAK").env_remove("NOVA_HOST_BENCH");
        command.output().expect("it runs")
    }

    /// What `nova-host forward` prints.
    fn forward(&self, arguments: &[&str]) -> String {
        let output = self.run(&[&["forward"], arguments].concat());
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {stdout}{}", String::from_utf8_lossy(&output.stderr));
        stdout
    }

    /// How many requests of a method went to a side.
    fn went(&self, method: &str, side: &str) -> u64 {
        let state: Value = serde_json::from_str(&self.forward(&["list", "--json"])).expect("JSON");
        let methods = state["methods"].as_array().expect("methods");
        let row = methods.iter().find(|row| row["method"] == method);
        row.map_or(0, |row| row[side].as_u64().expect("a number"))
    }
}

impl Story {
    /// With more lines of the section `forward`.
    fn begin(more: &str) -> Self {
        let vhost = Broker::shared().vhost();
        let python = python(&vhost, "python-1");
        let host = Front::start(&vhost, "front", &format!("[forward]\nexchange = \"{LEGACY}\"\n{more}"));
        let client = OsloClient::allowing(&vhost.url(), &["nova.exception"]);
        Self { vhost, host, python, client }
    }
}

/// A server of the Python service, which has moved aside.
fn python(vhost: &Vhost, server: &str) -> OsloServer {
    OsloServer::on(Release::Newest, &vhost.url(), "conductor", server, LEGACY)
}

fn request(method: &str, more: &Value) -> Value {
    let mut request = json!({"topic": "conductor", "method": method, "version": "1.0"});
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    request
}
