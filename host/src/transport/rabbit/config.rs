//! The settings of `[rabbit]`, by the names that oslo.messaging gives them in `[oslo_messaging_rabbit]`.
//!
//! Before it: the configuration file fills [`Config`], the query of the transport URL overrides it
//! ([`Config::apply`]). After it: [`super::Client`].

use std::time::Duration;

use crate::transport::topology::Options;

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
    /// How long one host may take to accept, shake hands and answer declarations. A node that is stopped accepts and
    /// then says nothing.
    pub connect_timeout: Duration,
}

/// An option in the query of a transport URL that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// No such option.
    #[error("no option `{0}` in the transport URL; `[rabbit]` has the same ones")]
    Unknown(String),
    /// One that oslo.messaging has and we do not.
    #[error("option `{0}` of oslo.messaging is not supported; take it out of the transport URL")]
    Unsupported(String),
    /// A value that its option does not take.
    #[error("option `{name}` in the transport URL must be {expected}")]
    Value {
        /// The option.
        name: String,
        /// What it takes.
        expected: &'static str,
    },
}

/// Options that oslo.messaging knows. To ignore one silently would be worse than to refuse it: nobody wants TLS to be
/// off because its option is unknown.
const UNSUPPORTED: [&str; 23] = [
    "conn_pool_min_size",
    "conn_pool_ttl",
    "direct_mandatory_flag",
    "enable_cancel_on_failover",
    "heartbeat_rate",
    "hostname",
    "kombu_compression",
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
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        }
    }
}

impl Config {
    /// Overrides settings with the options of a transport URL.
    ///
    /// # Errors
    ///
    /// The first option that does not exist or whose value does not fit. Those before it are applied.
    pub fn apply(&mut self, options: &[(String, String)]) -> Result<(), OptionError> {
        options.iter().try_for_each(|(name, value)| self.set(name, value))
    }

    /// Sets one option by its name, as text in oslo.messaging's notation: durations are seconds.
    ///
    /// # Errors
    ///
    /// An option that does not exist, or a value that does not fit.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), OptionError> {
        let declare = &mut self.declare;
        let fits = match name {
            "amqp_durable_queues" => flag(&mut declare.amqp_durable_queues, value),
            "amqp_auto_delete" => flag(&mut declare.amqp_auto_delete, value),
            "rabbit_quorum_queue" => flag(&mut declare.rabbit_quorum_queue, value),
            "rabbit_transient_quorum_queue" => flag(&mut declare.rabbit_transient_quorum_queue, value),
            "rabbit_quorum_delivery_limit" => number(&mut declare.rabbit_quorum_delivery_limit, value),
            "rabbit_quorum_max_memory_length" => number(&mut declare.rabbit_quorum_max_memory_length, value),
            "rabbit_quorum_max_memory_bytes" => number(&mut declare.rabbit_quorum_max_memory_bytes, value),
            "rabbit_ha_queues" => flag(&mut declare.rabbit_ha_queues, value),
            "rabbit_transient_queues_ttl" => seconds(&mut declare.rabbit_transient_queues_ttl, value),
            "heartbeat_timeout_threshold" => seconds(&mut self.heartbeat_timeout_threshold, value),
            "rabbit_retry_interval" => seconds(&mut self.rabbit_retry_interval, value),
            "rabbit_retry_backoff" => seconds(&mut self.rabbit_retry_backoff, value),
            "rabbit_interval_max" => seconds(&mut self.rabbit_interval_max, value),
            "kombu_reconnect_delay" => fraction(&mut self.kombu_reconnect_delay, value),
            "connect_timeout" => fraction(&mut self.connect_timeout, value),
            name if UNSUPPORTED.contains(&name) => return Err(OptionError::Unsupported(name.to_owned())),
            name => return Err(OptionError::Unknown(name.to_owned())),
        };
        fits.map_err(|expected| OptionError::Value { name: name.to_owned(), expected })
    }
}

/// Reads a boolean in the notations that oslo.config takes.
fn flag(setting: &mut bool, value: &str) -> Result<(), &'static str> {
    *setting = match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "yes" => true,
        "false" | "0" | "off" | "no" => false,
        _ => return Err("true or false"),
    };
    Ok(())
}

fn number(setting: &mut u32, value: &str) -> Result<(), &'static str> {
    *setting = value.parse().map_err(|_| "a whole number from 0 to 4294967295")?;
    Ok(())
}

fn seconds(setting: &mut Duration, value: &str) -> Result<(), &'static str> {
    let mut seconds = 0;
    number(&mut seconds, value).map_err(|_| "a whole number of seconds")?;
    *setting = Duration::from_secs(seconds.into());
    Ok(())
}

fn fraction(setting: &mut Duration, value: &str) -> Result<(), &'static str> {
    let seconds: f64 = value.parse().map_err(|_| "a number of seconds")?;
    *setting = Duration::try_from_secs_f64(seconds).map_err(|_| "a number of seconds")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(name: &str, value: &str) -> Result<Config, OptionError> {
        let mut config = Config::default();
        config.apply(&[(name.to_owned(), value.to_owned())]).map(|()| config)
    }

    #[test]
    fn every_option_of_the_url_reaches_its_field() {
        for flag in ["true", "TRUE", "1", "on", "yes"] {
            assert!(applied("rabbit_quorum_queue", flag).unwrap().declare.rabbit_quorum_queue, "{flag}");
        }
        let all = [
            ("amqp_durable_queues", "true"),
            ("amqp_auto_delete", "true"),
            ("rabbit_quorum_queue", "true"),
            ("rabbit_transient_quorum_queue", "true"),
            ("rabbit_quorum_delivery_limit", "1"),
            ("rabbit_quorum_max_memory_length", "2"),
            ("rabbit_quorum_max_memory_bytes", "3"),
            ("rabbit_ha_queues", "true"),
            ("rabbit_transient_queues_ttl", "4"),
            ("heartbeat_timeout_threshold", "5"),
            ("rabbit_retry_interval", "6"),
            ("rabbit_retry_backoff", "7"),
            ("rabbit_interval_max", "8"),
            ("kombu_reconnect_delay", "0.5"),
            ("connect_timeout", "9"),
        ];
        let mut config = Config::default();
        for (name, value) in all {
            let before = config.clone();
            config.set(name, value).unwrap();
            assert_ne!(config, before, "{name}");
        }
        assert_eq!(config.kombu_reconnect_delay, Duration::from_millis(500));
        assert_eq!(config.declare.rabbit_transient_queues_ttl, Duration::from_secs(4));
    }

    #[test]
    fn what_does_not_exist_or_does_not_fit_is_an_error_that_names_it() {
        for (name, value, message) in [
            // The plural is the typing mistake that oslo.messaging ignores.
            ("rabbit_quorum_queues", "true", "no option `rabbit_quorum_queues`"),
            ("ssl", "true", "option `ssl` of oslo.messaging is not supported"),
            ("rabbit_quorum_queue", "", "`rabbit_quorum_queue` in the transport URL must be true or false"),
            ("rabbit_retry_interval", "-1", "must be a whole number of seconds"),
            ("heartbeat_timeout_threshold", "1.5", "must be a whole number of seconds"),
            ("connect_timeout", "nan", "must be a number of seconds"),
            ("kombu_reconnect_delay", "-1", "must be a number of seconds"),
        ] {
            let error = applied(name, value).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
