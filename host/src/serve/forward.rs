//! A request that may be for the service behind this one: who gets it, and how it goes on.
//!
//! Before it: [`super::work`] has claimed it. After it: its handler has answered, or the fallback's queue has it, as it came:
//! the fallback answers its caller. It is confirmed there before it is acknowledged here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, timeout};

use super::{
    Corridor,
    delivery::Claimed,
    end::{Notes, Tried},
    late::{Delivered, Letter, Trouble},
    work::Worked,
};
use crate::{
    dispatch::{Outcome, Refusal},
    envelope::Request,
    forward::{Decision, Forwarding, Named, Why},
    metrics::Went,
    printable::printable,
    transport::{Destination, Disposition, FORWARDED, Header, Lifetime, Message, copy},
};

/// Bytes of a name in a header or in the log.
const MAX_NAME: usize = 255;

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
                Ok(Worked::Outcome(Outcome::Faulted(fault))) if on_failure => {
                    let fault = printable(&fault.to_string(), MAX_NAME);
                    tracing::warn!(fault, "the handler has failed, the request goes on");
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
        let (worked, went) = self.send_on(forwarding, claimed, why).await;
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
    async fn send_on(&self, forwarding: &Forwarding, claimed: &Claimed, why: Why) -> (Worked, Option<Went>) {
        let (message, why) = (&claimed.message, why.as_str());
        if forwarding.is_fanout(&message.origin) {
            tracing::debug!(why, "left: the fallback's servers have copies of their own");
            return (Worked::Settled(Disposition::Ack), Some(Went::Left));
        }
        let failed = |reason: String| {
            (Worked::Outcome(Outcome::Unforwarded { fallback: shown(forwarding, message), reason }), Some(Went::Failed))
        };
        if let Some(by) = message.headers.get(FORWARDED) {
            let by = match by {
                Header::Text(by) => printable(by, MAX_NAME),
                Header::Number(by) => by.to_string(),
            };
            return failed(format!(
                "it was forwarded already, by {by}: the service behind must not lead back to this one"
            ));
        }
        let Some(lifetime) = lifetime(message, claimed.since) else {
            tracing::info!(why, "its time was over before it could go on");
            return (Worked::Settled(Disposition::Reject), None);
        };
        let (exchange, key) = forwarding.route(&message.origin);
        let destination = Destination::Exchange { exchange: exchange.to_owned(), routing_key: key.to_owned() };
        let added = vec![(FORWARDED, Header::Text(printable(&self.server, MAX_NAME)))];
        let letter = Letter::new(destination.clone(), [copy::of(message, destination, added, lifetime)]).that_waits();
        match self.hand_over(letter).await {
            Delivered::Taken => {
                self.outage.ends();
                self.metrics.forwarded_in(claimed.since.elapsed());
                tracing::debug!(why, exchange, key, "forwarded");
                (Worked::Settled(Disposition::Ack), Some(Went::Forwarded))
            }
            Delivered::GivenUp(reason) if reason == Trouble::Missing.as_str() => {
                failed("it has no queue there: is it running, with that control_exchange?".to_owned())
            }
            Delivered::GivenUp(reason) => failed(reason),
        }
    }

    /// Sends a request, or lets it wait while the fallback may come back. All are for the same service: beyond the share of
    /// requests that may wait for queues, they wait for their turn.
    async fn hand_over(&self, mut letter: Letter) -> Delivered {
        let may_wait = !self.outage.left().is_zero();
        let tried = if may_wait { self.try_once(&mut letter).await } else { self.send_once(&mut letter).await };
        let trouble = match tried {
            Tried::NotNow(trouble) => trouble,
            Tried::Ended(delivered) => return delivered,
        };
        self.outage.found();
        if !may_wait {
            return Delivered::GivenUp(trouble.as_str().to_owned());
        }
        match timeout(self.outage.left(), self.unsettled.acquire()).await {
            Ok(Ok(_share)) => self.wait(letter, trouble, self.outage.left()).await,
            Ok(Err(_)) | Err(_) => Delivered::GivenUp(trouble.as_str().to_owned()),
        }
    }
}

/// Where a message was to go on to, for people.
fn shown(forwarding: &Forwarding, message: &Message) -> String {
    let (exchange, key) = forwarding.route(&message.origin);
    format!("exchange {exchange}, key {}", printable(key, MAX_NAME))
}

/// How long a message may still wait in a queue; `None` where its time is over. How long it has waited in ours is known where
/// the broker notes when messages come; else it is counted from its delivery.
fn lifetime(message: &Message, since: Instant) -> Option<Lifetime> {
    let Some(expiration) = message.expiration else { return Some(Lifetime::Unbounded) };
    let left = expiration.checked_sub(since.elapsed()).filter(|left| !left.is_zero())?;
    let by_clock = match message.headers.get(PUBLISHED) {
        Some(Header::Number(published)) => {
            let published = UNIX_EPOCH + Duration::from_millis(u64::try_from(*published).unwrap_or_default());
            let waited = SystemTime::now().duration_since(published).unwrap_or_default();
            // What has not expired in its queue and seems to have comes from a broker with another clock.
            expiration.checked_sub(waited).filter(|left| !left.is_zero())
        }
        Some(Header::Text(_)) | None => None,
    };
    Some(Lifetime::Left(by_clock.map_or(left, |by_clock| by_clock.min(left))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_left_of_a_messages_time_goes_on_with_it() {
        let mut message = Message { expiration: Some(Duration::from_secs(60)), ..Message::default() };
        let since = Instant::now();
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(lifetime(&message, since), Some(Lifetime::Left(Duration::from_secs(40))));
        let ago = |seconds| {
            let then = SystemTime::now() - Duration::from_secs(seconds);
            Header::Number(then.duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap())
        };
        message.headers.insert(PUBLISHED.to_owned(), ago(50));
        let Some(Lifetime::Left(left)) = lifetime(&message, since) else { panic!("nothing is left") };
        assert!(left <= Duration::from_secs(10) && left > Duration::from_secs(1), "{left:?}");
        // Another clock than ours.
        message.headers.insert(PUBLISHED.to_owned(), ago(5000));
        assert_eq!(lifetime(&message, since), Some(Lifetime::Left(Duration::from_secs(40))));
        tokio::time::advance(Duration::from_secs(40)).await;
        assert_eq!(lifetime(&message, since), None);
        message.expiration = None;
        assert_eq!(lifetime(&message, since), Some(Lifetime::Unbounded));
    }
}
