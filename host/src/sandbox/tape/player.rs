//! A tape that is told: to the component that was recorded, call by call in their order, or to another one.
//!
//! Another component may look at the clock more often, and log less: each import has its own row of answers then, of which
//! those that ask others must come in their order, all of them together.

use std::{borrow::Cow, collections::HashMap};

use super::turn::{Kind, Turn};
use crate::{
    envelope::Text,
    recording::{Call, is_like},
};

/// Bytes of what is asked, in a difference.
const MAX_SHOWN: usize = 300;

/// Differences that are kept.
const MAX_DIFFERENCES: usize = 32;

/// Calls that are kept to be shown.
const MAX_MADE: usize = 100_000;

/// How a tape is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// To the component that was recorded, in a fresh instance as then: every call in its order.
    Exact,
    /// To another one, or to an instance that is not like the one that was recorded.
    Told,
}

/// What a replay came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Each call that was made, with the answer that it got.
    pub made: Vec<Call>,
    /// Where it has gone another way, the first first.
    pub differences: Vec<Difference>,
    /// Lines of the log that are others.
    pub said: Vec<Difference>,
    /// Answers that were not on the tape: clocks that go on, random numbers of no meaning.
    pub beyond: u64,
    /// Whether the guest was waiting for an answer when it was ended, then and now.
    pub is_cut: bool,
    /// Bytes of memory at the end.
    pub memory: usize,
}

/// Another call than was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which call, from 1.
    pub number: usize,
    /// The import that was called, or that should have been.
    pub import: String,
    /// What was recorded; `None` where nothing was.
    pub expected: Option<String>,
    /// What came; `None` where nothing came.
    pub got: Option<String>,
}

/// The answers of a recording, and how far they are told.
#[derive(Debug)]
pub(super) struct Player {
    calls: Vec<Call>,
    rule: Rule,
    is_redacted: bool,
    told: Vec<bool>,
    /// Where to look for the next one: of all of them, or by the import.
    next: HashMap<&'static str, usize>,
    /// What was told last, by the import.
    last: HashMap<&'static str, Text>,
    is_over: bool,
    played: Played,
}

/// The one row of answers where there is one for all.
const ALL: &str = "";

/// The row of those that ask others.
const ASKING: &str = "asking";

impl Player {
    pub(super) fn new(calls: Vec<Call>, rule: Rule, is_redacted: bool) -> Self {
        let told = vec![false; calls.len()];
        Self {
            calls,
            rule,
            is_redacted,
            told,
            next: HashMap::new(),
            last: HashMap::new(),
            is_over: false,
            played: Played::default(),
        }
    }

    /// What is to be done about a call.
    pub(super) fn turn(&mut self, kind: Kind, import: &'static str, asked: &Text) -> Turn {
        if self.is_over {
            return Turn::Over;
        }
        let at = match self.rule {
            Rule::Exact => self.from(ALL, |_| true),
            Rule::Told if kind == Kind::Asks => self.from(ASKING, |call| is_asking(&call.import)),
            Rule::Told => self.from(import, |call| call.import == import),
        };
        let call = at.and_then(|at| self.calls.get(at));
        let fits =
            call.is_some_and(|call| call.import == import && is_like(call.asked.get(), asked.get(), self.is_redacted));
        let (Some(at), Some(call), true) = (at, call, fits) else {
            if kind == Kind::Notices && self.rule == Rule::Told {
                self.played.beyond += 1;
                return Turn::Beyond(self.played.beyond, self.last.get(import).cloned());
            }
            let expected = call.map(shown);
            self.differs(import, expected, Some(shown_of(import, asked)));
            self.is_over = true;
            return Turn::Over;
        };
        let call = call.clone();
        self.pass(at, &call);
        match call.answer {
            Some(answer) => {
                if kind == Kind::Notices && self.rule == Rule::Told {
                    self.last.insert(import, answer.clone());
                }
                Turn::Told(answer)
            }
            None => {
                (self.is_over, self.played.is_cut) = (true, true);
                Turn::Over
            }
        }
    }

    pub(super) fn used(&mut self, memory: usize) {
        self.played.memory = memory;
    }

    /// Compares a line that the guest has said.
    pub(super) fn says(&mut self, import: &'static str, line: &Text) {
        if self.is_over {
            return;
        }
        let at = match self.rule {
            Rule::Exact => {
                self.from(ALL, |_| true).filter(|at| self.calls.get(*at).is_some_and(|call| call.import == import))
            }
            Rule::Told => self.from(import, |call| call.import == import),
        };
        let call = at.and_then(|at| self.calls.get(at)).cloned();
        if !call.as_ref().is_some_and(|call| is_like(call.asked.get(), line.get(), self.is_redacted))
            && self.played.said.len() < MAX_DIFFERENCES
        {
            let number = self.played.made.len() + 1;
            let (expected, got) = (call.as_ref().map(shown), Some(shown_of(import, line)));
            self.played.said.push(Difference { number, import: import.to_owned(), expected, got });
        }
        if let (Some(at), Some(call)) = (at, call) {
            self.pass(at, &call);
        }
    }

    /// An answer that is none of its call's.
    pub(super) fn unreadable(&mut self, import: &'static str, reason: &str) {
        let expected = Some(format!("an answer that is one of {import} ({reason})"));
        self.differs(
            import,
            expected,
            Some("what is on the tape: the recording was edited, or is another version's".into()),
        );
        self.is_over = true;
    }

    /// What it came to. What was recorded and not asked for is a difference.
    pub(super) fn take(&mut self) -> Played {
        if !self.is_over {
            let left = |call: &Call| self.rule == Rule::Exact || is_asking(&call.import);
            let missing: Vec<(String, String)> = (self.calls.iter().zip(&self.told))
                .filter(|(call, told)| !**told && left(call))
                .take(1)
                .map(|(call, _)| (call.import.clone(), shown(call)))
                .collect();
            for (import, expected) in missing {
                if is_word(&import) {
                    let number = self.played.made.len() + 1;
                    self.played.said.push(Difference { number, import, expected: Some(expected), got: None });
                } else {
                    self.differs(&import, Some(expected), None);
                }
            }
        }
        std::mem::take(&mut self.played)
    }

    /// The next answer of a row that has not been told.
    fn from(&mut self, row: &'static str, is_of: impl Fn(&Call) -> bool) -> Option<usize> {
        let next = self.next.entry(row).or_default();
        // Cut before they are paired: pairs are skipped one by one, which all calls together would take the square of.
        let left = self.calls.get(*next..).unwrap_or_default().iter().zip(self.told.get(*next..).unwrap_or_default());
        let found = left.zip(*next..).find(|((call, told), _)| !**told && is_of(call)).map(|(_, at)| at);
        *next = found.unwrap_or(self.calls.len());
        found
    }

    fn pass(&mut self, at: usize, call: &Call) {
        if let Some(told) = self.told.get_mut(at) {
            *told = true;
        }
        if self.played.made.len() < MAX_MADE {
            self.played.made.push(call.clone());
        }
    }

    fn differs(&mut self, import: &str, expected: Option<String>, got: Option<String>) {
        if self.played.differences.len() < MAX_DIFFERENCES {
            let number = self.played.made.len() + 1;
            self.played.differences.push(Difference { number, import: import.to_owned(), expected, got });
        }
    }
}

/// Whether a call of this import asks others.
fn is_asking(import: &str) -> bool {
    ["nova:rpc/client.", "nova:rpc/keyvalue.", "wasi:http/"].iter().any(|asking| import.starts_with(asking))
}

/// Whether it is a line of the log.
fn is_word(import: &str) -> bool {
    import.starts_with("nova:rpc/log.") || import.starts_with("wasi:cli/")
}

fn shown(call: &Call) -> String {
    shown_of(&call.import, &call.asked)
}

/// A call for people.
fn shown_of(import: &str, asked: &Text) -> String {
    let asked = if asked.get() == "null" { Cow::Borrowed("") } else { Cow::Owned(format!(" {}", asked.get())) };
    crate::printable::printable(&format!("{import}{asked}"), MAX_SHOWN)
}
