//! The page: `page.in` with `{{name}}` where what was measured goes.

use std::process::Command;
use std::time::Instant;

use crate::harness::repository;

/// The page as far as it is written.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    begun: Instant,
}

impl Page {
    /// The text without figures, and what it was measured on.
    pub(super) fn read() -> Self {
        let path = repository().join("tests/performance/page.in");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut page = Self { text, begun: Instant::now() };
        page.fill("machine", machine);
        page.fill("stages", super::stages::table);
        page
    }

    /// Puts what was measured in its place.
    ///
    /// # Panics
    ///
    /// Where it has none.
    pub(super) fn fill(&mut self, name: &str, measure: impl FnOnce() -> String) {
        let place = format!("{{{{{name}}}}}");
        assert!(self.text.contains(&place), "page.in has no {place}");
        let measured = measure();
        eprintln!("{name}, after {:.0} s:\n{measured}", self.begun.elapsed().as_secs_f64());
        self.text = self.text.replace(&place, measured.trim());
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        let minutes = self.begun.elapsed().as_secs_f64() / 60.0;
        self.fill("time", || format!("{minutes:.0}"));
        self.text
    }
}

/// The machine and the versions, a line each.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kib: f64 = memory.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let lines = [
        format!(
            "{cores} × {}, {:.0} GiB, Linux {}",
            model.trim_start_matches([' ', '\t', ':']),
            kib / 1048576.0,
            kernel.trim()
        ),
        format!("{}, {}", said("rustc", &["--version"]), locked(&["wasmtime", "lapin", "tokio"])),
        format!("RabbitMQ {}, {}", said("dpkg-query", &["-W", "-f", "${Version}", "rabbitmq-server"]), python()),
    ];
    lines.map(|line| format!("* {line}\n")).concat()
}

fn python() -> String {
    let python = repository().join("target/venv/bin/python");
    let script = "import sys, importlib.metadata as m; print('Python', sys.version.split()[0] + ', oslo.messaging', \
                  m.version('oslo.messaging'))";
    said(python.to_str().expect("a plain path"), &["-c", script])
}

/// The first line that a program prints.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    output.lines().next().unwrap_or("?").to_owned()
}

/// The versions of crates that are locked.
fn locked(crates: &[&str]) -> String {
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).expect("cargo has written it");
    let version = |name: &&str| {
        let found = lock.split("[[package]]").find(|package| package.contains(&format!("\nname = \"{name}\"\n")));
        let line = found.and_then(|package| package.lines().find_map(|line| line.strip_prefix("version = ")));
        format!("{name} {}", line.unwrap_or("?").trim_matches('"'))
    };
    crates.iter().map(version).collect::<Vec<_>>().join(", ")
}
