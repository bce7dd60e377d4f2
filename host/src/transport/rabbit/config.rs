//! The settings of `[rabbit]`, by the names that oslo.messaging gives them in `[oslo_messaging_rabbit]`.
//!
//! Before it: [`crate::config`], which sets the query of the transport URL over the file. After it: [`super::Client`].

use std::time::Duration;

use crate::{
    compression::Compression,
    settings::{Setting, Settings},
    transport::topology::Options,
};

/// The longest duration that an option takes: AMQP's heartbeat has 16 bits, and RabbitMQ's `x-expires` in milliseconds 32.
const MAX_SECONDS: f64 = 65_535.0;

/// `heartbeat_timeout_threshold`, as in oslo.messaging.
pub const DEFAULT_HEARTBEAT_TIMEOUT_THRESHOLD: Duration = Duration::from_secs(60);

/// `rabbit_retry_interval`, as in oslo.messaging.
pub const DEFAULT_RABBIT_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// `rabbit_retry_backoff`, as in oslo.messaging.
pub const DEFAULT_RABBIT_RETRY_BACKOFF: Duration = Duration::from_secs(2);

/// `rabbit_interval_max`, as in oslo.messaging.
pub const DEFAULT_RABBIT_INTERVAL_MAX: Duration = Duration::from_secs(30);

/// `kombu_reconnect_delay`, as in oslo.messaging.
pub const DEFAULT_KOMBU_RECONNECT_DELAY: Duration = Duration::from_secs(1);

/// `connect_timeout`: oslo.messaging's, which has no option for it.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How RabbitMQ is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How exchanges and queues are declared.
    pub declare: Options,
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
    /// How what we send is compressed; what we receive says so itself.
    pub kombu_compression: Option<Compression>,
    /// How long one host may take to accept and shake hands. A node that is stopped accepts and
    /// then says nothing.
    pub connect_timeout: Duration,
}

/// Options that oslo.messaging knows. To ignore one silently would be worse than to refuse it: nobody wants TLS to be
/// off because its option is unknown.
const UNSUPPORTED: [&str; 22] = [
    "conn_pool_min_size",
    "conn_pool_ttl",
    "direct_mandatory_flag",
    "enable_cancel_on_failover",
    "heartbeat_rate",
    "hostname",
    "kombu_failover_strategy",
    "kombu_missing_consumer_retry_timeout",
    "kombu_reconnect_splay",
    "processname",
    "rabbit_login_method",
    "rabbit_qos_prefetch_count",
    "rabbit_stream_fanout",
    "rpc_conn_pool_size",
    "ssl",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_enforce_fips_mode",
    "ssl_enforce_hostname_verification",
    "ssl_key_file",
    "ssl_version",
    "use_queue_manager",
];

impl Default for Config {
    fn default() -> Self {
        Self {
            declare: Options::default(),
            heartbeat_timeout_threshold: DEFAULT_HEARTBEAT_TIMEOUT_THRESHOLD,
            rabbit_retry_interval: DEFAULT_RABBIT_RETRY_INTERVAL,
            rabbit_retry_backoff: DEFAULT_RABBIT_RETRY_BACKOFF,
            rabbit_interval_max: DEFAULT_RABBIT_INTERVAL_MAX,
            kombu_reconnect_delay: DEFAULT_KOMBU_RECONNECT_DELAY,
            kombu_compression: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        }
    }
}

impl Config {
    /// Takes the section `rabbit`, in which the transport URL's query has been set over the file.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let Self {
            declare,
            heartbeat_timeout_threshold,
            rabbit_retry_interval,
            rabbit_retry_backoff,
            rabbit_interval_max,
            kombu_reconnect_delay,
            kombu_compression: _,
            connect_timeout,
        } = Self::default();
        let declare = Options {
            amqp_durable_queues: settings.take("rabbit.amqp_durable_queues", declare.amqp_durable_queues),
            amqp_auto_delete: settings.take("rabbit.amqp_auto_delete", declare.amqp_auto_delete),
            rabbit_quorum_queue: settings.take("rabbit.rabbit_quorum_queue", declare.rabbit_quorum_queue),
            rabbit_transient_quorum_queue: settings
                .take("rabbit.rabbit_transient_quorum_queue", declare.rabbit_transient_quorum_queue),
            rabbit_quorum_delivery_limit: settings
                .take("rabbit.rabbit_quorum_delivery_limit", declare.rabbit_quorum_delivery_limit),
            rabbit_quorum_max_memory_length: settings
                .take("rabbit.rabbit_quorum_max_memory_length", declare.rabbit_quorum_max_memory_length),
            rabbit_quorum_max_memory_bytes: settings
                .take("rabbit.rabbit_quorum_max_memory_bytes", declare.rabbit_quorum_max_memory_bytes),
            rabbit_ha_queues: settings.take("rabbit.rabbit_ha_queues", declare.rabbit_ha_queues),
            rabbit_transient_queues_ttl: seconds(
                settings,
                "rabbit.rabbit_transient_queues_ttl",
                declare.rabbit_transient_queues_ttl,
            ),
        };
        if let Some(conflict) = declare.conflict() {
            settings.problem("rabbit", conflict);
        }
        let config = Self {
            declare,
            heartbeat_timeout_threshold: seconds(
                settings,
                "rabbit.heartbeat_timeout_threshold",
                heartbeat_timeout_threshold,
            ),
            rabbit_retry_interval: seconds(settings, "rabbit.rabbit_retry_interval", rabbit_retry_interval),
            rabbit_retry_backoff: seconds(settings, "rabbit.rabbit_retry_backoff", rabbit_retry_backoff),
            rabbit_interval_max: seconds(settings, "rabbit.rabbit_interval_max", rabbit_interval_max),
            kombu_reconnect_delay: seconds(settings, "rabbit.kombu_reconnect_delay", kombu_reconnect_delay),
            kombu_compression: settings.take_optional("rabbit.kombu_compression"),
            connect_timeout: seconds(settings, "rabbit.connect_timeout", connect_timeout),
        };
        for option in UNSUPPORTED {
            settings
                .refuse(&format!("rabbit.{option}"), "an option of oslo.messaging that is not supported; take it out");
        }
        config
    }
}

/// Takes a duration in oslo.messaging's notation, a number of seconds.
fn seconds(settings: &mut Settings, key: &str, default: Duration) -> Duration {
    settings.take(key, Seconds(default)).0
}

/// A number of seconds, which may have a fraction.
struct Seconds(Duration);

impl Setting for Seconds {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not a number of seconds from 0 to {MAX_SECONDS}");
        let seconds: f64 = text.trim().parse().map_err(|_| expected())?;
        if !(0.0..=MAX_SECONDS).contains(&seconds) {
            return Err(expected());
        }
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|_| expected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Config, String> {
        let mut settings = Settings::default();
        for (name, value) in options {
            settings.set(&format!("rabbit.{name}"), *value);
        }
        let config = Config::read(&mut settings);
        settings.finish().map(|_| config).map_err(|problems| problems.to_string())
    }

    #[test]
    fn every_option_reaches_its_field() {
        let all = [
            ("amqp_durable_queues", "true"),
            ("amqp_auto_delete", "on"),
            ("rabbit_quorum_queue", "True"),
            ("rabbit_transient_quorum_queue", "1"),
            ("rabbit_quorum_delivery_limit", "1"),
            ("rabbit_quorum_max_memory_length", "2"),
            ("rabbit_quorum_max_memory_bytes", "3"),
            ("rabbit_ha_queues", "yes"),
            ("rabbit_transient_queues_ttl", "4"),
            ("heartbeat_timeout_threshold", "5"),
            ("rabbit_retry_interval", "6"),
            ("rabbit_retry_backoff", "7"),
            ("rabbit_interval_max", "8"),
            ("kombu_reconnect_delay", "0.5"),
            ("kombu_compression", "bz2"),
            ("connect_timeout", "9"),
        ];
        for option in all {
            assert_ne!(read(&[option]).unwrap(), Config::default(), "{option:?}");
        }
        let config = read(&[("kombu_reconnect_delay", "0.5"), ("rabbit_transient_queues_ttl", "4")]).unwrap();
        assert_eq!(config.kombu_reconnect_delay, Duration::from_millis(500));
        assert_eq!(config.declare.rabbit_transient_queues_ttl, Duration::from_secs(4));
    }

    #[test]
    fn what_does_not_exist_or_does_not_fit_is_an_error_that_names_it() {
        for (options, message) in [
            // The plural is the typing mistake that oslo.messaging ignores.
            (vec![("rabbit_quorum_queues", "true")], "did you mean rabbit.rabbit_quorum_queue?"),
            (vec![("ssl", "true")], "rabbit.ssl: an option of oslo.messaging that is not supported"),
            (vec![("kombu_compression", "zip")], "it takes gzip"),
            (vec![("rabbit_retry_interval", "-1")], "not a number of seconds"),
            (vec![("connect_timeout", "nan")], "not a number of seconds"),
            (vec![("amqp_auto_delete", "true"), ("rabbit_quorum_queue", "true")], "exclude each other"),
        ] {
            let error = read(&options).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
    }
}
