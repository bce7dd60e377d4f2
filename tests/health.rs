//! How a running service is: told to probes, to people, to scripts and to systemd, who all hear the same.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::time::Instant;

use serde_json::Value;

use crate::harness::{Broker, PATIENCE, Scratch, Serve, eventually, guest::answering, nova_host};

/// A directory with a configuration and handlers.
fn place(transport_url: &str, more: &str) -> (Scratch, String) {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path().join("handlers")).expect("the scratch directory is writable");
    let configuration = format!(
        "transport_url = \"{transport_url}\"\nhandlers.directory = \"{path}/handlers\"\nhandlers.cache = \"{path}/cache\"\n\
         control.socket = \"{path}/control.sock\"\nmetrics.listen = \"127.0.0.1:0\"\n{more}\n",
        path = scratch.path().display(),
    );
    let file = scratch.write("nova-host.toml", configuration).display().to_string();
    (scratch, file)
}

fn status(configuration: &str, more: &[&str]) -> Output {
    let mut command = Command::new(nova_host());
    command.args(["status", "--config", configuration]).args(more).output().expect("nova-host runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_service_without_its_broker_or_handlers_is_not_ready_and_says_what_is_missing() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let (scratch, configuration) = place(&vhost.url(), "");
    let mut host = Serve::unready(["--config", &configuration]);
    host.wait_for_log("serving");
    let ready = host.get("/readyz");
    assert!(ready.starts_with("HTTP/1.1 503 ") && ready.ends_with("no handler is served\n"), "{ready}");
    let told = status(&configuration, &[]);
    assert_eq!(told.status.code(), Some(8), "{told:?}");
    assert!(text(&told.stderr).contains("no handler is served"), "{told:?}");

    scratch.write("handlers/a.wasm", answering("1"));
    eventually("readiness", || host.get("/readyz").starts_with("HTTP/1.1 200 ").then_some(()));
    let told = status(&configuration, &[]);
    assert!(told.status.success(), "{told:?}");
    let shown = text(&told.stdout);
    assert!(shown.contains("ready        yes") && shown.contains("handlers     1 served"), "{shown}");
    assert!(shown.contains("broker       requests: connected (connections so far: 1)"), "{shown}");
    assert!(shown.contains("broker       publications: not connected yet"), "{shown}");

    broker.kill();
    let ready = eventually("the loss", || Some(host.get("/readyz")).filter(|told| told.starts_with("HTTP/1.1 503 ")));
    assert!(ready.ends_with("not connected to the broker\n"), "{ready}");
    let alive = host.get("/livez");
    assert!(alive.starts_with("HTTP/1.1 200 "), "{alive}");
    let told = status(&configuration, &["--json"]);
    assert_eq!(told.status.code(), Some(8), "{told:?}");
    let health: Value = serde_json::from_slice(&told.stdout).expect("JSON");
    assert_eq!(health["missing"], serde_json::json!(["not connected to the broker"]));
    assert_eq!((&health["connections"]["requests"]["open"], &health["handlers"]), (&0.into(), &1.into()), "{health}");

    broker.start();
    eventually("the broker again", || host.get("/readyz").starts_with("HTTP/1.1 200 ").then_some(()));
    let metrics = host.metrics();
    assert!(!metrics.contains("nova_host_broker_connects_total{connection=\"requests\"} 1\n"), "{metrics}");
    assert!(metrics.contains("nova_host_broker_connections{connection=\"requests\"} 1\n"), "{metrics}");
    host.stop();
    let told = status(&configuration, &[]);
    assert_eq!(told.status.code(), Some(6), "{told:?}");
}

/// Who is systemd here.
struct Manager {
    socket: UnixDatagram,
    heard: String,
}

impl Manager {
    /// Listens until it hears a line that begins like this; gives the line.
    fn hear(&mut self, line: &str) -> String {
        let started = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            if let Some((before, rest)) = self.heard.split_once('\n') {
                let (before, rest) = (before.to_owned(), rest.to_owned());
                self.heard = rest;
                if before.starts_with(line) {
                    return before;
                }
                continue;
            }
            assert!(started.elapsed() < PATIENCE, "no {line:?}");
            match self.socket.recv(&mut buffer) {
                Ok(length) => self.heard.push_str(&text(&buffer[..length])),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

#[test]
fn systemd_hears_of_the_start_the_watchdog_a_reload_and_the_stop() {
    let (scratch, configuration) = place("memory://", "handlers.watch = false");
    scratch.write("handlers/a.wasm", answering("1"));
    let path = scratch.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).expect("the scratch directory is writable");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut manager = Manager { socket, heard: String::new() };
    let environment = [("NOTIFY_SOCKET", path.as_os_str()), ("WATCHDOG_USEC", "200000".as_ref())];
    let mut host = Serve::unready_in(&environment, ["--config", &configuration]);
    assert_eq!(manager.hear("EXTEND_TIMEOUT_USEC="), "EXTEND_TIMEOUT_USEC=30000000");
    manager.hear("READY=1");
    assert_eq!(manager.hear("STATUS="), "STATUS=serving; handlers: 1, requests in flight: 0");
    manager.hear("WATCHDOG=1");
    manager.hear("WATCHDOG=1");

    // Nobody looks at the files all the time here.
    scratch.write("handlers/a.wasm", answering("2"));
    host.signal("HUP");
    manager.hear("RELOADING=1");
    manager.hear("MONOTONIC_USEC=");
    manager.hear("READY=1");
    assert!(host.log().contains("generation 2"), "{}", host.log());

    // The new one is refused for as long as the old one is there, and tried again when that has gone.
    scratch.write("handlers/b.wasm", answering("3"));
    std::fs::remove_file(scratch.path().join("handlers/a.wasm")).expect("it is there");
    host.signal("HUP");
    manager.hear("RELOADING=1");
    manager.hear("READY=1");
    let log = host.log();
    assert!(log.lines().any(|line| line.contains("handler loaded") && line.ends_with("handler=\"b\"")), "{log}");

    host.signal("TERM");
    manager.hear("STOPPING=1");
    let status = host.wait(PATIENCE).expect("it ends");
    assert!(status.success(), "{status}:\n{}", host.log());
}
