//! Tells which of many unconfirmed messages the broker has returned.
//!
//! Before it: [`super::outbox`] learns of confirmations. After it: nothing. The broker sends a returned message before
//! its confirmation, but maybe before confirmations of other messages too, and lapin attaches it to whichever comes
//! next. With many messages on their way that is another one's, so we look at what was returned instead.

use lapin::message::BasicReturnMessage;

/// What the broker gave back: where it was to go, and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    /// The exchange.
    pub(crate) exchange: String,
    /// The routing key.
    pub(crate) key: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl From<BasicReturnMessage> for Returned {
    fn from(returned: BasicReturnMessage) -> Self {
        Self {
            exchange: returned.exchange.to_string(),
            key: returned.routing_key.to_string(),
            body: returned.delivery.data,
        }
    }
}

/// Confirmed messages whose fate is open, and returned ones whose owner is.
#[derive(Debug)]
pub(crate) struct Returns<T> {
    confirmed: Vec<T>,
    returned: Vec<Returned>,
}

impl<T> Default for Returns<T> {
    fn default() -> Self {
        Self { confirmed: Vec::new(), returned: Vec::new() }
    }
}

impl<T> Returns<T> {
    /// Notes a returned message, of whomever.
    pub(crate) fn add_returned(&mut self, returned: Returned) {
        self.returned.push(returned);
    }

    /// Notes a mandatory message that was confirmed.
    pub(crate) fn add_confirmed(&mut self, message: T) {
        self.confirmed.push(message);
    }

    /// Gives each confirmed message, and whether it was returned. To be called when all returned messages that the
    /// broker sent before these confirmations are noted. A returned message without owner is kept, as its owner is yet
    /// to be confirmed.
    pub(crate) fn settle(&mut self, is_same: impl Fn(&T, &Returned) -> bool) -> Vec<(T, bool)> {
        std::mem::take(&mut self.confirmed)
            .into_iter()
            .map(|message| {
                let place = self.returned.iter().position(|returned| is_same(&message, returned));
                if let Some(place) = place {
                    self.returned.swap_remove(place);
                }
                (message, place.is_some())
            })
            .collect()
    }

    /// Gives the confirmed messages whose fate is open.
    pub(crate) fn into_confirmed(self) -> Vec<T> {
        self.confirmed
    }

    /// Forgets returned messages without owner: nothing is on its way any more.
    pub(crate) fn clear_returned(&mut self) {
        self.returned.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(key: &str) -> Returned {
        Returned { exchange: String::new(), key: key.into(), body: b"{}".to_vec() }
    }

    fn settle(ledger: &mut Returns<&'static str>) -> Vec<(&'static str, bool)> {
        ledger.settle(|message, returned| returned.key == *message)
    }

    #[test]
    fn a_return_that_came_with_anothers_confirmation_finds_its_owner() {
        let mut ledger = Returns::default();
        ledger.add_confirmed("routed");
        ledger.add_returned(returned("lost"));
        ledger.add_confirmed("lost");
        assert_eq!(settle(&mut ledger), [("routed", false), ("lost", true)]);
        assert_eq!(settle(&mut ledger), []);
    }

    #[test]
    fn a_return_waits_for_the_confirmation_of_its_owner() {
        let mut ledger = Returns::default();
        ledger.add_confirmed("routed");
        ledger.add_returned(returned("lost"));
        assert_eq!(settle(&mut ledger), [("routed", false)]);
        ledger.add_confirmed("lost");
        assert_eq!(settle(&mut ledger), [("lost", true)]);
    }

    #[test]
    fn equal_messages_are_counted() {
        let mut ledger = Returns::default();
        ledger.add_returned(returned("same"));
        ledger.add_returned(returned("same"));
        ledger.add_confirmed("same");
        ledger.add_confirmed("same");
        assert_eq!(settle(&mut ledger), [("same", true), ("same", true)]);
        ledger.add_returned(returned("same"));
        ledger.clear_returned();
        ledger.add_confirmed("same");
        assert_eq!(settle(&mut ledger), [("same", false)]);
    }
}
