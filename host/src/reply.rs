//! The one table: outcome → what the caller gets, what the broker is told, how loud the log is.
//!
//! Before it: [`crate::dispatch`]. After it: [`crate::serve`] carries the verdict out.

use tracing::Level;

use crate::{
    dispatch::{Outcome, Refusal},
    envelope::{Answer, Failure, failure::BUILTINS},
    metrics::Ending,
    sandbox::Fault,
    transport::Disposition,
};

/// The module of failures that are the host's own. Clients see them as `RemoteError` with the class as `exc_type`.
pub const MODULE: &str = "nova_host.errors";

/// The reference's module of what its dispatcher refuses.
const DISPATCHER: &str = "oslo_messaging.rpc.dispatcher";

/// What is done about an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What a call is answered with.
    pub answer: Answer,
    /// What the broker is told.
    pub disposition: Disposition,
    /// How loud the log is: `ERROR` needs somebody to act, `WARN` is unexpected, `DEBUG` is everyday.
    pub level: Level,
    /// The outcome in a word, for log and metrics.
    pub name: Ending,
}

/// Decides. Every outcome is final, so that every request is acknowledged: running it again would end the same.
#[must_use]
pub fn verdict(outcome: Outcome) -> Verdict {
    let name = outcome.ending();
    let (level, answer) = match outcome {
        Outcome::Replied(result) => (Level::DEBUG, Answer::Result(result)),
        Outcome::Failed(failure) => (Level::INFO, Answer::Failure(failure)),
        Outcome::Refused(refusal) => (Level::WARN, Answer::Failure(refused(&refusal))),
        Outcome::Faulted(fault) => {
            let class = match &fault {
                Fault::Trapped { .. } => "HandlerTrapped",
                Fault::TimedOut { .. } => "HandlerTimedOut",
                Fault::OutOfMemory { .. } => "HandlerOutOfMemory",
                Fault::OutOfStack { .. } => "HandlerOutOfStack",
                Fault::OutOfTables { .. } => "HandlerOutOfTables",
                Fault::InvalidResult { .. } | Fault::ResultTooLarge { .. } => "InvalidResult",
                Fault::OutOfInstances { .. } | Fault::Unavailable { .. } => "HandlerUnavailable",
            };
            let mut failure = Failure::new(MODULE, class, fault.to_string());
            failure.add_frames(fault.frames());
            (Level::ERROR, Answer::Failure(failure))
        }
    };
    Verdict { answer, disposition: Disposition::Ack, level, name }
}

fn refused(refusal: &Refusal) -> Failure {
    let (module, class) = match refusal {
        Refusal::NoSuchMethod { .. } => (DISPATCHER, "NoSuchMethod"),
        Refusal::UnsupportedVersion { .. } => (DISPATCHER, "UnsupportedVersion"),
        Refusal::MalformedVersion(crate::version::Malformed::TooShort) => (BUILTINS, "IndexError"),
        Refusal::MalformedVersion(crate::version::Malformed::NotANumber(_)) => (BUILTINS, "ValueError"),
        Refusal::VersionType { .. } | Refusal::ArgumentsType { .. } => (BUILTINS, "AttributeError"),
        Refusal::MethodType { .. } | Refusal::UnexpectedArgument { .. } => (BUILTINS, "TypeError"),
        Refusal::ArgumentsTooLarge { .. } => (MODULE, "ArgumentsTooLarge"),
        Refusal::Busy => (MODULE, "HandlerBusy"),
    };
    Failure::new(module, class, refusal.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{envelope::Text, settings::Bytes, version::Malformed};

    fn failure(outcome: Outcome) -> Failure {
        match verdict(outcome).answer {
            Answer::Failure(failure) => failure,
            Answer::Result(result) => panic!("{result:?}"),
        }
    }

    #[test]
    fn refusals_look_like_the_references() {
        let cases = [
            (
                Refusal::NoSuchMethod { method: "nope".into() },
                "oslo_messaging.rpc.dispatcher.NoSuchMethod: Endpoint does not support RPC method nope",
            ),
            (
                Refusal::UnsupportedVersion { version: "9.0".into(), method: "m".into() },
                "oslo_messaging.rpc.dispatcher.UnsupportedVersion: \
                 Endpoint does not support RPC version 9.0. Attempted method: m",
            ),
            (Refusal::MalformedVersion(Malformed::TooShort), "IndexError: list index out of range"),
            (
                Refusal::MalformedVersion(Malformed::NotANumber("a".into())),
                "ValueError: invalid literal for int() with base 10: 'a'",
            ),
            (Refusal::VersionType { python_type: "int" }, "AttributeError: 'int' object has no attribute 'split'"),
            (
                Refusal::MethodType { python_type: "NoneType" },
                "TypeError: attribute name must be string, not 'NoneType'",
            ),
            (Refusal::ArgumentsType { python_type: "list" }, "AttributeError: 'list' object has no attribute 'items'"),
        ];
        for (refusal, expected) in cases {
            assert_eq!(failure(Outcome::Refused(refusal)).to_string(), expected);
        }
    }

    #[test]
    fn faults_are_ours_and_carry_the_guests_frames() {
        let frames = vec!["at outer".to_owned(), "at inner".to_owned()];
        let trapped = failure(Outcome::Faulted(Fault::Trapped { message: "boom".into(), frames }));
        assert_eq!(trapped.to_string(), "nova_host.errors.HandlerTrapped: the handler trapped: boom");
        assert_eq!(trapped.traceback.get(1).map(String::as_str), Some("  at outer\n"));
        assert_eq!(trapped.traceback.len(), 4);
        let slow = failure(Outcome::Faulted(Fault::TimedOut { limit: Duration::from_secs(2), frames: Vec::new() }));
        assert_eq!(slow.message, "the handler did not finish within 2s (limits.timeout)");
        let large = failure(Outcome::Faulted(Fault::OutOfMemory { limit: Bytes(64 << 20), frames: Vec::new() }));
        assert_eq!(large.message, "the handler wanted more than 64 MiB of memory (limits.memory)");
    }

    #[test]
    fn a_handlers_own_answer_passes_unchanged() {
        let own = Failure::new("nova.exception", "InstanceNotFound", "gone");
        assert_eq!(failure(Outcome::Failed(own.clone())), own);
        assert_eq!(verdict(Outcome::Replied(Text::of(&3))).answer, Answer::Result(Text::of(&3)));
    }
}
