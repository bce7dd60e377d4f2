//! Where a run of the new version differs: in words that name places, and no value.
//!
//! Before it: [`crate::replay`] has compared. After it: [`super::evidence`] counts. Pure. A value could be a secret that nothing names as such, so
//! that none is told, and of a path nothing below a name that hides what it names. Names that look like data (a UUID, a key) are told as `*`,
//! as are positions in arrays: so one field of a thousand instances is one place.

use std::{collections::BTreeSet, fmt};

use crate::{
    printable::printable,
    recording::{Ended, Names, Recording},
    replay::{Comparison, Verdict, paths::Change},
    sandbox::Difference,
};

/// Parts of a path that are told.
const MAX_PARTS: usize = 16;

/// Bytes of one.
const MAX_PART: usize = 48;

/// Bytes of an exception's class.
const MAX_CLASS: usize = 120;

/// Bytes of a name from which on it is data where it has digits, as UUIDs and keys do.
const MIN_DATA: usize = 16;

/// What looks at the clock or at chance: what the version that serves is not told when it is run again to see what depends on it.
const CHANCE: [&str; 3] = ["wasi:clocks/", "wasi:random/", "nova:rpc/request-info.time-left-ms"];

/// What a comparison comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// In a word.
    pub verdict: Verdict,
    /// Where, the first first; none where it is the same.
    pub places: Vec<Place>,
}

/// A place where two versions differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// A path of the result, the import that was asked, or `outcome`.
    pub at: String,
    /// What is there in place of what.
    pub how: String,
}

/// Judges a run. Paths of `noise` may differ.
#[must_use]
pub fn judge(comparison: &Comparison, noise: &BTreeSet<String>, names: &Names) -> Judged {
    let verdict = comparison.verdict();
    let of_ends = || Place { at: "outcome".to_owned(), how: instead(&comparison.ended, &comparison.expected) };
    let places = match verdict {
        Verdict::Same => Vec::new(),
        Verdict::Diverged => comparison.differences.iter().take(1).map(of_call).collect(),
        Verdict::Failed => vec![of_ends()],
        Verdict::Differs if comparison.changed.is_empty() => vec![of_ends()],
        Verdict::Differs => {
            let changed = comparison.changed_but_for_lines();
            let places: BTreeSet<Place> = changed.map(|change| of_change(change, names)).collect();
            places.into_iter().filter(|place| !noise.contains(&place.at)).collect()
        }
    };
    let is_same = verdict == Verdict::Differs && places.is_empty();
    Judged { verdict: if is_same { Verdict::Same } else { verdict }, places }
}

/// The paths at which a version differs from itself; `None` where it does not even do the same.
#[must_use]
pub fn noise(comparison: &Comparison, names: &Names) -> Option<BTreeSet<String>> {
    match judge(comparison, &BTreeSet::new(), names) {
        Judged { verdict: Verdict::Same, .. } => Some(BTreeSet::new()),
        Judged { verdict: Verdict::Differs, places } if places.iter().all(|place| place.at != "outcome") => {
            Some(places.into_iter().map(|place| place.at).collect())
        }
        Judged { .. } => None,
    }
}

/// The same request as if it came at another time: clocks and random numbers are others.
#[must_use]
pub fn at_another_time(recording: &Recording) -> Recording {
    let is_chance = |import: &str| CHANCE.iter().any(|chance| import.starts_with(chance));
    let mut other = recording.clone();
    other.calls.retain(|call| !is_chance(&call.import));
    other
}

fn of_call(difference: &Difference) -> Place {
    let import = |shown: &Option<String>| {
        shown.as_deref().and_then(|shown| shown.split_whitespace().next()).map(|import| printable(import, MAX_CLASS))
    };
    let (expected, got) = (import(&difference.expected), import(&difference.got));
    let how = match (&expected, &got) {
        (Some(expected), Some(got)) if expected == got => "asked for something else".to_owned(),
        (Some(expected), Some(_)) => format!("asked in place of {expected}"),
        (Some(_), None) => "not asked".to_owned(),
        (None, _) => "asked beyond what the version that serves asks".to_owned(),
    };
    Place { at: got.or(expected).unwrap_or_else(|| printable(&difference.import, MAX_CLASS)), how }
}

fn of_change(change: &Change, names: &Names) -> Place {
    let (expected, got) = (change.expected.as_deref().map(kind), change.got.as_deref().map(kind));
    let how = match (expected, got) {
        (Some(expected), Some(got)) if expected == got => format!("another {got}"),
        (Some(expected), Some(got)) => format!("{got} in place of {expected}"),
        (Some(expected), None) => format!("missing ({expected})"),
        (None, got) => format!("new ({})", got.unwrap_or("nothing")),
    };
    Place { at: pattern(&change.path, names), how }
}

/// The kind of a value in JSON.
fn kind(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "text",
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// A path that stands for all that are alike.
fn pattern(path: &str, names: &Names) -> String {
    let mut pattern = String::new();
    for (number, part) in path.split('/').skip(1).enumerate() {
        let is_position = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let is_data = part.len() >= MIN_DATA && part.bytes().any(|byte| byte.is_ascii_digit());
        pattern.push('/');
        pattern.push_str(&if is_position || is_data { "*".to_owned() } else { printable(part, MAX_PART) });
        if names.hide(part) || number + 1 == MAX_PARTS {
            break;
        }
    }
    if pattern.is_empty() { "the whole".to_owned() } else { pattern }
}

fn instead(got: &Ended, expected: &Ended) -> String {
    format!("{} in place of {}", end(got), end(expected))
}

fn end(ended: &Ended) -> String {
    match ended {
        Ended::Failed(failure) => {
            let name = if failure.module.is_empty() || failure.module == "builtins" {
                failure.class.clone()
            } else {
                format!("{}.{}", failure.module, failure.class)
            };
            format!("failed with {}", printable(&name, MAX_CLASS))
        }
        Ended::Replied(_) | Ended::Declined | Ended::Faulted { .. } => printable(ended.kind(), MAX_CLASS),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.at, self.how)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        envelope::{Failure, Text},
        replay::paths::{Ignored, changes},
        sandbox::Rule,
    };

    fn compared(expected: Ended, ended: Ended) -> Comparison {
        let changed = match (&expected, &ended) {
            (Ended::Replied(_), Ended::Replied(_)) | (Ended::Failed(_), Ended::Failed(_)) => {
                changes(&expected.comparable(), &ended.comparable(), &Ignored::default(), false)
            }
            _ => Vec::new(),
        };
        let mut differences = Vec::new();
        if std::mem::discriminant(&expected) != std::mem::discriminant(&ended) {
            let import = "outcome".to_owned();
            differences.push(Difference { number: 1, import, expected: None, got: None });
        }
        Comparison {
            rule: Rule::Told,
            expected,
            ended,
            differences,
            changed,
            said: Vec::new(),
            notes: Vec::new(),
            made: Vec::new(),
            took: Duration::ZERO,
            memory: 0,
        }
    }

    fn replied(text: &str) -> Ended {
        Ended::Replied(Text::parse(text.to_owned()).unwrap())
    }

    fn judged(comparison: &Comparison) -> (Verdict, Vec<String>) {
        let judged = judge(comparison, &BTreeSet::new(), &Names::default());
        (judged.verdict, judged.places.iter().map(Place::to_string).collect())
    }

    #[test]
    fn a_place_is_named_once_and_no_value_is_told() {
        let old = r#"{"instances": [{"name": "s3cret", "id": 1}, {"name": "b", "id": 2}]}"#;
        let new = r#"{"instances": [{"title": "s3cret", "id": 1}, {"title": "b", "id": "2"}]}"#;
        let (verdict, places) = judged(&compared(replied(old), replied(new)));
        assert_eq!(verdict, Verdict::Differs);
        assert_eq!(
            places,
            [
                "/instances/*/id: text in place of number",
                "/instances/*/name: missing (text)",
                "/instances/*/title: new (text)"
            ]
        );
        assert_eq!(judged(&compared(replied("1"), replied("2"))).1, ["the whole: another number"]);
        assert_eq!(judged(&compared(replied("{}"), replied("{ }"))), (Verdict::Same, Vec::new()));
    }

    #[test]
    fn nothing_is_told_below_a_name_that_hides_and_data_is_no_name() {
        let old = r#"{"access_keys": {"alice": 1}, "by_id": {"0d6b1e4c-8f0a-4c39-9a3d-1f2e3d4c5b6a": true}}"#;
        let new = r#"{"access_keys": {"alice": 2}, "by_id": {"0d6b1e4c-8f0a-4c39-9a3d-1f2e3d4c5b6a": false}}"#;
        let (_, places) = judged(&compared(replied(old), replied(new)));
        assert_eq!(places, ["/access_keys: another number", "/by_id/*: another boolean"]);
    }

    #[test]
    fn ends_are_told_by_kind_and_class_and_tracebacks_may_differ() {
        let trap = Ended::Faulted { kind: "trapped".to_owned(), message: "s3cret".to_owned(), frames: Vec::new() };
        assert_eq!(
            judged(&compared(replied("1"), trap.clone())),
            (Verdict::Failed, vec!["outcome: trapped in place of replied".to_owned()])
        );
        let mut failure = Failure::builtin("ValueError", "a");
        let old = Ended::Failed(failure.clone());
        assert_eq!(
            judged(&compared(trap, old.clone())),
            (Verdict::Differs, vec!["outcome: failed with ValueError in place of trapped".to_owned()])
        );
        failure.traceback = vec!["line 7".to_owned()];
        assert_eq!(judged(&compared(old.clone(), Ended::Failed(failure.clone()))).0, Verdict::Same);
        failure.message = "b".to_owned();
        let (_, places) = judged(&compared(old, Ended::Failed(failure)));
        assert!(places.contains(&"/message: another text".to_owned()), "{places:?}");
    }

    #[test]
    fn what_differs_from_itself_is_noise_and_the_rest_is_not() {
        let (old, other) = (r#"{"at": 1, "of": [1, 2]}"#, r#"{"at": 2, "of": [1, 2]}"#);
        let itself = compared(replied(old), replied(other));
        let noise = noise(&itself, &Names::default()).unwrap();
        assert_eq!(noise.iter().collect::<Vec<_>>(), ["/at"]);
        let judge_with = |new| judge(&compared(replied(old), replied(new)), &noise, &Names::default());
        assert_eq!(judge_with(r#"{"at": 5, "of": [1, 2]}"#).verdict, Verdict::Same);
        let judged = judge_with(r#"{"at": 5, "of": [1, 3]}"#);
        assert_eq!((judged.verdict, judged.places[0].at.as_str()), (Verdict::Differs, "/of/*"));
        let trap = Ended::Faulted { kind: "trapped".to_owned(), message: String::new(), frames: Vec::new() };
        assert_eq!(super::noise(&compared(replied("1"), trap), &Names::default()), None);
    }

    #[test]
    fn at_another_time_only_clocks_and_chance_are_others() {
        let mut recording = crate::recording::sample();
        let call = recording.calls[0].clone();
        for import in ["wasi:clocks/wall-clock.now", "nova:rpc/client.cast", "wasi:random/random.get-random-u64"] {
            recording.calls.push(crate::recording::Call { import: import.to_owned(), ..call.clone() });
        }
        let left: Vec<String> = at_another_time(&recording).calls.into_iter().map(|call| call.import).collect();
        assert_eq!(left, ["nova:rpc/log.write", "nova:rpc/client.cast"]);
    }
}
