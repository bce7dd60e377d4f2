//! A private Prometheus that scrapes a host and evaluates rules, and promtool.
//!
//! Before it: `tests/setup.sh` has unpacked both into `target/tools/prometheus`. After it: nothing is left; it ends when its value
//! is dropped or this process ends, whichever is first, because a shell reads from our pipe and kills it at the end of it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use serde_json::Value;

use super::{PATIENCE, Scratch, http, repository};

/// Runs a program until it ends, or standard input does.
const WRAPPER: &str = r#""$@" >log 2>&1 & server=$!; exec 3<&0
(cat <&3 >/dev/null; kill -KILL $server) & watcher=$!
wait $server; kill -KILL $watcher 2>/dev/null"#;

/// A running Prometheus.
#[derive(Debug)]
pub(crate) struct Prometheus {
    port: u16,
    _running: Running,
    _scratch: Scratch,
}

/// The shell, which kills the server at the end of our pipe.
#[derive(Debug)]
struct Running(Child);

/// A program of Prometheus'.
fn program(name: &str) -> PathBuf {
    let path = repository().join("target/tools/prometheus/usr/bin").join(name);
    assert!(path.exists(), "no {name}; run tests/setup.sh (or make test)");
    path
}

/// What promtool says in a directory.
pub(crate) fn promtool(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(program("promtool")).args(arguments).current_dir(directory).output().expect("promtool runs")
}

impl Prometheus {
    /// Starts one that scrapes a host each second, as the job `nova-host`, and evaluates the rules as often.
    pub(crate) fn start(target: &str, rules: &str) -> Self {
        let scratch = Scratch::new();
        scratch.write("rules.yml", rules);
        let configuration = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [rules.yml]\nscrape_configs:\n  \
             - {{job_name: nova-host, static_configs: [{{targets: [\"{target}\"]}}]}}\n"
        );
        scratch.write("prometheus.yml", configuration);
        let started = Instant::now();
        loop {
            // Below the ports of clients, of the brokers of the tests, and of their Redis.
            let port = fastrand::u16(12_000..13_000);
            if let Some(running) = run(scratch.path(), port) {
                return Self { port, _running: running, _scratch: scratch };
            }
            assert!(started.elapsed() < PATIENCE, "no Prometheus");
        }
    }

    /// The values of an expression now, each with its labels.
    pub(crate) fn query(&self, expression: &str) -> Vec<(Value, f64)> {
        let escaped: String = expression.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer = self.get(&format!("v1/query?query={escaped}"));
        let found = answer["data"]["result"].as_array().expect("a result").iter();
        let value = |one: &Value| one["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number");
        found.map(|one| (one["metric"].clone(), value(one))).collect()
    }

    /// The names of the alerts that fire.
    pub(crate) fn firing(&self) -> Vec<String> {
        let answer = self.get("v1/alerts");
        let alerts = answer["data"]["alerts"].as_array().expect("alerts").iter();
        let firing = alerts.filter(|alert| alert["state"] == "firing");
        firing.filter_map(|alert| alert["labels"]["alertname"].as_str().map(str::to_owned)).collect()
    }

    fn get(&self, path: &str) -> Value {
        let (status, answer) = http::request(self.port, "GET", path, None).expect("Prometheus answers");
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

impl Running {
    fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("the child is ours").is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

/// Starts one and waits until it answers; `None` where it ends before, because another has the port.
fn run(directory: &Path, port: u16) -> Option<Running> {
    let mut command = Command::new("sh");
    command.args(["-c", WRAPPER, "sh"]).arg(program("prometheus"));
    command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
    command.arg(format!("--web.listen-address={}:{port}", Ipv4Addr::LOCALHOST)).current_dir(directory);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(command.spawn().expect("sh runs"));
    let started = Instant::now();
    while started.elapsed() < PATIENCE && !running.has_ended() {
        if matches!(http::request(port, "GET", "v1/status/runtimeinfo", None), Ok((200, _))) {
            // It may be another process that has the port: ours ends then.
            return (!running.has_ended()).then_some(running);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    None
}
