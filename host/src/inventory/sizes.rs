//! Sizes, in buckets that grow with them: percentiles of any number of sizes in a few kilobytes.
//!
//! Used by [`super::row`].

use crate::buckets::{bucket, largest_in};

/// Buckets of each doubling: a percentile is at most a sixteenth too large.
const STEPS: usize = 16;

/// Larger sizes count as this one; no broker takes such a message.
const MAX: usize = u32::MAX as usize;

/// How many sizes were how large.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes {
    /// As many as the largest size needs.
    buckets: Vec<u64>,
    count: u64,
    largest: usize,
}

impl Sizes {
    /// Counts a size.
    pub(super) fn note(&mut self, size: usize) {
        let at = bucket::<STEPS>(size.min(MAX) as u64);
        if self.buckets.len() <= at {
            self.buckets.resize(at + 1, 0);
        }
        if let Some(bucket) = self.buckets.get_mut(at) {
            *bucket += 1;
        }
        self.count += 1;
        self.largest = self.largest.max(size);
    }

    /// The largest of all.
    pub(super) fn largest(&self) -> usize {
        self.largest
    }

    /// The size that so many of a thousand do not exceed; 0 where there is none.
    pub(super) fn per_mille(&self, of_thousand: u64) -> usize {
        let rank = self.count.saturating_mul(of_thousand).div_ceil(1000).max(1);
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return usize::try_from(largest_in::<STEPS>(at))
                    .map_or(self.largest, |largest| largest.min(self.largest));
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn they_take_bounded_room() {
        let mut sizes = Sizes::default();
        sizes.note(usize::MAX);
        assert!(sizes.buckets.len() < 512);
        assert_eq!(Sizes::default().per_mille(500), 0);
    }

    proptest! {
        #[test]
        fn a_percentile_is_at_most_a_sixteenth_too_large(mut sizes in prop::collection::vec(0..5_000_000_usize, 1..200)) {
            let mut counted = Sizes::default();
            sizes.iter().for_each(|size| counted.note(*size));
            sizes.sort_unstable();
            for (of_thousand, rank) in [(500, sizes.len().div_ceil(2)), (990, (sizes.len() * 99).div_ceil(100))] {
                let (exact, told) = (sizes[rank - 1], counted.per_mille(of_thousand));
                prop_assert!(exact <= told && told <= exact + exact / 16, "{} told of {}", told, exact);
            }
            prop_assert_eq!(counted.largest(), sizes[sizes.len() - 1]);
        }
    }
}
