//! What moves a Python service aside, and back: bindings at the broker.
//!
//! Before it: [`super::super::rabbit::Client::bench`]. After it: the broker. The control exchange has the *front* as its alternate
//! exchange, by a policy of the operator's: what no queue takes there goes to the front, and so to us. (The front's own alternate is where
//! the service listens: so a request for one of its servers by its name comes there.) As long as the service's
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
        // A server that has moved has made it itself. One that has not has the same queue.
        let bind = self.topics.iter().map(|topic| bind(topic, &self.legacy));
        let unbind = self.topics.iter().map(|topic| Change::Unbind {
            queue: topic.clone(),
            exchange: self.control.clone(),
            key: topic.clone(),
        });
        bind.chain(unbind).collect()
    }

    /// The changes that put the service back where it was.
    #[must_use]
    pub fn undo(&self) -> Vec<Change> {
        self.topics.iter().map(|topic| bind(topic, &self.control)).collect()
    }
}

/// As the service declares it itself.
fn bind(topic: &str, exchange: &str) -> Change {
    Change::Bind { queue: topic.to_owned(), exchange: exchange.to_owned(), key: topic.to_owned() }
}

/// As an operator reads it.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { queue, exchange, key } => write!(f, "bind queue {queue} to exchange {exchange}, key {key}"),
            Self::Unbind { queue, exchange, key } => {
                write!(f, "unbind queue {queue} from exchange {exchange}, key {key}")
            }
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
                "bind queue conductor to exchange nova_legacy, key conductor",
                "unbind queue conductor from exchange nova, key conductor",
            ]
        );
        assert_eq!(told(aside.undo()), ["bind queue conductor to exchange nova, key conductor"]);
    }
}
