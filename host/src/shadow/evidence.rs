//! What comparisons have come to, by method: bounded, whatever a handler makes of it.
//!
//! Before it: [`super::worker`] has judged a run. After it: [`super::report`], made of it when somebody looks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    judgement::{Judged, Place},
    report::{Counts, Example, MethodState, PlaceState},
};
use crate::{canary::evidence::Key, replay::Verdict};

/// Methods that are told apart; the others count as one.
const MAX_METHODS: usize = 128;

/// Places of a method that are told; more are counted as one.
const MAX_PLACES: usize = 20;

/// The latest requests of a method that differed, that are named.
const MAX_EXAMPLES: usize = 5;

/// Paths of a method that are known to differ from themselves.
const MAX_NOISE: usize = 256;

/// Places that are said in the log, each once.
const MAX_SAID: usize = 100;

/// The name under which the others are counted.
const OTHERS: &str = "(others)";

/// What was found so far.
#[derive(Debug, Default)]
pub struct Evidence {
    methods: BTreeMap<Key, Method>,
    compared: u64,
    unsaid: Vec<Found>,
    said: usize,
}

#[derive(Debug, Default)]
struct Method {
    counts: Counts,
    places: BTreeMap<(&'static str, Place), u64>,
    /// Those for which there was no room.
    elsewhere: u64,
    noise: BTreeSet<String>,
    examples: VecDeque<Example>,
}

/// A place that was found for the first time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The method.
    pub method: Key,
    /// What the comparison came to.
    pub verdict: &'static str,
    /// Where.
    pub place: Place,
    /// The request.
    pub example: Example,
}

/// What names a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// The id of the call that it is a part of.
    pub request_id: Option<String>,
    /// Its recording, where one is kept.
    pub recording: Option<String>,
    /// When it began: milliseconds since 1970.
    pub at_ms: u64,
}

/// A verdict in a word.
#[must_use]
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "same",
        Verdict::Differs => "differs",
        Verdict::Diverged => "diverged",
        Verdict::Failed => "failed",
    }
}

impl Evidence {
    /// Counts a comparison.
    pub fn note(&mut self, key: &Key, judged: &Judged, named: &Named) {
        self.compared += 1;
        let key = self.bounded(key);
        let method = self.methods.entry(key.clone()).or_default();
        *method.counts.of(judged.verdict) += 1;
        if judged.verdict == Verdict::Same {
            return;
        }
        let verdict = word(judged.verdict);
        let place = judged.places.first().map(ToString::to_string).unwrap_or_default();
        let Named { request_id, recording, at_ms } = named.clone();
        let example = Example { request_id, recording, at: at_ms / 1000, outcome: verdict.to_owned(), place };
        for place in &judged.places {
            let known = (verdict, place.clone());
            if let Some(count) = method.places.get_mut(&known) {
                *count += 1;
            } else if method.places.len() < MAX_PLACES {
                method.places.insert(known, 1);
                if self.said < MAX_SAID {
                    self.said += 1;
                    let (method, place, example) = (key.clone(), place.clone(), example.clone());
                    self.unsaid.push(Found { method, verdict, place, example });
                }
            } else {
                method.elsewhere += 1;
            }
        }
        if method.examples.len() == MAX_EXAMPLES {
            method.examples.pop_front();
        }
        method.examples.push_back(example);
    }

    /// Notes paths at which a method differs from itself; gives all that are known.
    pub fn noise(&mut self, key: &Key, paths: BTreeSet<String>) -> BTreeSet<String> {
        let key = self.bounded(key);
        let known = &mut self.methods.entry(key).or_default().noise;
        let room = MAX_NOISE.saturating_sub(known.len());
        let new: Vec<String> = paths.into_iter().filter(|path| !known.contains(path)).take(room).collect();
        known.extend(new);
        known.clone()
    }

    fn bounded(&self, key: &Key) -> Key {
        let is_told_apart = self.methods.len() < MAX_METHODS || self.methods.contains_key(key);
        if is_told_apart { key.clone() } else { Key { namespace: None, method: OTHERS.to_owned(), major: 1 } }
    }

    /// Requests that were compared.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Places that are to be said in the log, and were not.
    pub fn take_unsaid(&mut self) -> Vec<Found> {
        std::mem::take(&mut self.unsaid)
    }

    /// What all methods have come to.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.methods.values().map(|method| method.counts).sum()
    }

    /// By method, those with most differences first.
    #[must_use]
    pub fn methods(&self) -> Vec<MethodState> {
        let state = |(key, method): (&Key, &Method)| {
            let place = |((outcome, place), count): (&(&str, Place), &u64)| PlaceState {
                outcome: (*outcome).to_owned(),
                place: place.at.clone(),
                how: place.how.clone(),
                count: *count,
            };
            let mut places: Vec<PlaceState> = method.places.iter().map(place).collect();
            places.sort_by_key(|place| std::cmp::Reverse(place.count));
            MethodState {
                method: key.to_string(),
                counts: method.counts,
                places,
                elsewhere: method.elsewhere,
                noise: method.noise.iter().cloned().collect(),
                examples: method.examples.iter().rev().cloned().collect(),
            }
        };
        let mut methods: Vec<MethodState> = self.methods.iter().map(state).collect();
        methods.sort_by_key(|method| std::cmp::Reverse(method.counts.not_same()));
        methods
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(method: &str) -> Key {
        Key { namespace: None, method: method.to_owned(), major: 1 }
    }

    fn judged(at: &str) -> Judged {
        let place = Place { at: at.to_owned(), how: "another text".to_owned() };
        Judged { verdict: Verdict::Differs, places: vec![place] }
    }

    #[test]
    fn comparisons_are_counted_by_method_and_place_and_the_first_of_each_is_said() {
        let mut evidence = Evidence::default();
        let same = Judged { verdict: Verdict::Same, places: Vec::new() };
        (0..7).for_each(|_| evidence.note(&key("a"), &same, &Named::default()));
        for number in 0..9 {
            let request_id = Some(format!("req-{number}"));
            evidence.note(&key("b"), &judged("/x"), &Named { request_id, ..Named::default() });
        }
        assert_eq!(evidence.compared(), 16);
        assert_eq!(evidence.counts(), Counts { same: 7, differs: 9, ..Counts::default() });
        let methods = evidence.methods();
        assert_eq!((methods[0].method.as_str(), methods[0].places[0].count), ("b", 9));
        let ids: Vec<_> = methods[0].examples.iter().map(|example| example.request_id.as_deref().unwrap()).collect();
        assert_eq!(ids, ["req-8", "req-7", "req-6", "req-5", "req-4"], "the latest first");
        assert_eq!(evidence.take_unsaid().len(), 1);
        assert!(evidence.take_unsaid().is_empty());
    }

    #[test]
    fn whatever_a_handler_makes_of_it_its_evidence_is_bounded() {
        let mut evidence = Evidence::default();
        for method in 0..300 {
            for place in 0..40 {
                evidence.note(&key(&format!("m{method}")), &judged(&format!("/p{place}")), &Named::default());
            }
            let paths = (0..400).map(|path| format!("/{path}")).collect();
            assert!(evidence.noise(&key("m0"), paths).len() <= MAX_NOISE);
        }
        let methods = evidence.methods();
        assert_eq!(methods.len(), MAX_METHODS + 1);
        assert!(methods.iter().all(|method| method.places.len() <= MAX_PLACES));
        let others = methods.iter().find(|method| method.method == OTHERS).unwrap();
        assert!(others.counts.differs > 6_000 && others.elsewhere > 3_000, "{others:?}");
        assert_eq!(evidence.take_unsaid().len(), MAX_SAID);
        assert_eq!(evidence.counts().differs, 300 * 40);
    }
}
