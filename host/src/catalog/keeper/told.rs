//! What is told of the handlers to those who only look.
//!
//! Before it: an operator, the page, or [`crate::catalog::watch`]. After it: a list, or a number.

use super::Keeper;
use crate::catalog::shelf::{HandlerState, Shelf};

impl Keeper {
    /// All handlers by name.
    #[must_use]
    pub fn list(&self) -> Vec<HandlerState> {
        self.lock().shelves.iter().map(|(name, shelf)| shelf.state(name)).collect()
    }

    /// Grows with every change of what is served.
    pub(in crate::catalog) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Those that were refused because of another handler.
    pub(in crate::catalog) fn in_conflict(&self) -> Vec<String> {
        let state = self.lock();
        let refused = |shelf: &Shelf| shelf.refused.as_ref().is_some_and(|refused| refused.in_conflict);
        state.shelves.iter().filter(|(_, shelf)| refused(shelf)).map(|(name, _)| name.clone()).collect()
    }
}
