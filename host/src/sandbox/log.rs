//! The import `log`: the guest's lines in the service's log.
//!
//! A line is written in the span of its request, which names handler, method and request.

use std::sync::Arc;

use super::{
    bindings::log::{Host, Level},
    tape::{Tape, text},
};
use crate::{capability::Grants, envelope::Text, printable::printable, settings::Bytes};

/// The target of guests' lines, for log filters.
pub(super) const TARGET: &str = "handler";

/// Bytes that count for each line beside its text: time, level, handler, method and request stand around it.
const AROUND: usize = 32;

/// A longer line is cut.
pub(super) const MAX_LINE: usize = 4096;

/// What one request has written.
#[derive(Debug)]
pub(super) struct Log {
    /// Whose secrets are no line's.
    grants: Arc<Grants>,
    left: usize,
    dropped: usize,
    panic: Option<String>,
    said: Option<String>,
    /// Whether what was said is the last word, whatever comes after it.
    decided: bool,
    /// Whether a traceback has begun.
    traced: bool,
    /// Where its lines are taped; told from a tape, nobody hears them.
    tape: Tape,
}

/// How Python begins to say why it ends; the first line after it that is not indented says it.
const TRACEBACK: &str = "Traceback (most recent call last):";

/// How Rust's standard library ends what it says of a panic.
const NOTE: &str = "note: run with `RUST_BACKTRACE=";

/// How Go's runtime begins the line that says why it ends; what follows it is a stack.
const LAST_WORDS: [&str; 2] = ["panic: ", "fatal error: "];

impl Log {
    pub(super) fn new(limit: Bytes, grants: &Arc<Grants>) -> Self {
        let grants = Arc::clone(grants);
        let tape = Tape::default();
        Self { grants, left: limit.0, dropped: 0, panic: None, said: None, decided: false, traced: false, tape }
    }

    /// The same for a request that is taped, or told from a tape.
    pub(super) fn taped(mut self, tape: Tape) -> Self {
        self.tape = tape;
        self
    }

    /// Whether lines were dropped.
    pub(super) fn exceeded(&self) -> bool {
        self.dropped > 0
    }

    /// Whether details are logged.
    pub(super) fn has_details() -> bool {
        tracing::enabled!(target: TARGET, tracing::Level::DEBUG)
    }

    /// Writes what the guest has not written for the log, where details are logged.
    pub(super) fn detail(&mut self, what: &str, details: impl FnOnce() -> String) {
        if Self::has_details() && !self.is_spent() {
            self.line(Level::Debug, &format!("{what} {}", details()));
        }
    }

    /// The beginning of a text, so many bytes, without the handler's secrets. The rest is not even looked at.
    pub(super) fn scrubbed(&self, text: String, most: usize) -> String {
        self.grants.config.scrub_start(text, most)
    }

    /// Whether no line is written any more.
    pub(super) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Counts what is not written.
    pub(super) fn drop_line(&mut self) {
        self.dropped += 1;
    }

    /// What the guest said last before it trapped: to the host, else on standard error.
    pub(super) fn take_panic(&mut self) -> Option<String> {
        self.panic.take().or_else(|| self.said.take())
    }

    /// Makes ready for another request. What was left out of the last one's is said in its span, which is the current one.
    pub(super) fn begin(&mut self, limit: Bytes, tape: Tape) {
        *self = Self::new(limit, &self.grants).taped(tape);
    }

    /// Takes a line that was printed.
    pub(super) fn printed(&mut self, level: Level, line: String, is_error: bool) {
        if self.is_spent() && !is_error {
            return self.drop_line();
        }
        let line = self.scrubbed(line, MAX_LINE);
        if is_error {
            self.said(&line);
        }
        let import = if is_error { "wasi:cli/stderr.line" } else { "wasi:cli/stdout.line" };
        self.told(level, &line, import, || text(&line));
    }

    /// Remembers a line of standard error: the one under a traceback of Python's, the first of Go's runtime, else the
    /// last that is not indented.
    fn said(&mut self, line: &str) {
        // Of the runtimes that are written in Rust: it says nothing of this end.
        if line.starts_with(NOTE) {
            return;
        }
        if line == TRACEBACK {
            (self.said, self.decided) = (None, false);
        } else if !line.starts_with(char::is_whitespace) && !self.decided {
            self.decided = self.traced || LAST_WORDS.iter().any(|words| line.starts_with(words));
            self.said = Some(clean(line));
        }
        self.traced = line == TRACEBACK || (self.traced && !self.decided);
    }

    /// Writes a line, unless there were too many.
    pub(super) fn line(&mut self, level: Level, text: &str) {
        if let Some(line) = self.counted(text) {
            write(level, &line);
        }
    }

    /// Tapes a line and writes it, unless there were too many. Told from a tape it counts as well, or the replay would have more.
    fn told(&mut self, level: Level, line: &str, import: &'static str, taped: impl FnOnce() -> Text) {
        if self.is_spent() {
            return self.drop_line();
        }
        let is_heard = self.tape.says(import, taped);
        if let Some(line) = self.counted(line).filter(|_| is_heard) {
            write(level, &line);
        }
    }

    /// A line as it is written, where there were not too many.
    fn counted(&mut self, text: &str) -> Option<String> {
        let line = clean(text);
        let left = self.left.checked_sub(line.len() + AROUND);
        self.left = left.unwrap_or_default();
        if left.is_none() {
            self.drop_line();
        }
        left.map(|_| line)
    }
}

fn write(level: Level, line: &str) {
    match level {
        Level::Trace => tracing::trace!(target: TARGET, "{line}"),
        Level::Debug => tracing::debug!(target: TARGET, "{line}"),
        Level::Info => tracing::info!(target: TARGET, "{line}"),
        Level::Warn => tracing::warn!(target: TARGET, "{line}"),
        Level::Error => tracing::error!(target: TARGET, "{line}"),
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.dropped > 0 {
            tracing::warn!(target: TARGET, lines = self.dropped, "log limit reached, lines dropped");
        }
    }
}

impl Host for Log {
    fn write(&mut self, level: Level, message: String) {
        if self.is_spent() {
            return self.drop_line();
        }
        let message = self.scrubbed(message, MAX_LINE);
        self.told(level, &message, "nova:rpc/log.write", || text(&(word(level), &message)));
    }

    fn panicking(&mut self, message: String) {
        let message = self.scrubbed(message, MAX_LINE);
        self.tape.says("nova:rpc/log.panicking", || text(&message));
        self.panic = Some(clean(&message));
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// The guest's text as one line.
pub(super) fn clean(text: &str) -> String {
    printable(text, MAX_LINE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_words(lines: &[&str]) -> Option<String> {
        let mut log = Log::new(Bytes(1000), &Arc::default());
        lines.iter().for_each(|line| log.printed(Level::Warn, (*line).to_owned(), true));
        log.take_panic()
    }

    /// Attacks the disk: each is a line of the log, with time, handler and method.
    #[test]
    fn lines_without_letters_count_as_well() {
        let mut log = Log::new(Bytes(1000), &Arc::default());
        (0..2000).for_each(|_| log.line(Level::Info, ""));
        assert!(log.dropped >= 1000, "{}", log.dropped);
    }

    /// Attacks the worker: what is too long to be shown is not looked at.
    #[test]
    fn of_a_long_text_only_the_beginning_is_looked_at_and_no_part_of_a_secret_is_in_it() {
        let token = "hush-hush-token";
        let manifest = format!("config.a = {{ value = \"{token}\", secret = true }}");
        let grants = Arc::new(crate::catalog::load::grants(Some(&manifest), &crate::testing::tight()).unwrap());
        let log = Log::new(Bytes(1000), &grants);
        for before in (MAX_LINE - 40)..(MAX_LINE + 40) {
            let text = format!("{token}{}{token}{}", "x".repeat(before), "y".repeat(1 << 20));
            let text = log.scrubbed(text, MAX_LINE);
            assert!(!text.contains("hush") && text.ends_with('…'), "{before}");
            assert!((MAX_LINE - 40..MAX_LINE + 4).contains(&text.len()), "{before}: {}", text.len());
        }
        assert_eq!(log.scrubbed(format!("a {token} b"), MAX_LINE), "a *** b");
        assert_eq!(log.scrubbed(format!("abc{token}"), 5), "abc**…");
    }

    #[test]
    fn the_last_words_of_every_runtime_are_found() {
        let note = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
        let python = [TRACEBACK, "  File \"app.py\", line 3, in f", "ValueError: no", "thread panicked:", note];
        assert_eq!(last_words(&python).unwrap(), "ValueError: no");
        assert_eq!(
            last_words(&["thread '<unnamed>' panicked at a.rs:1:", "expected string", note]).unwrap(),
            "expected string"
        );
        assert_eq!(last_words(&["panic: boom", "", "goroutine 1 [running]:"]).unwrap(), "panic: boom");
        assert_eq!(last_words(&["  indented"]), None);
    }
}
