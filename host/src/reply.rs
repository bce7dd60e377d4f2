//! The one table: outcome → what the caller gets, what becomes of the message, how loud the log is.
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
    /// What becomes of the message.
    pub fate: Fate,
    /// How loud the log is: `ERROR` needs somebody to act, `WARN` is unexpected, `DEBUG` is everyday.
    pub level: Level,
    /// The outcome in a word, for log, metrics and dead letters.
    pub name: Ending,
}

/// What a request is, as far as it matters for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody waits for the answer.
    Call,
    /// Nobody does.
    Cast,
}

/// What becomes of a message. No fate is to be run again: that would end the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All is well, or somebody was told: acknowledged.
    Done,
    /// Nobody was told: a dead letter where there is an exchange for them, else acknowledged.
    Untold,
    /// It must not come again: a dead letter where there is an exchange for them, else rejected, so that the queue's own
    /// dead-letter exchange receives it if there is one.
    Poison,
}

/// The outcome of a message that is no request, in a word.
pub const UNDECODABLE: &str = "undecodable";

/// The outcome of a call whose reply nobody takes, in a word.
pub const UNANSWERED: &str = "unanswered";

/// What becomes of it: there is nobody to answer.
pub const UNDECODABLE_FATE: Fate = Fate::Poison;

impl Fate {
    /// What the broker is told. `buried` says what became of the dead letter; `None` where there is no exchange for it.
    #[must_use]
    pub fn disposition(self, buried: Option<Buried>) -> Disposition {
        match (self, buried) {
            (Self::Done, _) | (Self::Untold, None) | (_, Some(Buried::Taken)) => Disposition::Ack,
            // Not lost without a word: the queue's own dead-letter exchange is the last that may take it.
            (Self::Poison, None) | (_, Some(Buried::Refused)) => Disposition::Reject,
        }
    }

    /// The same for a call that could not be answered.
    #[must_use]
    pub fn unanswered(self) -> Self {
        match self {
            Self::Done => Self::Untold,
            Self::Untold | Self::Poison => self,
        }
    }

    /// Whether it is a dead letter where there is an exchange for them.
    #[must_use]
    pub fn is_dead(self) -> bool {
        self != Self::Done
    }
}

/// What became of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buried {
    /// The exchange has it.
    Taken,
    /// The exchange does not exist, has no queue for it, or refuses it.
    Refused,
}

/// Decides.
#[must_use]
pub fn verdict(outcome: Outcome, kind: Kind) -> Verdict {
    let fate = match (&outcome, kind) {
        (Outcome::Exhausted { .. }, _) => Fate::Poison,
        (Outcome::Replied(_), _) | (_, Kind::Call) => Fate::Done,
        (
            Outcome::Failed(_)
            | Outcome::Refused(_)
            | Outcome::Declined { .. }
            | Outcome::Unforwarded { .. }
            | Outcome::Faulted(_)
            | Outcome::Unreleased(_)
            | Outcome::Panicked,
            Kind::Cast,
        ) => Fate::Untold,
    };
    let name = outcome.ending();
    let (level, answer) = match outcome {
        Outcome::Replied(result) => (Level::DEBUG, Answer::Result(result)),
        Outcome::Failed(failure) => (Level::INFO, Answer::Failure(failure)),
        Outcome::Refused(refusal) => (Level::WARN, Answer::Failure(refused(&refusal))),
        // As if there were no such handler.
        Outcome::Declined { method } => (Level::WARN, Answer::Failure(refused(&Refusal::NoSuchMethod { method }))),
        Outcome::Unforwarded { fallback, reason } => {
            let message = format!(
                "the request is for the service behind this one ({fallback}), which it did not reach: {reason}"
            );
            (Level::ERROR, Answer::Failure(Failure::new(MODULE, "FallbackUnavailable", message)))
        }
        Outcome::Faulted(fault) => {
            let class = match &fault {
                Fault::Trapped { .. } => "HandlerTrapped",
                Fault::TimedOut { .. } => "HandlerTimedOut",
                Fault::OutOfCpu { .. } => "HandlerOutOfCpu",
                Fault::OutOfMemory { .. } => "HandlerOutOfMemory",
                Fault::OutOfStack { .. } => "HandlerOutOfStack",
                Fault::OutOfTables { .. } => "HandlerOutOfTables",
                Fault::InvalidResult { .. } | Fault::ResultTooLarge { .. } => "InvalidResult",
                Fault::OutOfInstances { .. } | Fault::Declined | Fault::Unavailable { .. } => "HandlerUnavailable",
            };
            let mut failure = Failure::new(MODULE, class, fault.to_string());
            failure.add_frames(fault.frames());
            (Level::ERROR, Answer::Failure(failure))
        }
        Outcome::Panicked => {
            let message = "the host failed while it handled the request; its log says how".to_owned();
            (Level::ERROR, Answer::Failure(Failure::new(MODULE, "InternalError", message)))
        }
        // Some effects may be there: to run it again would make them twice.
        Outcome::Unreleased(unreleased) => {
            (Level::ERROR, Answer::Failure(Failure::new(MODULE, "EffectsNotReleased", unreleased.to_string())))
        }
        Outcome::Exhausted { attempts } => {
            let times = if attempts == 1 { "time" } else { "times" };
            let message = format!(
                "the request was delivered {attempts} {times} and never came to an end (delivery.max_attempts)"
            );
            (Level::ERROR, Answer::Failure(Failure::new(MODULE, "AttemptsExhausted", message)))
        }
    };
    // The failure of a cast is told nowhere else. (Levels are less, the more urgent they are.)
    let level = if fate.is_dead() { level.min(Level::WARN) } else { level };
    Verdict { answer, fate, level, name }
}

/// What a caller is told whose answer is larger than the broker takes.
#[must_use]
pub fn too_large(length: usize, limit: usize) -> Failure {
    let message =
        format!("the reply has {length} bytes, and the broker takes no more than {limit} (its max_message_size)");
    Failure::new(MODULE, "ReplyTooLarge", message)
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
        match verdict(outcome, Kind::Call).answer {
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
        assert_eq!(verdict(Outcome::Replied(Text::of(&3)), Kind::Call).answer, Answer::Result(Text::of(&3)));
    }

    #[test]
    fn what_nobody_was_told_and_what_must_not_come_again_is_a_dead_letter() {
        let fate = |outcome, kind| verdict(outcome, kind).fate;
        let failed = || Outcome::Failed(Failure::new("m", "C", "no"));
        let trapped = || Outcome::Faulted(Fault::Trapped { message: "boom".into(), frames: Vec::new() });
        for outcome in [failed(), trapped(), Outcome::Refused(Refusal::Busy)] {
            assert_eq!(fate(outcome.clone(), Kind::Call), Fate::Done);
            assert_eq!(fate(outcome, Kind::Cast), Fate::Untold);
        }
        for kind in [Kind::Call, Kind::Cast] {
            assert_eq!(fate(Outcome::Replied(Text::null()), kind), Fate::Done);
            assert_eq!(fate(Outcome::Exhausted { attempts: 10 }, kind), Fate::Poison);
        }
    }

    #[test]
    fn the_broker_is_told_what_became_of_the_dead_letter() {
        use Disposition::{Ack, Reject};
        for (fate, nowhere, taken, refused) in
            [(Fate::Done, Ack, Ack, Ack), (Fate::Untold, Ack, Ack, Reject), (Fate::Poison, Reject, Ack, Reject)]
        {
            assert_eq!(fate.disposition(None), nowhere);
            assert_eq!(fate.disposition(Some(Buried::Taken)), taken);
            assert_eq!(fate.disposition(Some(Buried::Refused)), refused);
        }
    }

    #[test]
    fn a_request_whose_attempts_ran_out_is_answered_with_their_number() {
        let exhausted = failure(Outcome::Exhausted { attempts: 10 });
        assert_eq!(
            exhausted.to_string(),
            "nova_host.errors.AttemptsExhausted: \
             the request was delivered 10 times and never came to an end (delivery.max_attempts)"
        );
    }
}
