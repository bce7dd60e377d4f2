//! Versions whose runs are only compared: each stands beside the one that serves, and sees a share of its requests after they are answered.
//!
//! Before it: [`super::keeper`] begins and ends them. After it: [`super::Current`] says of each request whether it is to be compared. Nothing is
//! served by them, and the catalog knows nothing of them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Current, Generation, generation::seconds, in_force::InForce};
use crate::{
    canary::evidence::Key,
    envelope::Request,
    shadow::{Evidence, Intake, Policy, ShadowState, Wanted, evidence::Found, report::ShadowStage},
    share::{By, Share},
    version::Version,
};

/// A shadow, as requests meet it. Never changed, only replaced.
#[derive(Clone, Debug)]
pub(super) struct Shadowed {
    generation: Arc<Generation>,
    /// The number of the generation that it is compared with. Where another answers, nothing is compared.
    beside: u64,
    share: Share,
    by: By,
    intake: Intake,
}

/// All of them, by the handler's name. Clones are the same.
pub(super) type Shadows = InForce<BTreeMap<String, Shadowed>>;

/// A shadow, as the keeper knows it. Dropped, its worker ends.
#[derive(Debug)]
pub(super) struct Shadow {
    pub(super) generation: Arc<Generation>,
    beside: u64,
    policy: Policy,
    evidence: Arc<Mutex<Evidence>>,
    intake: Intake,
    began: SystemTime,
    _stop: DropGuard,
}

impl Shadow {
    pub(super) fn new(
        generation: Arc<Generation>,
        beside: u64,
        policy: Policy,
        evidence: Arc<Mutex<Evidence>>,
        intake: Intake,
        stop: CancellationToken,
    ) -> Self {
        Self { generation, beside, policy, evidence, intake, began: SystemTime::now(), _stop: stop.drop_guard() }
    }

    /// As requests are to meet it.
    pub(super) fn shadowed(&self) -> Shadowed {
        Shadowed {
            generation: Arc::clone(&self.generation),
            beside: self.beside,
            share: self.policy.share,
            by: self.policy.by.clone(),
            intake: self.intake.clone(),
        }
    }

    /// Whether it has compared as many requests as it should.
    pub(super) fn is_done(&self) -> bool {
        self.policy.until.is_some_and(|until| self.of_evidence(|evidence| evidence.compared()) >= until)
    }

    /// Places that were found since this was asked last.
    pub(super) fn found(&self) -> Vec<Found> {
        self.of_evidence(Evidence::take_unsaid)
    }

    fn of_evidence<T>(&self, of: impl FnOnce(&mut Evidence) -> T) -> T {
        of(&mut self.evidence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// As it is told.
    pub(super) fn state(&self) -> ShadowState {
        let (compared, methods) = self.of_evidence(|evidence| (evidence.counts(), evidence.methods()));
        let Policy { share, by, noise, ignore, until, .. } = &self.policy;
        ShadowState {
            stage: ShadowStage::Running,
            why: None,
            generation: self.generation.number,
            digest: self.generation.program.digest().as_str().to_owned(),
            beside: self.beside,
            share: share.to_string(),
            by: by.to_string(),
            noise: *noise,
            ignore: ignore.clone(),
            until: *until,
            began: seconds(self.began),
            since: seconds(self.began),
            compared,
            not_compared: self.intake.not_compared(),
            methods,
        }
    }

    /// As it is told once it has ended.
    pub(super) fn ended(&self, stage: ShadowStage, why: Option<String>) -> ShadowState {
        ShadowState { stage, why, since: seconds(SystemTime::now()), ..self.state() }
    }
}

impl Current {
    /// Says whether a request that this generation answers is to be compared, and where.
    #[must_use]
    pub fn shadow(
        &self,
        generation: &Generation,
        request: &Request,
        (version, method): (&str, &str),
    ) -> Option<Wanted> {
        let shadows = self.shadows.get();
        let shadow = shadows.get(&generation.name).filter(|shadow| shadow.beside == generation.number)?;
        let namespace = request.namespace.text();
        let endpoint = shadow.generation.endpoint(namespace, version, method)?;
        // As for a canary: hosts that try the same component choose the same requests.
        let salt = shadow.generation.program.digest().as_str();
        if !shadow.share.has(request, &shadow.by, salt) {
            return None;
        }
        let major = Version::of_request(version).major();
        let key = Key { namespace: namespace.map(str::to_owned), method: method.to_owned(), major };
        Some(Wanted { intake: shadow.intake.clone(), endpoint, key, request_id: request.operation_id() })
    }
}
