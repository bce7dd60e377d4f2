//! What a watcher declares: a queue of its own, bound beside those of the servers.
//!
//! Before it: [`super::super::rabbit::Client::tap`]. After it: the broker. The exchanges are others': they are looked for and
//! never declared, so that nothing is left behind that a server would not have made.

use super::{Argument, Binding, Declaration, Options, Queue, Topology, fanout_exchange, others_exchange};

/// The most messages that wait for a watcher. The oldest make room.
const MAX_WAITING: i64 = 10_000;

/// The most bytes of bodies that wait for a watcher: 32 MiB of the broker's memory or disk.
const MAX_WAITING_BYTES: i64 = 32 << 20;

/// The most messages that wait to be counted as dropped. Their number is asked for each second.
const MAX_DROPPED: i64 = 100_000;

/// What servers are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tapped {
    /// The control exchange.
    pub exchange: String,
    /// The topics, at least one.
    pub topics: Vec<String>,
}

/// What a watcher declares. The first queue is for copies; what it has no room for goes to the second, for nobody but to be
/// counted. Both end with the connection, whatever becomes of the watcher.
#[must_use]
pub fn tap(tapped: &Tapped) -> Topology {
    let name = format!("nova_host_watch_{}", uuid::Uuid::new_v4().simple());
    let dropped = format!("{name}_dropped");
    let mut topology = Topology::new(&Options::default());
    let queue = |name: &str, length, more: Vec<(&'static str, Argument)>| {
        let mut arguments = vec![
            // Said, for a virtual host may have another default.
            ("x-queue-type", Argument::Text("classic".into())),
            ("x-max-length", Argument::Number(length)),
            ("x-max-length-bytes", Argument::Number(MAX_WAITING_BYTES)),
            ("x-overflow", Argument::Text("drop-head".into())),
        ];
        arguments.extend(more);
        let name = name.to_owned();
        Declaration::Queue(Queue { name, durable: false, auto_delete: true, exclusive: true, arguments })
    };
    let to_dropped = vec![
        ("x-dead-letter-exchange", Argument::Text("".into())),
        ("x-dead-letter-routing-key", Argument::Text(dropped.clone().into())),
    ];
    let mut add = |declaration| topology.declarations.push(declaration);
    // What is missing is said before anything is made.
    add(Declaration::Exchange(others_exchange(&tapped.exchange)));
    let fanouts = tapped.topics.iter().map(|topic| fanout_exchange(topic, &Options::default()).name);
    let fanouts: Vec<String> = fanouts.collect();
    fanouts.iter().for_each(|fanout| add(Declaration::Exchange(others_exchange(fanout))));
    add(queue(&dropped, MAX_DROPPED, Vec::new()));
    add(queue(&name, MAX_WAITING, to_dropped));
    let mut bind = |exchange: &str, key: String| {
        let (queue, exchange) = (name.clone(), exchange.to_owned());
        add(Declaration::Binding(Binding { queue, exchange, key }));
    };
    for (topic, fanout) in tapped.topics.iter().zip(&fanouts) {
        // Of a topic exchange, the second pattern covers the first, and a message that fits both comes once.
        bind(&tapped.exchange, topic.clone());
        bind(&tapped.exchange, format!("{topic}.#"));
        bind(fanout, topic.clone());
    }
    topology.queues.extend([name, dropped]);
    topology
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_declares_no_exchange_and_nothing_that_outlives_it() {
        let tapped = Tapped { exchange: "nova".into(), topics: vec!["a".into(), "b".into()] };
        let topology = tap(&tapped);
        let (mut bound, mut queues) = (Vec::new(), 0);
        for declaration in &topology.declarations {
            match declaration {
                Declaration::Exchange(exchange) => assert_eq!(exchange.kind, super::super::ExchangeKind::Others),
                Declaration::Queue(queue) => {
                    assert!(queue.exclusive && queue.auto_delete && !queue.durable);
                    assert!(queue.arguments.iter().any(|(name, _)| *name == "x-max-length"));
                    assert!(queue.arguments.iter().any(|(name, _)| *name == "x-max-length-bytes"));
                    queues += 1;
                }
                Declaration::Binding(binding) => bound.push((binding.exchange.as_str(), binding.key.as_str())),
            }
        }
        let expected =
            [("nova", "a"), ("nova", "a.#"), ("a_fanout", "a"), ("nova", "b"), ("nova", "b.#"), ("b_fanout", "b")];
        assert_eq!((bound.as_slice(), queues), (&expected[..], 2));
        assert_ne!(tap(&tapped).queues, topology.queues);
    }
}
