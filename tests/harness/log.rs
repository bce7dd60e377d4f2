//! What a process of a story wrote: all of it for the story, forty lines of it for people, who are told where the rest is.
//!
//! Made by [`super::serve`] and whatever else starts processes. Under load a log has hundreds of thousands of lines that
//! differ in a number; printed as they are, they would bury what went wrong.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::{ledger::RECORDED, repository};

/// Lines that people are shown of a log, beside panics.
const MAX_LINES: usize = 40;

/// Lines that are shown of those that differ only in numbers: the last ones.
const MAX_ALIKE: usize = 2;

/// Characters that are shown of a line.
const MAX_LENGTH: usize = 400;

/// The text of a log. Printed, it is short.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log(String);

impl Log {
    /// What is in a file; nothing where there is none.
    pub(crate) fn read(file: &Path) -> Self {
        // A process that was killed may have written half a character.
        Self(fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default())
    }

    /// Tells on standard error what a story that fails should know of a process: where its whole log is kept from now on,
    /// and its end. Never panics, for a test that does so twice ends all tests.
    pub(crate) fn tell(&self, process: &str) {
        match self.keep(process) {
            Ok(kept) => eprintln!("the log of {process}, all of which is in {}:\n{self}", kept.display()),
            Err(error) => eprintln!("the log of {process}, which cannot be kept ({error}):\n{self}"),
        }
    }

    fn keep(&self, process: &str) -> std::io::Result<PathBuf> {
        let thread = std::thread::current();
        let story = thread.name().unwrap_or("unnamed").replace("::", "/");
        let kept = repository().join("target/logs").join(story).join(format!("{}.log", process.replace(' ', "-")));
        kept.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(&kept, &self.0)?;
        Ok(kept)
    }
}

/// All of it.
impl From<Log> for String {
    fn from(log: Log) -> Self {
        log.0
    }
}

impl Deref for Log {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// The last lines and all panics. Of lines that differ only in numbers the last are there, and how many there were before.
impl fmt::Display for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut alike = HashMap::<String, usize>::new();
        let mut shown = Vec::new();
        let mut hidden = 0;
        // What a story counts is for machines.
        for line in self.0.lines().rev().filter(|line| !line.contains(RECORDED)) {
            let kind = kind(line);
            let times = alike.entry(kind.clone()).or_default();
            *times += 1;
            let has_room = shown.len() < MAX_LINES && *times <= MAX_ALIKE;
            if has_room || line.contains("panicked at") {
                shown.push((line, kind, *times));
            } else if *times <= MAX_ALIKE {
                hidden += 1;
            }
        }
        if hidden > 0 {
            writeln!(f, "… {hidden} more before")?;
        }
        for (line, kind, times) in shown.into_iter().rev() {
            let before = alike.get(&kind).map_or(0, |all| all.saturating_sub(MAX_ALIKE));
            if times == MAX_ALIKE && before > 0 {
                writeln!(f, "… {before} more like this:")?;
            }
            match line.char_indices().nth(MAX_LENGTH) {
                Some((end, _)) => writeln!(f, "{}…", &line[..end])?,
                None => writeln!(f, "{line}")?,
            }
        }
        Ok(())
    }
}

/// What lines have in common that are alike: every word with a digit in it is a number, a time or an identifier.
fn kind(line: &str) -> String {
    let is_word = |letter: char| letter.is_alphanumeric() || "-_.:".contains(letter);
    let mut kind = String::new();
    for piece in line.split_inclusive(|letter| !is_word(letter)) {
        if piece.contains(|letter: char| letter.is_ascii_digit()) {
            kind.push('#');
            kind.extend(piece.chars().next_back().filter(|letter| !is_word(*letter)));
        } else {
            kind.push_str(piece);
        }
    }
    kind
}

#[test]
fn a_log_of_a_hundred_thousand_lines_is_told_in_fifty() {
    use std::fmt::Write;

    let mut text = "starting\n".to_owned();
    for number in 0..100_000 {
        writeln!(text, "2026-01-01T00:00:{number:05} WARN sending it again queue=reply_{number:x}a0 job={number}").ok();
        writeln!(text, "INFO handler: recorded {number}").ok();
        if number == 500 {
            writeln!(text, "thread 'main' panicked at host/src/main.rs:7").ok();
        }
        if number >= 99_900 {
            let odd: String = "abcdefghij".chars().cycle().skip(number % 10).take(number % 89 + 1).collect();
            writeln!(text, "INFO {odd}").ok();
        }
    }
    text.push_str("the end");
    let told = Log(text).to_string();
    assert!(told.lines().count() <= 50, "{} lines", told.lines().count());
    assert!(told.contains("… 99998 more like this:\n"), "{told}");
    assert!(told.contains("panicked at host/src/main.rs:7\n") && told.ends_with("\nthe end\n"), "{told}");
    assert!(told.contains("… 64 more before\n") && !told.contains("recorded"), "{told}");
    // Nothing is left out of a short one.
    assert_eq!(Log("one 1\none 2\ntwo".to_owned()).to_string(), "one 1\none 2\ntwo\n");
    assert!(Log("x".repeat(MAX_LENGTH + 1)).to_string().len() < MAX_LENGTH + 5);
}
