//! How each method of each handler does: how often it is asked for, how long it takes, how it fails.
//!
//! Before it: [`super::Entry::end`]. After it: [`super::report`]. Each method has a lock of its own, held for some nanoseconds;
//! the list of methods is written to only when one is asked for for the first time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use super::{
    report::{ClassCount, MethodStats},
    times::Times,
};

/// Methods that are told apart. Some 4 KiB each.
const MAX_METHODS: usize = 1024;

/// Classes of failures of a method that are told apart.
const MAX_CLASSES: usize = 16;

/// The name under which the others are counted.
const OTHERS: &str = "(others)";

/// Methods of handlers.
#[derive(Debug, Default)]
pub(super) struct Methods(RwLock<HashMap<Key, Arc<Mutex<Method>>>>);

/// A method of a handler.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) handler: String,
    pub(super) namespace: Option<String>,
    pub(super) method: String,
    /// The major version that is asked for.
    pub(super) major: u64,
}

#[derive(Debug, Default)]
struct Method {
    times: Times,
    failures: Vec<ClassCount>,
    last_fault_ms: Option<u64>,
}

/// How a request failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed<'a> {
    /// The class of its exception.
    pub(super) class: &'a str,
    /// When, in milliseconds since 1970, if it was a fault.
    pub(super) fault_ms: Option<u64>,
}

impl Methods {
    /// A request of a method took so many microseconds, ended at this second, and failed if it did.
    pub(super) fn note(&self, key: Key, second: u64, took_us: u64, failed: Option<Failed<'_>>) {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let method = known.unwrap_or_else(|| self.add(key));
        let mut method = method.lock().unwrap_or_else(PoisonError::into_inner);
        method.times.note(second, took_us);
        if let Some(Failed { class, fault_ms }) = failed {
            method.fail(class);
            method.last_fault_ms = method.last_fault_ms.max(fault_ms);
        }
    }

    fn add(&self, key: Key) -> Arc<Mutex<Method>> {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let is_known = all.contains_key(&key);
        let key = if is_known || all.len() < MAX_METHODS {
            key
        } else {
            Key { handler: OTHERS.to_owned(), namespace: None, method: OTHERS.to_owned(), major: 0 }
        };
        Arc::clone(all.entry(key).or_default())
    }

    /// All that there is something to say of.
    pub(super) fn told(&self, second: u64) -> Vec<MethodStats> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<(Key, Arc<Mutex<Method>>)> =
            all.iter().map(|(key, method)| (key.clone(), Arc::clone(method))).collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        let told = all.into_iter().map(|(key, method)| {
            let method = method.lock().unwrap_or_else(PoisonError::into_inner);
            let told = method.times.told(second);
            let (mut failures, last_fault_ms) = (method.failures.clone(), method.last_fault_ms);
            drop(method);
            failures.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.class.cmp(&other.class)));
            let Key { handler, namespace, method, major } = key;
            MethodStats {
                handler,
                namespace,
                method,
                major,
                per_minute: told.per_minute,
                requests: told.requests,
                p50_us: told.p50_us,
                p99_us: told.p99_us,
                failures,
                last_fault_ms,
            }
        });
        told.filter(|stats| stats.requests > 0 || !stats.failures.is_empty()).collect()
    }
}

impl Method {
    fn fail(&mut self, class: &str) {
        let known = self.failures.iter().position(|count| count.class == class);
        let class = if known.is_some() || self.failures.len() < MAX_CLASSES { class } else { OTHERS };
        match self.failures.iter_mut().find(|count| count.class == class) {
            Some(count) => count.count += 1,
            None => self.failures.push(ClassCount { class: class.to_owned(), count: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(class: &str) -> Option<Failed<'_>> {
        Some(Failed { class, fault_ms: None })
    }

    fn key(handler: &str, method: impl Into<String>) -> Key {
        Key { handler: handler.to_owned(), namespace: None, method: method.into(), major: 1 }
    }

    #[test]
    fn methods_and_classes_are_told_apart_up_to_a_bound() {
        let methods = Methods::default();
        for number in 0..2 * MAX_METHODS {
            methods.note(key("h", format!("m{number}")), 0, 1, None);
        }
        for number in 0..3 * MAX_CLASSES {
            methods.note(key("h", "m0"), 0, 1, failed(&format!("C{number}")));
        }
        let told = methods.told(0);
        assert_eq!(told.len(), MAX_METHODS + 1);
        assert_eq!(told.iter().find(|stats| stats.handler == OTHERS).unwrap().requests, MAX_METHODS as u64);
        let first = told.iter().find(|stats| stats.method == "m0").unwrap();
        assert_eq!(first.failures.len(), MAX_CLASSES + 1);
        let others = ClassCount { class: OTHERS.to_owned(), count: 2 * MAX_CLASSES as u64 };
        assert_eq!(first.failures[0], others, "the most frequent is the first");
    }

    #[test]
    fn the_last_fault_is_known_however_often_it_fails_otherwise_and_versions_are_told_apart() {
        let methods = Methods::default();
        let second = Key { major: 2, ..key("h", "m") };
        methods.note(key("h", "m"), 0, 1, Some(Failed { class: "Trap", fault_ms: Some(7) }));
        for _ in 0..1000 {
            methods.note(key("h", "m"), 0, 1, failed("Everyday"));
        }
        methods.note(second, 0, 1, None);
        let told: Vec<_> =
            methods.told(0).iter().map(|stats| (stats.major, stats.requests, stats.last_fault_ms)).collect();
        assert_eq!(told, [(1, 1001, Some(7)), (2, 1, None)]);
    }

    #[test]
    fn what_nobody_asks_for_any_more_is_told_only_where_it_failed() {
        let methods = Methods::default();
        methods.note(key("h", "good"), 0, 1, None);
        methods.note(key("h", "bad"), 0, 1, failed("E"));
        let told = methods.told(3600);
        assert_eq!(told.iter().map(|stats| (&*stats.method, stats.requests)).collect::<Vec<_>>(), [("bad", 0)]);
    }
}
