//! All that is kept of one handler: the generation that serves, those before it, and the last one that was refused.
//!
//! Owned by [`super::keeper`]. What is listed of it are the types here.

use std::{
    sync::{Arc, Weak},
    time::SystemTime,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Generation, Source, candidate::Trial, describe::EndpointDescription, generation::seconds, shadowed::Shadow,
};
use crate::{canary::CanaryState, sandbox::Digest, shadow::ShadowState};

/// Generations that are kept ready for a rollback. Each holds its compiled code and its files, some megabytes.
const MAX_PREVIOUS: usize = 2;

/// One handler.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// Who serves; `None` where nobody was ever accepted.
    pub(super) serving: Option<Arc<Generation>>,
    /// Who served before, the latest last.
    pub(super) previous: Vec<Arc<Generation>>,
    /// Who serves no more, and may have requests left.
    retired: Vec<Weak<Generation>>,
    /// A version that gets a share of the requests.
    pub(super) trial: Option<Trial>,
    /// What became of the last one.
    pub(super) tried: Option<CanaryState>,
    /// A version whose runs are compared.
    pub(super) shadow: Option<Shadow>,
    /// What the last one has found.
    pub(super) compared: Option<ShadowState>,
    /// The last one that was not accepted, unless another was since.
    pub(super) refused: Option<Refused>,
    /// What was in the directory at the last rollback, and could not or should not be taken out of it.
    pub(super) unwanted: Option<Identity>,
}

/// A handler's files, without holding them.
pub(super) type Identity = (Digest, Option<String>);

/// A version that was not put into force.
#[derive(Debug)]
pub(super) struct Refused {
    /// What it was; `None` where its files could not be read.
    pub(super) identity: Option<Identity>,
    /// Why, in one line.
    pub(super) reason: String,
    /// Whether another handler is in its way, and may go.
    pub(super) in_conflict: bool,
    at: SystemTime,
}

/// A handler as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandlerState {
    /// Its name.
    pub name: String,
    /// Who serves; `null` where nobody was ever accepted.
    pub serving: Option<GenerationState>,
    /// Those that a rollback goes to, the next first.
    pub previous: Vec<GenerationState>,
    /// Those that serve no more and whose last requests have not ended.
    pub ending: Vec<GenerationState>,
    /// The last version that was refused, unless another was accepted since.
    pub refused: Option<RefusedState>,
    /// The version on trial, or what became of the last one; `null` where there was none since the start of the service.
    #[serde(default)]
    pub canary: Option<CanaryState>,
    /// The version whose runs are compared, or what was found of the last one; `null` where there was none since the start of the service.
    #[serde(default)]
    pub shadow: Option<ShadowState>,
}

/// A generation as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GenerationState {
    /// Its number.
    pub generation: u64,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// When it was loaded, in seconds since 1970.
    pub loaded: u64,
    /// Requests that run on it.
    pub in_flight: usize,
    /// Requests that it has accepted.
    pub accepted: u64,
    /// What it answers.
    pub endpoints: Vec<EndpointDescription>,
}

/// A refusal as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedState {
    /// SHA-256 of the component, in hexadecimal; `null` where it could not be read.
    pub digest: Option<String>,
    /// Why.
    pub reason: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// What stands for a handler's files.
pub(super) fn identity(source: &Source) -> Identity {
    (source.digest.clone(), source.manifest.clone())
}

impl Shelf {
    /// Puts a new generation into force.
    pub(super) fn advance(&mut self, generation: Arc<Generation>) {
        if let Some(old) = self.serving.replace(generation) {
            self.previous.push(old);
        }
        if self.previous.len() > MAX_PREVIOUS {
            let oldest = self.previous.remove(0);
            self.retire(&oldest);
        }
        (self.refused, self.unwanted) = (None, None);
    }

    /// Goes one generation back; gives the one that is left.
    pub(super) fn go_back(&mut self) -> Option<Arc<Generation>> {
        let back = self.previous.pop()?;
        let left = self.serving.replace(back)?;
        self.retire(&left);
        Some(left)
    }

    /// Notes what was not accepted.
    pub(super) fn refuse(&mut self, identity: Option<Identity>, reason: String, in_conflict: bool) {
        self.refused = Some(Refused { identity, reason, in_conflict, at: SystemTime::now() });
    }

    /// Notes one that serves no more.
    pub(super) fn retire(&mut self, generation: &Arc<Generation>) {
        self.retired.retain(|retired| retired.strong_count() > 0);
        self.retired.push(Arc::downgrade(generation));
    }

    /// What is listed.
    pub(super) fn state(&self, name: &str) -> HandlerState {
        let ending = self.retired.iter().filter_map(Weak::upgrade).filter(|generation| generation.in_flight() > 0);
        HandlerState {
            name: name.to_owned(),
            serving: self.serving.as_deref().map(GenerationState::of),
            previous: self.previous.iter().rev().map(|generation| GenerationState::of(generation)).collect(),
            ending: ending.map(|generation| GenerationState::of(&generation)).collect(),
            refused: self.refused.as_ref().map(|refused| RefusedState {
                digest: refused.identity.as_ref().map(|(digest, _)| digest.as_str().to_owned()),
                reason: refused.reason.clone(),
                at: seconds(refused.at),
            }),
            canary: self.trial.as_ref().map(Trial::state).or_else(|| self.tried.clone()),
            shadow: self.shadow.as_ref().map(Shadow::state).or_else(|| self.compared.clone()),
        }
    }
}

impl GenerationState {
    fn of(generation: &Generation) -> Self {
        Self {
            generation: generation.number,
            digest: generation.program.digest().as_str().to_owned(),
            loaded: seconds(generation.loaded),
            in_flight: generation.in_flight(),
            accepted: generation.accepted(),
            endpoints: generation.endpoints.iter().map(EndpointDescription::of).collect(),
        }
    }
}
