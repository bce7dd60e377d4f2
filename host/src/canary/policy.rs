//! What an operator wants of a canary.
//!
//! Before it: text, of the command line or of a request. After it: [`super::plan`] keeps to it.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    factor::Factor,
    settings::Setting as _,
    share::{By, Share},
};

/// The steps, where none are named.
pub const STEPS: &str = "1%,10%,50%";

/// How long a step lasts, where nothing is said: long enough for nova's periodic tasks, which run every minute.
pub const EVERY: &str = "2m";

/// Failures beyond the old version's that are borne, where nothing is said.
pub const MAX_FAILURES: &str = "0.1%";

/// How much slower than the old version the new one may be, where nothing is said.
pub const MAX_LATENCY: &str = "1.3x";

/// Requests of the new version in a step, where nothing is said.
pub const MIN_REQUESTS: u64 = 50;

/// The fewest: of less, no failure can be told from chance.
const LEAST_REQUESTS: u64 = 10;

/// The most steps.
const MOST_STEPS: usize = 20;

/// The most requests that a step may take: more than any host handles in a step.
const MOST_REQUESTS: u64 = 10_000_000;

/// The bounds of a step's time.
const TIMES: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(7 * 86_400);

/// A canary as it is asked for, in text. What is absent is as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wishes {
    /// The shares of requests that it gets, one after the other, rising: `1%,10%,50%`.
    #[serde(default)]
    pub steps: Option<String>,
    /// How long each lasts at least: `2m`.
    #[serde(default)]
    pub every: Option<String>,
    /// How many more of its requests than of the old version's may fail: `0.1%`.
    #[serde(default)]
    pub max_failures: Option<String>,
    /// How much slower than the old version it may be: `1.3x`.
    #[serde(default)]
    pub max_latency: Option<String>,
    /// The requests that it takes to go on from a step.
    #[serde(default)]
    pub min_requests: Option<u64>,
    /// By what requests are told apart: `request-id`, or a field of the context such as `context.project_id`.
    #[serde(default)]
    pub by: Option<String>,
}

/// What an operator wants of a canary.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The shares, rising; at least one, none of them nothing or all.
    pub steps: Vec<Share>,
    /// How long each step lasts at least.
    pub every: Duration,
    /// The part of its requests that may fail beyond what the old version's do.
    pub max_failures: Share,
    /// How much slower it may be, from 1.
    pub max_latency: f64,
    /// Its requests, in each step, before it goes on.
    pub min_requests: u64,
    /// By what requests are told apart.
    pub by: By,
}

impl Policy {
    /// Reads what is wished for.
    ///
    /// # Errors
    ///
    /// What is wrong, for the operator.
    pub fn read(wishes: &Wishes) -> Result<Self, String> {
        let Wishes { steps, every, max_failures, max_latency, min_requests, by } = wishes;
        let named = |name: &'static str| move |error: String| format!("{name}: {error}");
        Ok(Self {
            steps: read_steps(steps.as_deref().unwrap_or(STEPS)).map_err(named("steps"))?,
            every: read_every(every.as_deref().unwrap_or(EVERY)).map_err(named("every"))?,
            max_failures: max_failures.as_deref().unwrap_or(MAX_FAILURES).parse().map_err(named("max failures"))?,
            max_latency: (max_latency.as_deref().unwrap_or(MAX_LATENCY).parse())
                .map(Factor::get)
                .map_err(named("max latency"))?,
            min_requests: match min_requests.unwrap_or(MIN_REQUESTS) {
                number @ LEAST_REQUESTS..=MOST_REQUESTS => number,
                number => {
                    return Err(format!("min requests: {number} is not from {LEAST_REQUESTS} to {MOST_REQUESTS}"));
                }
            },
            by: by.as_deref().map_or(Ok(By::RequestId), str::parse).map_err(named("by"))?,
        })
    }

    /// The share of a step, counted from 0; all, after the last.
    #[must_use]
    pub fn share(&self, step: usize) -> Share {
        self.steps.get(step).copied().unwrap_or(Share::WHOLE)
    }
}

fn read_steps(text: &str) -> Result<Vec<Share>, String> {
    let steps: Vec<Share> = text.split(',').map(|step| step.trim().parse()).collect::<Result<_, _>>()?;
    if steps.len() > MOST_STEPS {
        return Err(format!("{} are more than {MOST_STEPS}", steps.len()));
    }
    if steps.contains(&Share::WHOLE) {
        return Err("after the last step the version serves all requests: leave 100% out".to_owned());
    }
    if steps.contains(&Share::NOTHING) || !steps.is_sorted_by(|one, next| one < next) {
        return Err(format!("{text:?} does not rise from more than nothing, as {STEPS} does"));
    }
    Ok(steps)
}

fn read_every(text: &str) -> Result<Duration, String> {
    let every = Duration::parse(text)?;
    if TIMES.contains(&every) { Ok(every) } else { Err(format!("{text} is not from 100ms to 168h")) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(wish: impl FnOnce(&mut Wishes)) -> Result<Policy, String> {
        let mut wishes = Wishes::default();
        wish(&mut wishes);
        Policy::read(&wishes)
    }

    #[test]
    fn without_wishes_it_is_as_usual() {
        let policy = read(|_| {}).unwrap();
        let shares: Vec<String> = (0..4).map(|step| policy.share(step).to_string()).collect();
        assert_eq!(shares, ["1%", "10%", "50%", "100%"]);
        assert_eq!((policy.every, policy.max_latency, policy.by), (Duration::from_secs(120), 1.3, By::RequestId));
    }

    #[test]
    fn what_makes_no_sense_is_said_with_its_name() {
        let some = |text: &str| Some(text.to_owned());
        for (wrong, expected) in [
            (read(|wishes| wishes.steps = some("")), "steps: \"\" is no share"),
            (read(|wishes| wishes.steps = some("10%,5%")), "does not rise"),
            (read(|wishes| wishes.steps = some("10%,10%")), "does not rise"),
            (read(|wishes| wishes.steps = some("0%")), "does not rise"),
            (read(|wishes| wishes.steps = some("10%, 100%")), "leave 100% out"),
            (read(|wishes| wishes.steps = Some(vec!["1%"; 21].join(","))), "more than 20"),
            (read(|wishes| wishes.every = some("2")), "every: \"2\" is not a duration"),
            (read(|wishes| wishes.every = some("9ms")), "not from 100ms"),
            (read(|wishes| wishes.max_failures = some("1")), "max failures: \"1\" is no share"),
            (read(|wishes| wishes.max_latency = some("0.9x")), "max latency: \"0.9x\" is not a factor"),
            (read(|wishes| wishes.max_latency = some("NaNx")), "not a factor"),
            (read(|wishes| wishes.min_requests = Some(0)), "min requests: 0 is not"),
            (read(|wishes| wishes.min_requests = Some(9)), "min requests: 9 is not from 10"),
            (read(|wishes| wishes.by = some("project_id")), "by: \"project_id\" is neither"),
        ] {
            let error = wrong.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".{0,40}") {
            let some = || Some(text.clone());
            let wishes =
                Wishes { steps: some(), every: some(), max_failures: some(), max_latency: some(), by: some(), min_requests: None };
            Policy::read(&wishes).ok();
            if let Ok(factor) = text.parse::<Factor>() {
                prop_assert!((1.0..=1000.0).contains(&factor.get()));
            }
        }
    }
}
