//! Whether a version is slower, or takes more memory, than the one that serves: `(both on the same recordings) → findings`.
//!
//! Before it: both were replayed in turns, so that the load of the machine is both's. After it: who asked is told by method.

use std::{collections::BTreeMap, time::Duration};

use super::finding::Finding;
use crate::{factor::Factor, metrics::Gate, settings::Bytes};

/// What a run may take longer whatever the factor is: as much as making an instance differs by. A canary bears as much.
pub const FLOOR: Duration = Duration::from_millis(1);

/// What a run may take more of memory whatever the factor is: allocators ask for some of it in advance.
pub const MEMORY_FLOOR: usize = 1 << 20;

/// One recording, run by both versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Its id.
    pub recording: String,
    /// The method.
    pub method: String,
    /// The shortest time of the version that serves, and of the new one.
    pub took: [Duration; 2],
    /// Bytes of linear memory at the end, of both.
    pub memory: [usize; 2],
}

impl Sample {
    /// How many times as long the new version takes; 1 where it is hardly more.
    #[must_use]
    pub fn slower(&self) -> f64 {
        let [old, new] = self.took;
        if new <= old.saturating_add(FLOOR) {
            1.0
        } else {
            new.as_secs_f64() / old.as_secs_f64().max(f64::MIN_POSITIVE)
        }
    }

    fn larger(&self) -> f64 {
        let [old, new] = self.memory;
        #[expect(clippy::cast_precision_loss, reason = "whatever it loses is less than what counts")]
        let (old_bytes, new_bytes) = (old.max(1) as f64, new as f64);
        if new <= old.saturating_add(MEMORY_FLOOR) { 1.0 } else { new_bytes / old_bytes }
    }
}

/// Of each method, whether its recordings take longer than is allowed: that in the middle, so that one that had bad luck decides
/// nothing.
#[must_use]
pub fn too_slow(samples: &[Sample], factor: Factor) -> Vec<Finding> {
    let middle = |mut samples: Vec<&Sample>| {
        samples.sort_by(|one, other| one.slower().total_cmp(&other.slower()));
        let count = samples.len();
        let middle = samples.into_iter().nth(count / 2)?;
        let [old, new] = middle.took;
        (middle.slower() > factor.get()).then(|| {
            let what = format!(
                "{:.1} times as slow in the median of {count} recording(s), and {factor} is allowed: {new:.1?} against {old:.1?}",
                middle.slower()
            );
            Finding::of(Gate::Latency, &middle.recording, &middle.method, &what)
        })
    };
    by_method(samples).into_values().filter_map(middle).collect()
}

/// Of each method, the recording that takes most beyond what is allowed. Memory has no luck: one is enough.
#[must_use]
pub fn too_large(samples: &[Sample], factor: Factor) -> Vec<Finding> {
    let worst = |samples: Vec<&Sample>| {
        let worst = samples.into_iter().max_by(|one, other| one.larger().total_cmp(&other.larger()))?;
        let [old, new] = worst.memory.map(Bytes);
        (worst.larger() > factor.get()).then(|| {
            let what = format!("{:.1} times the memory, and {factor} is allowed: {new} against {old}", worst.larger());
            Finding::of(Gate::Memory, &worst.recording, &worst.method, &what)
        })
    };
    by_method(samples).into_values().filter_map(worst).collect()
}

fn by_method(samples: &[Sample]) -> BTreeMap<&str, Vec<&Sample>> {
    let mut methods: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        methods.entry(&sample.method).or_default().push(sample);
    }
    methods
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(method: &str, took_us: [u64; 2], memory: [usize; 2]) -> Sample {
        let (recording, method) = (format!("1-{}", took_us[1]), method.to_owned());
        Sample { recording, method, took: took_us.map(Duration::from_micros), memory }
    }

    fn slow(samples: &[Sample]) -> Vec<String> {
        too_slow(samples, "1.5x".parse().unwrap()).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_method_that_is_twice_as_slow_is_named_and_its_neighbours_do_not_hide_it() {
        let mut samples: Vec<_> = (0..9).map(|_| sample("fast", [10_000, 10_000], [0, 0])).collect();
        samples.extend((0..3).map(|_| sample("m", [10_000, 20_000], [0, 0])));
        let found = slow(&samples);
        assert_eq!(
            found,
            [
                "1-20000 (m): 2.0 times as slow in the median of 3 recording(s), and 1.5x is allowed: 20.0ms against 10.0ms"
            ]
        );
    }

    #[test]
    fn one_recording_with_bad_luck_decides_nothing_and_small_times_are_none() {
        let mut samples = vec![sample("m", [10_000, 10_100], [0, 0]); 4];
        samples.push(sample("m", [10_000, 90_000], [0, 0]));
        assert_eq!(slow(&samples), [""; 0]);
        assert_eq!(slow(&[sample("m", [50, 1000], [0, 0])]), [""; 0]);
        assert_eq!(slow(&[]), [""; 0]);
    }

    #[test]
    fn memory_beyond_the_factor_and_a_mebibyte_is_named_by_the_worst_recording() {
        let large = |memory| {
            let samples: Vec<_> = [[64 << 10, 64 << 10], memory].map(|memory| sample("m", [1, 1], memory)).into();
            too_large(&samples, "1.5x".parse().unwrap()).into_iter().map(|finding| finding.what).collect::<Vec<_>>()
        };
        assert_eq!(large([64 << 10, 1 << 20]), [""; 0]);
        assert_eq!(large([16 << 20, 24 << 20]), [""; 0]);
        let told = large([2 << 20, 8 << 20]);
        assert_eq!(told, ["1-1 (m): 4.0 times the memory, and 1.5x is allowed: 8 MiB against 2 MiB"]);
    }

    proptest! {
        #[test]
        fn what_is_no_slower_and_no_larger_is_never_found(
            sizes in proptest::collection::vec((0..u64::MAX / 2, 0..usize::MAX / 2), 0..40),
        ) {
            let samples: Vec<_> = sizes.iter().map(|(time, memory)| sample("m", [*time, *time], [*memory, *memory])).collect();
            prop_assert!(slow(&samples).is_empty());
            prop_assert!(too_large(&samples, "1x".parse().unwrap()).is_empty());
        }
    }
}
