//! The walls and habits of the code base, as tests: what reviewers would otherwise have to say each time.
//!
//! A rule is a function that complains about one file. Every rule is shown a bad sample first, so that one that no
//! longer sees anything fails. Which rules there are: [`walls`], [`habits`], [`links`]; [`conformance`]
//! holds a page against the tests, and [`circles`] all files of the program against each other.

mod circles;
mod conformance;
mod habits;
mod links;
mod paths;
mod walls;

use std::fs;
use std::path::Path;

use crate::harness::repository;

/// A text file of the repository.
struct Source {
    /// From the top, with `/`.
    path: String,
    text: String,
}

/// Finds what is wrong with a file: one sentence for each place.
type Rule = fn(&Source) -> Vec<String>;

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// Whether its name ends in `.extension`.
    fn is(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, end)| end == extension)
    }

    /// Whether it is the module of this path, or below it: `host/src/a` is `host/src/a.rs` and all in `host/src/a/`.
    fn is_in(&self, module: &str) -> bool {
        let rest = self.path.strip_prefix(module);
        self.is("rs") && rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    /// A complaint about the whole file.
    fn complain(&self, what: &str) -> String {
        format!("{}: {what}", self.path)
    }

    /// A complaint about every line that the condition dislikes.
    fn complain_lines(&self, mut dislikes: impl FnMut(&str) -> bool, what: &str) -> Vec<String> {
        let lines = self.text.lines().enumerate().filter(|(_, line)| dislikes(line));
        lines.map(|(index, line)| format!("{}:{}: {what}: {}", self.path, index + 1, line.trim())).collect()
    }
}

/// Holds a rule against a bad sample, which it must see, and against every file of the repository.
#[track_caller]
fn hold(rule: Rule, bad_path: &str, bad_text: &str) {
    assert!(!rule(&Source::new(bad_path, bad_text)).is_empty(), "the rule does not see what is wrong with its sample");
    let mut sources = Vec::new();
    collect(&repository(), "", &mut sources);
    let complaints: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "{} to mend:\n{}", complaints.len(), complaints.join("\n"));
}

/// Reads all text files below a directory. Neither what is built nor what git keeps to itself is ours.
fn collect(directory: &Path, prefix: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(directory).expect("the repository is readable") {
        let name = entry.expect("the repository is readable").file_name().to_string_lossy().into_owned();
        let (path, file) = (format!("{prefix}{name}"), directory.join(&name));
        if ["target", ".git", "__pycache__", ".nova", "node_modules"].contains(&name.as_str()) {
            continue;
        } else if file.is_dir() {
            collect(&file, &format!("{path}/"), sources);
        } else if let Ok(text) = fs::read_to_string(&file) {
            sources.push(Source { path, text });
        }
    }
}

#[test]
fn a_module_is_its_file_and_its_folder() {
    assert!(Source::new("host/src/a.rs", "").is_in("host/src/a"));
    assert!(Source::new("host/src/a/b/c.rs", "").is_in("host/src/a"));
    assert!(!Source::new("host/src/ab.rs", "").is_in("host/src/a"));
}
