//! Components that attack the compiler: it works in a process of its own, within limits, and goes when the host goes.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::harness::{Bomb, PATIENCE, Scratch, eventually, handlers, nova_host, process};

/// Takes minutes, on any machine: 100 MB of code.
const HUGE: Bomb = Bomb { functions: 12_500, steps: 1000 };

/// One function that takes far more than the least memory that can be configured.
const DENSE: Bomb = Bomb { functions: 1, steps: 500_000 };

/// `nova-host check` of a directory, without a cache.
fn check(directory: &Path, settings: &[&str]) -> Command {
    let mut command = Command::new(nova_host());
    command.args(["check", "--handlers"]).arg(directory).env_remove("HOME").env_remove("XDG_CACHE_HOME");
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A directory with one good handler and one bad one.
fn directory(bad: &[u8]) -> Scratch {
    let scratch = Scratch::new();
    fs::copy(handlers().join("calculator.wasm"), scratch.path().join("calculator.wasm")).expect("it is built");
    scratch.write("bad.wasm", bad);
    scratch
}

#[test]
fn a_component_that_takes_too_long_to_compile_is_refused_and_the_others_are_served() {
    let directory = directory(&HUGE.component());
    // The good one must pass on a slow machine too, with a compiler that is not optimised.
    let output = check(directory.path(), &["handlers.compile_timeout=15s"]).output().expect("it runs");
    let text = text(&output);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains("bad.wasm: compiling it takes longer than 15s (handlers.compile_timeout)"), "{text}");
    assert!(text.contains("calculator  sha256:"), "{text}");
}

#[test]
fn a_component_that_takes_too_much_memory_to_compile_is_refused() {
    let directory = directory(&DENSE.component());
    let output = check(directory.path(), &["handlers.compile_memory=128 MiB"]).output().expect("it runs");
    let text = text(&output);
    assert!(
        text.contains("bad.wasm: compiling it takes more than 128 MiB of memory (handlers.compile_memory)"),
        "{text}"
    );
    assert!(text.contains("calculator  sha256:"), "{text}");
}

#[test]
fn what_does_not_compile_is_refused_in_the_compilers_words() {
    let mut broken = Bomb { functions: 1, steps: 1 }.component();
    let end = broken.len() - 2;
    broken[end] = 0x05;
    let output = check(directory(&broken).path(), &[]).output().expect("it runs");
    assert!(text(&output).contains("bad.wasm: does not compile: "), "{}", text(&output));
}

/// The children of a process that compile.
fn compilers(pid: u32) -> Vec<u32> {
    let children = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = children.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<u32> =
        children.flat_map(|pids| pids.split(' ').filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect();
    let compiles = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(b"nova-host\0compile\0"))
    };
    pids.into_iter().filter(compiles).collect()
}

/// Whether a process runs; one that has ended and that nobody waited for does not.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z"))
}

#[test]
fn the_compiler_has_no_environment_and_ends_with_the_host_even_where_that_is_killed() {
    let directory = directory(&HUGE.component());
    let mut command = check(directory.path(), &[]);
    command.env("SECRET_OF_THE_SERVICE", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let mut host: Child = command.spawn().expect("it runs");
    let compiler = eventually("a compiler", || compilers(host.id()).first().copied());
    let environment = fs::read(format!("/proc/{compiler}/environ")).expect("it runs");
    let environment = String::from_utf8_lossy(&environment).into_owned();
    let mut variables: Vec<&str> = environment.split_terminator('\0').collect();
    variables.sort_unstable();
    assert_eq!(variables, ["MIMALLOC_ARENA_EAGER_COMMIT=0"]);
    host.kill().expect("it runs");
    process::end(&mut host, PATIENCE);
    eventually("the end of the compiler", || (!runs(compiler)).then_some(()));
}

#[test]
fn the_compiler_limits_itself() {
    let wasm = HUGE.component();
    let mut command = Command::new(nova_host());
    command
        .args(["compile", &wasm.len().to_string(), "1073741824", "1", "true"])
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    let mut compiler =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let mut input = compiler.stdin.take().expect("it is piped");
    input.write_all(&wasm).expect("it reads");
    // Without anybody who ends it.
    let status = process::wait(&mut compiler, PATIENCE).expect("it ends by itself");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(24), "SIGXCPU: {status}");
    drop(input);
}
