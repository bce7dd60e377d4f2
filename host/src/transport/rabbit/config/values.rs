//! What the values of options are, in oslo.messaging's notation.

use std::time::Duration;

use lapin::uri::SASLMechanism;

use crate::settings::{Setting, Settings};

/// The longest duration that an option takes: AMQP's heartbeat has 16 bits, and RabbitMQ's `x-expires` in milliseconds 32.
const MAX_SECONDS: f64 = 65_535.0;

/// How we say who we are, by the names of SASL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoginMethod {
    /// User and password in a table.
    #[default]
    AmqPlain,
    /// User and password.
    Plain,
    /// Our TLS certificate.
    External,
    /// User and password in two steps, which RabbitMQ has for demonstration.
    RabbitCrDemo,
}

/// In which order hosts are tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailoverStrategy {
    /// In an order that each process draws once.
    #[default]
    RoundRobin,
    /// In an order that is drawn for each round.
    Shuffle,
}

/// Takes a duration in oslo.messaging's notation, a number of seconds.
pub(super) fn seconds(settings: &mut Settings, key: &str, default: Duration) -> Duration {
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

impl Setting for LoginMethod {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().to_ascii_uppercase().as_str() {
            "AMQPLAIN" => Ok(Self::AmqPlain),
            "PLAIN" => Ok(Self::Plain),
            "EXTERNAL" => Ok(Self::External),
            "RABBIT-CR-DEMO" => Ok(Self::RabbitCrDemo),
            _ => Err(format!("{text:?} is none of AMQPLAIN, PLAIN, EXTERNAL and RABBIT-CR-DEMO")),
        }
    }
}

impl From<LoginMethod> for SASLMechanism {
    fn from(method: LoginMethod) -> Self {
        match method {
            LoginMethod::AmqPlain => Self::AMQPlain,
            LoginMethod::Plain => Self::Plain,
            LoginMethod::External => Self::External,
            LoginMethod::RabbitCrDemo => Self::RabbitCrDemo,
        }
    }
}

impl Setting for FailoverStrategy {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim() {
            "round-robin" => Ok(Self::RoundRobin),
            "shuffle" => Ok(Self::Shuffle),
            _ => Err(format!("{text:?} is neither round-robin nor shuffle")),
        }
    }
}
