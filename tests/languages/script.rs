//! `handlers/languages.sh`, where the tools of a language are missing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Scratch, nova_host, repository};

/// What the script itself runs, and C's compiler: everything that there is.
const PROGRAMS: [&str; 12] =
    ["bash", "basename", "cat", "dirname", "env", "find", "mkdir", "python-zig", "sha256sum", "sort", "stat", "xargs"];

/// A repository in small: a project in Python, of which nobody has the tools, and after it one in C.
struct Small {
    root: Scratch,
}

impl Small {
    fn new() -> Self {
        let small = Self { root: Scratch::new() };
        let root = small.root.path();
        fs::create_dir_all(root.join("handlers/languages")).expect("it is writable");
        fs::create_dir_all(root.join("programs")).expect("it is writable");
        fs::copy(repository().join("handlers/languages.sh"), root.join("handlers/languages.sh")).expect("it is there");
        // What the script looks at to see whether something has changed.
        fs::create_dir_all(root.join("host/src")).expect("it is writable");
        for part in ["guest-sdk", "wit", "host/src/project", "tests"] {
            symlink(repository().join(part), root.join(part)).expect("it is not there yet");
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<_> =
            [repository().join("target/tools/bin")].into_iter().chain(std::env::split_paths(&path)).collect();
        for program in PROGRAMS {
            let found = folders.iter().map(|folder| folder.join(program)).find(|file| file.is_file());
            let found = found.unwrap_or_else(|| panic!("{program} is nowhere in {folders:?}"));
            symlink(found, root.join("programs").join(program)).expect("it is not there yet");
        }
        for (language, name) in [("python", "early"), ("c", "late")] {
            let made = small.run(nova_host(), &["new", "--lang", language, &format!("handlers/languages/{name}")]);
            assert!(made.status.success(), "{made:?}");
        }
        small
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Output {
        let root = self.root.path();
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root).env("PATH", root.join("programs"));
        command.output().expect("it runs")
    }

    /// Runs the script: whether it succeeds, and what it says.
    fn build(&self, more: &[&str]) -> (bool, String) {
        let host = nova_host().display().to_string();
        let arguments: Vec<_> = ["handlers/languages.sh", &host].into_iter().chain(more.iter().copied()).collect();
        let output = self.run(&self.root.path().join("programs/bash"), &arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    }

    fn has(&self, name: &str) -> bool {
        self.root.path().join("target/languages").join(name).is_file()
    }
}

const MISSING: &str = "componentize-py is not installed; install it with: pip install componentize-py==0.25.1";

/// As `make build` runs it, and as `make test` does.
pub(super) fn skips_a_language_without_tools() {
    let small = Small::new();
    let (fine, said) = small.build(&[]);
    assert!(fine, "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], format!("languages: skipping early: {MISSING}"), "{said}");
    let built = "languages: target/languages/late.wasm: ";
    assert!(lines.len() == 2 && lines[1].starts_with(built) && lines[1].ends_with(" bytes, new"), "{said}");
    assert!(small.has("late.wasm") && !small.has("early.wasm"));

    let (fine, said) = small.build(&["--all"]);
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    let expected = [format!("languages: early: {MISSING}"), format!("{built}unchanged")];
    assert!(!fine && lines == expected, "{said}");

    // What fails for another reason is skipped with that one.
    small.root.write("handlers/languages/late/app.c", "nonsense");
    let (fine, said) = small.build(&[]);
    assert!(fine && said.contains("languages: skipping late: python-zig failed (exit status: 1):"), "{said}");
}

/// Whoever only builds has what there are tools for; whoever tests has everything, which is installed before.
pub(super) fn is_run_with_all_tools_by_make_test() {
    let recipe = |target: &str| {
        let output = Command::new("make").args(["--dry-run", target]).current_dir(repository()).output();
        String::from_utf8_lossy(&output.expect("make is there").stdout).into_owned()
    };
    let script = "handlers/languages.sh target/release/nova-host";
    let [build, test] = ["build", "test"].map(recipe);
    assert!(build.lines().any(|line| line == script), "{build}");
    let at = |line: &str| test.lines().position(|other| other == line);
    // With or without newer brokers, and never for the compiler alone.
    let setup = test.lines().position(|line| line == "tests/setup.sh" || line.starts_with("tests/setup.sh --brokers"));
    let all = at(&format!("{script} --all"));
    assert!(setup.is_some() && setup < all && at(script).is_none(), "{test}");
}
