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
const MAX_LINE: usize = 4096;

/// What one request has written.
#[derive(Debug)]
pub(super) struct Log {
    left: usize,
    dropped: usize,
    panic: Option<String>,
}

impl Log {
    pub(super) fn new(limit: Bytes) -> Self {
        Self { left: limit.0, dropped: 0, panic: None }
    }

    /// Whether lines were dropped.
    pub(super) fn exceeded(&self) -> bool {
        self.dropped > 0
    }

    /// What the guest said last before it trapped.
    pub(super) fn take_panic(&mut self) -> Option<String> {
        self.panic.take()
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
        let line = clean(&self.grants.config.scrub(message));
        match self.log.left.checked_sub(line.len()) {
            Some(left) => self.log.left = left,
            None => {
                self.log.left = 0;
                self.log.dropped += 1;
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

    fn panicking(&mut self, message: String) {
        self.log.panic = Some(clean(&self.grants.config.scrub(message)));
    }
}

/// The guest's text as one line.
pub(super) fn clean(text: &str) -> String {
    printable(text, MAX_LINE)
}
