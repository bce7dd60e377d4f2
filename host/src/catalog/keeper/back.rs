//! Takes back: handlers that are removed, and versions that are rolled back.
//!
//! Before it: an operator, or [`crate::catalog::watch`] where a file is gone. After it: what is left is in force, and in the
//! directory. None of it waits for a version that is being tried; all of it may wait for a disk, so it is nothing for a
//! runtime's worker.

use std::sync::Arc;

use super::{Error, Keeper, RolledBack, State};
use crate::catalog::{
    Generation,
    directory::{self, Files},
    load,
    shelf::{Identity, identity},
    staged::{self, Staged},
};
use crate::{canary::report::Stage, shadow::report::ShadowStage};

/// What a rollback has changed in memory.
pub(super) struct Switched {
    back: Arc<Generation>,
    left: Arc<Generation>,
    /// What was refused last, which nobody needs any more.
    refused: Option<Identity>,
}

/// What is in the directory in place of what serves.
struct Elsewise {
    /// Why, for the operator.
    reason: String,
    /// What it is, where it can be read.
    there: Option<Identity>,
}

impl Keeper {
    /// Stops serving a handler and takes it out of the directory. Requests that it has accepted end on it.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`], and [`Error::Directory`], with which it goes on serving.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let _changing = self.changing();
        self.known(&self.lock(), name)?;
        staged::remove(&self.directory, name).map_err(|source| self.unwritable(source))?;
        self.forget(&mut self.lock(), name);
        tracing::info!(handler = name, "handler removed");
        Ok(())
    }

    /// Stops serving a handler whose file is gone.
    pub fn gone(&self, name: &str) {
        // An operator may just have put another there, which happens under the same lock.
        let _changing = self.changing();
        let is_there = Files::look(&directory::path_of(&self.directory, name)).is_ok_and(|files| files.is_some());
        let mut state = self.lock();
        if state.shelves.contains_key(name) && !is_there {
            self.forget(&mut state, name);
            tracing::info!(handler = name, "handler removed: its file is gone");
        }
    }

    fn forget(&self, state: &mut State, name: &str) {
        if let Ok(rest) = self.current.get().without(name) {
            self.current.replace(rest);
        }
        self.metrics.unloaded(name);
        state.changes += 1;
        if let Some(mut shelf) = state.shelves.remove(name) {
            self.end_trial(&mut shelf, Stage::Overtaken, Some("the handler was removed".to_owned()));
            self.end_shadow(&mut shelf, ShadowStage::Overtaken, Some("the handler was removed".to_owned()));
        }
        state.overtake(name);
        state.coming.remove(name);
        state.shadows_coming.remove(name);
    }

    /// Goes back to the version before, at once: it is still loaded. The directory then gets its files, so that a restart serves the same.
    /// Where it keeps others, they are not served before they change again. A canary stands in its way: who means that has
    /// [`Keeper::abort`], which never touches what serves, however late it comes.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`], [`Error::OnTrial`], [`Error::NothingEarlier`], and a conflict with what others serve meanwhile.
    pub fn rollback(&self, name: &str) -> Result<RolledBack, Error> {
        let _changing = self.changing();
        let switched = self.switch_back(&mut self.lock(), name)?;
        Ok(self.follow(name, &switched))
    }

    /// Has the directory follow. What began to be tried meanwhile has read what was there before: it is overtaken, too.
    pub(super) fn follow(&self, name: &str, switched: &Switched) -> RolledBack {
        let Switched { back, left, .. } = switched;
        let (generation, instead_of) = (back.number, left.number);
        tracing::warn!(handler = name, generation, instead_of, "handler rolled back");
        let mut rolled_back = RolledBack { generation, instead_of, directory: None };
        if let Err(Elsewise { reason, there }) = self.restore(switched) {
            tracing::warn!(handler = name, "the directory still has another version, which is not served: {reason}");
            rolled_back.directory = Some(reason);
            if let Some(shelf) = self.lock().shelves.get_mut(name) {
                shelf.unwanted = there.or_else(|| Some(identity(&left.source)));
            }
        }
        self.lock().overtake(name);
        rolled_back
    }

    pub(super) fn switch_back(&self, state: &mut State, name: &str) -> Result<Switched, Error> {
        self.known(state, name)?;
        let nothing = || Error::NothingEarlier { name: name.to_owned() };
        let is_coming = state.has_coming(name);
        let shelf = state.shelves.get_mut(name).ok_or_else(nothing)?;
        if is_coming || shelf.trial.is_some() {
            return Err(Error::OnTrial { name: name.to_owned() });
        }
        let back = shelf.previous.last().cloned().ok_or_else(nothing)?;
        let catalog = self.current.get().with(Arc::clone(&back)).map_err(load::Error::from)?;
        self.current.replace(catalog);
        self.metrics.loaded(name, back.number, back.program.digest().as_str());
        let left = shelf.go_back().ok_or_else(nothing)?;
        self.end_shadow(shelf, ShadowStage::Overtaken, Some(format!("generation {} serves again", back.number)));
        let refused = shelf.refused.take().and_then(|refused| refused.identity);
        shelf.unwanted = None;
        state.changes += 1;
        state.overtake(name);
        Ok(Switched { back, left, refused })
    }

    /// Puts a version's files back, unless there are some that nobody has tried yet.
    fn restore(&self, switched: &Switched) -> Result<(), Elsewise> {
        let Switched { back, left, refused } = switched;
        let there = load::read(&directory::path_of(&self.directory, &back.name)).ok();
        if there.as_ref() == Some(&back.source) {
            return Ok(());
        }
        let identity_there = there.as_ref().map(identity);
        if identity_there.is_some() && there.as_ref() != Some(&left.source) && identity_there != *refused {
            let reason = "there is a newer one, which is left alone, and is served once it changes again".to_owned();
            return Err(Elsewise { reason, there: identity_there });
        }
        let staged = Staged::write(&self.directory, &back.name, &back.source).and_then(Staged::put);
        staged.map_err(|source| Elsewise { reason: self.unwritable(source).to_string(), there: identity_there })
    }
}
