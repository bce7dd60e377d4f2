//! A recording, run again: `(component, recording) → comparison`. No broker, no network, no command line; it may run in a process
//! that serves. Where two results differ is told by [`paths`].
//!
//! Before it: [`crate::recording`] has read one, and found every number in it to be within its bounds. After it: who asked is told
//! where the run went another way. The guest is told what was recorded and nothing else; nothing that it does leaves the sandbox.

pub mod paths;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    capability::{Allowance, Grants, Values},
    envelope::Context,
    recording::{Bounds, Call, Ended, Given, Recording, is_like},
    sandbox::{Difference, Invocation, Limits, LoadError, Played, Program, RequestInfo, Rule, Sandbox, Tape, ended},
    settings::Bytes,
};
use paths::{Change, Ignored};

/// What a component that is run again is called in messages.
const NAME: &str = "replay";

/// What a difference of two ends is one of, where others are of imports.
const OUTCOME: &str = "outcome";

/// What a comparison comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It did and answered what was recorded.
    Same,
    /// It answered something else, or logged something else where the component is the same.
    Differs,
    /// It asked others for something else, or for less.
    Diverged,
    /// It did not answer, where there was an answer or an exception.
    Failed,
}

/// What a run came to, beside what was recorded.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// How the tape was told: call by call to the same component, or freely to another.
    pub rule: Rule,
    /// What was recorded.
    pub expected: Ended,
    /// What came; where a call has no answer on the tape, the run ended there.
    pub ended: Ended,
    /// Where it went another way, the first first.
    pub differences: Vec<Difference>,
    /// Where its result, or its exception, is another one; of a run that went the same way.
    pub changed: Vec<Change>,
    /// Lines of the log that are others: differences, where the component is the same.
    pub said: Vec<Difference>,
    /// What is to be known of the comparison, a line each.
    pub notes: Vec<String>,
    /// Each call of an import, with its answer and the times of the recording.
    pub made: Vec<Call>,
    /// How long the guest took now.
    pub took: Duration,
    /// Bytes of its linear memory at the end.
    pub memory: usize,
}

impl Comparison {
    /// Whether the run is the one that was recorded.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.verdict() == Verdict::Same
    }

    /// What has changed in the result, but for the lines of an exception's traceback: another build has others.
    pub fn changed_but_for_lines(&self) -> impl Iterator<Item = &Change> {
        let is_exception = matches!(self.expected, Ended::Failed(_));
        let is_line = move |path: &str| is_exception && (path == "/tb" || path.starts_with("/tb/"));
        self.changed.iter().filter(move |change| !is_line(&change.path))
    }

    /// What is to be said of it in a word.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let is_fault = |ended: &Ended| matches!(ended, Ended::Faulted { .. });
        if self.differences.iter().any(|difference| difference.import != OUTCOME) {
            Verdict::Diverged
        } else if is_fault(&self.ended) && !is_fault(&self.expected) {
            Verdict::Failed
        } else if self.differences.is_empty()
            && self.changed.is_empty()
            && (self.rule == Rule::Told || self.said.is_empty())
        {
            Verdict::Same
        } else {
            Verdict::Differs
        }
    }
}

/// Makes a component ready for a recording: with its limits, and the values that its manifest gave then. The sandbox's stack
/// is its own; a comparison says where the recording had another.
///
/// # Errors
///
/// [`LoadError`], as for every component.
pub async fn load(sandbox: &Arc<Sandbox>, wasm: Vec<u8>, recording: &Recording) -> Result<Program, LoadError> {
    let given = |Given { name, value, secret }: &Given| (name.clone(), value.clone(), *secret);
    let config = Values::told(recording.config.iter().map(given));
    let program = sandbox.load(NAME, wasm, limits(&recording.limits), Grants::told(config)).await?;
    Ok(program.raising_in(recording.handler.errors_module.clone()))
}

/// Runs a recorded request in a component that was made ready for it, and compares. Results may differ in what is `ignored`.
///
/// # Cancel safety
///
/// Dropped half-way, the guest ends where it is.
pub async fn replay(program: &Program, recording: &Recording, ignored: &Ignored) -> Comparison {
    let rule = if is_same_code(program, recording) && recording.served == 0 { Rule::Exact } else { Rule::Told };
    let endpoint = endpoint(program, recording).await;
    compare(program, recording, endpoint, rule, ignored).await
}

/// The same at an endpoint that is known, by its position in what the component offers. It is told freely, whatever its code is: it may
/// look at clocks more often, and say something else to its log.
///
/// # Cancel safety
///
/// Dropped half-way, the guest ends where it is.
pub async fn replay_at(program: &Program, recording: &Recording, endpoint: u32, ignored: &Ignored) -> Comparison {
    compare(program, recording, Ok(endpoint), Rule::Told, ignored).await
}

async fn compare(
    program: &Program,
    recording: &Recording,
    endpoint: Result<u32, String>,
    rule: Rule,
    ignored: &Ignored,
) -> Comparison {
    let is_same_code = is_same_code(program, recording);
    let tape = Tape::replaying(recording.calls.clone(), rule, recording.redacted > 0);
    let started = Instant::now();
    let ran = match endpoint {
        Ok(endpoint) => tokio::select! {
            answer = program.handle(invocation(recording, endpoint, &tape)) => Some(ended(&answer)),
            () = tape.over() => None,
        },
        Err(reason) => Some(Ended::Faulted { kind: "not_offered".to_owned(), message: reason, frames: Vec::new() }),
    };
    let took = started.elapsed();
    let Played { made, mut differences, said, beyond, is_cut, memory } = tape.played();
    let ended = match ran {
        Some(ended) => ended,
        // It waits for an answer that never came, as it did then.
        None if is_cut => recording.ended.clone(),
        None => stopped(),
    };
    // A run that has gone another way ends in another way too, which says nothing more.
    let mut changed = Vec::new();
    if differences.is_empty() && !ends_alike(recording, &ended) {
        let found = changes(recording, &ended, ignored);
        // The same component writes the same text.
        let is_rewritten = rule == Rule::Exact && *ignored == Ignored::default();
        let says_nothing = found.as_ref().is_none_or(|found| found.is_empty() && is_rewritten);
        changed = found.unwrap_or_default();
        if says_nothing {
            let shown =
                |ended: &Ended| crate::printable::printable(&format!("{}: {}", ended.kind(), ended.comparable()), 300);
            differences.push(Difference {
                number: made.len() + 1,
                import: OUTCOME.to_owned(),
                expected: Some(shown(&recording.ended)),
                got: Some(shown(&ended)),
            });
        }
    }
    let mut notes = Vec::new();
    if is_same_code && recording.served > 0 {
        notes.push(format!(
            "the instance had served {} request(s) before, which are on no tape; this run began with a fresh one",
            recording.served
        ));
    }
    if !is_same_code {
        notes.push(format!("another component than the one that was recorded ({:.12})", recording.handler.digest));
    }
    if beyond > 0 {
        notes.push(format!("{beyond} look(s) at clocks or random numbers beyond the tape were told fixed ones"));
    }
    if program.limits().stack != limits(&recording.limits).stack {
        notes.push("the stack (limits.stack) is another than it was".to_owned());
    }
    if !(differences.is_empty() && changed.is_empty()) && recording.redacted > 0 {
        notes.push(format!("{} value(s) are redacted, and what depends on one may differ", recording.redacted));
    }
    if rule == Rule::Told && !said.is_empty() {
        notes.push(format!("{} line(s) of the log are others", said.len()));
    }
    Comparison { rule, expected: recording.ended.clone(), ended, differences, changed, said, notes, made, took, memory }
}

fn is_same_code(program: &Program, recording: &Recording) -> bool {
    program.digest().as_str() == recording.handler.digest
}

/// Whether a run has ended as it was recorded: in the same kind of end, and that with the same text.
fn ends_alike(recording: &Recording, ended: &Ended) -> bool {
    is_same_kind(recording, ended)
        && is_like(&recording.ended.comparable(), &ended.comparable(), recording.redacted > 0)
}

fn is_same_kind(recording: &Recording, ended: &Ended) -> bool {
    std::mem::discriminant(&recording.ended) == std::mem::discriminant(ended)
}

/// Where two results or two exceptions differ; `None` where it is neither.
fn changes(recording: &Recording, ended: &Ended, ignored: &Ignored) -> Option<Vec<Change>> {
    let (expected, got) = (recording.ended.comparable(), ended.comparable());
    let are_both = is_same_kind(recording, ended) && matches!(ended, Ended::Replied(_) | Ended::Failed(_));
    are_both.then(|| paths::changes(&expected, &got, ignored, recording.redacted > 0))
}

fn stopped() -> Ended {
    let message = "the run was ended where it went another way".to_owned();
    Ended::Faulted { kind: "diverged".to_owned(), message, frames: Vec::new() }
}

/// The position of the endpoint: as recorded, or in another component that of one that has the method.
async fn endpoint(program: &Program, recording: &Recording) -> Result<u32, String> {
    if is_same_code(program, recording) {
        return Ok(recording.request.endpoint);
    }
    let offers = program.describe().await.map_err(|error| error.to_string())?;
    let request = &recording.request;
    let has = |at: usize| offers.get(at).is_some_and(|offer| offer.methods.contains(&request.method));
    let is_of = |at: &usize| has(*at) && offers.get(*at).is_some_and(|offer| offer.namespace == request.namespace);
    let recorded = usize::try_from(request.endpoint).unwrap_or(usize::MAX);
    let found = if has(recorded) { Some(recorded) } else { (0..offers.len()).find(is_of) };
    let found = found.or_else(|| (0..offers.len()).find(|at| has(*at)));
    let missing = || format!("the component does not offer {}", crate::printable::printable(&request.method, 64));
    found.and_then(|at| u32::try_from(at).ok()).ok_or_else(missing)
}

fn invocation(recording: &Recording, endpoint: u32, tape: &Tape) -> Invocation {
    let request = &recording.request;
    Invocation {
        endpoint,
        method: request.method.clone(),
        namespace: request.namespace.clone(),
        version: request.version.clone(),
        arguments: request.arguments.get().to_owned(),
        info: RequestInfo {
            context: Context::from_json(request.context.get()).unwrap_or_default(),
            client_timeout: request.client_timeout.clone(),
            reply_wanted: request.reply_wanted,
            session: None,
            marks: None,
            tape: tape.clone(),
        },
        since: Instant::now(),
    }
}

/// The limits of a recording.
fn limits(bounds: &Bounds) -> Limits {
    let bytes = |bytes: u64| Bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    Limits {
        timeout: Duration::from_millis(bounds.timeout_ms),
        cpu: bounds.cpu_us.map(Duration::from_micros),
        memory: bytes(bounds.memory),
        tables: bounds.tables,
        instances: bounds.instances,
        stack: bytes(bounds.stack),
        arguments: bytes(bounds.arguments),
        result: bytes(bounds.result),
        log: bytes(bounds.log),
        concurrency: None,
        reuse: 1,
        rpc: Allowance::default(),
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
