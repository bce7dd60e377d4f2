//! The statistical bar: whether a difference between two versions can be chance.
//!
//! Before it: [`super::evidence`] has counts. After it: [`super::plan`] decides. One test serves all that is judged (failures of a class, of
//! a method, of all methods; times): of so many requests of either version, so many were *hits*, such as failures.
//!
//! A stratum is what is comparable: one method in one step, for the share that the new version gets changes from step to step, and
//! with it what else is going on. If both versions are alike, then of a stratum's hits each is the new version's by chance alone. The
//! bound is Chernoff's, for which the hits of a stratum count as drawn with replacement (Hoeffding 1963 shows that without it they
//! deviate less); it holds for any number of requests, also for few, where a normal approximation sees a miracle in three failures.

/// Steps of the search for the best exponent: each takes a third off an interval of [`MAX_EXPONENT`].
const STEPS: u32 = 40;

/// The largest exponent that is tried. Beyond it a bound is below any bar.
const MAX_EXPONENT: f64 = 16.0;

/// So many requests, of which so many were hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// The hits, at most `of`.
    pub hits: u64,
    /// All.
    pub of: u64,
}

/// What is comparable: the requests of both versions, for one method, in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stratum {
    /// Those of the version that serves.
    pub old: Part,
    /// Those of the version that is tried.
    pub new: Part,
}

impl Part {
    /// The share of the hits; 0 of nothing.
    #[must_use]
    pub fn rate(self) -> f64 {
        if self.of == 0 { 0.0 } else { self.hits as f64 / self.of as f64 }
    }
}

impl std::ops::Add for Part {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { hits: self.hits + other.hits, of: self.of + other.of }
    }
}

impl std::iter::Sum for Part {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| sum + part)
    }
}

/// How surprising the hits of the new version are, if it is as good as the old one but for `allowed` of its requests (a part of 1): the
/// negative natural logarithm of an upper bound of their probability. 0 is no surprise; 11.5 is one chance in a hundred thousand.
#[must_use]
pub fn surprise(strata: &[Stratum], allowed: f64) -> f64 {
    let new: Part = strata.iter().map(|stratum| stratum.new).sum();
    let excess = new.hits as f64 - allowed * new.of as f64;
    let shifted = greatest(|t| t * excess - strata.iter().map(|stratum| moments(stratum, t)).sum::<f64>());
    // The same, where what is allowed is drawn as any failure is: at a large share it says much more.
    let drawn = |t: f64| t * new.hits as f64 - strata.iter().map(|stratum| drawn(stratum, t, allowed)).sum::<f64>();
    if allowed > 0.0 { shifted.max(greatest(drawn)) } else { shifted }
}

/// The greatest value of a function that rises and then falls, or 0. Each of its values is a bound: to miss the best is to claim less.
fn greatest(exponent: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, MAX_EXPONENT);
    for _ in 0..STEPS {
        let third = (high - low) / 3.0;
        if exponent(low + third) < exponent(high - third) { low += third } else { high -= third }
    }
    exponent(low).max(0.0)
}

/// The logarithm of (an upper bound of) the moment generating function of the new version's hits in a stratum.
fn moments(stratum: &Stratum, t: f64) -> f64 {
    let Stratum { old, new } = stratum;
    let (all, hits) = ((old.of + new.of) as f64, (old.hits + new.hits) as f64);
    if all == 0.0 {
        return 0.0;
    }
    // Either each hit falls on the new version, or each request of the new version is a hit: the fewer trials say more.
    let trials = hits.min(new.of as f64);
    let chance = hits.max(new.of as f64) / all;
    trials * (chance * t.exp_m1()).ln_1p()
}

/// The same, where each request of the new version fails with this chance beside what fails on both: what is left of `t` after what
/// [`moments`] takes for a hit is what such a failure weighs.
fn drawn(stratum: &Stratum, t: f64, allowed: f64) -> f64 {
    let Stratum { old, new } = stratum;
    let (all, hits) = ((old.of + new.of) as f64, (old.hits + new.hits) as f64);
    if all == 0.0 {
        return 0.0;
    }
    let of_hit = (new.of as f64 / all * t.exp_m1()).ln_1p();
    let borne = new.of as f64 * (allowed * (t - of_hit).exp_m1()).ln_1p();
    hits * of_hit + borne
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stratum(old: (u64, u64), new: (u64, u64)) -> Stratum {
        Stratum { old: Part { hits: old.0, of: old.1 }, new: Part { hits: new.0, of: new.1 } }
    }

    fn of(old: (u64, u64), new: (u64, u64)) -> f64 {
        surprise(&[stratum(old, new)], 0.0)
    }

    /// The exact probability that the new version has so many hits or more: Fisher's.
    fn exact(stratum: &Stratum) -> f64 {
        let ln_factorial = |n: u64| (1..=n).map(|k| (k as f64).ln()).sum::<f64>();
        let ln_choose = |n, k| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
        let (hits, all) = (stratum.old.hits + stratum.new.hits, stratum.old.of + stratum.new.of);
        let probability = |k: u64| {
            if k > hits || hits - k > stratum.old.of {
                return 0.0;
            }
            (ln_choose(hits, k) + ln_choose(all - hits, stratum.new.of - k) - ln_choose(all, stratum.new.of)).exp()
        };
        (stratum.new.hits..=stratum.new.of.min(hits)).map(probability).sum()
    }

    #[test]
    fn one_failure_of_ten_is_no_surprise_and_five_of_a_hundred_are_one() {
        assert!(of((0, 90), (1, 10)) < 2.5);
        assert!(of((0, 990), (1, 10)) < 5.0);
        assert!(of((0, 9_900), (5, 100)) > 20.0);
        assert!(of((0, 500), (17, 500)) > 11.5);
        assert!(of((50, 100), (100, 100)) > 11.5, "twice as many hits, and many");
        assert_eq!(of((0, 0), (100, 100)), 0.0, "there is nothing to compare with");
        assert_eq!(of((10, 100), (1, 100)), 0.0, "better is no surprise");
        assert_eq!(surprise(&[], 0.0), 0.0);
    }

    #[test]
    fn what_is_allowed_is_no_surprise() {
        let worse = [stratum((0, 100_000), (100, 10_000))];
        assert!(surprise(&worse, 0.0) > 100.0);
        assert_eq!(surprise(&worse, 0.01), 0.0);
    }

    #[test]
    fn a_bad_hour_of_both_is_not_held_against_the_version_that_had_a_larger_share_of_it() {
        // In the second step all goes wrong for a tenth of all requests, and the new version has half of them instead of a hundredth.
        let steps = [stratum((0, 9_900), (0, 100)), stratum((500, 5_000), (500, 5_000))];
        assert!(surprise(&steps, 0.0) < 1.0);
        let together = [stratum((500, 14_900), (500, 5_100))];
        assert!(surprise(&together, 0.0) > 11.5, "without the steps it would be");
    }

    #[test]
    fn what_is_allowed_is_no_cover_at_a_large_share() {
        // A version that fails in each tenth request, where each twentieth may, at half of the requests and at nearly all.
        assert!(surprise(&[stratum((0, 10_000), (1_000, 10_000))], 0.05) > 100.0);
        assert!(surprise(&[stratum((0, 50), (700, 4_950))], 0.001) > 6.0);
        // One that fails as often as it may: half of the time it is a little more.
        for more in [0, 10, 20, 30] {
            assert!(surprise(&[stratum((0, 10_000), (500 + more, 10_000))], 0.05) < 2.0, "{more}");
        }
    }

    proptest! {
        #[test]
        fn it_never_claims_more_than_is_so(
            old in (0..60_u64, 0..60_u64), new in (0..60_u64, 1..60_u64),
        ) {
            let stratum = stratum((old.0.min(old.1), old.1), (new.0.min(new.1), new.1));
            let (surprise, exact) = (surprise(&[stratum], 0.0), exact(&stratum));
            prop_assert!((-surprise).exp() >= exact - 1e-9, "{stratum:?}: {surprise}, exactly {exact}");
        }

        #[test]
        fn more_hits_are_more_surprising_and_numbers_of_any_size_are_borne(
            old in (0..1_u64 << 32, 0..1_u64 << 32), new in (0..1_u64 << 32, 0..1_u64 << 32), allowed in 0.0..1.0,
        ) {
            let some = stratum((old.0.min(old.1), old.1), (new.0.min(new.1) / 2, new.1));
            let more = stratum((old.0.min(old.1), old.1), (new.0.min(new.1), new.1));
            let (some, more) = (surprise(&[some], allowed), surprise(&[more], allowed));
            prop_assert!(some.is_finite() && more.is_finite() && some >= 0.0);
            prop_assert!(some <= more * (1.0 + 1e-6) + 1e-6, "{some} {more}");
        }
    }
}
