//! A private Redis on the loopback interface, for stories and for the store's own tests.
//!
//! Before it: `tests/setup.sh` has installed redis-server. After it: nothing is left; it ends when its value is dropped
//! or this process ends, whichever is first, because a shell reads from our pipe and kills it at the end of it.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Longer than a start takes on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs redis-server until it ends, or standard input does; then it is killed, as a power cut does.
const WRAPPER: &str = r#"redis-server "$@" >/dev/null 2>&1 & server=$!; exec 3<&0
(cat <&3 >/dev/null; kill -KILL $server) & watcher=$!
wait $server; kill -KILL $watcher 2>/dev/null"#;

/// A running Redis; what it has been told is on the disk.
#[derive(Debug)]
pub(crate) struct Redis {
    directory: TempDir,
    arguments: Vec<String>,
    port: u16,
    starts: u32,
    child: Child,
}

impl Redis {
    /// Starts one, with more arguments such as `--requirepass`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let directory = tempfile::Builder::new().prefix("nova-host-redis-").tempdir().expect("a temporary directory");
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let started = Instant::now();
        loop {
            // Below the ports of clients, and of the brokers of the tests.
            let port = fastrand::u16(10_000..12_000);
            if let Some(child) = run(&directory, port, &arguments, 0) {
                return Self { directory, arguments, port, starts: 1, child };
            }
            assert!(started.elapsed() < PATIENCE, "no Redis; run tests/setup.sh (or make test)");
        }
    }

    /// Where it listens, `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it as a power cut does, and waits until it has gone.
    pub(crate) fn kill(&mut self) {
        end(&mut self.child);
    }

    /// Starts it again after [`Redis::kill`], with what it had on the disk.
    pub(crate) fn start_again(&mut self) {
        let started = Instant::now();
        loop {
            self.starts += 1;
            if let Some(child) = run(&self.directory, self.port, &self.arguments, self.starts) {
                self.child = child;
                return;
            }
            assert!(started.elapsed() < PATIENCE, "Redis does not start again");
        }
    }

    /// What `redis-cli` answers.
    pub(crate) fn command(&self, words: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        let output = command.args(["-p", &self.port.to_string()]).args(words).output().expect("redis-cli is there");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Starts a server and waits until it is ready; `None` where it ends before, because another has the port.
fn run(directory: &TempDir, port: u16, arguments: &[String], number: u32) -> Option<Child> {
    let log = directory.path().join(format!("log-{number}"));
    let mut command = Command::new("sh");
    command.args(["-c", WRAPPER, "sh", "--bind", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--save", "", "--appendonly", "yes", "--appendfsync", "no"]);
    command.arg("--dir").arg(directory.path()).arg("--logfile").arg(&log).args(arguments);
    // The shell says whom it has killed.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("sh is part of every system");
    let started = Instant::now();
    loop {
        if std::fs::read_to_string(&log).is_ok_and(|log| log.contains("Ready to accept connections")) {
            return Some(child);
        }
        let is_over = child.try_wait().expect("the child is ours").is_some();
        if is_over || started.elapsed() > PATIENCE {
            end(&mut child);
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Closes the pipe, whereupon the shell kills the server, and waits for both.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    child.wait().expect("the child is ours");
}
