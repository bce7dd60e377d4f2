//! Names, exchanges, queues and bindings, exactly as oslo.messaging declares them.
//!
//! Before it: the configuration gives [`Options`], [`super`] a [`Subscription`] or a [`Destination`]. After it: the
//! brokers, [`super::rabbit`] and [`super::memory`], do what is written here in the order in which it is written. Pure.
//!
//! Client and server must agree on the flags of the exchanges, the servers of a topic on those of its queues: a broker
//! refuses a second declaration that differs.

mod aside;
mod options;
mod tap;

use std::{borrow::Cow, time::Duration};

use super::destination::{Destination, Subscription};
pub use aside::{Aside, Change};
pub use options::{DEFAULT_TRANSIENT_QUEUES_TTL, Options};
pub use tap::{Tapped, tap};

/// One thing to declare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declaration {
    /// An exchange.
    Exchange(Exchange),
    /// A queue.
    Queue(Queue),
    /// A binding.
    Binding(Binding),
}

/// An exchange; neither internal nor passive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether it goes with its last binding.
    pub auto_delete: bool,
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeKind {
    /// By patterns over the routing key.
    Topic,
    /// To all queues.
    Fanout,
    /// To the queues that are bound with the routing key itself.
    Direct,
    /// However it likes: it is others' to declare, and only looked for.
    Others,
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Whether it survives a restart of the broker.
    pub durable: bool,
    /// Whether it goes with its last consumer.
    pub auto_delete: bool,
    /// Whether it is one connection's alone, and goes with that. None of the reference's is.
    pub exclusive: bool,
    /// Extensions by their names, in the reference's order.
    pub arguments: Vec<(&'static str, Argument)>,
}

impl Queue {
    /// Quorum queues and streams are durable, always.
    fn is_classic(&self) -> bool {
        self.arguments.iter().all(|(name, _)| *name != "x-queue-type")
    }
}

/// The value of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// A string.
    Text(Cow<'static, str>),
    /// An integer.
    Number(i64),
    /// A truth value.
    Switch(bool),
}

/// A binding of a queue to an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The queue.
    pub queue: String,
    /// The exchange.
    pub exchange: String,
    /// The routing key, or the pattern for it.
    pub key: String,
}

/// What a consumer needs: what to declare, what to consume, what to leave behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// What to declare, in this order.
    pub declarations: Vec<Declaration>,
    /// The queues to consume, in this order.
    pub queues: Vec<String>,
    /// Those of `queues` that belong to one process and are deleted when it ends.
    pub own_queues: Vec<String>,
    /// Those of `queues` that are streams: what is read from one stays, and a reader says where it begins.
    pub streams: Vec<String>,
    /// Extensions of every consumer.
    pub consumer_arguments: Vec<(&'static str, Argument)>,
}

impl Queue {
    /// Whether the broker counts how often it delivers a message of this queue: quorum queues do.
    #[must_use]
    pub fn counts_deliveries(&self) -> bool {
        self.arguments.contains(&("x-queue-type", Argument::Text("quorum".into())))
    }
}

impl Topology {
    /// What to declare for one of the queues: itself, its bindings, and the exchanges of those; in this order.
    #[must_use]
    pub fn declarations_of(&self, queue: &str) -> Vec<Declaration> {
        let is_bound = |exchange: &str| {
            self.declarations.iter().any(|declared| {
                matches!(declared, Declaration::Binding(binding) if binding.queue == queue && binding.exchange == exchange)
            })
        };
        let belongs = |declared: &&Declaration| match declared {
            Declaration::Exchange(exchange) => is_bound(&exchange.name),
            Declaration::Queue(declared) => declared.name == queue,
            Declaration::Binding(binding) => binding.queue == queue,
        };
        self.declarations.iter().filter(belongs).cloned().collect()
    }

    /// Whether the broker counts the deliveries of the queue at this position.
    #[must_use]
    pub fn counts_deliveries(&self, index: usize) -> bool {
        let Some(name) = self.queues.get(index) else { return false };
        self.declarations.iter().any(
            |declared| matches!(declared, Declaration::Queue(queue) if queue.name == *name && queue.counts_deliveries()),
        )
    }
}

/// Whether a broker has queues that are not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transient {
    /// As far as it has said.
    Permitted,
    /// It ends the connection at one.
    Denied,
}

/// Where a message is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What to declare first; none for the default exchange, which always exists.
    pub exchange: Option<Exchange>,
    /// The routing key.
    pub key: String,
}

impl Route {
    /// The name of the exchange; empty for the default one.
    #[must_use]
    pub fn exchange_name(&self) -> &str {
        self.exchange.as_ref().map_or("", |exchange| &exchange.name)
    }

    /// The exchange's name and the routing key.
    pub(crate) fn names(&self) -> (String, String) {
        (self.exchange_name().to_owned(), self.key.clone())
    }
}

/// What a server declares and consumes. `suffix` makes the name of each topic's fanout queue unique: 32 hexadecimal
/// digits, or a name of the queue manager's, that stay the same for as long as the subscription lasts.
#[must_use]
pub fn subscription(subscription: &Subscription, suffix: &str, options: &Options) -> Topology {
    let mut topology = Topology::new(options);
    for topic in &subscription.topics {
        for queue in [topic.clone(), server_queue(topic, &subscription.server)] {
            // Twice the same exchange: that is what the reference does.
            let exchange = control_exchange(&subscription.exchange, options);
            let name = format!("{}{queue}", subscription.queue_prefix);
            topology.add(exchange, topic_queue(name, options), queue);
        }
        let exchange = fanout_exchange(topic, options);
        let queue = if options.rabbit_stream_fanout {
            topology.streams.push(exchange.name.clone());
            stream(exchange.name.clone(), options)
        } else {
            transient_queue(format!("{topic}_fanout_{suffix}"), options)
        };
        if !options.rabbit_stream_fanout && !options.use_queue_manager {
            topology.own_queues.push(queue.name.clone());
        }
        topology.add(exchange, queue, topic.clone());
    }
    topology
}

/// What a caller declares and consumes: its reply queue, which the default exchange reaches by its name. The reference
/// leaves it at that since oslo.messaging 10.0, and servers before 9.2 cannot answer it: they publish to an exchange
/// named like the queue. So that is declared too, with the flags that they declare it with, whatever the queue's own
/// are. It goes with the queue.
#[must_use]
pub fn replies(queue: &str, options: &Options) -> Topology {
    let name = queue.to_owned();
    let exchange = Exchange { name: name.clone(), kind: ExchangeKind::Direct, durable: false, auto_delete: true };
    let binding = Binding { queue: name.clone(), exchange: name.clone(), key: name.clone() };
    let mut topology = Topology::new(options);
    topology.declarations.extend([
        Declaration::Queue(transient_queue(name.clone(), options)),
        Declaration::Exchange(exchange),
        Declaration::Binding(binding),
    ]);
    if !options.use_queue_manager {
        topology.own_queues.push(name.clone());
    }
    topology.queues.push(name);
    topology
}

/// Where a message for a destination is published.
#[must_use]
pub fn route(destination: &Destination, options: &Options) -> Route {
    match destination {
        Destination::Topic { exchange, topic } => {
            Route { exchange: Some(control_exchange(exchange, options)), key: topic.clone() }
        }
        Destination::Server { exchange, topic, server } => {
            Route { exchange: Some(control_exchange(exchange, options)), key: server_queue(topic, server) }
        }
        // The queue is bound with the topic as key, the message has none.
        Destination::Fanout { topic } => Route { exchange: Some(fanout_exchange(topic, options)), key: String::new() },
        Destination::Queue(queue) => Route { exchange: None, key: queue.clone() },
        Destination::Exchange { exchange, routing_key } => {
            Route { exchange: Some(others_exchange(exchange)), key: routing_key.clone() }
        }
    }
}

impl Topology {
    fn new(options: &Options) -> Self {
        let mut consumer_arguments = Vec::new();
        if options.enable_cancel_on_failover {
            consumer_arguments.push(("x-cancel-on-ha-failover", Argument::Switch(true)));
        }
        Self {
            declarations: Vec::new(),
            queues: Vec::new(),
            own_queues: Vec::new(),
            streams: Vec::new(),
            consumer_arguments,
        }
    }

    /// Whether any of the queues goes with a restart of the broker.
    #[must_use]
    pub fn has_transient_queues(&self) -> bool {
        self.declarations.iter().any(|declared| matches!(declared, Declaration::Queue(queue) if !queue.durable))
    }

    /// Goes on without durability where somebody has made an exchange without it, as the reference does: the exchange
    /// and the classic queues bound to it are not durable; or the exchange alone, where the broker denies such queues. False
    /// where nothing is to be changed.
    pub fn give_up_durability(&mut self, of: &str, queues: Transient) -> bool {
        let bound: Vec<String> = self
            .declarations
            .iter()
            .filter_map(|declaration| match declaration {
                Declaration::Binding(binding) if binding.exchange == of => Some(binding.queue.clone()),
                _ => None,
            })
            .collect();
        let mut changed = false;
        for declaration in &mut self.declarations {
            let durable = match declaration {
                Declaration::Exchange(exchange) if exchange.name == of => &mut exchange.durable,
                Declaration::Queue(queue)
                    if queues == Transient::Permitted && bound.contains(&queue.name) && queue.is_classic() =>
                {
                    &mut queue.durable
                }
                _ => continue,
            };
            changed |= std::mem::replace(durable, false);
        }
        changed
    }

    fn add(&mut self, exchange: Exchange, queue: Queue, key: String) {
        let binding = Binding { queue: queue.name.clone(), exchange: exchange.name.clone(), key };
        self.queues.push(queue.name.clone());
        self.declarations.push(Declaration::Exchange(exchange));
        self.declarations.push(Declaration::Queue(queue));
        self.declarations.push(Declaration::Binding(binding));
    }
}

fn server_queue(topic: &str, server: &str) -> String {
    format!("{topic}.{server}")
}

fn control_exchange(name: &str, options: &Options) -> Exchange {
    Exchange {
        name: name.to_owned(),
        kind: ExchangeKind::Topic,
        durable: options.amqp_durable_queues || options.rabbit_quorum_queue,
        auto_delete: options.amqp_auto_delete,
    }
}

/// The name of the exchange of a topic's fanouts.
#[must_use]
pub fn fanout_name(topic: &str) -> String {
    format!("{topic}_fanout")
}

/// The exchange depends on the topic only: services with the same topic on different control exchanges share it.
fn fanout_exchange(topic: &str, options: &Options) -> Exchange {
    Exchange {
        name: fanout_name(topic),
        kind: ExchangeKind::Fanout,
        durable: options.rabbit_transient_quorum_queue,
        auto_delete: true,
    }
}

/// An exchange that others have declared; only its name matters.
#[must_use]
pub fn others_exchange(name: &str) -> Exchange {
    Exchange { name: name.to_owned(), kind: ExchangeKind::Others, durable: false, auto_delete: false }
}

fn topic_queue(name: String, options: &Options) -> Queue {
    Queue {
        name,
        durable: options.amqp_durable_queues || options.rabbit_quorum_queue,
        auto_delete: options.amqp_auto_delete,
        exclusive: false,
        arguments: arguments(options.rabbit_quorum_queue, Duration::ZERO, options),
    }
}

fn transient_queue(name: String, options: &Options) -> Queue {
    let quorum = options.rabbit_transient_quorum_queue;
    let arguments = arguments(quorum, options.rabbit_transient_queues_ttl, options);
    Queue { name, durable: quorum, auto_delete: false, exclusive: false, arguments }
}

/// The reference declares no limits for it.
fn stream(name: String, options: &Options) -> Queue {
    let mut arguments = vec![("x-queue-type", Argument::Text("stream".into()))];
    let seconds = options.rabbit_transient_queues_ttl.as_secs();
    if seconds > 0 {
        arguments.push(("x-max-age", Argument::Text(format!("{seconds}s").into())));
    }
    Queue { name, durable: true, auto_delete: false, exclusive: false, arguments }
}

fn arguments(quorum: bool, expires: Duration, options: &Options) -> Vec<(&'static str, Argument)> {
    let mut arguments = Vec::new();
    let mut add_limit = |name, value: u64| {
        if value > 0 {
            arguments.push((name, Argument::Number(i64::try_from(value).unwrap_or(i64::MAX))));
        }
    };
    if quorum {
        add_limit("x-delivery-limit", options.rabbit_quorum_delivery_limit.into());
        add_limit("x-max-in-memory-length", options.rabbit_quorum_max_memory_length.into());
        add_limit("x-max-in-memory-bytes", options.rabbit_quorum_max_memory_bytes.into());
    }
    add_limit("x-expires", expires.as_secs().saturating_mul(1000));
    // Both at once are refused before anything is declared; see `Options::conflict`.
    if quorum {
        arguments.insert(0, ("x-queue-type", Argument::Text("quorum".into())));
    }
    if options.rabbit_ha_queues {
        arguments.insert(0, ("x-ha-policy", Argument::Text("all".into())));
    }
    arguments
}

#[cfg(test)]
mod tests;
