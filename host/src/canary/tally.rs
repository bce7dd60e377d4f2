//! Counts what becomes of requests while a canary runs, on both versions.
//!
//! Before it: [`crate::serve`] says how each request has ended. After it: [`super::evidence`], made of it when somebody looks. The methods are
//! those that the handler offers; classes are guests' own words, bounded in number and length.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{
    bar::{Part, Stratum},
    evidence::{Class, Counts, Key, Method, PERCENTILES, Slower, Window},
};
use crate::{
    buckets,
    metrics::{self, Ending, Tried},
    printable::printed,
};

/// Buckets of each doubling: a time is told at most an eighth too long.
const STEPS: usize = 8;

/// Buckets for times. The last begins at half an hour, and has all that took longer.
const BUCKETS: usize = 232;

/// Methods that are told apart: as many as a handler with some to spare has, and no more than memory and each look can bear.
const MAX_METHODS: usize = 512;

/// Classes of failures of a method that are told apart.
const MAX_CLASSES: usize = 16;

/// Bytes of a class with its module.
const MAX_CLASS: usize = 255;

/// The name under which the others are counted.
const OTHERS: &str = "(others)";

/// What a request may take longer although it is more than `max_latency` allows: as much as it costs the host itself, which differs from
/// moment to moment.
const FLOOR_US: u64 = 1_000;

/// The version that a request ran on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that serves.
    Old,
    /// The one that is tried.
    New,
}

/// Counts of one step.
#[derive(Debug, Default)]
pub struct Tally(Mutex<HashMap<Key, [Counted; 2]>>);

#[derive(Debug)]
struct Counted {
    counts: Counts,
    /// The answers by their time.
    times: [u32; BUCKETS],
}

/// A request that is counted when it ends. Dropped before, it is not, for it has not run, or runs elsewhere; but where a panic of
/// the host drops it, it has failed.
#[derive(Debug)]
pub struct Watched {
    tally: Arc<Tally>,
    side: Side,
    key: Key,
    metrics: metrics::Handler,
    has_ended: bool,
}

impl Default for Counted {
    fn default() -> Self {
        Self { counts: Counts::default(), times: [0; BUCKETS] }
    }
}

impl Watched {
    /// A request of this method, on this side.
    #[must_use]
    pub fn new(tally: Arc<Tally>, side: Side, key: Key, metrics: metrics::Handler) -> Self {
        Self { tally, side, key, metrics, has_ended: false }
    }

    /// It has ended like this after so long; `exception` is the module and the class of a handler's own failure.
    pub fn end(mut self, ending: Ending, exception: Option<(&str, &str)>, took: Duration) {
        self.has_ended = true;
        self.count(ending, exception, took);
    }

    fn count(&self, ending: Ending, exception: Option<(&str, &str)>, took: Duration) {
        self.metrics.tried(if self.side == Side::New { Tried::New } else { Tried::Old }, ending);
        let class = match ending {
            Ending::Replied => None,
            // It was begun elsewhere, as often as is allowed.
            Ending::Exhausted => return,
            ending => Some(Class {
                is_fault: ending.is_fault(),
                name: exception.map_or_else(|| ending.as_str().to_owned(), |(module, class)| full(module, class)),
            }),
        };
        self.tally.note(self.key.clone(), self.side, class, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.has_ended && std::thread::panicking() {
            self.count(Ending::Panicked, None, Duration::ZERO);
        }
    }
}

/// The class with its module, as Python shows it.
fn full(module: &str, class: &str) -> String {
    let text = if matches!(module, "" | "builtins") { class.to_owned() } else { format!("{module}.{class}") };
    printed(&text, MAX_CLASS).into_owned()
}

impl Tally {
    /// A request of a method has ended on a side: with an answer, or with a failure of this class.
    pub fn note(&self, key: Key, side: Side, class: Option<Class>, took_us: u64) {
        let mut methods = self.lock();
        let is_told_apart = methods.len() < MAX_METHODS || methods.contains_key(&key);
        let key = if is_told_apart { key } else { Key { namespace: None, method: OTHERS.to_owned(), major: 1 } };
        let [old, new] = methods.entry(key).or_default();
        let counted = if side == Side::Old { old } else { new };
        counted.counts.requests += 1;
        let classes = &mut counted.counts.classes;
        match class {
            None => {
                if let Some(count) = counted.times.get_mut(buckets::bucket::<STEPS>(took_us).min(BUCKETS - 1)) {
                    *count = count.saturating_add(1);
                }
            }
            // Faults have the host's words, of which there are not many.
            Some(class) if class.is_fault || classes.contains_key(&class) || classes.len() < MAX_CLASSES => {
                *classes.entry(class).or_default() += 1;
            }
            Some(_) => *classes.entry(Class { is_fault: false, name: OTHERS.to_owned() }).or_default() += 1,
        }
    }

    /// What was counted; the new version may be slower by this factor.
    #[must_use]
    pub fn window(&self, max_latency: f64) -> Window {
        let methods = self.lock();
        methods.iter().map(|(key, sides)| (key.clone(), method(sides, max_latency))).collect()
    }

    /// The same, and begins again.
    #[must_use]
    pub fn take(&self, max_latency: f64) -> Window {
        let methods = std::mem::take(&mut *self.lock());
        methods.into_iter().map(|(key, sides)| (key, method(&sides, max_latency))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, [Counted; 2]>> {
        // A panic while the lock was held leaves whole counts: each step on them is one addition.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn method([old, new]: &[Counted; 2], max_latency: f64) -> Method {
    let slower = PERCENTILES.map(|percentile| slower(old, new, percentile, max_latency));
    Method { old: old.counts.clone(), new: new.counts.clone(), slower }
}

/// How many are slower than they may be.
fn slower(old: &Counted, new: &Counted, percentile: u64, max_latency: f64) -> Slower {
    let (of_old, of_new) = (old.answers(), new.answers());
    if of_old == 0 || of_new == 0 {
        return Slower::default();
    }
    let at = old.bucket_of(percentile, of_old);
    let old_us = buckets::largest_in::<STEPS>(at);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float that is too large becomes the largest"
    )]
    let most = ((old_us as f64 * max_latency) as u64).max(old_us.saturating_add(FLOOR_US));
    let slowest = buckets::bucket::<STEPS>(most).min(BUCKETS - 1);
    // A percentile of few requests is too low as often as too high: one more above it makes up for that.
    let above_old = Part { hits: old.above(at) + 1, of: of_old + 1 };
    let above_new = Part { hits: new.above(slowest), of: of_new };
    let new_us = buckets::largest_in::<STEPS>(new.bucket_of(percentile, of_new));
    Slower { old_us, new_us, stratum: Stratum { old: above_old, new: above_new } }
}

impl Counted {
    fn answers(&self) -> u64 {
        self.times.iter().map(|count| u64::from(*count)).sum()
    }

    /// The bucket in which so many of a hundred requests are reached, of this many.
    fn bucket_of(&self, percentile: u64, requests: u64) -> usize {
        let rank = (requests * percentile).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = self.times.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        reached.unwrap_or(BUCKETS - 1)
    }

    /// Requests in the buckets above one.
    fn above(&self, bucket: usize) -> u64 {
        self.times.iter().skip(bucket + 1).map(|count| u64::from(*count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_LATENCY: f64 = 1.3;

    fn key(method: &str) -> Key {
        Key { namespace: None, method: method.to_owned(), major: 1 }
    }

    fn failure(name: &str) -> Option<Class> {
        Some(Class { is_fault: false, name: name.to_owned() })
    }

    #[test]
    fn the_last_bucket_begins_after_half_an_hour() {
        let begins = buckets::largest_in::<STEPS>(BUCKETS - 2) + 1;
        assert!((1_800_000_000..2_100_000_000).contains(&begins), "{begins}");
        Tally::default().note(key("m"), Side::Old, None, u64::MAX);
    }

    #[test]
    fn what_is_taken_is_counted_no_more_and_classes_are_bounded() {
        let tally = Tally::default();
        for number in 0..100 {
            tally.note(key("m"), Side::New, failure(&format!("C{number}")), 1);
        }
        tally.note(key("m"), Side::Old, None, 1);
        let window = tally.window(MAX_LATENCY);
        assert_eq!(tally.take(MAX_LATENCY), window);
        assert!(tally.window(MAX_LATENCY).is_empty());
        let Method { old, new, .. } = &window[&key("m")];
        assert_eq!((old.requests, old.failures(), new.requests, new.failures()), (1, 0, 100, 100));
        assert_eq!(new.classes.len(), MAX_CLASSES + 1);
    }

    #[test]
    fn methods_that_are_told_apart_are_bounded_and_the_others_are_counted_together() {
        let tally = Tally::default();
        (0..2 * MAX_METHODS).for_each(|number| tally.note(key(&number.to_string()), Side::New, None, 1));
        let window = tally.window(MAX_LATENCY);
        assert_eq!((window.len(), window[&key(OTHERS)].new.requests), (MAX_METHODS + 1, MAX_METHODS as u64));
    }

    #[test]
    fn a_request_that_is_dropped_by_a_panic_has_failed_and_another_has_not_run() {
        let tally = Arc::new(Tally::default());
        let handler = metrics::Metrics::default().handler("h");
        let begin = || Watched::new(Arc::clone(&tally), Side::New, key("m"), handler.clone());
        drop(begin());
        assert!(tally.window(MAX_LATENCY).is_empty());
        let watched = begin();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _watched = watched;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        let class = Class { is_fault: true, name: Ending::Panicked.as_str().to_owned() };
        assert_eq!(tally.window(MAX_LATENCY)[&key("m")].new.part(&class), Part { hits: 1, of: 1 });
    }

    #[test]
    fn a_method_that_takes_twice_as_long_is_slower_whatever_it_takes() {
        for ms in [3, 4, 5, 7, 10, 33, 100, 999] {
            let slow = |factor: f64| {
                let tally = Tally::default();
                for _ in 0..100 {
                    tally.note(key("m"), Side::Old, None, ms * 1_000);
                    tally.note(key("m"), Side::New, None, (ms as f64 * 1_000.0 * factor) as u64);
                }
                tally.window(MAX_LATENCY)[&key("m")].slower.map(|slower| slower.stratum.new.hits)
            };
            assert_eq!((slow(2.0), slow(1.15)), ([100, 100], [0, 0]), "{ms} ms");
        }
    }

    #[test]
    fn what_costs_the_host_itself_some_time_is_not_slower() {
        let tally = Tally::default();
        (0..100).for_each(|_| tally.note(key("m"), Side::Old, None, 200));
        (0..100).for_each(|_| tally.note(key("m"), Side::New, None, 900));
        assert_eq!(tally.window(MAX_LATENCY)[&key("m")].slower[0].stratum.new.hits, 0);
    }
}
