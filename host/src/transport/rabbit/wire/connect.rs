//! Which host is tried when.
//!
//! Before it: [`super::super::Client`]. After it: [`super::link`] connects to the chosen host. All hosts are tried in turn
//! without a wait; when none answered, [`super::backoff`] says how long to wait before the next round.

use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    super::config::{Config, FailoverStrategy},
    backoff::{Backoff, jitter},
    link::Link,
};
use crate::transport::{
    connections::Connections,
    error::Error,
    publication::Retry,
    url::{Address, Host},
};

/// How long declarations may take: a quorum queue's takes seconds on a busy cluster, and to give up would only have it
/// begin again. A connection that is silent is lost by its heartbeat before.
const PREPARE_TIMEOUT: Duration = Duration::from_secs(60);

/// What RabbitMQ proposes where nobody has configured it, until a connection says more.
const DEFAULT_FRAME_MAX: usize = 131_072;

/// What a client connects to, and how.
#[derive(Debug)]
pub(crate) struct Connector {
    address: Address,
    /// The settings.
    pub(crate) config: Config,
    /// Which connections are ready.
    pub(crate) connections: Connections,
    /// The host that is tried next, counted on and on.
    cursor: AtomicUsize,
    /// Whether any connection was ever made.
    has_connected: AtomicBool,
    /// The bytes of a frame that the last connection has agreed on.
    frame_max: AtomicUsize,
    /// The rounds of all hosts that gave no connection to publish on.
    pub(crate) failed_rounds: watch::Sender<FailedRounds>,
}

/// What came of the rounds that failed.
#[derive(Clone, Debug, Default)]
pub(crate) struct FailedRounds {
    /// How many there were.
    pub(crate) count: u64,
    /// Why the last one failed.
    pub(crate) reason: String,
}

/// What a connection is for, for logs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Receives and settles.
    Consuming,
    /// Publishes.
    Publishing,
    /// Looks for something, and ends.
    Looking,
    /// Receives copies of what others send.
    Watching,
}

/// What a connection is made ready for.
pub(crate) trait Purpose: Sync {
    /// A connection that is ready.
    type Ready: Send;

    /// What it is called in logs.
    const ROLE: Role;

    /// Makes a new connection ready.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unreachable`].
    fn prepare(&self, link: Link) -> impl Future<Output = Result<Self::Ready, Error>> + Send;
}

/// What to do about a broker that refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Return the refusal when every host refuses: at start, an operator is watching. Where one does not answer, try so many
    /// more rounds.
    UntilRefused(Retry),
    /// Log it and go on: it worked before, and may be made to work again.
    Forever,
}

impl Connector {
    /// Takes the hosts in random order: many services with one URL spread over its hosts.
    pub(crate) fn new(mut address: Address, config: Config) -> Self {
        if address.mixed_credentials {
            tracing::warn!(%address, "hosts without credentials in the transport URL log in as guest");
        }
        fastrand::shuffle(&mut address.hosts);
        Self {
            address,
            config,
            connections: Connections::default(),
            cursor: AtomicUsize::new(0),
            has_connected: AtomicBool::new(false),
            frame_max: AtomicUsize::new(DEFAULT_FRAME_MAX),
            failed_rounds: watch::Sender::default(),
        }
    }

    /// [`Patience::Forever`] as soon as this client has had a connection.
    pub(crate) fn patience(&self) -> Patience {
        if self.has_connected.load(Ordering::Relaxed) {
            Patience::Forever
        } else {
            Patience::UntilRefused(Retry::Forever)
        }
    }

    /// The most bytes that a frame may have, as the last connection has agreed.
    pub(crate) fn frame_max(&self) -> usize {
        self.frame_max.load(Ordering::Relaxed)
    }

    /// Waits a random part of the configured delay after a loss.
    pub(crate) async fn pause_after_loss(&self) {
        let Config { kombu_reconnect_delay, kombu_reconnect_splay, .. } = self.config;
        tokio::time::sleep(jitter(kombu_reconnect_delay.saturating_add(kombu_reconnect_splay))).await;
    }

    /// Connects to a host and makes it ready; tries for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] and [`Error::Unreachable`], never with [`Patience::Forever`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the connection is closed.
    pub(crate) async fn connect<P: Purpose>(&self, purpose: &P, patience: Patience) -> Result<P::Ready, Error> {
        let role = P::ROLE;
        let mut backoff = Backoff::new(&self.config);
        let mut rounds: u32 = 0;
        loop {
            let (mut refusal, mut unreachable) = (None, None);
            for turn in self.round() {
                let Some(host) = turn.or_else(|| self.next_host()) else { continue };
                match self.attempt(host, purpose).await {
                    Ok(ready) => {
                        tracing::info!(broker = %host, ?role, "connected to RabbitMQ");
                        return Ok(ready);
                    }
                    Err(error @ Error::Refused { .. }) if patience != Patience::Forever => {
                        if let Some(earlier) = refusal.replace(error) {
                            tracing::error!(?role, "{earlier}");
                        }
                    }
                    Err(error) => {
                        match &error {
                            Error::Refused { .. } => tracing::error!(?role, "{error}; trying again"),
                            _ => tracing::warn!(?role, "{error}"),
                        }
                        unreachable = Some(error);
                    }
                }
            }
            match (refusal, &unreachable) {
                (Some(refusal), None) => return Err(refusal),
                // Another host may be back soon, and take us.
                (Some(refusal), Some(_)) => tracing::error!(?role, "{refusal}; waiting for the other hosts"),
                (None, _) => {}
            }
            if let Some(error) = unreachable {
                if let Role::Publishing = role {
                    self.note_failed_round(&error);
                }
                if let Patience::UntilRefused(Retry::Times(times)) = patience
                    && rounds >= times
                {
                    return Err(error);
                }
            }
            rounds = rounds.saturating_add(1);
            let wait = backoff.next();
            tracing::debug!(?role, wait_ms = wait.as_millis(), "no host of RabbitMQ answered; waiting");
            tokio::time::sleep(wait).await;
        }
    }

    /// Tells who publishes with bounded patience.
    fn note_failed_round(&self, error: &Error) {
        let reason = match error {
            Error::Unreachable { reason, .. } | Error::Refused { reason, .. } => reason.clone(),
            error => error.to_string(),
        };
        self.failed_rounds.send_modify(|rounds| *rounds = FailedRounds { count: rounds.count + 1, reason });
    }

    /// Connects to one host and makes it ready.
    async fn attempt<P: Purpose>(&self, host: &Host, purpose: &P) -> Result<P::Ready, Error> {
        let silent = |limit: Duration| {
            let reason = format!("no answer within {} s", limit.as_secs_f64());
            Error::Unreachable { broker: host.to_string(), reason }
        };
        let limit = self.config.connect_timeout;
        let open = Link::open(host, &self.address.virtual_host, &self.config);
        let link = tokio::time::timeout(limit, open).await.map_err(|_| silent(limit))??;
        self.has_connected.store(true, Ordering::Relaxed);
        self.frame_max.store(link.frame_max(), Ordering::Relaxed);
        let prepare = purpose.prepare(link);
        tokio::time::timeout(PREPARE_TIMEOUT, prepare).await.map_err(|_| silent(PREPARE_TIMEOUT))?
    }

    /// The hosts in an order drawn for this round, or `None` for each where the order is that of [`Connector::new`].
    fn round(&self) -> Vec<Option<&Host>> {
        let mut hosts: Vec<Option<&Host>> = self.address.hosts.iter().map(Some).collect();
        match self.config.kombu_failover_strategy {
            FailoverStrategy::RoundRobin => hosts.fill(None),
            FailoverStrategy::Shuffle => fastrand::shuffle(&mut hosts),
        }
        hosts
    }

    fn next_host(&self) -> Option<&Host> {
        let hosts = &self.address.hosts;
        let turn = self.cursor.fetch_add(1, Ordering::Relaxed);
        turn.checked_rem(hosts.len()).and_then(|index| hosts.get(index))
    }
}

/// For logs, without credentials.
impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Read, net::TcpListener};

    use super::*;
    use crate::transport::url::Url;

    /// Is content with any connection.
    struct Anything;

    impl Purpose for Anything {
        type Ready = ();

        const ROLE: Role = Role::Publishing;

        async fn prepare(&self, link: Link) -> Result<(), Error> {
            drop(link);
            Ok(())
        }
    }

    fn connector(url: &str) -> Connector {
        let Ok(Url::Rabbit(address)) = Url::parse(url) else { panic!("{url}") };
        Connector::new(address, Config { connect_timeout: Duration::from_millis(100), ..Config::default() })
    }

    #[test]
    fn a_round_is_every_host_once_in_an_order_of_its_own() {
        let orders: std::collections::BTreeSet<Vec<u16>> = (0..200)
            .map(|_| {
                let connector = connector("rabbit://h:1,h:2,h:3");
                let next = || connector.next_host().unwrap().port;
                let (first, second) = ([next(), next(), next()], [next(), next(), next()]);
                assert_eq!(first, second);
                first.to_vec()
            })
            .collect();
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn a_shuffled_round_is_every_host_once_in_a_new_order_each_time() {
        let mut connector = connector("rabbit://h:1,h:2,h:3");
        assert_eq!(connector.round(), [None, None, None]);
        connector.config.kombu_failover_strategy = FailoverStrategy::Shuffle;
        let orders: std::collections::BTreeSet<Vec<u16>> =
            (0..200).map(|_| connector.round().into_iter().map(|host| host.unwrap().port).collect()).collect();
        assert_eq!(orders.len(), 6);
        assert!(orders.iter().all(|order| order.iter().sum::<u16>() == 6));
    }

    #[tokio::test(start_paused = true)]
    async fn the_splay_is_a_real_wait_and_a_random_one() {
        let mut connector = connector("rabbit://h");
        connector.config.kombu_reconnect_splay = Duration::from_secs(40);
        let mut waits = Vec::new();
        for _ in 0..200 {
            let begun = tokio::time::Instant::now();
            connector.pause_after_loss().await;
            waits.push(begun.elapsed().as_secs());
        }
        assert!(waits.iter().any(|wait| *wait < 8) && waits.iter().any(|wait| *wait > 32), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait <= 41), "{waits:?}");
    }

    #[tokio::test]
    async fn a_host_that_accepts_and_stays_silent_is_given_up_and_hung_up_on() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connector = connector(&format!("rabbit://{}", listener.local_addr().unwrap()));
        let silent_host = std::thread::spawn(move || {
            let mut heard = Vec::new();
            listener.accept().unwrap().0.read_to_end(&mut heard).unwrap();
            heard
        });
        let attempt = connector.attempt(connector.next_host().unwrap(), &Anything).await;
        assert!(attempt.unwrap_err().to_string().ends_with("no answer within 0.1 s"));
        // lapin's greeting, and then the end.
        assert_eq!(silent_host.join().unwrap(), b"AMQP\0\0\x09\x01");
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let connector = connector(&format!("rabbit://nova:secret@{address}"));
        let error = connector.attempt(connector.next_host().unwrap(), &Anything).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot reach {address}: ")), "{error}");
    }
}
