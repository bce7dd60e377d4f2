//! The host itself, as a process: `nova-host serve`.
//!
//! Before it: [`super::build`] has built the binary; a story has made a virtual host and, with [`super::scratch`], a
//! configuration. Its standard error, the log, goes to a file that the story can read at any time.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{PATIENCE, Scratch, eventually, log::Log, nova_host, process, tie};

/// What the log says when the host consumes.
const READY: &str = "serving";

/// A running host. Dropped, it is asked to end, and killed if it does not.
#[derive(Debug)]
pub(crate) struct Serve {
    child: Child,
    scratch: Scratch,
}

impl Serve {
    /// Starts a host with a configuration of this text, and waits until it is ready.
    pub(crate) fn with_config(config: &str) -> Self {
        let scratch = Scratch::new();
        let file = scratch.write("nova-host.toml", config);
        Self::spawn(scratch, &[], ["--config".as_ref(), file.as_os_str()]).wait_until_ready()
    }

    /// Starts a host with arguments that follow `serve`, and waits until it is ready.
    pub(crate) fn with_arguments<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::spawn(Scratch::new(), &[], arguments).wait_until_ready()
    }

    /// Starts a host that may well not become ready.
    pub(crate) fn unready<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self::unready_in(&[], arguments)
    }

    /// The same with variables of its environment.
    pub(crate) fn unready_in<A: AsRef<OsStr>>(
        environment: &[(&str, &OsStr)],
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self::spawn(Scratch::new(), environment, arguments)
    }

    fn spawn<A: AsRef<OsStr>>(
        scratch: Scratch,
        environment: &[(&str, &OsStr)],
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        let file = |name| File::create(scratch.path().join(name)).expect("the scratch directory is writable");
        let mut command = Command::new(nova_host());
        command.arg("serve").args(arguments).current_dir(scratch.path());
        // They are for the tests; the host would take them for settings that it does not have.
        command.env_remove("NOVA_HOST_SOAK").env_remove("NOVA_HOST_BENCH");
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("log"));
        let child = tie(&mut command).spawn().expect("the host runs");
        Self { child, scratch }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The log so far.
    pub(crate) fn log(&self) -> Log {
        Log::read(&self.file("log"))
    }

    /// Its standard output so far.
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.file("stdout")).unwrap_or_default()
    }

    /// Waits until the log holds a text.
    ///
    /// # Panics
    ///
    /// Where the host ends before or takes too long.
    pub(crate) fn wait_for_log(&mut self, text: &str) {
        let started = Instant::now();
        while !self.log().contains(text) {
            if let Some(status) = self.child.try_wait().expect("the child is ours") {
                // It may have written the text last.
                assert!(self.log().contains(text), "the host ended ({status}) without {text:?}");
            }
            assert!(started.elapsed() < PATIENCE, "no {text:?} in the log");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it tells Prometheus; its configuration has `metrics.listen`. With the answer's head.
    pub(crate) fn metrics(&self) -> String {
        self.get("/metrics")
    }

    /// What a path answers over HTTP, with the answer's head; its configuration has `metrics.listen`.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics_address()).expect("the service listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: nova\r\n\r\n").expect("the service reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the service answers");
        answer
    }

    /// Where it answers that, `ADDRESS:PORT`.
    pub(crate) fn metrics_address(&self) -> String {
        const AT: &str = "address=";
        eventually("the address of the metrics", || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains("metrics are at /metrics"))?;
            Some(line.split(AT).nth(1)?.split_whitespace().next()?.to_owned())
        })
    }

    /// Sends a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        process::signal(self.pid(), name);
    }

    /// Waits for it to end by itself; `None` after `patience`.
    pub(crate) fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        process::wait(&mut self.child, patience)
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        process::end(&mut self.child, PATIENCE)
    }

    /// Asks it to end and waits until it has, unless it has ended before: a process that was waited for has given its
    /// pid back, and must not be signalled.
    pub(crate) fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
        }
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
        process::end(&mut self.child, PATIENCE);
    }

    fn wait_until_ready(mut self) -> Self {
        self.wait_for_log(READY);
        self
    }

    fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            self.log().tell(&format!("nova-host serve {}", self.pid()));
        }
    }
}
