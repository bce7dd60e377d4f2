//! How long requests took over the last minutes: a slot for each minute, with a small histogram.
//!
//! Used by [`super::methods`]. Time is in whole seconds since the recorder was made, so that tests can say what it is.

use crate::buckets;

/// Minutes that are looked back: the running one and those before it.
const SLOTS: u64 = 6;

/// Seconds of a slot.
const MINUTE: u64 = 60;

/// Buckets of each doubling: a percentile is at most a quarter too large.
const STEPS: usize = 4;

/// Buckets of a slot. The last begins at 30 minutes and has all that took longer.
const BUCKETS: usize = 120;

/// The times of one method.
#[derive(Debug)]
pub(super) struct Times {
    slots: [Slot; SLOTS as usize],
}

/// Those of one minute.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Minutes since the beginning.
    minute: u64,
    count: u64,
    largest_us: u64,
    buckets: [u32; BUCKETS],
}

/// What is told of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) per_minute: u64,
    pub(super) requests: u64,
    pub(super) p50_us: u64,
    pub(super) p99_us: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self { slots: [Slot::of(0); SLOTS as usize] }
    }
}

impl Slot {
    const fn of(minute: u64) -> Self {
        Self { minute, count: 0, largest_us: 0, buckets: [0; BUCKETS] }
    }
}

impl Times {
    /// A request took so many microseconds, and ended at this second.
    pub(super) fn note(&mut self, second: u64, took_us: u64) {
        let minute = second / MINUTE;
        let Some(slot) = self.slots.get_mut((minute % SLOTS) as usize) else { return };
        if slot.minute != minute {
            *slot = Slot::of(minute);
        }
        slot.count += 1;
        slot.largest_us = slot.largest_us.max(took_us);
        if let Some(bucket) = slot.buckets.get_mut(bucket(took_us)) {
            *bucket = bucket.saturating_add(1);
        }
    }

    /// How it is at this second. Of the minute before the running one, what is less than a minute ago is taken to be its
    /// share.
    pub(super) fn told(&self, second: u64) -> Told {
        let minute = second / MINUTE;
        let recent = || self.slots.iter().filter(|slot| slot.minute <= minute && minute - slot.minute < SLOTS);
        let count = |of: Option<u64>| {
            let slot = of.and_then(|of| recent().find(|slot| slot.minute == of));
            slot.map_or(0, |slot| slot.count)
        };
        let left = MINUTE - second % MINUTE;
        let requests = recent().map(|slot| slot.count).sum();
        Told {
            per_minute: count(Some(minute)) + count(minute.checked_sub(1)) * left / MINUTE,
            requests,
            p50_us: percentile(recent(), requests, 50),
            p99_us: percentile(recent(), requests, 99),
        }
    }
}

/// The time that so many of a hundred do not exceed.
fn percentile<'a>(slots: impl Iterator<Item = &'a Slot> + Clone, requests: u64, of_hundred: u64) -> u64 {
    let rank = (requests * of_hundred).div_ceil(100).max(1);
    let largest = slots.clone().map(|slot| slot.largest_us).max().unwrap_or_default();
    let mut seen = 0;
    for at in 0..BUCKETS {
        let of_bucket = slots.clone().filter_map(|slot| slot.buckets.get(at));
        seen += of_bucket.map(|count| u64::from(*count)).sum::<u64>();
        if seen >= rank {
            return if at + 1 == BUCKETS { largest } else { largest_in(at).min(largest) };
        }
    }
    0
}

fn bucket(took_us: u64) -> usize {
    buckets::bucket::<STEPS>(took_us).min(BUCKETS - 1)
}

/// The largest time that is counted in a bucket.
fn largest_in(bucket: usize) -> u64 {
    buckets::largest_in::<STEPS>(bucket)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_bucket_begins_after_half_an_hour_and_none_is_left_out() {
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        let begins = largest_in(BUCKETS - 2) + 1;
        assert!((1_800_000_000..2_000_000_000).contains(&begins), "{begins}");
        let mut times = Times::default();
        times.note(0, u64::MAX);
        assert_eq!(times.told(0).p50_us, u64::MAX);
    }

    #[test]
    fn what_is_five_minutes_old_is_forgotten_and_a_rate_slides() {
        let mut times = Times::default();
        (0..60).for_each(|second| times.note(second, 1000));
        assert_eq!(times.told(59).per_minute, 60);
        assert_eq!(times.told(60).per_minute, 60);
        assert_eq!(times.told(90).per_minute, 30);
        assert_eq!(times.told(120).per_minute, 0);
        assert_eq!(times.told(359).requests, 60);
        assert_eq!(times.told(360), Told::default());
        times.note(360, 7);
        assert_eq!(times.told(360), Told { per_minute: 1, requests: 1, p50_us: 7, p99_us: 7 });
    }

    proptest! {
        #[test]
        fn a_percentile_is_at_most_a_quarter_too_large(mut tooks in prop::collection::vec(0..1_700_000_000_u64, 1..200)) {
            let mut times = Times::default();
            tooks.iter().enumerate().for_each(|(at, took)| times.note(at as u64, *took));
            let told = times.told(199);
            tooks.sort_unstable();
            for (of_hundred, told) in [(50, told.p50_us), (99, told.p99_us)] {
                let exact = tooks[(tooks.len() * of_hundred).div_ceil(100) - 1];
                prop_assert!(exact <= told && told <= exact + exact / 4, "{} told of {}", told, exact);
            }
        }
    }
}
