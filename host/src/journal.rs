//! The journal for operators: which requests are in flight, what failed lately, and how the methods do. In memory, bounded.
//!
//! Before it: [`crate::serve`] makes an [`Entry`] for each request, and whoever has the request says how far it is. After it:
//! [`report`], which an operator reads. One value, made by [`crate::host`] and handed on; no globals. To feed it costs a
//! request less than a microsecond (`host/benches/stages.rs`). Nothing of contexts, arguments and results comes here, but for
//! the request id.

mod failures;
mod live;
mod methods;
pub mod report;
mod times;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use failures::Failures;
use live::{All, Found, Live};
use methods::{Failed, Key, Methods};

pub use live::Arrived;
use report::{Activity, Failure, Journal, State};

use crate::{
    metrics::{Ending, Limit},
    printable::printed,
};

/// Bytes of a failure's message.
const MAX_MESSAGE: usize = 1024;

/// Bytes of a failure's class, with its module.
const MAX_CLASS: usize = 255;

/// Frames of a guest that are kept.
const MAX_FRAMES: usize = 32;

/// Bytes of a frame.
const MAX_FRAME: usize = 300;

/// What is written down. Clones are the same.
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    since: Instant,
    live: All,
    failures: Failures,
    methods: Methods,
}

/// A request in flight. Dropped, it is no longer.
#[derive(Debug)]
pub struct Entry {
    recorder: Recorder,
    progress: Progress,
    number: u64,
    is_counted: AtomicBool,
}

/// How far a request is, to be said by whoever has it. Clones are of the same request; to be dropped with it, or later.
#[derive(Clone, Debug, Default)]
pub struct Progress(Option<Arc<Live>>);

/// What went wrong.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// The module of the exception that the caller gets.
    pub module: &'a str,
    /// Its class.
    pub class: &'a str,
    /// Its message.
    pub message: &'a str,
    /// Where the guest was, outermost first.
    pub frames: &'a [String],
    /// The limit that it ran into.
    pub limit: Option<Limit>,
    /// The id of its recording, where there is one.
    pub recording: Option<&'a str>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self(Arc::new(Inner {
            since: Instant::now(),
            live: All::default(),
            failures: Failures::default(),
            methods: Methods::default(),
        }))
    }
}

impl Recorder {
    /// A request is in flight.
    #[must_use]
    pub fn begin(&self, arrived: &Arrived<'_>) -> Entry {
        let live = Arc::new(Live::new(arrived, Instant::now()));
        let number = self.0.live.add(Arc::clone(&live));
        Entry { recorder: self.clone(), progress: Progress(Some(live)), number, is_counted: AtomicBool::new(false) }
    }

    /// All that is known now.
    #[must_use]
    pub fn journal(&self) -> Journal {
        let Activity { requests, methods } = self.activity();
        Journal { requests, failures: self.failures(), methods }
    }

    /// What runs now, and how the methods do.
    #[must_use]
    pub fn activity(&self) -> Activity {
        let Inner { since, live, methods, .. } = &*self.0;
        let now = Instant::now();
        let second = now.saturating_duration_since(*since).as_secs();
        Activity { requests: live.told(now), methods: methods.told(second) }
    }

    /// Failures, the latest first.
    #[must_use]
    pub fn failures(&self) -> Vec<Failure> {
        self.0.failures.told()
    }
}

impl Entry {
    /// Whose requests may say how far they are.
    #[must_use]
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The request has come to its outcome after so much time, and is still to be answered. A request that comes to another one, as
    /// one whose handler has failed and which then cannot be forwarded, is counted with the first.
    pub fn end(&self, outcome: Ending, took: Duration, problem: Option<&Problem<'_>>) {
        self.progress.enter(State::Answering);
        let Some(live) = &self.progress.0 else { return };
        let Inner { since, failures, methods, .. } = &*self.recorder.0;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let class = problem.map(Problem::full_class);
        if let Some(found) = live.found.get()
            && !self.is_counted.swap(true, Ordering::Relaxed)
        {
            let key = Key {
                handler: found.handler.clone(),
                namespace: live.namespace.clone(),
                method: live.method.clone(),
                major: major(live.version.as_deref()),
            };
            let fault_ms = outcome.is_fault().then(now_ms);
            let failed = class.as_deref().map(|class| Failed { class, fault_ms });
            methods.note(key, since.elapsed().as_secs(), took_us, failed);
        }
        if let Some((problem, class)) = problem.zip(class) {
            failures.add(failure(live, outcome, took_us, problem, class));
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.recorder.0.live.remove(self.number);
    }
}

impl Progress {
    /// The request is so far.
    pub fn enter(&self, state: State) {
        if let Some(live) = &self.0 {
            live.enter(state);
        }
    }

    /// This handler has it: its name, the short digest of its component, and the number of its generation.
    pub fn found(&self, handler: &str, digest: &str, generation: u64) {
        if let Some(live) = &self.0 {
            live.found.get_or_init(|| Found { handler: handler.to_owned(), digest: digest.to_owned(), generation });
        }
    }
}

impl Problem<'_> {
    /// The class with its module, as Python shows it.
    fn full_class(&self) -> String {
        let Self { module, class, .. } = self;
        let text = if matches!(*module, "" | "builtins") { (*class).to_owned() } else { format!("{module}.{class}") };
        printed(&text, MAX_CLASS).into_owned()
    }
}

/// The major version that is asked for; no version is 1.0.
fn major(version: Option<&str>) -> u64 {
    let major = version.map_or(Some("1"), |version| version.split('.').next());
    major.and_then(|major| major.parse().ok()).unwrap_or_default()
}

/// Milliseconds since 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

fn failure(live: &Live, outcome: Ending, took_us: u64, problem: &Problem<'_>, class: String) -> Failure {
    Failure {
        at_ms: now_ms(),
        outcome: outcome.as_str().to_owned(),
        requested: live.requested(),
        class,
        message: printed(problem.message, MAX_MESSAGE).into_owned(),
        frames: problem.frames.iter().take(MAX_FRAMES).map(|frame| printed(frame, MAX_FRAME).into_owned()).collect(),
        limit: problem.limit.map(|limit| limit.as_str().to_owned()),
        recording: problem.recording.map(str::to_owned),
        took_us,
    }
}

#[cfg(test)]
#[path = "journal/tests.rs"]
mod tests;
