//! Runs recorded requests in both versions, in turns, and compares.
//!
//! Before it: [`super::gate`] is asked for it. After it: findings. The version that serves runs each recording first: one that it does not
//! replay itself (a secret is computed with, an instance remembered something) says nothing of the new version, and is passed over.
//! One guest runs at a time, in an instance that is kept free for what is loaded, as `describe` and self-tests have it, and takes turns with
//! requests; nothing that it does leaves the sandbox. A recording is hostile: what is read is bounded, and one is held at a time.

use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

use tokio::{task::spawn_blocking, time::timeout};

use super::{Endpoint, Generation};
use crate::{
    capability::Values,
    gate::{Demands, Finding, Sample, finding::told, sizes},
    metrics::{Gate, Handler, Metrics},
    recording::{
        Recording, file,
        latest::{Found, Latest, latest},
    },
    replay::{Comparison, Verdict, replay_at},
};

/// Findings that are kept; with as many, it ends.
pub(super) const MAX_FINDINGS: usize = 20;

/// Time for all: an operator waits for it.
const ALL: Duration = Duration::from_secs(60);

/// Time of it to find the recordings.
const FINDING: Duration = Duration::from_secs(15);

/// Time for a run of the version that serves; one that takes longer is passed over.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time for a run of the new version, whatever the old one took.
const NEW_PATIENCE: Duration = Duration::from_secs(5);

/// How many times as long as the old version the new one may take before it is ended.
const NEW_FACTOR: u32 = 20;

/// How many times as long as the old version is clearly too long, where there is no more time.
const CLEARLY: u32 = 4;

/// Bytes of a recording: what a host keeps of one request (`record.request_bytes`), and what stands around it.
const MAX_TEXT: usize = 40 << 20;

/// Runs that a time is taken from: the shortest counts, for the machine has more to do than this.
const ROUNDS: u32 = 3;

/// The same where a version seems too slow: a doubt is measured again before anybody is refused.
const ROUNDS_IN_DOUBT: u32 = 12;

/// Names in a note.
const MAX_NAMED: usize = 5;

/// What a rehearsal came to.
#[derive(Debug, Default)]
struct Rehearsal {
    findings: Vec<Finding>,
    samples: Vec<Sample>,
    /// Recordings that say something, and are as they were or not.
    judged: usize,
    methods: BTreeSet<String>,
    damaged: usize,
    /// Ids of those that the serving version itself does not replay.
    not_replayed: Vec<String>,
    /// Recordings of requests that got no answer.
    unanswered: usize,
    /// Recordings of methods that the new version's manifest lets go.
    let_go: usize,
    /// Recordings for which there was no time.
    left: usize,
    /// Whether not all files were looked at.
    is_cut: bool,
}

/// What both versions are, in a rehearsal.
struct Stage<'a> {
    versions: [&'a Generation; 2],
    metrics: [Handler; 2],
    demands: &'a Demands,
    /// What is said where nothing can be measured or judged.
    gate: Gate,
    until: Instant,
}

/// Runs up to `most` of the latest recordings of each method. Gives what was found, and what is to be known of it in a line.
pub(super) async fn run(
    versions: [&Generation; 2],
    demands: &Demands,
    most: u32,
    directory: Option<&Path>,
) -> (Vec<Finding>, String) {
    let gate = match demands {
        Demands { recordings: Some(_), .. } => Gate::Recordings,
        Demands { latency: Some(_), .. } => Gate::Latency,
        _ => Gate::Memory,
    };
    let [old, _] = versions;
    let Some(directory) = directory else {
        let what = "nothing is recorded here, so there is nothing to replay: set record.directory and what is recorded, \
                    or serve this version by force";
        return (vec![Finding::new(gate, what)], String::new());
    };
    let until = Instant::now() + ALL;
    let methods: BTreeSet<String> = old.endpoints.iter().flat_map(Endpoint::served).cloned().collect();
    let found = {
        let (directory, name, methods) = (directory.to_owned(), old.name.clone(), methods.clone());
        let look = move || latest(&directory, &name, &methods, most, Instant::now() + FINDING);
        spawn_blocking(look).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
    };
    let Latest { found, unanswered, damaged, damaged_count, is_cut } = match found {
        Ok(found) => found,
        Err(error) => {
            let what = format!("{} cannot be read: {error} (record.directory)", directory.display());
            return (vec![Finding::new(gate, &what)], String::new());
        }
    };
    for (id, error) in &damaged {
        passed_over(&old.name, id, error);
    }
    // What these guests do is no request's, and is not counted as one.
    let metrics = [(); 2].map(|()| Metrics::default().handler(&old.name));
    let stage = Stage { versions, metrics, demands, gate, until };
    let mut rehearsal = Rehearsal { damaged: damaged_count, unanswered, is_cut, ..Rehearsal::default() };
    let mut all = found.into_iter();
    for found in all.by_ref() {
        if Instant::now() >= until || rehearsal.findings.len() >= MAX_FINDINGS {
            rehearsal.left += 1;
            break;
        }
        stage.rehearse(found, &mut rehearsal).await;
    }
    rehearsal.left += all.len();
    rehearsal.end(demands, gate, &methods)
}

impl Stage<'_> {
    /// Runs one recording in both versions.
    async fn rehearse(&self, found: Found, rehearsal: &mut Rehearsal) {
        let Found { id, path, method, .. } = found;
        let read = spawn_blocking(move || {
            let text = file::text(&path)?;
            if text.len() > MAX_TEXT {
                return Err(file::Error::Wrong(format!("has more than {MAX_TEXT} bytes, which is too much here")));
            }
            file::parse(&text)
        });
        let read = read.await.unwrap_or_else(|error| Err(file::Error::Damaged(error.to_string())));
        let recording = match read {
            Ok(recording) => recording,
            // Removed since, to make room.
            Err(file::Error::Read(_)) => return,
            Err(error) => {
                rehearsal.damaged += 1;
                if rehearsal.damaged <= MAX_NAMED {
                    passed_over(&self.versions[0].name, &id, &error.to_string());
                }
                return;
            }
        };
        if is_let_go(self.versions[1], &recording) {
            rehearsal.let_go += 1;
            return;
        }
        let known = match self.run(0, &recording, PATIENCE).await {
            Some(Ok(known)) if is_same(&known) => known,
            _ => {
                rehearsal.not_replayed.push(id);
                return;
            }
        };
        let wanted = NEW_PATIENCE.max(known.took.saturating_mul(NEW_FACTOR));
        let left = self.until.saturating_duration_since(Instant::now()).max(NEW_PATIENCE);
        let say = |gate, what: &str| Finding::of(gate, &id, &method, what);
        let is_demanded = self.demands.recordings.is_some();
        let run = self.run(1, &recording, wanted.min(left)).await;
        // What has had several times the serving version's time is slow, and not only late.
        if run.is_none() && left < wanted && left < known.took.saturating_mul(CLEARLY) {
            rehearsal.left += 1;
            return;
        }
        rehearsal.judged += 1;
        rehearsal.methods.insert(method.clone());
        match run {
            None => {
                let what =
                    format!("has not ended within {wanted:.1?}; the version that serves took {:.1?}", known.took);
                rehearsal.findings.push(say(self.gate, &what));
            }
            Some(Err(missing)) => rehearsal.findings.extend(is_demanded.then(|| say(Gate::Recordings, &missing))),
            Some(Ok(comparison)) => {
                if is_demanded && !is_same(&comparison) {
                    rehearsal.findings.push(say(Gate::Recordings, &told(&comparison)));
                }
                // One that has stopped early is quick.
                if matches!(comparison.verdict(), Verdict::Same | Verdict::Differs) {
                    let memory = [known.memory, comparison.memory];
                    let took = [known.took, comparison.took];
                    let sample = Sample { recording: id, method, took, memory };
                    rehearsal.samples.push(self.timed(sample, &recording).await);
                }
            }
        }
    }

    /// Takes the times again, in turns, and keeps the shortest.
    async fn timed(&self, mut sample: Sample, recording: &Recording) -> Sample {
        let Some(factor) = self.demands.latency else { return sample };
        for round in 1..ROUNDS_IN_DOUBT {
            let is_clear = round >= ROUNDS && sample.slower() <= factor.get();
            if is_clear || Instant::now() >= self.until {
                break;
            }
            for (at, took) in sample.took.iter_mut().enumerate() {
                if let Some(Ok(again)) = self.run(at, recording, PATIENCE).await {
                    *took = again.took.min(*took);
                }
            }
        }
        sample
    }

    /// Runs a recording in one of the versions, as it would serve the request: at the endpoint that it has for it, with its own limits and
    /// values. `None` where it does not end in time; an error where it does not serve the method.
    async fn run(&self, at: usize, recording: &Recording, patience: Duration) -> Option<Result<Comparison, String>> {
        let (generation, metrics) = (self.versions.get(at)?, self.metrics.get(at)?.clone());
        let request = &recording.request;
        let endpoint = generation.endpoint(request.namespace.as_deref(), &request.version, &request.method);
        let Some(endpoint) = endpoint else { return Some(Err("is not served any more".to_owned())) };
        let program = generation.program.rehearsing(values(generation, recording), metrics);
        let run = replay_at(&program, recording, endpoint, &self.demands.ignored);
        timeout(patience, run).await.ok().map(Ok)
    }
}

fn passed_over(handler: &str, id: &str, error: &str) {
    tracing::warn!(handler, recording = id, "a recording is passed over: it {error}");
}

/// Whether a run is the one that was recorded, but for lines of the log and of tracebacks.
fn is_same(comparison: &Comparison) -> bool {
    let is_but_for_words = comparison.differences.is_empty() && comparison.changed_but_for_lines().next().is_none();
    comparison.is_same() || (comparison.verdict() == Verdict::Differs && is_but_for_words)
}

/// The values of a version's manifest, with what a recording has in place of secrets.
fn values(generation: &Generation, recording: &Recording) -> Values {
    let recorded = |name: &str| recording.config.iter().find(|given| given.secret && given.name == name);
    let given = generation.program.grants().config.given().map(|(name, value, is_secret)| {
        let (value, is_secret) = match recorded(name) {
            Some(given) => (given.value.clone(), true),
            None if is_secret => ("*".repeat(value.len()), true),
            None => (value.to_owned(), false),
        };
        (name.to_owned(), value, is_secret)
    });
    Values::told(given)
}

/// Whether the manifest of a version says that the method may go.
fn is_let_go(generation: &Generation, recording: &Recording) -> bool {
    let request = &recording.request;
    generation.manifest.dropped.contains(&request.method)
        && generation.endpoint(request.namespace.as_deref(), &request.version, &request.method).is_none()
}

impl Rehearsal {
    /// What it came to.
    fn end(self, demands: &Demands, gate: Gate, all_methods: &BTreeSet<String>) -> (Vec<Finding>, String) {
        let said = self.said(all_methods);
        let Self { mut findings, samples, judged, methods, .. } = self;
        if judged == 0 {
            let what = format!(
                "there is no recording to judge by: {said}; have its requests recorded (the section record), or serve this version by force"
            );
            return (vec![Finding::new(gate, &what)], said);
        }
        // A gate that measures nothing would be an open one. What does not go the same way is found by another, if that is demanded.
        let measured: BTreeSet<&String> = samples.iter().map(|sample| &sample.method).collect();
        if findings.is_empty() && (demands.latency.is_some() || demands.memory.is_some()) {
            let what = |method: &String| {
                let method = crate::printable::printable(method, 64);
                Finding::new(
                    gate,
                    &format!("{method}: it goes another way in each recording, so that it cannot be measured"),
                )
            };
            findings.extend(methods.iter().filter(|method| !measured.contains(method)).map(what));
        }
        findings.extend(demands.latency.map(|factor| sizes::too_slow(&samples, factor)).unwrap_or_default());
        findings.extend(demands.memory.map(|factor| sizes::too_large(&samples, factor)).unwrap_or_default());
        (findings, said)
    }

    /// How many were judged, and why others were not.
    fn said(&self, all_methods: &BTreeSet<String>) -> String {
        let Self { judged, methods, damaged, not_replayed, unanswered, let_go, left, is_cut, .. } = self;
        let mut said = vec![format!("{judged} recording(s) of {} method(s)", methods.len())];
        let mut tell = |count: usize, what: &str| {
            if count > 0 {
                said.push(format!("{count} {what}"));
            }
        };
        tell(*damaged, "damaged");
        tell(*unanswered, "of requests without an answer passed over");
        tell(*let_go, "of methods that may go passed over");
        tell(*left, "left out for lack of time");
        if !not_replayed.is_empty() {
            let named = not_replayed.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
            tell(
                not_replayed.len(),
                &format!("passed over, which the serving version does not replay itself, such as {named}"),
            );
        }
        let missing: Vec<&str> = all_methods.difference(methods).take(MAX_NAMED).map(String::as_str).collect();
        if !missing.is_empty() {
            let names = crate::printable::printable(&missing.join(", "), 200);
            tell(all_methods.len().saturating_sub(methods.len()), &format!("method(s) without one, such as {names}"));
        }
        if *is_cut {
            said.push("not all files were looked at".to_owned());
        }
        said.join(", ")
    }
}
