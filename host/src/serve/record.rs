//! Which requests are recorded, and which are compared by a shadow, as far as the corridor has a say.
//!
//! Before it: [`super::work`] knows who answers a request. After it: [`crate::recording`], whose id the request's line in the log
//! and its dead letter carry; and [`crate::shadow`], once the request is answered.

use std::time::Duration;

use super::{Corridor, end::Notes};
use crate::{
    dispatch::{Outcome, Resolved},
    recording::{Begun, Draft},
    sandbox::Tape,
    shadow::{Wanted, intake::MAX_TAPED},
};

/// A request that is taped, perhaps.
#[derive(Debug)]
pub(super) struct Taping {
    begun: Begun,
    /// Where it is to be compared.
    shadow: Option<Wanted>,
}

impl Taping {
    /// What its imports are taped on.
    pub(super) fn tape(&self) -> &Tape {
        &self.begun.tape
    }
}

impl Corridor {
    /// Decides whether a request is taped; where nothing is recorded and nothing compared, that is all.
    pub(super) fn begins_recording(&self, resolved: &mut Resolved) -> Taping {
        let shadow = resolved.shadow();
        let begun = match &self.recordings {
            Some(_) if resolved.handler().is_none() => Begun::default(),
            Some(keeper) => keeper.begin(resolved.method(), || resolved.request_id()),
            None => Begun::default(),
        };
        match shadow {
            Some(shadow) => Taping { begun: begun.shared(MAX_TAPED), shadow: Some(shadow) },
            None => Taping { begun, shadow: None },
        }
    }

    /// Keeps what was taped of a request, if it is to be kept.
    pub(super) fn ends_recording(
        &self,
        taping: Taping,
        draft: Option<Draft>,
        outcome: &Outcome,
        took: Duration,
        notes: &mut Notes,
    ) {
        let Taping { begun, shadow } = taping;
        let (keeper, word) = (self.recordings.as_ref().filter(|_| begun.tape.is_on()), outcome.ending().as_str());
        let compared = shadow.map(|shadow| match keeper {
            Some(_) => (shadow, draft.clone(), begun.tape.copied()),
            None => (shadow, None, None),
        });
        let is_failure = !matches!(outcome, Outcome::Replied(_));
        let Some(keeper) = keeper else {
            // Nobody else wants it.
            notes.shadow = compared.and_then(|(shadow, ..)| shadow.ended(draft, begun.tape.taken(), word, took, None));
            return;
        };
        notes.particulars.recording = keeper.end(begun, draft, word, is_failure, took);
        let recording = notes.particulars.recording.as_deref();
        notes.shadow = compared.and_then(|(shadow, draft, taped)| shadow.ended(draft, taped, word, took, recording));
    }
}
