//! `nova-host failures`: what failed lately in a running host, over its control socket.
//!
//! After it: [`crate::journal`]. All text of a journal is printable.

use std::time::Duration;

use super::{
    Options,
    requests::{duration, full_method},
    running::{ago, ask},
    say,
};
use crate::{
    control::protocol::{ControlAnswer, ControlRequest},
    journal::report::{Failure, Requested},
};

/// It is asked for on this machine, and is there at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `failures`.
#[derive(Debug, clap::Args)]
pub(super) struct Failures {
    /// Only those of this handler
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// How many; a host keeps 200, and 20 of each handler
    #[arg(long, default_value_t = 100, value_name = "NUMBER")]
    last: usize,
}

impl Failures {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", "off")])?;
        let mut failures = match ask(&config, &ControlRequest::Failures {}, PATIENCE).await? {
            ControlAnswer::Failures(told) => told.failures,
            other => anyhow::bail!("the host answered {other:?}"),
        };
        failures.retain(|failure| self.handler.is_none() || failure.requested.handler == self.handler);
        failures.truncate(self.last);
        if options.json {
            say(serde_json::json!({ "failures": failures }));
        } else if failures.is_empty() {
            say("no failure");
        } else {
            failures.iter().flat_map(lines).for_each(say);
        }
        Ok(())
    }
}

/// What people read of one.
fn lines(failure: &Failure) -> Vec<String> {
    let Failure { requested, message, class, .. } = failure;
    let Requested { namespace, method, handler, generation, digest, .. } = requested;
    let when = ago(failure.at_ms / 1000);
    let what = full_method(namespace.as_deref(), method);
    let version = requested.version.as_deref().unwrap_or("1.0");
    let (outcome, took) = (failure.outcome.replace('_', " "), duration(failure.took_us));
    let mut lines = vec![format!("{what} {version}, a {}: {outcome} {when}, after {took}", requested.kind.as_str())];
    let mut say = |what: &str, text: String| lines.push(format!("  {what:<9} {text}"));
    say("raised", if message.is_empty() { class.clone() } else { format!("{class}: {message}") });
    if let (Some(handler), Some(generation), Some(digest)) = (handler, generation, digest) {
        say("handler", format!("{handler}, generation {generation}, sha256:{digest}"));
    }
    failure.limit.iter().for_each(|limit| say("limit", format!("limits.{limit}")));
    failure.recording.iter().for_each(|id| say("recording", id.clone()));
    requested.request_id.iter().for_each(|id| say("request", id.clone()));
    requested.message_id.iter().for_each(|id| say("message", id.clone()));
    requested.trace_id.iter().for_each(|id| say("trace", id.clone()));
    for (at, frame) in failure.frames.iter().enumerate() {
        say(if at == 0 { "frames" } else { "" }, frame.clone());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::report::Kind;

    #[test]
    fn people_read_what_failed_where_and_why() {
        let requested = Requested {
            kind: Kind::Call,
            method: "build".into(),
            namespace: Some("compute_task".into()),
            handler: Some("conductor".into()),
            digest: Some("0123456789ab".into()),
            generation: Some(3),
            request_id: Some("req-1".into()),
            ..Requested::default()
        };
        let failure = Failure {
            at_ms: 0,
            outcome: "timed_out".into(),
            requested: requested.clone(),
            class: "nova_host.errors.HandlerTimedOut".into(),
            message: "too late".into(),
            frames: vec!["at outer".into(), "at inner".into()],
            limit: Some("timeout".into()),
            recording: Some("1-a".into()),
            took_us: 60_000_123,
        };
        let told = lines(&failure);
        assert!(told[0].starts_with("compute_task.build 1.0, a call: timed out "), "{}", told[0]);
        assert!(told[0].ends_with("d ago, after 60 s"), "{}", told[0]);
        let expected = [
            "  raised    nova_host.errors.HandlerTimedOut: too late",
            "  handler   conductor, generation 3, sha256:0123456789ab",
            "  limit     limits.timeout",
            "  recording 1-a",
            "  request   req-1",
            "  frames    at outer",
            "            at inner",
        ];
        assert_eq!(told[1..], expected);
        let requested = Requested { handler: None, request_id: None, ..requested };
        let bare = Failure { requested, limit: None, recording: None, frames: Vec::new(), ..failure };
        assert_eq!(lines(&bare).len(), 2);
    }
}
