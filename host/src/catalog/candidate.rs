//! Versions on trial: each stands beside the one that serves, and gets a share of its requests.
//!
//! Before it: [`super::keeper`] begins, moves and ends them. After it: [`super::Current`] chooses for each request. The catalog knows
//! nothing of them: what is served, and what a request means, is what it was. A candidate answers only what the version beside it
//! would have answered, and only what it offers itself, so that no request is lost that has an answer.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use tokio::time::Instant;

use super::{Current, Generation, generation::seconds, in_force::InForce, keeper::Origin};
use crate::{
    canary::{
        CanaryState, Policy, Progress, Side, Tally, Watched,
        evidence::{Key, Window},
        report::{Stage, tried},
    },
    envelope::Request,
    share::{By, Share},
    version::Version,
};

/// A version on trial, as requests meet it. Never changed, only replaced.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    generation: Arc<Generation>,
    /// The number of the generation that serves beside it. Where another does, it gets nothing.
    beside: u64,
    share: Share,
    by: By,
    tally: Arc<Tally>,
}

/// All of them, by the handler's name. Clones are the same.
pub(super) type Candidates = InForce<BTreeMap<String, Candidate>>;

/// A version on trial, as the keeper knows it.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) generation: Arc<Generation>,
    pub(super) beside: u64,
    /// What was said about methods that it drops.
    pub(super) origin: Origin,
    pub(super) policy: Arc<Policy>,
    pub(super) progress: Progress,
    /// The steps before the running one.
    pub(super) windows: Vec<Arc<Window>>,
    pub(super) tally: Arc<Tally>,
    pub(super) began: Instant,
    /// Whether it is being put into force.
    pub(super) is_promoting: bool,
    /// Why it pauses.
    pub(super) why: Option<String>,
    started: SystemTime,
    pub(super) since: SystemTime,
}

/// What answers a request.
#[derive(Debug)]
pub struct Chosen {
    /// The load that answers.
    pub generation: Arc<Generation>,
    /// The endpoint's position in it.
    pub endpoint: u32,
    /// Where its end is to be told, while a version is on trial.
    pub watched: Option<Watched>,
}

impl Trial {
    /// Begins with the first step.
    pub(super) fn new(generation: Arc<Generation>, beside: u64, origin: Origin, policy: Policy) -> Self {
        let now = SystemTime::now();
        Self {
            generation,
            beside,
            origin,
            policy: Arc::new(policy),
            progress: Progress { step: 0, since: std::time::Duration::ZERO, is_paused: false },
            windows: Vec::new(),
            tally: Arc::default(),
            began: Instant::now(),
            is_promoting: false,
            why: None,
            started: now,
            since: now,
        }
    }

    /// Goes on to another step, with a window of its own.
    pub(super) fn advance(&mut self, step: usize) {
        self.windows.push(Arc::new(self.tally.take(self.policy.max_latency)));
        self.progress = Progress { step, since: self.began.elapsed(), is_paused: false };
        (self.since, self.why) = (SystemTime::now(), None);
    }

    /// Stays where it is, for this reason; or goes on without one.
    pub(super) fn pause(&mut self, why: Option<String>) {
        // What has waited for somebody to say something has the whole time of its step again.
        self.progress = Progress { since: self.began.elapsed(), is_paused: why.is_some(), ..self.progress };
        (self.since, self.why) = (SystemTime::now(), why);
    }

    /// What has become of requests, by step; that of the running step is the last.
    pub(super) fn evidence(&self) -> Vec<Arc<Window>> {
        let running = Arc::new(self.tally.window(self.policy.max_latency));
        self.windows.iter().cloned().chain([running]).collect()
    }

    /// As requests are to meet it.
    pub(super) fn candidate(&self) -> Candidate {
        Candidate {
            generation: Arc::clone(&self.generation),
            beside: self.beside,
            share: self.policy.share(self.progress.step),
            by: self.policy.by.clone(),
            tally: Arc::clone(&self.tally),
        }
    }

    /// As it is told.
    pub(super) fn state(&self) -> CanaryState {
        let (new, old) = tried(self.evidence().iter().map(|window| &**window));
        CanaryState {
            stage: if self.progress.is_paused { Stage::Paused } else { Stage::Running },
            why: self.why.clone(),
            generation: self.generation.number,
            digest: self.generation.program.digest().as_str().to_owned(),
            beside: self.beside,
            share: self.policy.share(self.progress.step).to_string(),
            step: self.progress.step + 1,
            steps: self.policy.steps.iter().map(ToString::to_string).collect(),
            by: self.policy.by.to_string(),
            began: seconds(self.started),
            since: seconds(self.since),
            new,
            old,
        }
    }

    /// As it is told once it has ended.
    pub(super) fn ended(&self, stage: Stage, why: Option<String>) -> CanaryState {
        CanaryState { stage, why, since: seconds(SystemTime::now()), ..self.state() }
    }
}

impl Candidate {
    /// What tells its requests from those of other candidates, and from those that are forwarded by a share. Hosts that try the same
    /// component choose the same requests.
    fn salt(&self) -> &str {
        self.generation.program.digest().as_str()
    }
}

impl Current {
    /// Chooses who answers a request for which the catalog has found a generation: a version on trial beside it, where the request is in
    /// its share.
    #[must_use]
    pub fn choose(
        &self,
        generation: Arc<Generation>,
        endpoint: u32,
        request: &Request,
        (version, method): (&str, &str),
    ) -> Chosen {
        let candidates = self.candidates.get();
        let candidate = candidates.get(&generation.name).filter(|candidate| candidate.beside == generation.number);
        let Some(candidate) = candidate else { return Chosen { generation, endpoint, watched: None } };
        let namespace = request.namespace.text();
        let Some(offered) = candidate.generation.endpoint(namespace, version, method) else {
            // There is nothing to compare.
            return Chosen { generation, endpoint, watched: None };
        };
        let (side, generation, endpoint) = match candidate.share.has(request, &candidate.by, candidate.salt()) {
            true => (Side::New, Arc::clone(&candidate.generation), offered),
            false => (Side::Old, generation, endpoint),
        };
        let major = Version::of_request(version).major();
        let key = Key { namespace: namespace.map(str::to_owned), method: method.to_owned(), major };
        let metrics = generation.program.metrics().clone();
        Chosen { generation, endpoint, watched: Some(Watched::new(Arc::clone(&candidate.tally), side, key, metrics)) }
    }
}
