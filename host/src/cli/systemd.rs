//! What systemd is told where it asks for that: `Type=notify` or `notify-reload`, and `WatchdogSec=`.
//!
//! Before it: [`super::serve`] starts it. After it: the socket that `NOTIFY_SOCKET` names. Without one nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::metrics::{Metrics, Phase, health::Health};

/// How often it is looked whether there is news.
const LOOK: Duration = Duration::from_millis(500);

/// How much longer systemd is to wait for a service that starts, each time it is looked: large handlers are compiled, and a
/// broker that is away at boot is waited for.
const STARTING: Duration = Duration::from_secs(30);

/// Time for systemd to take a message that is not part of looking.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells systemd how the service is for as long as this is kept.
#[derive(Debug)]
pub(super) struct Systemd {
    metrics: Metrics,
    task: Option<AbortOnDropHandle<()>>,
}

impl Systemd {
    /// Begins to tell, where there is somebody to tell.
    pub(super) fn start(metrics: Metrics) -> Self {
        let is_asked = std::env::var_os("NOTIFY_SOCKET").is_some();
        let watchdog = sd_notify::watchdog_enabled();
        let task = is_asked.then(|| AbortOnDropHandle::new(tokio::spawn(tell(metrics.clone(), watchdog))));
        Self { metrics, task }
    }

    /// The service stops.
    pub(super) async fn stopping(&self) {
        self.say(&[NotifyState::Stopping, NotifyState::Status("stopping")]).await;
    }

    /// The service looks at its files anew, until `done`. One that does not serve yet is not ready after that either.
    pub(super) async fn reloading(&self, done: impl Future<Output = ()>) {
        if self.metrics.phase() != Phase::Serving {
            return done.await;
        }
        let now = NotifyState::monotonic_usec_now().ok();
        self.say(&[NotifyState::Reloading].into_iter().chain(now).collect::<Vec<_>>()).await;
        done.await;
        self.say(&[NotifyState::Ready]).await;
    }

    async fn say(&self, states: &[NotifyState<'_>]) {
        if self.task.is_some() {
            timeout(PATIENCE, send(states)).await.ok();
        }
    }
}

async fn tell(metrics: Metrics, watchdog: Option<Duration>) {
    let mut looks = interval(watchdog.map_or(LOOK, |watchdog| LOOK.min(watchdog / 2)));
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        looks.tick().await;
        let (health, phase) = (metrics.health(), metrics.phase());
        if health.phase != phase.as_str() {
            // Between the two; the next look sees one.
            continue;
        }
        let news = told.news(phase, status(&health), watchdog.is_some());
        if !news.is_empty() {
            send(&news).await;
        }
    }
}

/// What has been told.
#[derive(Debug, Default)]
struct Told {
    is_ready: bool,
    status: String,
}

impl Told {
    /// What there is to tell.
    fn news(&mut self, phase: Phase, status: String, has_watchdog: bool) -> Vec<NotifyState<'_>> {
        let mut news = Vec::new();
        if has_watchdog {
            news.push(NotifyState::Watchdog);
        }
        match phase {
            Phase::Loading | Phase::Connecting => {
                news.push(NotifyState::ExtendTimeoutUsec(u32::try_from(STARTING.as_micros()).unwrap_or(u32::MAX)));
            }
            Phase::Serving if !std::mem::replace(&mut self.is_ready, true) => news.push(NotifyState::Ready),
            Phase::Serving | Phase::Stopping => {}
        }
        if self.status != status {
            self.status = status;
            news.push(NotifyState::Status(&self.status));
        }
        news
    }
}

/// Sends in a thread that may wait: nothing is known of who reads.
async fn send(states: &[NotifyState<'_>]) {
    let text = states.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let sent = tokio::task::spawn_blocking(move || sd_notify::notify(&[NotifyState::Custom(&text)])).await;
    if let Ok(Err(error)) = sent {
        tracing::debug!(%error, "systemd was not told how the service is");
    }
}

/// The line that `systemctl status` shows.
fn status(health: &Health) -> String {
    let Health { missing, handlers, in_flight, .. } = health;
    match missing.as_slice() {
        [] => format!("serving; handlers: {handlers}, requests in flight: {in_flight}"),
        missing => missing.join("; "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(told: &mut Told, phase: Phase, status: &str) -> Vec<String> {
        told.news(phase, status.to_owned(), false).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn systemd_is_told_what_is_new_and_to_wait_while_the_service_starts() {
        let mut told = Told::default();
        let wait = "EXTEND_TIMEOUT_USEC=30000000";
        assert_eq!(news(&mut told, Phase::Loading, "a"), [wait, "STATUS=a"]);
        assert_eq!(news(&mut told, Phase::Connecting, "a"), [wait]);
        assert_eq!(news(&mut told, Phase::Serving, "b"), ["READY=1", "STATUS=b"]);
        assert_eq!(news(&mut told, Phase::Serving, "b"), [] as [&str; 0]);
        assert_eq!(news(&mut told, Phase::Stopping, "c"), ["STATUS=c"]);
        let watched = told.news(Phase::Serving, "c".to_owned(), true);
        assert_eq!(watched.iter().map(ToString::to_string).collect::<Vec<_>>(), ["WATCHDOG=1"]);
    }
}
