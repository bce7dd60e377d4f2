//! Versions on trial: begun, moved, ended.
//!
//! Before it: an operator, and [`crate::catalog::lead`], which has them looked at. After it: [`crate::canary::plan`] says what is to be done, and
//! [`crate::catalog::candidate`] is what requests meet. A trial is no part of the directory: a restart serves what served beside it. To take one
//! back changes nothing but who gets requests, and waits for nobody; what is in flight ends where it began.

use std::{path::Path, sync::Arc};

use tokio::time::Instant;

use super::{Change, Error, Keeper, Origin, RolledBack, blocking};
use crate::{
    canary::{Action, Policy, plan, report::Stage},
    catalog::{Generation, Source, candidate::Trial, shelf::Shelf},
    metrics::Verdict,
};

/// A trial whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    name: String,
    generation: u64,
}

impl Keeper {
    /// Tries a file that an operator names on a share of the requests of the handler that it is a version of. The directory stays as it is
    /// until it is promoted.
    ///
    /// # Errors
    ///
    /// [`Error`]: all for which [`Keeper::add`] would refuse it, no version that serves, and a trial that runs already.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the trial has begun or has not; once begun it goes on.
    pub async fn canary(
        self: &Arc<Self>,
        file: &Path,
        name: Option<String>,
        force: bool,
        policy: Policy,
    ) -> Result<Change, Error> {
        let (name, read) = self.given(file, name)?;
        let origin = Origin::Given { force };
        let begin = |source| async {
            if let Some(generation) = self.may_be_tried(&name, &source)? {
                return Ok(Change::Unchanged { generation });
            }
            let generation = self.made(&name, source).await?;
            let keeper = Arc::clone(self);
            blocking(move || keeper.begin(generation, origin, policy)).await
        };
        self.attempt(&name, read, begin).await
    }

    /// Sees to it that there is something to compare with, before anything is compiled. Gives the number of what serves, if it is this very
    /// version.
    fn may_be_tried(&self, name: &str, source: &Source) -> Result<Option<u64>, Error> {
        let state = self.lock();
        let shelf = state.shelves.get(name);
        if shelf.is_some_and(|shelf| shelf.trial.is_some()) {
            return Err(Error::OnTrial { name: name.to_owned() });
        }
        let serving = shelf.and_then(|shelf| shelf.serving.as_ref());
        let serving = serving.ok_or_else(|| Error::NothingBeside { name: name.to_owned() })?;
        Ok((serving.source == *source).then_some(serving.number))
    }

    fn begin(&self, generation: Arc<Generation>, origin: Origin, policy: Policy) -> Result<Change, Error> {
        let _changing = self.changing();
        // All that would keep it from serving is said now.
        self.may_serve(&generation, origin)?;
        let (name, number) = (generation.name.clone(), generation.number);
        let mut state = self.lock();
        let nothing = || Error::NothingBeside { name: name.clone() };
        let shelf = state.shelves.get_mut(&name).ok_or_else(nothing)?;
        let beside = shelf.serving.as_ref().ok_or_else(nothing)?.number;
        let trial = Trial::new(generation, beside, origin, policy);
        let share = trial.policy.share(0);
        self.current.candidates.put(&name, trial.candidate());
        self.metrics.canary_gets(&name, Some(share.fraction()));
        (shelf.trial, shelf.tried) = (Some(trial), None);
        Ok(Change::OnTrial { generation: number, beside })
    }

    /// Looks at every trial, and does what is to be done but for what waits for a disk: gives those that are to be put into force.
    pub fn judge(&self) -> Vec<Due> {
        let names: Vec<String> = {
            let state = self.lock();
            let on_trial = state.shelves.iter().filter(|(_, shelf)| shelf.trial.is_some());
            on_trial.map(|(name, _)| name.clone()).collect()
        };
        names.iter().filter_map(|name| self.judge_one(name)).collect()
    }

    fn judge_one(&self, name: &str) -> Option<Due> {
        // What it takes to judge is copied, so that nobody waits meanwhile.
        let (generation, progress, evidence, policy, now) = {
            let state = self.lock();
            let trial = state.shelves.get(name)?.trial.as_ref()?;
            let now = Instant::now().saturating_duration_since(trial.began);
            (trial.generation.number, trial.progress, trial.evidence(), Arc::clone(&trial.policy), now)
        };
        let windows: Vec<_> = evidence.iter().map(|window| &**window).collect();
        let action = plan(&progress, &windows, &policy, now);
        if action == Action::Wait {
            return None;
        }
        let mut state = self.lock();
        let shelf = state.shelves.get_mut(name)?;
        let trial = shelf.trial.as_mut()?;
        // An operator may have done something since.
        if trial.generation.number != generation
            || (trial.progress != progress && !matches!(action, Action::Rollback(_)))
        {
            return None;
        }
        match action {
            Action::Wait => None,
            Action::Rollback(why) => {
                self.end_trial(shelf, Stage::RolledBack, Some(why.to_string()));
                None
            }
            Action::Promote if trial.is_promoting => None,
            Action::Promote => {
                trial.is_promoting = true;
                Some(Due { name: name.to_owned(), generation })
            }
            Action::Advance(step) => {
                trial.advance(step);
                let share = trial.policy.share(step);
                self.current.candidates.put(name, trial.candidate());
                self.metrics.canary_gets(name, Some(share.fraction()));
                self.metrics.canary_is(name, Verdict::Advanced);
                tracing::info!(handler = name, generation, %share, "canary goes on");
                None
            }
            Action::Pause(why) => {
                self.pause_trial(trial, name, why.to_string());
                None
            }
        }
    }

    fn pause_trial(&self, trial: &mut Trial, name: &str, why: String) {
        tracing::warn!(handler = name, generation = trial.generation.number, "canary paused: {why}");
        trial.pause(Some(why));
        self.metrics.canary_is(name, Verdict::Paused);
    }

    /// Puts a trial into force whose time has come. Where that is not possible, it is paused, and says why.
    pub fn promote_due(&self, due: &Due) {
        let Due { name, generation } = due;
        if let Err(error) = self.put_into_force(name, *generation) {
            let mut state = self.lock();
            let trial = state.shelves.get_mut(name).and_then(|shelf| shelf.trial.as_mut());
            if let Some(trial) = trial.filter(|trial| trial.generation.number == *generation) {
                trial.is_promoting = false;
                self.pause_trial(trial, name, format!("it cannot serve all requests: {error}"));
            }
        }
    }

    /// Puts a trial into force now, on an operator's word.
    ///
    /// # Errors
    ///
    /// [`Error::NoTrial`], and all for which [`Keeper::add`] would refuse it; then the trial goes on.
    pub fn promote(&self, name: &str) -> Result<Change, Error> {
        let generation = self.with_trial(name, |_, trial| trial.generation.number)?;
        self.put_into_force(name, generation)
    }

    /// Keeps a trial where it is.
    ///
    /// # Errors
    ///
    /// [`Error::NoTrial`].
    pub fn pause(&self, name: &str) -> Result<(), Error> {
        self.with_trial(name, |keeper, trial| keeper.pause_trial(trial, name, "an operator has paused it".to_owned()))
    }

    /// Has a trial go on by itself again.
    ///
    /// # Errors
    ///
    /// [`Error::NoTrial`].
    pub fn resume(&self, name: &str) -> Result<(), Error> {
        self.with_trial(name, |_, trial| {
            tracing::info!(handler = name, generation = trial.generation.number, "canary resumed");
            trial.pause(None);
        })
    }

    fn with_trial<T>(&self, name: &str, act: impl FnOnce(&Self, &mut Trial) -> T) -> Result<T, Error> {
        let mut state = self.lock();
        self.known(&state, name)?;
        let trial = state.shelves.get_mut(name).and_then(|shelf| shelf.trial.as_mut());
        trial.map(|trial| act(self, trial)).ok_or_else(|| Error::NoTrial { name: name.to_owned() })
    }

    /// Gives all requests back to the version beside a trial, where there is one.
    pub(super) fn take_back(&self, name: &str) -> Option<RolledBack> {
        let mut state = self.lock();
        let shelf = state.shelves.get_mut(name)?;
        let trial = shelf.trial.as_ref()?;
        let (generation, instead_of) = (trial.beside, trial.generation.number);
        self.end_trial(shelf, Stage::RolledBack, Some("an operator has taken it back".to_owned()));
        Some(RolledBack { generation, instead_of, directory: None })
    }

    /// Ends a trial, where there is one. From then on the version beside it, or what has come into force, has all requests.
    pub(super) fn end_trial(&self, shelf: &mut Shelf, stage: Stage, why: Option<String>) {
        let Some(trial) = shelf.trial.take() else { return };
        let (name, generation) = (&trial.generation.name, trial.generation.number);
        self.current.candidates.remove(name);
        self.metrics.canary_gets(name, None);
        let said = why.as_deref().unwrap_or_default();
        let verdict = match stage {
            Stage::Promoted => Verdict::Promoted,
            Stage::RolledBack => Verdict::RolledBack,
            Stage::Overtaken | Stage::Running | Stage::Paused => Verdict::Overtaken,
        };
        self.metrics.canary_is(name, verdict);
        match stage {
            Stage::Promoted => tracing::info!(handler = name, generation, "canary promoted: it serves all requests"),
            stage => tracing::warn!(handler = name, generation, "canary {}: {said}", stage.as_str()),
        }
        shelf.tried = Some(trial.ended(stage, why));
        if stage != Stage::Promoted {
            shelf.retire(&trial.generation);
        }
    }

    fn put_into_force(&self, name: &str, number: u64) -> Result<Change, Error> {
        let (generation, origin) = self.with_trial(name, |_, trial| (Arc::clone(&trial.generation), trial.origin))?;
        let staged = self.stage(name, &generation.source)?;
        let _changing = self.changing();
        let new = self.fits(&self.lock(), &generation, origin)?;
        if !self.is_on_trial(name, number) {
            return Err(Error::Overtaken);
        }
        staged.put().map_err(|source| self.unwritable(source))?;
        let mut state = self.lock();
        let shelf = state.shelves.get_mut(name);
        let is_it = |shelf: &&mut Shelf| shelf.trial.as_ref().is_some_and(|trial| trial.generation.number == number);
        let Some(shelf) = shelf.filter(is_it) else {
            // It was taken back while its files were moved.
            drop(state);
            self.put_back(name);
            return Err(Error::Overtaken);
        };
        self.current.replace(new);
        self.metrics.loaded(name, number, generation.program.digest().as_str());
        self.end_trial(shelf, Stage::Promoted, None);
        let instead_of = shelf.serving.as_ref().map(|serving| serving.number).unwrap_or_default();
        shelf.advance(generation);
        state.changes += 1;
        Ok(Change::Replaced { generation: number, instead_of })
    }

    fn is_on_trial(&self, name: &str, number: u64) -> bool {
        let state = self.lock();
        let trial = state.shelves.get(name).and_then(|shelf| shelf.trial.as_ref());
        trial.is_some_and(|trial| trial.generation.number == number)
    }

    /// Puts the files of what serves back into the directory.
    fn put_back(&self, name: &str) {
        let serving = self.lock().shelves.get(name).and_then(|shelf| shelf.serving.clone());
        let Some(serving) = serving else { return };
        let put =
            self.stage(name, &serving.source).and_then(|staged| staged.put().map_err(|error| self.unwritable(error)));
        if let Err(error) = put {
            tracing::warn!(handler = name, "the directory has the files of a version that was taken back: {error}");
        }
    }
}
