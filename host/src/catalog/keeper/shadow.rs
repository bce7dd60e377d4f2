//! Shadows: begun, looked at, ended.
//!
//! Before it: an operator, and [`crate::catalog::lead`], which has them looked at. After it: [`crate::shadow`] compares, and
//! [`crate::catalog::shadowed`] is what requests meet. A shadow stands in nobody's way: whatever changes what serves ends it.

use std::{
    path::Path,
    sync::{Arc, Mutex, Weak},
};

use tokio_util::sync::CancellationToken;

use super::{Change, Error, Keeper, Origin, State, blocking, load};
use crate::{
    catalog::{Generation, Source, shadowed::Shadow, shelf::Shelf},
    shadow::{Intake, Policy, ShadowState, report::ShadowStage, room::Furnished, worker::Worker},
};

/// What a shadow runs, before it begins.
struct Ready {
    candidate: Arc<Generation>,
    /// The version that serves, loaded once more where it is run again as well.
    live: Option<Arc<Generation>>,
    /// The number of the generation that serves.
    beside: u64,
    room: Arc<Furnished>,
}

impl State {
    /// Whether a shadow of the handler is being tried, or waits for its turn.
    fn has_shadow_coming(&self, name: &str) -> bool {
        self.shadows_coming.get(name).is_some_and(|coming| coming.strong_count() > 0)
    }
}

impl Keeper {
    /// Has a file that an operator names run on a share of the requests of the handler that it is a version of, after they are answered, and
    /// compares.
    ///
    /// # Errors
    ///
    /// [`Error`]: all for which [`Keeper::add`] would refuse it, no version that serves, and a canary or a shadow that runs already.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the shadow has begun or has not; once begun it goes on.
    pub async fn shadow(
        self: &Arc<Self>,
        file: &Path,
        name: Option<String>,
        force: bool,
        policy: Policy,
    ) -> Result<Change, Error> {
        let (name, read) = self.given(file, name)?;
        let coming = Arc::new(());
        {
            let mut state = self.lock();
            if state.has_coming(&name) {
                return Err(Error::OnTrial { name });
            }
            if state.has_shadow_coming(&name) {
                return Err(Error::IsShadowed { name });
            }
            state.shadows_coming.retain(|_, coming| coming.strong_count() > 0);
            state.shadows_coming.insert(name.clone(), Arc::downgrade(&coming));
        }
        let begin = |source| async {
            let serving = self.may_be_shadowed(&name)?;
            if serving.source == source {
                return Ok(Change::Unchanged { generation: serving.number });
            }
            let room = self.room.furnished(&self.sandbox).await.map_err(load::Error::Internal)?;
            let made = |source: Source| load::generation(&name, source, &room.sandbox, &self.limits);
            let live = match policy.noise {
                true => Some(made(serving.source.clone()).await?),
                false => None,
            };
            let candidate = made(source).await?;
            let ready = Ready { candidate, live, beside: serving.number, room: Arc::clone(&room) };
            let (keeper, coming) = (Arc::clone(self), Arc::downgrade(&coming));
            blocking(move || keeper.begin_shadow(ready, force, policy, &coming)).await
        };
        self.attempt(&name, read, begin).await
    }

    /// What there is to compare with, before anything is compiled.
    fn may_be_shadowed(&self, name: &str) -> Result<Arc<Generation>, Error> {
        let state = self.lock();
        let shelf = state.shelves.get(name);
        if shelf.is_some_and(|shelf| shelf.trial.is_some()) {
            return Err(Error::OnTrial { name: name.to_owned() });
        }
        if shelf.is_some_and(|shelf| shelf.shadow.is_some()) {
            return Err(Error::IsShadowed { name: name.to_owned() });
        }
        let serving = shelf.and_then(|shelf| shelf.serving.clone());
        serving.ok_or_else(|| Error::NothingBeside { name: name.to_owned() })
    }

    fn begin_shadow(&self, ready: Ready, force: bool, policy: Policy, coming: &Weak<()>) -> Result<Change, Error> {
        let _changing = self.changing();
        let Ready { candidate, live, beside, room } = ready;
        // All that would keep it from serving is said now.
        self.may_serve(&candidate, Origin::Given { force })?;
        let (name, generation) = (candidate.name.clone(), candidate.number);
        let mut state = self.lock();
        // An operator may have aborted it while it was compiled.
        if state.shadows_coming.get(&name).is_none_or(|it| !it.ptr_eq(coming)) {
            // If there is one, it is another's, which has begun since.
            return Err(Error::Overtaken);
        }
        state.shadows_coming.remove(&name);
        let nothing = || Error::NothingBeside { name: name.clone() };
        let shelf = state.shelves.get_mut(&name).ok_or_else(nothing)?;
        if shelf.serving.as_ref().ok_or_else(nothing)?.number != beside {
            return Err(Error::Overtaken);
        }
        let (intake, runs) = Intake::new(&room.waiting, self.metrics.shadowed(&name));
        let (evidence, stop) = (Arc::<Mutex<_>>::default(), CancellationToken::new());
        let worker = Worker {
            candidate: candidate.program.clone(),
            live: live.map(|live| live.program.clone()),
            ignored: policy.ignored.clone(),
            until: policy.until,
            evidence: Arc::clone(&evidence),
            intake: intake.clone(),
            turn: Arc::clone(&room.turn),
            metrics: self.metrics.clone(),
        };
        let stopped = stop.clone();
        room.run(async move {
            stopped.run_until_cancelled_owned(worker.work(runs)).await;
        });
        let shadow = Shadow::new(candidate, beside, policy, evidence, intake, stop);
        self.current.shadows.put(&name, shadow.shadowed());
        (shelf.shadow, shelf.compared) = (Some(shadow), None);
        Ok(Change::Shadowed { generation, beside })
    }

    /// Says in the log what shadows have found since the last look, and ends those that have compared enough.
    pub(super) fn look_at_shadows(&self) {
        let mut state = self.lock();
        for (name, shelf) in &mut state.shelves {
            let Some(shadow) = &shelf.shadow else { continue };
            for found in shadow.found() {
                let (method, outcome, place) = (found.method.to_string(), found.verdict, found.place.to_string());
                let (request_id, recording) = (found.example.request_id, found.example.recording);
                tracing::warn!(
                    handler = name,
                    method,
                    outcome,
                    place,
                    request_id,
                    recording,
                    "shadow: the new version does otherwise"
                );
            }
            if shadow.is_done() {
                self.end_shadow(shelf, ShadowStage::Done, None);
            }
        }
    }

    /// Ends a shadow, or keeps one from beginning that is still compiled; gives whether there was one.
    pub(super) fn abort_shadow(&self, state: &mut State, name: &str) -> bool {
        let was_coming = state.has_shadow_coming(name);
        state.shadows_coming.remove(name);
        let Some(shelf) = state.shelves.get_mut(name) else { return was_coming };
        let was_there = shelf.shadow.is_some();
        self.end_shadow(shelf, ShadowStage::Aborted, Some("an operator has ended it".to_owned()));
        was_there || was_coming
    }

    /// Ends a shadow, where there is one. What was found stays in the list.
    pub(super) fn end_shadow(&self, shelf: &mut Shelf, stage: ShadowStage, why: Option<String>) {
        let Some(shadow) = shelf.shadow.take() else { return };
        let (name, generation) = (&shadow.generation.name, shadow.generation.number);
        self.current.shadows.remove(name);
        let ended = shadow.ended(stage, why);
        let ShadowState { compared, not_compared, .. } = &ended;
        let (all, same, others) = (compared.all(), compared.same, not_compared.all());
        let (stage, why) = (stage.as_str(), ended.why.as_deref());
        tracing::info!(handler = name, generation, compared = all, same, not_compared = others, why, "shadow {stage}");
        shelf.compared = Some(ended);
    }
}
