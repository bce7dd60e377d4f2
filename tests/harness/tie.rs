//! Children that end with the test process, however that ends.
//!
//! Used by whatever starts programs that do not read from a pipe of ours. A test process that is killed runs no destructor, and
//! its children would serve on for ever. So a shell reads from a pipe that nobody writes to; at the pipe's end it kills
//! all processes that have the mark of this test process in their environment. (What the kernel has for that,
//! `PR_SET_PDEATHSIG`, is bound to the thread that starts the child: each story has its own.)

use std::process::{self, Child, Command, Stdio};
use std::sync::OnceLock;

/// The variable with the mark.
const MARK: &str = "STORIES_OF";

/// Waits for the end of its standard input; then kills what has the mark `$1`. A terminal's ctrl-c is for the others.
const WATCHER: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for process in /proc/[0-9]*; do
    if tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qxF -- "$1"; then
        kill -KILL "${process#/proc/}" 2>/dev/null
    fi
done
"#;

/// Has what the command starts end with this process.
pub(crate) fn tie(command: &mut Command) -> &mut Command {
    static WATCHER_AND_MARK: OnceLock<(Child, String)> = OnceLock::new();
    let (_, mark) = WATCHER_AND_MARK.get_or_init(|| {
        let mark = format!("{}-{:x}", process::id(), fastrand::u64(..));
        let mut shell = Command::new("sh");
        shell.args(["-c", WATCHER, "sh", &format!("{MARK}={mark}")]);
        // Its end of the pipe is closed when this process ends.
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        (shell.spawn().expect("sh is part of every system"), mark)
    });
    command.env(MARK, mark)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;
    use crate::harness::eventually;

    /// Set in the test process that is to be killed.
    const KILLED: &str = "STORY_OF_A_RUN_THAT_IS_KILLED";

    #[test]
    fn a_test_run_that_is_killed_leaves_nothing_running() {
        if std::env::var_os(KILLED).is_some() {
            let mut sleep = tie(Command::new("sleep").arg("600")).spawn().expect("sleep is part of every system");
            eprintln!("{}", sleep.id());
            sleep.wait().expect("it does not end before");
            return;
        }
        let mut run = Command::new(std::env::current_exe().expect("this test"));
        run.args(["--exact", "--nocapture", "harness::tie::tests::a_test_run_that_is_killed_leaves_nothing_running"]);
        run.env(KILLED, "").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut run = run.spawn().expect("it runs again");
        let lines = BufReader::new(run.stderr.take().expect("it is piped")).lines();
        let pid: u32 = lines.map_while(Result::ok).find_map(|line| line.parse().ok()).expect("the id of its child");
        run.kill().expect("it waits");
        run.wait().expect("it is ours");
        // Whoever has it now may leave it unburied.
        let status = || std::fs::read_to_string(format!("/proc/{pid}/stat"));
        eventually("its child to end", || status().map_or(true, |status| status.contains(") Z")).then_some(()));
    }
}
