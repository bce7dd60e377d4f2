//! Buckets that grow with what is counted in them: percentiles of any number of values in a few kilobytes.
//!
//! Used by [`crate::inventory`] for sizes and by [`crate::journal`] for times. Each doubling has `STEPS` buckets, a power of two: so
//! a value is told at most one part in `STEPS` too large.

/// The bucket in which a value is counted.
pub(crate) fn bucket<const STEPS: usize>(value: u64) -> usize {
    let steps = STEPS as u64;
    if value < steps {
        return value as usize;
    }
    let doublings = value.ilog2() - STEPS.ilog2();
    (doublings as usize + 1) * STEPS + ((value >> doublings) % steps) as usize
}

/// The largest value that is counted in a bucket; the largest of all beyond those that [`bucket`] gives.
pub(crate) fn largest_in<const STEPS: usize>(bucket: usize) -> u64 {
    if bucket < STEPS {
        return bucket as u64;
    }
    let doublings = (bucket / STEPS - 1) as u32;
    ((STEPS + bucket % STEPS + 1) as u64).checked_shl(doublings).map_or(u64::MAX, |next| next.wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_without_gaps_and_end_where_the_next_begins() {
        let values = (0..100_000).chain((17..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit, (1 << bit) + 1]));
        for value in values.chain([u64::MAX - 1, u64::MAX]) {
            let at = bucket::<4>(value);
            let (largest, most) = (largest_in::<4>(at), value.saturating_add(value / 4));
            assert!(value <= largest && largest <= most, "{value}");
            assert!(largest == u64::MAX || bucket::<4>(largest + 1) == at + 1, "{value}");
            assert!(value <= largest_in::<16>(bucket::<16>(value)), "{value}");
        }
    }
}
