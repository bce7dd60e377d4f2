//! The plan of a canary: one pure function of how far it is, what has become of requests, what is wanted, and the time.
//!
//! Before it: the keeper has the numbers. After it: the keeper does what it says. So all of its judgement is tested without a clock and
//! without a request.

use std::{fmt, time::Duration};

use super::{
    Policy,
    evidence::Window,
    findings::{Against, Finding, findings},
};

/// After so many times as long as a step should last, a canary that can neither go on nor back asks for an operator.
const PATIENCE: u32 = 10;

/// How far a canary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The step, counted from 0.
    pub step: usize,
    /// When it began, since the canary did.
    pub since: Duration,
    /// Whether it goes on by itself. One that does not still goes back by itself.
    pub is_paused: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    Wait,
    /// It gets the share of this step.
    Advance(usize),
    /// It serves all requests.
    Promote,
    /// It stays where it is, until an operator says more.
    Pause(Why),
    /// The version that serves gets all requests again.
    Rollback(Why),
}

/// Why a canary pauses, or goes back.
#[derive(Clone, Debug, PartialEq)]
pub enum Why {
    /// It does worse.
    Worse(Against),
    /// It may do worse, and there are too few requests to be sure.
    Doubt(Against),
    /// There are too few requests for any verdict.
    TooFew {
        /// Of the new version, in this step.
        new: u64,
        /// Of the old version, in this step.
        old: u64,
        /// How many it takes, of each.
        needed: u64,
    },
}

/// Says what is to be done. `windows` are the steps so far, the running one last; `now` is the time since the canary began.
///
/// It goes back for what weighs enough, at any time, paused or not. It goes on when its step has lasted, both versions have had enough
/// requests in it, and nothing is in doubt.
#[must_use]
pub fn plan(progress: &Progress, windows: &[&Window], policy: &Policy, now: Duration) -> Action {
    let mut findings = findings(windows, policy);
    findings.sort_by(|one, other| {
        (other.is_decisive, other.is_doubtful, other.weight)
            .partial_cmp(&(one.is_decisive, one.is_doubtful, one.weight))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    let worst = findings.into_iter().next();
    let doubt = match worst {
        Some(Finding { against, is_decisive: true, .. }) => return Action::Rollback(Why::Worse(against)),
        Some(Finding { against, is_doubtful: true, .. }) => Some(against),
        _ => None,
    };
    let lasted = now.saturating_sub(progress.since);
    if progress.is_paused || lasted < policy.every {
        return Action::Wait;
    }
    let needed = policy.min_requests;
    let (new, old) = requests(windows.last());
    let why = match doubt {
        Some(against) => Why::Doubt(against),
        None if new < needed || old < needed => Why::TooFew { new, old, needed },
        None if progress.step + 1 < policy.steps.len() => return Action::Advance(progress.step + 1),
        None => return Action::Promote,
    };
    if lasted < policy.every.saturating_mul(PATIENCE) { Action::Wait } else { Action::Pause(why) }
}

/// Requests of the new version and of the old one.
fn requests(window: Option<&&Window>) -> (u64, u64) {
    let methods = window.iter().flat_map(|window| window.values());
    methods.fold((0, 0), |(new, old), method| (new + method.new.requests, old + method.old.requests))
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worse(against) => against.fmt(f),
            Self::Doubt(against) => write!(f, "it may do worse, which more requests would show: {against}"),
            Self::TooFew { new, old, needed } => write!(
                f,
                "too few requests: {new} of the new version and {old} of the one that serves in this step, and it takes \
                 {needed} of each"
            ),
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
