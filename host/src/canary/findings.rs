//! What speaks against the new version: each thing that is compared, with how surprising it is.
//!
//! Before it: [`super::evidence`]. After it: [`super::plan`] takes the one that weighs most. What is compared: of each method, the
//! failures of each class, all failures, and the times; over all methods, the failures of each class of faults, all failures, and
//! the times. By method, so that the fault of a rare one is not diluted; over all, so that a rare fault of many is not overlooked.

use std::{collections::BTreeSet, fmt};

use super::{
    Policy,
    bar::{Part, Stratum, surprise},
    evidence::{Class, Key, Method, PERCENTILES, Window},
};

/// The bar for a verdict: one chance in a hundred thousand. A canary is looked at many times, and many things are compared.
const BAR: f64 = 11.5;

/// The bar for faults that the old version does not show at all, such as a trap: one chance in fifty. Going back for nothing costs an
/// hour; a handler that traps costs more.
const FAULT_BAR: f64 = 4.0;

/// How surprising failures must be for a canary to stay where it is until more is known: one chance in twenty. At a share of a half,
/// five failures against none come to it.
const DOUBT: f64 = 3.0;

/// The same for times, which differ more between two equal versions; and the most for failures: one chance in a thousand.
const MOST_DOUBT: f64 = 6.9;

/// The fewest failures that are in doubt: one decides nothing, however small its share is.
const MIN_DOUBTFUL: u64 = 2;

/// The fewest requests of a method of which failures are judged, and the fewest failures: one of ten decides nothing.
const MIN_REQUESTS: u64 = 10;
const MIN_FAILURES: u64 = 3;

/// The fewest faults that the old version does not show.
const MIN_FAULTS: u64 = 2;

/// The fewest answers of the new version whose times are judged, at each of [`PERCENTILES`], and the fewest that are too slow.
const MIN_ANSWERS: [u64; 2] = [20, 100];
const MIN_SLOW: u64 = 5;

/// Something that speaks against the new version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// What it is.
    pub(super) against: Against,
    /// How surprising it is: [`surprise`].
    pub(super) weight: f64,
    /// Whether that is enough.
    pub(super) is_decisive: bool,
    /// Whether it is enough not to go on.
    pub(super) is_doubtful: bool,
}

/// What speaks against the new version, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// More of its requests fail.
    Failures {
        /// `None` is all methods together.
        method: Option<Key>,
        /// `None` is all failures together.
        class: Option<Class>,
        /// Those of both versions.
        sum: Stratum,
    },
    /// It answers later.
    Latency {
        /// `None` is all methods together.
        method: Option<Key>,
        /// Of a hundred requests.
        percentile: u64,
        /// The old version's time and the new one's in the step that the new one does worst in, in microseconds.
        took_us: (u64, u64),
        /// Its requests that are slower than they may be.
        slow: Part,
    },
}

/// All that speaks against the new version, in no order.
#[must_use]
pub(super) fn findings(windows: &[&Window], policy: &Policy) -> Vec<Finding> {
    let keys: BTreeSet<&Key> = windows.iter().flat_map(|window| window.keys()).collect();
    let methods = keys.iter().map(|key| (Some(*key), windows.iter().filter_map(|window| window.get(*key)).collect()));
    let all: Vec<&Method> = windows.iter().flat_map(|window| window.values()).collect();
    // Of one method, all of it is said already.
    let all = (keys.len() > 1).then_some((None, all));
    let groups: Vec<(Option<&Key>, Vec<&Method>)> = methods.chain(all).collect();
    // Of many methods that fail, some fail more often by chance.
    let failing = groups
        .iter()
        .filter(|(method, of)| method.is_some() && of.iter().map(|of| of.new.failures()).sum::<u64>() >= MIN_DOUBTFUL);
    let doubt = (DOUBT + (failing.count().max(1) as f64).ln()).min(MOST_DOUBT);
    let is_one = keys.len() == 1;
    let found = groups.iter().flat_map(|(method, of)| {
        let classes: BTreeSet<&Class> =
            of.iter().flat_map(|of| of.old.classes.keys().chain(of.new.classes.keys())).collect();
        // The exceptions of two methods that have the same class are different things; traps are the same.
        let classes = classes.into_iter().filter(|class| method.is_some() || class.is_fault);
        let of_classes = classes.filter_map(|class| {
            let strata: Vec<Stratum> = of.iter().map(|of| of.of(class)).collect();
            failures(*method, Some(class), &strata, policy)
                .map(|found| found.in_doubt(doubt, is_one || method.is_none()))
        });
        let strata: Vec<Stratum> = of.iter().map(|of| of.failed()).collect();
        let together = failures(*method, None, &strata, policy).map(|found| found.in_doubt(doubt, false));
        let times = (0..PERCENTILES.len()).filter_map(|at| latency(*method, of, at));
        of_classes.chain(together).chain(times).collect::<Vec<_>>()
    });
    found.collect()
}

impl Finding {
    /// With its doubt. Faults of all methods that the old version never shows are in doubt whatever their chance is.
    fn in_doubt(self, bar: f64, is_of_all: bool) -> Self {
        let Against::Failures { class, sum, .. } = &self.against else { return self };
        let is_unseen = is_of_all
            && class.as_ref().is_some_and(|class| class.is_fault)
            && sum.old.hits == 0
            && sum.new.hits >= MIN_FAULTS;
        let is_doubtful = sum.new.hits >= MIN_DOUBTFUL && (self.weight >= bar || is_unseen);
        Self { is_doubtful, ..self }
    }
}

fn failures(method: Option<&Key>, class: Option<&Class>, strata: &[Stratum], policy: &Policy) -> Option<Finding> {
    let sum = sum(strata);
    if sum.new.hits == 0 {
        return None;
    }
    let weight = surprise(strata, policy.max_failures.fraction());
    let enough = sum.new.of >= MIN_REQUESTS && sum.new.hits >= MIN_FAILURES;
    let is_unseen_fault = class.is_some_and(|class| class.is_fault)
        && sum.old.hits == 0
        && sum.new.hits >= MIN_FAULTS
        // However many failures are borne, these are of another kind.
        && surprise(strata, 0.0) >= FAULT_BAR;
    let against = Against::Failures { method: method.cloned(), class: class.cloned(), sum };
    Some(Finding { against, weight, is_decisive: (enough && weight >= BAR) || is_unseen_fault, is_doubtful: false })
}

/// Compares the times at one of [`PERCENTILES`].
fn latency(method: Option<&Key>, of: &[&Method], at: usize) -> Option<Finding> {
    let of: Vec<_> = of.iter().filter_map(|of| of.slower.get(at)).collect();
    let strata: Vec<Stratum> = of.iter().map(|slower| slower.stratum).collect();
    let sum = sum(&strata);
    let worst = of.iter().max_by_key(|slower| slower.stratum.new.hits)?;
    if sum.new.hits == 0 {
        return None;
    }
    let weight = surprise(&strata, 0.0);
    let enough = sum.new.of >= *MIN_ANSWERS.get(at)? && sum.new.hits >= MIN_SLOW;
    let against = Against::Latency {
        method: method.cloned(),
        percentile: *PERCENTILES.get(at)?,
        took_us: (worst.old_us, worst.new_us),
        slow: sum.new,
    };
    Some(Finding { against, weight, is_decisive: enough && weight >= BAR, is_doubtful: weight >= MOST_DOUBT })
}

fn sum(strata: &[Stratum]) -> Stratum {
    let sum = |part: fn(&Stratum) -> Part| strata.iter().map(part).sum();
    Stratum { old: sum(|stratum| stratum.old), new: sum(|stratum| stratum.new) }
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |method: &Option<Key>| method.as_ref().map_or_else(|| "all methods".to_owned(), Key::to_string);
        let percent = |part: Part| 100.0 * part.rate();
        match self {
            Self::Failures { method, class, sum: Stratum { old, new } } => {
                let class = class.as_ref().map_or_else(String::new, |class| format!(" with {}", class.name));
                write!(
                    f,
                    "{}: {} of {} requests failed{class} ({:.2}%), and {} of {} on the version that serves ({:.2}%)",
                    name(method),
                    new.hits,
                    new.of,
                    percent(*new),
                    old.hits,
                    old.of,
                    percent(*old),
                )
            }
            Self::Latency { method, percentile, took_us: (old, new), slow } => write!(
                f,
                "{}: {percentile} of 100 requests took up to {}, and {} on the version that serves; {} of {} were too slow",
                name(method),
                time(*new),
                time(*old),
                slow.hits,
                slow.of,
            ),
        }
    }
}

/// Microseconds for people.
fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        _ => format!("{:.2} s", us as f64 / 1e6),
    }
}
