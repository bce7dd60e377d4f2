//! The signals that end a command in order, and the one that has a service look at its files.
//!
//! Used by the commands that run until they are told to stop.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM, which service managers send, and SIGINT, which ctrl-c sends.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("listening for signals");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for one of them, and gives its name.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

/// SIGHUP, which `systemctl reload` sends: it must not end a service.
pub(super) struct Hangup(Signal);

impl Hangup {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self(signal(SignalKind::hangup()).context("listening for signals")?))
    }

    /// Waits for it; false where it cannot come any more.
    pub(super) async fn next(&mut self) -> bool {
        self.0.recv().await.is_some()
    }
}
