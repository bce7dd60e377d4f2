//! The settings of `[rabbit]`, by the names that oslo.messaging gives them in `[oslo_messaging_rabbit]`.
//!
//! Before it: [`crate::config`], which sets the query of the transport URL over the file. After it: [`super::Client`].
//! `docs/rabbitmq.md` says of each option what it does here, and README's table has them all.

mod values;

use std::{num::NonZeroU16, time::Duration};

use crate::{compression::Compression, settings::Settings, transport::topology::Options};

use super::{names, wire::tls::Tls};
use values::seconds;
pub use values::{FailoverStrategy, LoginMethod};

/// `heartbeat_timeout_threshold`: a sixth of oslo.messaging's, within the range that RabbitMQ's documentation recommends
/// (5 to 20 s). A node that freezes holds up its calls for twice as long, and so does a host whose power is cut with the
/// requests that it has: two minutes would be more than most callers wait.
pub const DEFAULT_HEARTBEAT_TIMEOUT_THRESHOLD: Duration = Duration::from_secs(10);

/// `rabbit_retry_interval`, as in oslo.messaging.
pub const DEFAULT_RABBIT_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// `rabbit_retry_backoff`, as in oslo.messaging.
pub const DEFAULT_RABBIT_RETRY_BACKOFF: Duration = Duration::from_secs(2);

/// `rabbit_interval_max`, as in oslo.messaging.
pub const DEFAULT_RABBIT_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// `kombu_reconnect_delay`, as in oslo.messaging.
pub const DEFAULT_KOMBU_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// `kombu_missing_consumer_retry_timeout`, as in oslo.messaging.
pub const DEFAULT_KOMBU_MISSING_CONSUMER_RETRY_TIMEOUT: Duration = Duration::from_secs(60);

/// `connect_timeout`: oslo.messaging's, which has no option for it.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How RabbitMQ is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How exchanges and queues are declared.
    pub declare: Options,
    /// How connections are encrypted; `None` where they are not.
    pub tls: Option<Tls>,
    /// How we say who we are.
    pub rabbit_login_method: LoginMethod,
    /// At most so many unsettled messages for each queue, also where `max_in_flight` is more. `None` sets no bound.
    pub rabbit_qos_prefetch_count: Option<NonZeroU16>,
    /// Names for fanout and reply queues that a process has again after a restart (`use_queue_manager`).
    pub queue_names: Option<names::Config>,
    /// The heartbeat asked for in the handshake, in whole seconds up to 65,535. A connection that is silent for twice
    /// as long is lost. Zero leaves it to the broker.
    pub heartbeat_timeout_threshold: Duration,
    /// The longest wait after the first round over all hosts that failed. Every wait is random, from nothing to this:
    /// services that lost the same broker must not come back at the same moment.
    pub rabbit_retry_interval: Duration,
    /// What each further failed round adds to the longest wait.
    pub rabbit_retry_backoff: Duration,
    /// Where the longest wait stops to grow.
    pub rabbit_interval_max: Duration,
    /// The longest wait between the loss of a connection and the first round; random as well.
    pub kombu_reconnect_delay: Duration,
    /// What is added to that wait at the most.
    pub kombu_reconnect_splay: Duration,
    /// In which order the hosts are tried.
    pub kombu_failover_strategy: FailoverStrategy,
    /// How long a reply is tried whose queue is missing.
    pub kombu_missing_consumer_retry_timeout: Duration,
    /// Whether the broker says that a reply's queue is missing. Without it, such a reply is dropped.
    pub direct_mandatory_flag: bool,
    /// How what we send is compressed; what we receive says so itself.
    pub kombu_compression: Option<Compression>,
    /// How long one host may take to accept and shake hands. A node that is stopped accepts and
    /// then says nothing.
    pub connect_timeout: Duration,
}

/// Options that oslo.messaging had, and what to do instead.
const REMOVED: [(&str, &str); 15] = [
    ("fake_rabbit", "use transport_url = \"memory://\""),
    ("heartbeat_in_pthread", "take it out; heartbeats never wait for requests"),
    ("kombu_ssl_ca_certs", "use ssl_ca_file"),
    ("kombu_ssl_certfile", "use ssl_cert_file"),
    ("kombu_ssl_keyfile", "use ssl_key_file"),
    ("kombu_ssl_version", "use ssl_version"),
    ("rabbit_host", "use transport_url"),
    ("rabbit_hosts", "use transport_url"),
    ("rabbit_max_retries", "take it out; a lost broker is tried for ever"),
    ("rabbit_password", "use transport_url"),
    ("rabbit_port", "use transport_url"),
    ("rabbit_use_ssl", "use ssl"),
    ("rabbit_userid", "use transport_url"),
    ("rabbit_virtual_host", "use transport_url"),
    ("rpc_backend", "use transport_url"),
];

impl Default for Config {
    fn default() -> Self {
        Self {
            declare: Options::default(),
            tls: None,
            rabbit_login_method: LoginMethod::default(),
            rabbit_qos_prefetch_count: None,
            queue_names: None,
            heartbeat_timeout_threshold: DEFAULT_HEARTBEAT_TIMEOUT_THRESHOLD,
            rabbit_retry_interval: DEFAULT_RABBIT_RETRY_INTERVAL,
            rabbit_retry_backoff: DEFAULT_RABBIT_RETRY_BACKOFF,
            rabbit_interval_max: DEFAULT_RABBIT_INTERVAL_MAX,
            kombu_reconnect_delay: DEFAULT_KOMBU_RECONNECT_DELAY,
            kombu_reconnect_splay: Duration::ZERO,
            kombu_failover_strategy: FailoverStrategy::default(),
            kombu_missing_consumer_retry_timeout: DEFAULT_KOMBU_MISSING_CONSUMER_RETRY_TIMEOUT,
            direct_mandatory_flag: true,
            kombu_compression: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        }
    }
}

impl Config {
    /// Takes the section `rabbit`, in which the transport URL's query has been set over the file.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let default = Self::default();
        let declare = declarations(settings, default.declare);
        let prefetch = NonZeroU16::new(settings.take("rabbit.rabbit_qos_prefetch_count", 0));
        if declare.rabbit_stream_fanout && (prefetch.is_none() || !declare.rabbit_transient_quorum_queue) {
            settings.problem(
                "rabbit.rabbit_stream_fanout",
                "needs rabbit_qos_prefetch_count of more than 0 and rabbit_transient_quorum_queue = true",
            );
        }
        let config = Self {
            tls: Tls::read(settings),
            rabbit_login_method: settings.take("rabbit.rabbit_login_method", default.rabbit_login_method),
            rabbit_qos_prefetch_count: prefetch,
            queue_names: names::Config::read(settings, declare.use_queue_manager),
            heartbeat_timeout_threshold: seconds(
                settings,
                "rabbit.heartbeat_timeout_threshold",
                default.heartbeat_timeout_threshold,
            ),
            rabbit_retry_interval: seconds(settings, "rabbit.rabbit_retry_interval", default.rabbit_retry_interval),
            rabbit_retry_backoff: seconds(settings, "rabbit.rabbit_retry_backoff", default.rabbit_retry_backoff),
            rabbit_interval_max: seconds(settings, "rabbit.rabbit_interval_max", default.rabbit_interval_max),
            kombu_reconnect_delay: seconds(settings, "rabbit.kombu_reconnect_delay", default.kombu_reconnect_delay),
            kombu_reconnect_splay: seconds(settings, "rabbit.kombu_reconnect_splay", default.kombu_reconnect_splay),
            kombu_failover_strategy: settings.take("rabbit.kombu_failover_strategy", default.kombu_failover_strategy),
            kombu_missing_consumer_retry_timeout: seconds(
                settings,
                "rabbit.kombu_missing_consumer_retry_timeout",
                default.kombu_missing_consumer_retry_timeout,
            ),
            direct_mandatory_flag: settings.take("rabbit.direct_mandatory_flag", default.direct_mandatory_flag),
            kombu_compression: settings.take_optional("rabbit.kombu_compression"),
            connect_timeout: seconds(settings, "rabbit.connect_timeout", default.connect_timeout),
            declare,
        };
        accept_without_effect(settings);
        settings.refuse("rabbit.kombu_reconnect_timeout", "has a new name: kombu_missing_consumer_retry_timeout");
        for (option, instead) in REMOVED {
            settings.refuse(&format!("rabbit.{option}"), &format!("oslo.messaging has removed this option; {instead}"));
        }
        config
    }

    /// How many messages of a queue may be unsettled where the service could take `wanted`.
    #[must_use]
    pub(super) fn prefetch(&self, wanted: u16) -> u16 {
        self.rabbit_qos_prefetch_count.map_or(wanted, |most| wanted.min(most.get()))
    }
}

/// Takes what says how exchanges and queues are declared.
fn declarations(settings: &mut Settings, default: Options) -> Options {
    let declare = Options {
        amqp_durable_queues: settings.take("rabbit.amqp_durable_queues", default.amqp_durable_queues),
        amqp_auto_delete: settings.take("rabbit.amqp_auto_delete", default.amqp_auto_delete),
        rabbit_quorum_queue: settings.take("rabbit.rabbit_quorum_queue", default.rabbit_quorum_queue),
        rabbit_transient_quorum_queue: settings
            .take("rabbit.rabbit_transient_quorum_queue", default.rabbit_transient_quorum_queue),
        rabbit_quorum_delivery_limit: settings
            .take("rabbit.rabbit_quorum_delivery_limit", default.rabbit_quorum_delivery_limit),
        rabbit_quorum_max_memory_length: settings
            .take("rabbit.rabbit_quorum_max_memory_length", default.rabbit_quorum_max_memory_length),
        rabbit_quorum_max_memory_bytes: settings
            .take("rabbit.rabbit_quorum_max_memory_bytes", default.rabbit_quorum_max_memory_bytes),
        rabbit_ha_queues: settings.take("rabbit.rabbit_ha_queues", default.rabbit_ha_queues),
        rabbit_transient_queues_ttl: seconds(
            settings,
            "rabbit.rabbit_transient_queues_ttl",
            default.rabbit_transient_queues_ttl,
        ),
        rabbit_stream_fanout: settings.take("rabbit.rabbit_stream_fanout", default.rabbit_stream_fanout),
        use_queue_manager: settings.take("rabbit.use_queue_manager", default.use_queue_manager),
        enable_cancel_on_failover: settings.take("rabbit.enable_cancel_on_failover", default.enable_cancel_on_failover),
    };
    if let Some(conflict) = declare.conflict() {
        settings.problem("rabbit", conflict);
    }
    declare
}

/// Takes the options that have nothing to act on here: they tune a pool of connections, and there is one connection that
/// all publications share; or a timer of a heartbeat that sends as often as it must. What is given is still checked, and
/// the default is oslo.messaging's.
fn accept_without_effect(settings: &mut Settings) {
    settings.take("rabbit.rpc_conn_pool_size", 30u32);
    settings.take("rabbit.conn_pool_min_size", 2u32);
    settings.take("rabbit.conn_pool_ttl", 1200u32);
    settings.take_within("rabbit.heartbeat_rate", 3u32, 1..=u32::MAX);
}

#[cfg(test)]
mod tests;
