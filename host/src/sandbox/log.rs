//! The import `log`: the guest's lines in the service's log.
//!
//! A line is written in the span of its request, which names handler, method and request.

use super::{
    bindings::log::{Host, Level},
    state::State,
};
use crate::{printable::printable, settings::Bytes};

/// The target of guests' lines, for log filters.
const TARGET: &str = "handler";

/// A longer line is cut.
pub(super) const MAX_LINE: usize = 4096;

/// What one request has written.
#[derive(Debug)]
pub(super) struct Log {
    left: usize,
    dropped: usize,
    panic: Option<String>,
    said: Option<String>,
}

/// How Go's runtime begins the line that says why it ends; what follows it is a stack.
const LAST_WORDS: [&str; 2] = ["panic: ", "fatal error: "];

impl Log {
    pub(super) fn new(limit: Bytes) -> Self {
        Self { left: limit.0, dropped: 0, panic: None, said: None }
    }

    /// Whether lines were dropped.
    pub(super) fn exceeded(&self) -> bool {
        self.dropped > 0
    }

    /// What the guest said last before it trapped: to the host, else on standard error.
    pub(super) fn take_panic(&mut self) -> Option<String> {
        self.panic.take().or_else(|| self.said.take())
    }

    /// Remembers a line of standard error: the last that is not indented, as it stands under a traceback of Python's.
    pub(super) fn said(&mut self, line: &str) {
        let decided = |said: &str| LAST_WORDS.iter().any(|words| said.starts_with(words));
        if !line.starts_with(char::is_whitespace) && !self.said.as_deref().is_some_and(decided) {
            self.said = Some(clean(line));
        }
    }

    /// Writes a line, unless there were too many.
    pub(super) fn line(&mut self, level: Level, text: &str) {
        let line = clean(text);
        match self.left.checked_sub(line.len()) {
            Some(left) => self.left = left,
            None => {
                self.left = 0;
                self.dropped += 1;
                return;
            }
        }
        match level {
            Level::Trace => tracing::trace!(target: TARGET, "{line}"),
            Level::Debug => tracing::debug!(target: TARGET, "{line}"),
            Level::Info => tracing::info!(target: TARGET, "{line}"),
            Level::Warn => tracing::warn!(target: TARGET, "{line}"),
            Level::Error => tracing::error!(target: TARGET, "{line}"),
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if self.dropped > 0 {
            tracing::warn!(target: TARGET, lines = self.dropped, "log limit reached, lines dropped");
        }
    }
}

impl Host for State {
    fn write(&mut self, level: Level, message: String) {
        self.log.line(level, &message);
    }

    fn panicking(&mut self, message: String) {
        self.log.panic = Some(clean(&message));
    }
}

/// The guest's text as one line.
pub(super) fn clean(text: &str) -> String {
    printable(text, MAX_LINE)
}
