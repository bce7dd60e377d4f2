//! What went where, by method: for the operator's list and for the metrics.
//!
//! Before it: [`crate::serve`] has settled a request. After it: `nova-host forward list`. Callers choose the names of methods:
//! what is beyond a bound is counted together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::Pattern;
use crate::{metrics::Went, printable::printable};

/// Methods that are told apart: nova-compute, the service with the most, has 120.
const MAX_METHODS: usize = 256;

/// Bytes of a name as it is shown.
const MAX_SHOWN: usize = 128;

/// The name under which the others are counted.
pub const OTHERS: &str = "(others)";

/// What went where of one method.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MethodState {
    /// The method, with its namespace before a dot.
    pub method: String,
    /// Requests that were answered here.
    pub served: u64,
    /// Requests that went on.
    pub forwarded: u64,
    /// Requests to all servers that no handler has.
    pub left: u64,
    /// Requests that were to go on, and could not.
    pub failed: u64,
}

/// What was seen since the start.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<BTreeMap<Arc<str>, MethodState>>);

impl Seen {
    /// Counts a request; gives the name under which it is counted.
    pub(super) fn note(&self, named: &Pattern, went: Went) -> Arc<str> {
        let shown = printable(&named.to_string(), MAX_SHOWN);
        let mut methods = self.lock();
        let name = if methods.len() >= MAX_METHODS && !methods.contains_key(shown.as_str()) { OTHERS } else { &shown };
        let name = match methods.get_key_value(name) {
            Some((name, _)) => Arc::clone(name),
            None => Arc::from(name),
        };
        let state = methods.entry(Arc::clone(&name)).or_default();
        let count = match went {
            Went::Served => &mut state.served,
            Went::Forwarded => &mut state.forwarded,
            Went::Left => &mut state.left,
            Went::Failed => &mut state.failed,
        };
        *count += 1;
        name
    }

    /// All methods, by name.
    pub(super) fn all(&self) -> Vec<MethodState> {
        let named =
            |(name, state): (&Arc<str>, &MethodState)| MethodState { method: name.to_string(), ..state.clone() };
        self.lock().iter().map(named).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, MethodState>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_counted_apart_up_to_a_bound() {
        let seen = Seen::default();
        for number in 0..2 * MAX_METHODS {
            seen.note(&Pattern::Method(Some("ns".into()), format!("m{number}\u{1b}")), Went::Forwarded);
        }
        seen.note(&Pattern::Method(Some("ns".into()), "m0\u{1b}".into()), Went::Failed);
        let all = seen.all();
        assert_eq!(all.len(), MAX_METHODS + 1);
        assert!(all.iter().all(|state| !state.method.contains('\u{1b}')), "{all:?}");
        let others = all.iter().find(|state| state.method == OTHERS).unwrap();
        assert_eq!(others.forwarded, MAX_METHODS as u64);
        assert_eq!(all.iter().map(|state| state.failed).sum::<u64>(), 1);
    }
}
