//! What the page shows, put together at most once a second for all who look, and never where nobody does.
//!
//! Before it: [`super::events`] wants to know what is new. After it: the keeper of the handlers, the metrics, the journal and the
//! end of the log, which say it. Each part is JSON that is made once, and has the number of the picture in which it was new.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tokio::{sync::Mutex, time::Instant};

use super::tail::Tail;
use crate::{
    catalog::keeper::Keeper,
    journal::{Recorder, report::Journal},
    metrics::Metrics,
};

/// How old what is shown may be, and how often there is something new at most.
pub(super) const PERIOD: Duration = Duration::from_secs(1);

/// Requests in flight that are shown: the oldest, which are those that somebody looks for.
const MAX_REQUESTS: usize = 200;

/// Failures that are shown, each with frames of some kilobytes: the latest.
const MAX_FAILURES: usize = 60;

/// What is shown. Clones are the same.
#[derive(Clone, Debug)]
pub struct Board(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shown: Shown,
    latest: Mutex<Option<Arc<Picture>>>,
}

/// Who knows what is shown.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The handlers.
    pub keeper: Arc<Keeper>,
    /// How the service is, and which limits were reached.
    pub metrics: Metrics,
    /// What is in flight, what failed, and how the methods do.
    pub recorder: Recorder,
    /// The end of the log.
    pub tail: Tail,
    /// What the host is called, for those who look at several.
    pub server: String,
}

/// All that is shown but the log, at one moment.
#[derive(Debug)]
pub(super) struct Picture {
    taken: Instant,
    /// Milliseconds since 1970.
    pub(super) at_ms: u64,
    /// Grows with each picture of this process; the first is 1.
    pub(super) number: u64,
    parts: Vec<Part>,
}

/// A part of it.
#[derive(Debug)]
struct Part {
    name: &'static str,
    json: Arc<str>,
    /// The picture in which it became what it is.
    since: u64,
}

impl Board {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(shown: Shown) -> Self {
        Self(Arc::new(Inner { shown, latest: Mutex::default() }))
    }

    /// The end of the log.
    pub(super) fn tail(&self) -> &Tail {
        &self.0.shown.tail
    }

    /// What is to be seen now; `None` where the process ends.
    ///
    /// # Cancel safety
    ///
    /// Safe: who asks next has it made again.
    pub(super) async fn look(&self) -> Option<Arc<Picture>> {
        let mut latest = self.0.latest.lock().await;
        // Those who look at the same time see the same.
        if let Some(picture) = latest.as_ref().filter(|picture| picture.taken.elapsed() < PERIOD / 2) {
            return Some(Arc::clone(picture));
        }
        let (shown, before) = (self.0.shown.clone(), latest.clone());
        // There may be much of it, and requests are served meanwhile.
        let picture = tokio::task::spawn_blocking(move || Picture::take(&shown, before.as_deref())).await.ok()?;
        Some(Arc::clone(latest.insert(Arc::new(picture))))
    }
}

impl Picture {
    fn take(shown: &Shown, before: Option<&Self>) -> Self {
        let handlers = shown.keeper.list();
        let limits: BTreeMap<_, _> = handlers
            .iter()
            .map(|handler| (handler.name.as_str(), shown.metrics.limits_reached(&handler.name)))
            .filter(|(_, limits)| !limits.is_empty())
            .collect();
        let Journal { mut requests, mut failures, methods } = shown.recorder.journal();
        let requests_in_all = requests.len();
        requests.truncate(MAX_REQUESTS);
        failures.truncate(MAX_FAILURES);
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut picture = Self {
            taken: Instant::now(),
            at_ms: u64::try_from(at.as_millis()).unwrap_or(u64::MAX),
            number: before.map_or(0, |before| before.number) + 1,
            parts: Vec::new(),
        };
        let mut add = |name, json: Option<String>| picture.add(name, json, before);
        add("server", json(&shown.server));
        add("health", json(&shown.metrics.health()));
        add("handlers", json(&handlers));
        add("limits", json(&limits));
        add("requests", json(&requests));
        add("requests_in_all", json(&requests_in_all));
        add("failures", json(&failures));
        add("methods", json(&methods));
        picture
    }

    fn add(&mut self, name: &'static str, json: Option<String>, before: Option<&Self>) {
        let Some(json) = json else { return };
        let old = before.and_then(|before| before.parts.iter().find(|part| part.name == name));
        self.parts.push(match old.filter(|old| *old.json == *json) {
            Some(old) => Part { name, json: Arc::clone(&old.json), since: old.since },
            None => Part { name, json: json.into(), since: self.number },
        });
    }

    /// What has become new after that picture, by name, as JSON.
    pub(super) fn after(&self, number: u64) -> impl Iterator<Item = (&'static str, &str)> {
        self.parts.iter().filter(move |part| part.since > number).map(|part| (part.name, &*part.json))
    }
}

fn json(value: &impl Serialize) -> Option<String> {
    // Plain values: it does not fail.
    serde_json::to_string(value).ok()
}
