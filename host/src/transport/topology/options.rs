//! The options by which things are declared, with oslo.messaging's names and defaults.
//!
//! Before it: the section `rabbit`. After it: [`super`] declares by them.

use std::time::Duration;

/// How long a queue that belongs to one process outlives it, unless configured.
pub const DEFAULT_TRANSIENT_QUEUES_TTL: Duration = Duration::from_secs(1800);

/// How things are declared. The fields have the names of oslo.messaging's options, the defaults are its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The control exchange and the queues of a topic survive a restart of the broker.
    pub amqp_durable_queues: bool,
    /// The control exchange and the queues of a topic go with their last user.
    pub amqp_auto_delete: bool,
    /// The queues of a topic are quorum queues; durable with their exchange.
    pub rabbit_quorum_queue: bool,
    /// Fanout and reply queues are quorum queues; durable with their exchange.
    pub rabbit_transient_quorum_queue: bool,
    /// How often a quorum queue delivers a message; 0 leaves it to the broker.
    pub rabbit_quorum_delivery_limit: u32,
    /// How many messages a quorum queue keeps in memory; 0 leaves it to the broker.
    pub rabbit_quorum_max_memory_length: u32,
    /// How many bytes of messages a quorum queue keeps in memory; 0 leaves it to the broker.
    pub rabbit_quorum_max_memory_bytes: u32,
    /// All queues ask for mirroring, as brokers before RabbitMQ 3.0 understood it.
    pub rabbit_ha_queues: bool,
    /// After how long without a consumer a fanout or reply queue goes; whole seconds, 0 is never. Also how long the
    /// stream of [`Options::rabbit_stream_fanout`] keeps a message.
    pub rabbit_transient_queues_ttl: Duration,
    /// The servers of a topic share one stream for its fanouts in place of a queue each.
    pub rabbit_stream_fanout: bool,
    /// Fanout and reply queues have names that a process has again after a restart, so they are not deleted at its end.
    pub use_queue_manager: bool,
    /// Consumers end when a mirrored queue moves, as brokers before RabbitMQ 4.0 understood it.
    pub enable_cancel_on_failover: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            amqp_durable_queues: false,
            amqp_auto_delete: false,
            rabbit_quorum_queue: false,
            rabbit_transient_quorum_queue: false,
            rabbit_quorum_delivery_limit: 0,
            rabbit_quorum_max_memory_length: 0,
            rabbit_quorum_max_memory_bytes: 0,
            rabbit_ha_queues: false,
            rabbit_transient_queues_ttl: DEFAULT_TRANSIENT_QUEUES_TTL,
            rabbit_stream_fanout: false,
            use_queue_manager: false,
            enable_cancel_on_failover: false,
        }
    }
}

impl Options {
    /// Why these options exclude each other, if they do: better said at start than by the broker at the first queue.
    #[must_use]
    pub fn conflict(&self) -> Option<&'static str> {
        if self.rabbit_ha_queues && (self.rabbit_quorum_queue || self.rabbit_transient_quorum_queue) {
            Some("rabbit_ha_queues and quorum queues exclude each other; a quorum queue is replicated already")
        } else if self.amqp_auto_delete && self.rabbit_quorum_queue {
            Some("amqp_auto_delete and rabbit_quorum_queue exclude each other; a quorum queue is never auto-delete")
        } else {
            None
        }
    }
}
