//! Which requests are recorded, as far as the corridor has a say.
//!
//! Before it: [`super::work`] knows who answers a request. After it: [`crate::recording`], whose id the request's line in the log
//! and its dead letter carry.

use std::time::Duration;

use super::{Corridor, end::Notes};
use crate::{
    dispatch::{Outcome, Resolved},
    recording::{Begun, Draft},
};

impl Corridor {
    /// Decides whether a request is taped; where nothing is recorded, that is all.
    pub(super) fn begins_recording(&self, resolved: &Resolved) -> Begun {
        match &self.recordings {
            Some(_) if resolved.handler().is_none() => Begun::default(),
            Some(keeper) => keeper.begin(resolved.method(), || resolved.request_id()),
            None => Begun::default(),
        }
    }

    /// Keeps what was taped of a request, if it is to be kept.
    pub(super) fn ends_recording(
        &self,
        begun: Begun,
        draft: Option<Draft>,
        outcome: &Outcome,
        took: Duration,
        notes: &mut Notes,
    ) {
        let Some(keeper) = self.recordings.as_ref().filter(|_| begun.tape.is_on()) else { return };
        let is_failure = !matches!(outcome, Outcome::Replied(_));
        notes.particulars.recording = keeper.end(begun, draft, outcome.ending().as_str(), is_failure, took);
    }
}
