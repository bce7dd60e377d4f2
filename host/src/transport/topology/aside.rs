//! What moves a Python service aside, and back: bindings at the broker.
//!
//! Before it: [`super::super::rabbit::Client::bench`]. After it: the broker. The control exchange has the *front* as its alternate
//! exchange, by a policy of the operator's: what no queue takes there goes to the front, and so to us. As long as the service's
//! queue is bound to the control exchange, it gets everything; as soon as it is not, we do. So there is no moment in which
//! nobody or both get a request.

use std::fmt;

/// One change at the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A queue gets what an exchange is sent with this key.
    Bind {
        /// The queue.
        queue: String,
        /// The exchange.
        exchange: String,
        /// The routing key.
        key: String,
    },
    /// It does not get it any more.
    Unbind {
        /// The queue.
        queue: String,
        /// The exchange.
        exchange: String,
        /// The routing key.
        key: String,
    },
    /// An exchange gets what another is sent with keys like this.
    Lead {
        /// The exchange that is sent it.
        from: String,
        /// The exchange that gets it.
        to: String,
        /// The pattern.
        key: String,
    },
    /// It does not get it any more.
    Part {
        /// The exchange that is sent it.
        from: String,
        /// The exchange that gets it.
        to: String,
        /// The pattern.
        key: String,
    },
}

/// The exchanges of a service that moves aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aside {
    /// Where callers publish.
    pub control: String,
    /// Its alternate exchange: where we listen.
    pub front: String,
    /// Where the service listens from now on.
    pub legacy: String,
    /// The topics.
    pub topics: Vec<String>,
}

impl Aside {
    /// The changes that put us before the service. The last for each topic is the one that counts.
    #[must_use]
    pub fn prepare(&self) -> Vec<Change> {
        let lead = self.directed().map(|(from, to, key)| Change::Lead { from, to, key });
        let unbind = self.bindings().map(|(queue, exchange, key)| Change::Unbind { queue, exchange, key });
        lead.chain(unbind).collect()
    }

    /// The changes that put the service back where it was.
    #[must_use]
    pub fn undo(&self) -> Vec<Change> {
        let bind = self.bindings().map(|(queue, exchange, key)| Change::Bind { queue, exchange, key });
        let part = self.directed().map(|(from, to, key)| Change::Part { from, to, key });
        bind.chain(part).collect()
    }

    /// Requests to one server of the service by its name: they go to it, and not by way of us.
    fn directed(&self) -> impl Iterator<Item = (String, String, String)> {
        self.topics.iter().map(|topic| (self.front.clone(), self.legacy.clone(), format!("{topic}.*.#")))
    }

    /// As the service has declared them when it listened on the control exchange.
    fn bindings(&self) -> impl Iterator<Item = (String, String, String)> {
        self.topics.iter().map(|topic| (topic.clone(), self.control.clone(), topic.clone()))
    }
}

/// As an operator reads it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { queue, exchange, key } => write!(f, "bind queue {queue} to exchange {exchange}, key {key}"),
            Self::Unbind { queue, exchange, key } => {
                write!(f, "unbind queue {queue} from exchange {exchange}, key {key}")
            }
            Self::Lead { from, to, key } => write!(f, "bind exchange {to} to exchange {from}, key {key}"),
            Self::Part { from, to, key } => write!(f, "unbind exchange {to} from exchange {from}, key {key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_loses_its_binding_last_and_gets_it_back_first() {
        let topics = vec!["conductor".to_owned()];
        let aside = Aside { control: "nova".into(), front: "nova_host".into(), legacy: "nova_legacy".into(), topics };
        let told = |changes: Vec<Change>| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            told(aside.prepare()),
            [
                "bind exchange nova_legacy to exchange nova_host, key conductor.*.#",
                "unbind queue conductor from exchange nova, key conductor",
            ]
        );
        assert_eq!(
            told(aside.undo()),
            [
                "bind queue conductor to exchange nova, key conductor",
                "unbind exchange nova_legacy from exchange nova_host, key conductor.*.#",
            ]
        );
    }
}
