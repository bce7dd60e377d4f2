//! A value that is replaced as a whole, while others read it.
//!
//! Before it: [`super::keeper`] has a new one. After it: each request looks at what there is at its moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// What is in force. Clones are the same.
#[derive(Debug, Default)]
pub(super) struct InForce<T>(Arc<RwLock<Arc<T>>>);

impl<T> Clone for InForce<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> InForce<T> {
    /// Begins with a value.
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(value))))
    }

    /// What there is at this moment; it stays as it is for whoever holds it.
    pub(super) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces it by what is made of it.
    pub(super) fn change(&self, change: impl FnOnce(&T) -> T) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let new = Arc::new(change(&current));
        let old = std::mem::replace(&mut *current, new);
        drop(current);
        // Whatever it frees is freed without the lock.
        drop(old);
    }
}

/// One for each handler that has one, by its name.
impl<V: Clone> InForce<BTreeMap<String, V>> {
    /// From now on, the handler has this one.
    pub(super) fn put(&self, name: &str, value: V) {
        self.change(|all| {
            let mut all = all.clone();
            all.insert(name.to_owned(), value);
            all
        });
    }

    /// From now on, the handler has none.
    pub(super) fn remove(&self, name: &str) {
        self.change(|all| {
            let mut all = all.clone();
            all.remove(name);
            all
        });
    }
}
