//! The corridor's settings.

use std::time::Duration;

use crate::{catalog::Policy, dispatch, fair::extra, settings::Settings};

/// Requests at once: the reference's `executor_thread_pool_size`.
const DEFAULT_MAX_IN_FLIGHT: u16 = 64;

/// The most that is allowed: each reserves address space for its memories, 16 GiB of the 128 TiB that there are.
const MAX_IN_FLIGHT: u16 = 4096;

/// Time for requests in flight at shutdown. Kubernetes kills after 30 seconds (`terminationGracePeriodSeconds`), and what
/// comes after this time (giving back, deleting our queues, closing: [`crate::host::CLOSING`]) has to fit in as well.
const DEFAULT_GRACE_PERIOD: Duration = Duration::from_secs(25);

/// How often a request is begun. Less than the 20 deliveries after which a quorum queue of RabbitMQ 4 drops a message,
/// so that it is us who answer the caller; and enough for a day of rolling restarts.
const DEFAULT_MAX_ATTEMPTS: u32 = 10;

/// Requests in line: none, so that everything stays in the queue, in its order. ADR 35 says what has to be done before it can be
/// another number.
const DEFAULT_WAITING: u16 = 0;

/// The most requests in line: what the broker is asked for at once stays within AMQP's 16 bits.
const MAX_WAITING: u16 = 16_384;

/// The most that can be asked for; whoever wants more wants no bound.
const MAX_ATTEMPTS: u32 = 1000;

/// How the corridor is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Requests at once; permits and prefetch alike.
    pub max_in_flight: u16,
    /// How long requests in flight may take once the service is to stop; what is left is given back to the broker.
    pub grace_period: Duration,
    /// What dispatch needs to know.
    pub dispatch: dispatch::Options,
    /// How often a request may be delivered without coming to an end; 0 is without bound.
    pub max_attempts: u32,
    /// The name of this server, for what it sends on.
    pub server: String,
    /// Where dead letters go, if anywhere.
    pub dead_letters: Option<DeadLetters>,
    /// Whose turn it is.
    pub fair: Fair,
}

/// How requests that wait take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fair {
    /// How many may be taken from the broker to wait in line, beyond `max_in_flight`; 0 leaves all of them in their queue.
    pub waiting: u16,
    /// The entry of the context that tells callers apart; `None` is by their reply queues.
    pub by: Option<String>,
}

impl Default for Fair {
    fn default() -> Self {
        Self { waiting: DEFAULT_WAITING, by: None }
    }
}

/// Where dead letters go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// The exchange, which others declare.
    pub exchange: String,
    /// The routing key; `None` keeps the request's own.
    pub routing_key: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            grace_period: DEFAULT_GRACE_PERIOD,
            dispatch: dispatch::Options::default(),
            max_attempts: DEFAULT_MAX_ATTEMPTS,
            server: String::new(),
            dead_letters: None,
            fair: Fair::default(),
        }
    }
}

impl Config {
    /// Takes the settings.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let day = Duration::from_secs(86_400);
        let default = Self::default();
        Self {
            max_in_flight: settings.take_within("max_in_flight", default.max_in_flight, 1..=MAX_IN_FLIGHT),
            grace_period: settings.take_within("grace_period", default.grace_period, Duration::ZERO..=day),
            dispatch: dispatch::Options {
                policy: settings.take("delivery.policy", Policy::default()),
                ping: settings.take("rpc_ping_enabled", false),
            },
            max_attempts: settings.take_within("delivery.max_attempts", default.max_attempts, 0..=MAX_ATTEMPTS),
            server: String::new(),
            dead_letters: DeadLetters::read(settings),
            fair: Fair {
                waiting: settings.take_within("fair.waiting", DEFAULT_WAITING, 0..=MAX_WAITING),
                by: settings.take_optional("fair.by"),
            },
        }
    }

    /// How many are taken from a queue at once: a few more than run, to see whether there are others among those who wait.
    #[must_use]
    pub fn window(&self) -> u16 {
        match self.fair.waiting {
            0 => self.max_in_flight,
            _ => self.max_in_flight.saturating_add(extra(self.max_in_flight)),
        }
    }
}

impl DeadLetters {
    fn read(settings: &mut Settings) -> Option<Self> {
        let exchange = settings.take_optional("delivery.dead_letter_exchange");
        let routing_key = settings.take_optional("delivery.dead_letter_routing_key");
        if exchange.is_none() && routing_key.is_some() {
            settings
                .problem("delivery.dead_letter_routing_key", "has no meaning without delivery.dead_letter_exchange");
        }
        Some(Self { exchange: exchange?, routing_key })
    }
}
