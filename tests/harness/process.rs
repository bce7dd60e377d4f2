//! Children of the tests: signals by pid, waiting for a bounded time.
//!
//! Used by whatever starts processes. Signals go through `kill`, for the standard library has only SIGKILL; a child that
//! was not waited for keeps its pid, so that they reach the right one.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

/// Sends a signal, named as `kill` names it: `TERM`, `STOP`, …. A process that has gone is no error.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status();
    status.expect("kill is part of every system");
}

/// Waits for a child to end by itself; `None` after `patience`.
pub(crate) fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let started = Instant::now();
    while started.elapsed() < patience {
        if let Some(status) = child.try_wait().expect("the child is ours") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

/// Ends a child that has been told to end, waiting for `patience` before it is killed.
pub(crate) fn end(child: &mut Child, patience: Duration) -> ExitStatus {
    if let Some(status) = wait(child, patience) {
        return status;
    }
    // It may end by itself at this very moment.
    child.kill().ok();
    child.wait().expect("the child is ours")
}

#[test]
fn a_child_that_ignores_the_request_is_killed() {
    let mut child = Command::new("sleep").arg("600").spawn().expect("sleep is part of every system");
    assert_eq!(wait(&mut child, Duration::from_millis(50)), None);
    assert!(!end(&mut child, Duration::from_millis(50)).success());
}
