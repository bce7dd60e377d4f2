//! Who has changed what, and who was refused: a line of the log for each, whatever else is logged.
//!
//! Before it: [`super::operate`], and [`crate::admin`] where somebody is not let in. After it: the log, with the target [`AUDIT`], which
//! [`crate::levels`] lets through always.

use super::caller::Caller;
use crate::{control::protocol::ControlAnswer, printable::printable};

/// The target of these lines.
pub const AUDIT: &str = "audit";

/// Bytes of what others wrote, in such a line.
const MAX_SHOWN: usize = 512;

/// A change under way. Dropped before its end, it says so.
#[derive(Debug)]
pub struct Audit {
    caller: Caller,
    what: String,
    has_ended: bool,
}

impl Audit {
    /// Somebody wants this.
    #[must_use]
    pub fn begin(caller: &Caller, what: &str) -> Self {
        Self { caller: caller.clone(), what: printable(what, MAX_SHOWN), has_ended: false }
    }

    /// It came to this end.
    pub fn end(mut self, answer: &ControlAnswer) {
        match answer {
            ControlAnswer::Failed { message, .. } => self.say(&format!("refused: {}", printable(message, MAX_SHOWN))),
            _ => self.say("done"),
        }
    }

    /// It was not even begun.
    pub fn refused(mut self, why: &str) {
        self.say(&format!("refused: {}", printable(why, MAX_SHOWN)));
    }

    fn say(&mut self, outcome: &str) {
        self.has_ended = true;
        let Self { caller: Caller { name, role, from }, what, .. } = self;
        tracing::info!(target: AUDIT, who = name, %role, from, what, outcome, "an operator");
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        if !self.has_ended {
            self.say("not waited for: it is done, or was not begun");
        }
    }
}

/// Somebody was not let in.
pub fn turned_away(from: &str, why: &str) {
    tracing::warn!(target: AUDIT, from, outcome = why, "somebody was not let in");
}
