//! A request that may be for the service behind this one: who gets it, and how it goes on.
//!
//! Before it: [`super::work`] has claimed it. After it: its handler has answered, or the fallback's queue has it, as it came:
//! the fallback answers its caller. It is confirmed there before it is acknowledged here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::{
    Corridor,
    delivery::Claimed,
    end::{Notes, Tried},
    late::{Delivered, Letter, Trouble},
    said::judged,
    traced::{self, OUTCOME},
    work::Worked,
};
use crate::{
    dispatch::{Outcome, Refusal},
    envelope::Request,
    forward::{Decision, Forwarding, Named, Why},
    journal::report::State,
    metrics::Went,
    printable::printable,
    reply::Kind,
    trace::{Span, Value},
    transport::{Destination, Disposition, FORWARDED, FORWARDS, Header, Lifetime, Message, copy},
};

/// Bytes of a name in a header or in the log.
const MAX_NAME: usize = 255;

/// How long a request that came back rests before it is sent on again.
const PAUSE: Duration = Duration::from_millis(500);

/// How often it is looked whether the broker is there.
const LOOK: Duration = Duration::from_millis(100);

/// How often it is: half a minute in all, as requests wait for a queue that is missing. Counted, for clocks differ.
const MAX_FORWARDS: i64 = 60;

/// The header in which a broker that is told to (`message_interceptors`) notes when a message was published: milliseconds since 1970.
const PUBLISHED: &str = "timestamp_in_ms";

impl Corridor {
    /// Has a handler run the request, or sends it on.
    pub(super) async fn work(&self, request: Request, claimed: &mut Claimed, notes: &mut Notes) -> Worked {
        let Some(forwarding) = &self.forwarding else {
            return self.serve(request, claimed, notes).await.unwrap_or_else(|refusal| self.refused(refusal));
        };
        let named = Named::of(&request);
        let why = match forwarding.decide(&request) {
            Decision::Forward(why) => why,
            Decision::Serve { always, on_failure } => match self.serve(request, claimed, notes).await {
                Err(refusal) if always => {
                    self.note(forwarding, &named, Went::Failed);
                    if self.quiet.say("a rule says serve").is_some() {
                        tracing::error!(
                            %refusal,
                            "a rule says that the request is served here, and no handler has it: add the handler, or \
                             `nova-host forward set METHOD forward`"
                        );
                    }
                    return self.refused(refusal);
                }
                Err(_) => Why::Unserved,
                Ok(Worked::Outcome(Outcome::Declined { .. })) => Why::Declined,
                Ok(Worked::Outcome(Outcome::Faulted(fault)))
                    if on_failure && !forwarding.is_fanout(&claimed.message.origin) =>
                {
                    let words = printable(&fault.to_string(), MAX_NAME);
                    tracing::warn!(fault = words, "the handler has failed, the request goes on");
                    judged(
                        &claimed.entry,
                        Outcome::Faulted(fault),
                        Kind::Cast,
                        claimed.since.elapsed(),
                        notes.particulars.recording.as_deref(),
                    );
                    Why::Failed
                }
                Ok(worked) => {
                    if matches!(worked, Worked::Outcome(_)) {
                        self.note(forwarding, &named, Went::Served);
                    }
                    return worked;
                }
            },
        };
        let (worked, went) = self.send_on(forwarding, claimed, why, &notes.span).await;
        if let Some(went) = went {
            self.note(forwarding, &named, went);
        }
        worked
    }

    fn refused(&self, refusal: Refusal) -> Worked {
        self.metrics.nobody();
        Worked::Outcome(Outcome::Refused(refusal))
    }

    fn note(&self, forwarding: &Forwarding, named: &Named, went: Went) {
        self.metrics.went(&forwarding.note(named, went), went);
    }

    /// Sends the request on, where it may go on.
    async fn send_on(
        &self,
        forwarding: &Forwarding,
        claimed: &Claimed,
        why: Why,
        span: &Span,
    ) -> (Worked, Option<Went>) {
        let (message, why) = (&claimed.message, why.as_str());
        claimed.entry.progress().enter(State::Forwarding);
        if forwarding.is_fanout(&message.origin) {
            tracing::debug!(why, "left: the fallback's servers have copies of their own");
            span.set(OUTCOME, Value::from("left"));
            return (Worked::Settled(Disposition::Ack), Some(Went::Left));
        }
        let failed = |reason: String| {
            (Worked::Outcome(Outcome::Unforwarded { fallback: shown(forwarding, message), reason }), Some(Went::Failed))
        };
        let Some(expires) = expires(message, claimed.since) else {
            tracing::info!(why, "its time was over before it could go on");
            span.set(OUTCOME, Value::from("expired"));
            return (Worked::Settled(Disposition::Reject), None);
        };
        let (exchange, key) = forwarding.route(&message.origin);
        let on = traced::goes_on(span, why, exchange, key);
        let failed = |reason| {
            on.fail("unforwarded");
            failed(reason)
        };
        let destination = Destination::Exchange { exchange: exchange.to_owned(), routing_key: key.to_owned() };
        let times = match came_back(message) {
            None => 0,
            // What has no queue behind comes back to us by the alternate exchanges.
            Some(times) if forwarding.has_front() && (1..MAX_FORWARDS).contains(&times) => {
                tokio::time::sleep(PAUSE).await;
                times
            }
            Some(_) => {
                let by = message.headers.get(FORWARDED).map(text_of).unwrap_or_default();
                return failed(format!(
                    "it was forwarded already, by {by}, and came back: the service behind has no queue there, or leads back to this one"
                ));
            }
        };
        let added =
            vec![(FORWARDED, Header::Text(printable(&self.server, MAX_NAME))), (FORWARDS, Header::Number(times + 1))];
        let lifetime = if expires.is_some() { Lifetime::Same } else { Lifetime::Unbounded };
        let letter = Letter::new(destination.clone(), [copy::of(message, destination, added, lifetime)]);
        let Some(handed_over) = self.hand_over(letter.that_waits(expires), claimed).await else {
            on.set(OUTCOME, Value::from("given_back"));
            return (Worked::GivenBack, None);
        };
        match handed_over {
            Delivered::Taken => {
                self.metrics.forwarded_in(claimed.since.elapsed());
                tracing::debug!(why, exchange, key, "forwarded");
                span.set(OUTCOME, Value::from("forwarded"));
                // Counted once, however often it comes back.
                (Worked::Settled(Disposition::Ack), (times == 0).then_some(Went::Forwarded))
            }
            Delivered::GivenUp(reason) if reason == Trouble::Missing.as_str() => {
                failed("it has no queue there: is it running, with that control_exchange?".to_owned())
            }
            Delivered::GivenUp(reason) => failed(reason),
        }
    }

    /// Sends a request, or lets it wait while the fallback may come back. `None` where its delivery is lost and the broker does not
    /// have it: another host may have it already, and sends it on as well.
    async fn hand_over(&self, mut letter: Letter, claimed: &Claimed) -> Option<Delivered> {
        let destination = letter.destination().clone();
        let may_wait = !self.outages.left(&destination).is_zero();
        let trouble = if may_wait && self.late.has(&destination) {
            self.outages.trouble(&destination)
        } else {
            let sending = self.send_once(&mut letter, claimed.permit());
            let tried = tokio::select! {
                biased;
                tried = sending => tried,
                () = self.lost_with_the_broker(claimed) => return None,
            };
            match tried {
                Tried::NotNow(trouble) => trouble,
                Tried::Ended(delivered) => {
                    if delivered == Delivered::Taken {
                        self.outages.ends(&destination);
                    }
                    return Some(delivered);
                }
            }
        };
        self.outages.found(&destination, trouble);
        if !may_wait {
            return Some(Delivered::GivenUp(trouble.as_str().to_owned()));
        }
        let delivered = tokio::select! {
            biased;
            delivered = self.wait(letter, trouble, self.outages.left(&destination)) => delivered,
            () = claimed.lost() => return None,
        };
        if delivered == Delivered::Taken {
            self.outages.ends(&destination);
        }
        Some(delivered)
    }

    /// Waits until a delivery is lost, and nothing more is said of what was sent: while there is a broker that takes messages, it
    /// says soon what became of them.
    async fn lost_with_the_broker(&self, claimed: &Claimed) {
        claimed.lost().await;
        while self.unconfirmed.broker_takes_messages() {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// How often a request was forwarded that was; 0 where it does not say.
fn came_back(message: &Message) -> Option<i64> {
    message.headers.get(FORWARDED)?;
    match message.headers.get(FORWARDS) {
        Some(Header::Number(times)) => Some(*times),
        Some(Header::Text(_)) | None => Some(0),
    }
}

fn text_of(header: &Header) -> String {
    match header {
        Header::Text(text) => printable(text, MAX_NAME),
        Header::Number(number) => number.to_string(),
    }
}

/// Milliseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Where a message was to go on to, for people.
fn shown(forwarding: &Forwarding, message: &Message) -> String {
    let (exchange, key) = forwarding.route(&message.origin);
    format!("exchange {exchange}, key {}", printable(key, MAX_NAME))
}

/// When a message expires; `Some(None)` is never, `None` is by now. How long it has waited in our queue is known where the broker
/// notes when messages come; else it is counted from its delivery.
pub(super) fn expires(message: &Message, since: Instant) -> Option<Option<Instant>> {
    let Some(expiration) = message.expiration else { return Some(None) };
    let left = expiration.checked_sub(since.elapsed()).filter(|left| !left.is_zero())?;
    let by_clock = match message.headers.get(PUBLISHED) {
        Some(Header::Number(published)) => {
            let waited = Duration::from_millis(u64::try_from(now().saturating_sub(*published)).unwrap_or_default());
            // What has not expired in its queue and seems to have comes from a broker with another clock.
            expiration.checked_sub(waited).filter(|left| !left.is_zero())
        }
        Some(Header::Text(_)) | None => None,
    };
    Some(Instant::now().checked_add(by_clock.map_or(left, |by_clock| by_clock.min(left))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_messages_time_goes_on_with_it() {
        let mut message = Message { expiration: Some(Duration::from_secs(60)), ..Message::default() };
        let since = Instant::now();
        let left = |message: &Message| expires(message, since).map(|at| at.map(|at| at - Instant::now()));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(left(&message), Some(Some(Duration::from_secs(40))));
        message.headers.insert(PUBLISHED.to_owned(), Header::Number(now() - 50_000));
        let by_clock = left(&message).unwrap().unwrap();
        assert!(by_clock <= Duration::from_secs(10) && by_clock > Duration::from_secs(1), "{by_clock:?}");
        // Other clocks than ours.
        for odd in [now() - 5_000_000, now() + 5_000_000, i64::MIN, i64::MAX] {
            message.headers.insert(PUBLISHED.to_owned(), Header::Number(odd));
            assert_eq!(left(&message), Some(Some(Duration::from_secs(40))), "{odd}");
        }
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(left(&message), None);
        message.expiration = None;
        assert_eq!(left(&message), Some(None));
    }
}
