//! What is counted of one method.
//!
//! Before it: [`super::Inventory`] has found whose request it is. After it: [`super::report`].

use std::collections::BTreeSet;

use super::{callers::Callers, names::MAX_NAME, sizes::Sizes};
use crate::{
    dispatch::Foresight,
    envelope::{Field, Request},
    printable::printable,
    version::Version,
};

/// The most handlers, and the most versions of them, that are named for one method.
const MAX_NAMED: usize = 8;

/// Bytes of a reason.
const MAX_REASON: usize = 200;

/// To whom a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Any server of the topic.
    Any,
    /// One server.
    Directed,
    /// All of them.
    Fanout,
}

/// What is counted of one method.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) calls: u64,
    pub(super) casts: u64,
    pub(super) fanout: u64,
    pub(super) directed: u64,
    /// The lowest and the highest that were asked for.
    pub(super) versions: Option<(Version, Version)>,
    /// Requests whose version is none.
    pub(super) unreadable_versions: u64,
    pub(super) sizes: Sizes,
    pub(super) callers: Callers,
    /// `None` where no handler was asked.
    pub(super) answers: Option<Answers>,
}

/// What our handlers would do.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    pub(super) answered: u64,
    pub(super) handlers: BTreeSet<String>,
    pub(super) other_versions: u64,
    pub(super) versions: BTreeSet<Version>,
    pub(super) lacking: u64,
    pub(super) refused_arguments: u64,
    /// Why, of the first.
    pub(super) reason: Option<String>,
}

impl Row {
    pub(super) fn requests(&self) -> u64 {
        self.calls + self.casts
    }

    /// Counts a request.
    pub(super) fn note(&mut self, request: &Request, way: Way, bytes: usize, foresight: Option<&Foresight>) {
        match &request.reply_to {
            Some(reply_to) => {
                self.calls += 1;
                self.callers.note(&reply_to.queue);
            }
            None => self.casts += 1,
        }
        match way {
            Way::Any => {}
            Way::Directed => self.directed += 1,
            Way::Fanout => self.fanout += 1,
        }
        match version(&request.version) {
            Some(version) => {
                let (lowest, highest) = self.versions.unwrap_or((version, version));
                self.versions = Some((lowest.min(version), highest.max(version)));
            }
            None => self.unreadable_versions += 1,
        }
        self.sizes.note(bytes);
        if let Some(foresight) = foresight {
            self.answers.get_or_insert_default().note(foresight);
        }
    }
}

impl Answers {
    fn note(&mut self, foresight: &Foresight) {
        match foresight {
            Foresight::Handler(generation) => self.answered_by(&generation.name),
            Foresight::Host => self.answered_by("(the host)"),
            Foresight::OtherVersions(versions) => {
                self.other_versions += 1;
                let room = MAX_NAMED.saturating_sub(self.versions.len());
                self.versions.extend(versions.iter().take(room).copied());
            }
            Foresight::Lacking => self.lacking += 1,
            Foresight::Arguments(refusal) => {
                self.refused_arguments += 1;
                self.reason.get_or_insert_with(|| printable(&refusal.to_string(), MAX_REASON));
            }
        }
    }

    fn answered_by(&mut self, name: &str) {
        self.answered += 1;
        if self.handlers.len() < MAX_NAMED && !self.handlers.contains(name) {
            self.handlers.insert(printable(name, MAX_NAME));
        }
    }
}

/// The version that is asked for, where it is one.
fn version(field: &Field) -> Option<Version> {
    match field {
        Field::Absent => Some(Version::DEFAULT),
        Field::Text(text) => text.parse().ok(),
        Field::Null | Field::Other(_) => None,
    }
}
