//! What is said of a request while it is here: in the log, and in the journal of operators.
//!
//! Before it: [`super::work`]. After it: [`crate::journal`], and who reads the log.

use std::time::Duration;

use tracing::Level;

use crate::{
    dispatch::Outcome,
    envelope::{ReplyTo, Request},
    journal::{Arrived, Entry, Problem, report as journal},
    printable::{printable, printed},
    reply::{Kind, Verdict, verdict},
};

/// Bytes of a name in the log.
pub(super) const MAX_FIELD: usize = 64;

/// Bytes of a failure in the log.
pub(super) const MAX_FAILURE: usize = 1024;

/// The span of a request: what every line about it carries. Nothing of the context but its request id.
pub(super) fn span(request: &Request, request_id: Option<&str>, trace_id: Option<&str>) -> tracing::Span {
    let short = |text| printed(text, MAX_FIELD);
    let method = request.method.to_string();
    // At the level of errors, so that no filter takes it from a line that is logged.
    tracing::error_span!(
        "request",
        method = &*short(&method),
        version = request.version.text().map(short).as_deref(),
        namespace = request.namespace.text().map(short).as_deref(),
        msg_id = request.reply_to.as_ref().map(|ReplyTo { message_id, .. }| short(message_id)).as_deref(),
        request_id = request_id.map(short).as_deref(),
        trace_id,
        handler = tracing::field::Empty,
        digest = tracing::field::Empty,
        generation = tracing::field::Empty,
    )
}

/// Decides what becomes of an outcome, and has the journal know.
pub(super) fn judged(entry: &Entry, outcome: Outcome, kind: Kind, took: Duration, recording: Option<&str>) -> Verdict {
    let limit = outcome.limit();
    let frames = if let Outcome::Faulted(fault) = &outcome { fault.frames().to_vec() } else { Vec::new() };
    let verdict = verdict(outcome, kind);
    let problem = verdict.answer.failure().map(|failure| Problem {
        module: &failure.module,
        class: &failure.class,
        message: &failure.message,
        frames: &frames,
        limit,
        recording,
    });
    entry.end(verdict.name, took, problem.as_ref());
    verdict
}

/// What the journal says of a request. Nothing of the context but its request id.
pub(super) fn arrived<'a>(request: &'a Request, request_id: Option<&'a str>, trace_id: Option<&'a str>) -> Arrived<'a> {
    Arrived {
        kind: if request.reply_to.is_some() { journal::Kind::Call } else { journal::Kind::Cast },
        // What is no text is no method either.
        method: request.method.text().unwrap_or_default(),
        namespace: request.namespace.text(),
        version: request.version.text(),
        request_id,
        message_id: request.reply_to.as_ref().map(|to| to.message_id.as_str()),
        trace_id,
    }
}

/// Says in the log what became of a request, and which recording has it.
pub(super) fn log(verdict: &Verdict, took: Duration, recording: Option<&str>) {
    let outcome = verdict.name.as_str();
    let failure = verdict.answer.failure().map(|failure| printable(&failure.to_string(), MAX_FAILURE));
    let failure = failure.as_ref().map(tracing::field::display);
    match verdict.level {
        Level::ERROR => tracing::error!(outcome, ?took, failure, recording, "handled"),
        Level::WARN => tracing::warn!(outcome, ?took, failure, recording, "handled"),
        Level::INFO => tracing::info!(outcome, ?took, failure, recording, "handled"),
        _ => tracing::debug!(outcome, ?took, failure, recording, "handled"),
    }
}
