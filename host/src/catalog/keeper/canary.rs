//! Versions on trial: begun, moved, ended.
//!
//! Before it: an operator, and [`crate::catalog::lead`], which has them looked at. After it: [`crate::canary::plan`] says what is to be done, and
//! [`crate::catalog::candidate`] is what requests meet. A trial is no part of the directory: a restart serves what served beside it. To take one
//! back changes nothing but who gets requests, and waits for nobody; what is in flight ends where it began.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

use tokio::time::Instant;

use super::{Aborted, Change, Error, Keeper, Origin, State, blocking, directory, identity, load};
use crate::{
    canary::{Action, Policy, Progress, plan, report::Stage},
    catalog::{Generation, Source, candidate::Trial, shelf::Shelf},
    gate::Terms,
    metrics::Verdict,
    shadow::report::ShadowStage,
};

/// A trial whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    name: String,
    generation: u64,
    /// Where it stood then.
    progress: Progress,
}

impl State {
    /// Notes that a canary is to begin, for as long as what this gives is held.
    fn comes(&mut self, name: &str) -> Result<Arc<()>, Error> {
        if self.has_coming(name) {
            return Err(Error::OnTrial { name: name.to_owned() });
        }
        let coming = Arc::default();
        self.coming.retain(|_, coming| coming.strong_count() > 0);
        self.coming.insert(name.to_owned(), Arc::downgrade(&coming));
        Ok(coming)
    }

    /// Whether a canary of the handler is being tried, or waits for its turn.
    pub(super) fn has_coming(&self, name: &str) -> bool {
        self.coming.get(name).is_some_and(|coming| coming.strong_count() > 0)
    }
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
        terms: Terms,
        policy: Policy,
    ) -> Result<Change, Error> {
        let (name, read) = self.given(file, name)?;
        let (origin, coming) = (Origin::Given { force: terms.is_force() }, self.lock().comes(&name)?);
        let begin = |source| async {
            if let Some(generation) = self.may_be_tried(&name, &source)? {
                return Ok(Change::Unchanged { generation });
            }
            let generation = self.made(&name, source).await?;
            self.pass_gates(&generation, &terms).await?;
            let keeper = Arc::clone(self);
            let coming = Arc::clone(&coming);
            blocking(move || keeper.begin(generation, origin, policy, &coming)).await
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

    fn begin(
        &self,
        generation: Arc<Generation>,
        origin: Origin,
        policy: Policy,
        coming: &Arc<()>,
    ) -> Result<Change, Error> {
        let _changing = self.changing();
        // All that would keep it from serving is said now.
        self.may_serve(&generation, origin)?;
        let (name, number) = (generation.name.clone(), generation.number);
        let mut state = self.lock();
        // An operator may have aborted it while it was compiled.
        if state.coming.get(&name).is_none_or(|it| it.as_ptr() != Arc::as_ptr(coming)) {
            // If there is one, it is another's, which has begun since.
            return Err(Error::Overtaken);
        }
        state.coming.remove(&name);
        let nothing = || Error::NothingBeside { name: name.clone() };
        let shelf = state.shelves.get_mut(&name).ok_or_else(nothing)?;
        let beside = shelf.serving.as_ref().ok_or_else(nothing)?.number;
        let trial = Trial::new(generation, beside, origin, policy);
        let share = trial.policy.share(0);
        self.current.candidates.put(&name, trial.candidate());
        self.metrics.canary_gets(&name, Some(share.fraction()));
        (shelf.trial, shelf.tried) = (Some(trial), None);
        self.end_shadow(shelf, ShadowStage::Overtaken, Some("a canary has begun".to_owned()));
        Ok(Change::OnTrial { generation: number, beside })
    }

    /// Looks at every trial and every shadow, and does what is to be done but for what waits for a disk: gives those that are to be put into force.
    pub fn judge(&self) -> Vec<Due> {
        self.look_at_shadows();
        let names: Vec<String> = {
            let state = self.lock();
            let on_trial = state.shelves.iter().filter(|(_, shelf)| shelf.trial.is_some());
            on_trial.map(|(name, _)| name.clone()).collect()
        };
        names.iter().filter_map(|name| self.unless_it_panics(name, || self.judge_one(name)).flatten()).collect()
    }

    /// Does something for a trial. Where that panics, which is a fault of the host, the trial pauses and the others go on.
    pub(super) fn unless_it_panics<T>(&self, name: &str, act: impl FnOnce() -> T) -> Option<T> {
        let acted = catch_unwind(AssertUnwindSafe(act)).ok();
        if acted.is_none() {
            let mut state = self.lock();
            let trial = state.shelves.get_mut(name).and_then(|shelf| shelf.trial.as_mut());
            if let Some(trial) = trial {
                trial.is_promoting = false;
                // It is looked at again and again: once is enough.
                if !trial.progress.is_paused {
                    self.pause_trial(trial, name, "the host itself failed while it judged it".to_owned());
                }
            }
        }
        acted
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
                Some(Due { name: name.to_owned(), generation, progress })
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
        let Due { name, generation, progress } = due;
        let put = self.unless_it_panics(name, || self.put_into_force(name, *generation, Some(*progress), false));
        let Some(Err(error)) = put else { return };
        let mut state = self.lock();
        let trial = state.shelves.get_mut(name).and_then(|shelf| shelf.trial.as_mut());
        if let Some(trial) = trial.filter(|trial| trial.generation.number == *generation) {
            trial.is_promoting = false;
            // Whoever has moved it since has had a reason.
            if trial.progress == *progress {
                self.pause_trial(trial, name, format!("it cannot serve all requests: {error}"));
            }
        }
    }

    /// Puts a trial into force now, on an operator's word; with `force`, although it drops methods that were called recently. One that has
    /// just come into force is there already.
    ///
    /// # Errors
    ///
    /// [`Error::NoTrial`], [`Error::Newer`], and all for which [`Keeper::add`] would refuse it; then the trial goes on.
    pub fn promote(&self, name: &str, force: bool) -> Result<Change, Error> {
        let promoted = self
            .with_trial(name, |_, trial| trial.generation.number)
            .and_then(|generation| self.put_into_force(name, generation, None, force));
        match promoted {
            Err(Error::NoTrial { .. } | Error::Overtaken) => {
                self.has_promoted(name).map(|generation| Change::Unchanged { generation }).map_or(promoted, Ok)
            }
            promoted => promoted,
        }
    }

    /// The number of what serves, where it is the last version that was on trial.
    fn has_promoted(&self, name: &str) -> Option<u64> {
        let state = self.lock();
        let shelf = state.shelves.get(name)?;
        let tried = shelf.tried.as_ref().filter(|tried| tried.stage == Stage::Promoted)?;
        shelf.serving.as_ref().map(|serving| serving.number).filter(|serving| *serving == tried.generation)
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
            // The time of a step that runs is not begun again.
            if trial.progress.is_paused {
                tracing::info!(handler = name, generation = trial.generation.number, "canary resumed");
                trial.pause(None);
            }
        })
    }

    fn with_trial<T>(&self, name: &str, act: impl FnOnce(&Self, &mut Trial) -> T) -> Result<T, Error> {
        let mut state = self.lock();
        self.known(&state, name)?;
        let trial = state.shelves.get_mut(name).and_then(|shelf| shelf.trial.as_mut());
        trial.map(|trial| act(self, trial)).ok_or_else(|| Error::NoTrial { name: name.to_owned() })
    }

    /// Ends a trial or a shadow, or keeps one from beginning that is still compiled. What serves goes on serving, however late this comes.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`], [`Error::NothingTried`].
    pub fn abort(&self, name: &str) -> Result<Aborted, Error> {
        let mut state = self.lock();
        self.known(&state, name)?;
        let was_shadowed = self.abort_shadow(&mut state, name);
        let was_coming = state.has_coming(name);
        state.coming.remove(name);
        let shelf = state.shelves.get_mut(name).filter(|shelf| shelf.trial.is_some());
        match shelf {
            Some(shelf) => self.end_trial(shelf, Stage::RolledBack, Some("an operator has taken it back".to_owned())),
            None if was_coming => tracing::warn!(handler = name, "canary aborted before it began"),
            None if was_shadowed => return Ok(Aborted::Shadow),
            None => return Err(Error::NothingTried { name: name.to_owned() }),
        }
        Ok(Aborted::Canary)
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

    /// `at` is where the trial has to stand, if that matters; `force`, whether it may drop methods whatever was said before.
    fn put_into_force(&self, name: &str, number: u64, at: Option<Progress>, force: bool) -> Result<Change, Error> {
        let is_it = |trial: &Trial| trial.generation.number == number && at.is_none_or(|at| trial.progress == at);
        let found =
            self.with_trial(name, |_, trial| is_it(trial).then(|| (Arc::clone(&trial.generation), trial.origin)))?;
        let (generation, mut origin) = found.ok_or(Error::Overtaken)?;
        if force {
            origin = Origin::Given { force };
        }
        let staged = self.stage(name, &generation.source)?;
        let _changing = self.changing();
        let new = self.fits(&self.lock(), &generation, origin)?;
        // Whoever has paused it or put another file there meanwhile has said more than the time has.
        if !self.with_trial(name, |_, trial| is_it(trial))? {
            return Err(Error::Overtaken);
        }
        self.is_as_it_serves(&generation)?;
        staged.put().map_err(|source| self.unwritable(source))?;
        let mut state = self.lock();
        let shelf = state.shelves.get_mut(name);
        let Some(shelf) = shelf.filter(|shelf| shelf.trial.as_ref().is_some_and(is_it)) else {
            // It was taken back or paused while its files were moved.
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
        state.overtake(name);
        Ok(Change::Replaced { generation: number, instead_of })
    }

    /// Sees to it that nothing lies in the directory that somebody has put there and nobody has tried yet.
    fn is_as_it_serves(&self, generation: &Generation) -> Result<(), Error> {
        let name = &generation.name;
        let there = load::read(&directory::path_of(&self.directory, name)).ok().as_ref().map(identity);
        let state = self.lock();
        let is_known = there.is_some_and(|there| {
            let shelf = state.shelves.get(name);
            let serving = shelf.and_then(|shelf| shelf.serving.as_ref()).map(|serving| identity(&serving.source));
            let refused = shelf.and_then(|shelf| shelf.refused.as_ref()?.identity.clone());
            let unwanted = shelf.and_then(|shelf| shelf.unwanted.clone());
            [serving, refused, unwanted, Some(identity(&generation.source))].contains(&Some(there))
        });
        if is_known { Ok(()) } else { Err(Error::Newer { name: name.clone() }) }
    }

    /// Puts the files of what serves back into the directory. Who has read those that were there for a moment is overtaken.
    pub(super) fn put_back(&self, name: &str) {
        let serving = self.lock().shelves.get(name).and_then(|shelf| shelf.serving.clone());
        let Some(serving) = serving else { return };
        let put =
            self.stage(name, &serving.source).and_then(|staged| staged.put().map_err(|error| self.unwritable(error)));
        if let Err(error) = put {
            tracing::warn!(handler = name, "the directory has the files of a version that was taken back: {error}");
        }
        self.lock().overtake(name);
    }
}
