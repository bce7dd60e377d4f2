//! The end of a delivery: its dead letter, where one is due, and its settlement.
//!
//! Before it: [`super::work`] knows what became of it, and has told the caller. After it: the next delivery.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    Corridor, HOLD_FOR,
    dead_letter::{self, Death, Particulars},
    delivery::Ended,
    late::{Delivered, Letter, Trouble},
};
use crate::{
    lending::Slot,
    reply::{Buried, Fate, Verdict},
    shadow::Pending,
    trace::{Kind, Span},
    transport::{Company, Message},
};

/// What is found out about a request while it runs, for the log and for its dead letter.
#[derive(Debug)]
pub(super) struct Notes {
    pub(super) particulars: Particulars,
    /// Attempts so far, with this one if it is one.
    pub(super) attempts: u32,
    /// What is recorded of it.
    pub(super) span: Span,
    /// What a shadow is to compare once it is answered.
    pub(super) shadow: Option<Pending>,
}

/// What came of sending a letter once.
#[derive(Debug)]
pub(super) enum Tried {
    /// It is taken, or never will be.
    Ended(Delivered),
    /// Its destination does not take it now.
    NotNow(Trouble),
}

impl Corridor {
    /// Lets a letter wait that its destination does not take now.
    pub(super) async fn wait(&self, letter: Letter, trouble: Trouble, patience: Duration) -> Delivered {
        self.late.wait(letter, trouble, patience, &self.transport, &self.tasks, &self.abandon).await
    }

    /// Ends a request with its verdict.
    pub(super) async fn conclude(&self, ended: Ended, fate: Fate, notes: &Notes, verdict: &Verdict) -> Message {
        let error = match (&self.dead_letters, fate.is_dead()) {
            (Some(_), true) => verdict.answer.failure().map(ToString::to_string).unwrap_or_default(),
            _ => String::new(),
        };
        self.end(ended, fate, notes, verdict.name.as_str(), error).await
    }

    /// Sends the dead letter, if it is one, and settles the delivery.
    pub(super) async fn end(&self, ended: Ended, fate: Fate, notes: &Notes, outcome: &str, error: String) -> Message {
        let buried = match &self.dead_letters {
            Some(_) if fate.is_dead() => Some(self.bury(&ended.message, Some(&ended), notes, outcome, error).await),
            Some(_) | None => None,
        };
        ended.settle(fate.disposition(buried)).await
    }

    /// Sends a dead letter. One that its exchange does not take now waits, where its delivery is unsettled and not too many do.
    pub(super) async fn bury(
        &self,
        message: &Message,
        ended: Option<&Ended>,
        notes: &Notes,
        outcome: &str,
        error: String,
    ) -> Buried {
        let Some(to) = &self.dead_letters else { return Buried::Refused };
        let span = notes.span.child(|| "dead letter", Kind::Producer);
        let death = Death { outcome, error, attempts: notes.attempts };
        let patience = self.transport.missing_queue_patience();
        let reason = match dead_letter::letter(to, message, &notes.particulars, death) {
            Ok(letter) => match self.post(letter, ended, patience).await {
                Delivered::Taken => {
                    tracing::info!(exchange = to.exchange, "sent to the dead-letter exchange");
                    self.metrics.dead_letter();
                    return Buried::Taken;
                }
                Delivered::GivenUp(reason) => reason,
            },
            Err(reason) => reason,
        };
        span.fail("refused");
        match self.quiet.say(&format!("exchange {}: {reason}", to.exchange)) {
            Some(letters) => {
                tracing::error!(
                    exchange = to.exchange,
                    reason,
                    letters,
                    "the dead-letter exchange does not take letters"
                );
            }
            None => tracing::debug!(exchange = to.exchange, reason, "the dead-letter exchange does not take a letter"),
        }
        self.metrics.dead_letter_refused();
        Buried::Refused
    }

    /// Sends a letter, or lets it wait where its destination does not take it now, its delivery is unsettled, and not too many do.
    async fn post(&self, mut letter: Letter, ended: Option<&Ended>, patience: Duration) -> Delivered {
        let trouble = match self.try_once(&mut letter, ended.and_then(Ended::permit)).await {
            Tried::NotNow(Trouble::Missing) => {
                return Delivered::GivenUp("no queue is bound to it for this routing key".to_owned());
            }
            Tried::NotNow(trouble) => trouble,
            Tried::Ended(delivered) => return delivered,
        };
        match self.unsettled.try_acquire() {
            Ok(_share) if ended.is_some_and(Ended::is_unsettled) => self.wait(letter, trouble, patience).await,
            _ => Delivered::GivenUp(format!("{}, and too many messages wait", trouble.as_str())),
        }
    }

    /// Sends a letter once, where others do not wait for the same.
    async fn try_once(&self, letter: &mut Letter, permit: Option<&Slot>) -> Tried {
        if self.late.has(letter.destination()) {
            return Tried::NotNow(Trouble::Silent);
        }
        self.send_once(letter, permit).await
    }

    /// Sends a letter once, whoever waits.
    pub(super) async fn send_once(&self, letter: &mut Letter, permit: Option<&Slot>) -> Tried {
        let (destination, length) = (letter.destination().clone(), letter.length());
        let sending = letter.send(&self.transport, Company::Shared);
        match timeout(HOLD_FOR, self.unconfirmed.wait(&destination, length, permit, sending)).await {
            Ok(Ok(None)) => Tried::Ended(Delivered::Taken),
            Ok(Ok(Some(trouble))) => Tried::NotNow(trouble),
            Ok(Err(error)) => Tried::Ended(Delivered::GivenUp(error.to_string())),
            Err(_) => Tried::NotNow(Trouble::Silent),
        }
    }
}
