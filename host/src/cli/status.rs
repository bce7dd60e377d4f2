//! `nova-host status`: how a running host is, over its control socket, for people and for scripts.

use std::time::Duration;

use super::{Exit, Failed, Options, running::ask, say};
use crate::{
    control::protocol::{ControlAnswer, ControlRequest},
    metrics::health::{ConnectionHealth, Health},
};

/// It is asked for on this machine, and is there at once.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let config = options.load(&[("log", "off")])?;
    let health = match ask(&config, &ControlRequest::Status {}, PATIENCE).await? {
        ControlAnswer::Status(health) => health,
        other => anyhow::bail!("the host answered {other:?}"),
    };
    if options.json {
        say(serde_json::to_string(&health)?);
    } else {
        lines(&health).iter().for_each(say);
    }
    match health.ready {
        true => Ok(()),
        false => Err(Failed::new(Exit::NotReady, format!("it is not ready: {}", health.missing.join("; "))).into()),
    }
}

/// What people read.
fn lines(health: &Health) -> Vec<String> {
    let Health { ready, phase, version, process, handlers, in_flight, connections, .. } = health;
    let (minutes, seconds) = (health.uptime_seconds / 60, health.uptime_seconds % 60);
    let mut lines = vec![
        format!("ready        {}", if *ready { "yes" } else { "no" }),
        format!("phase        {phase}"),
        format!("version      {version}, process {process}, for {minutes} min {seconds} s"),
        format!("handlers     {handlers} served, {in_flight} requests in flight"),
    ];
    for (carries, connection) in connections {
        lines.push(format!("broker       {carries}: {}", told(*connection)));
    }
    lines
}

fn told(connection: ConnectionHealth) -> String {
    match connection {
        ConnectionHealth { made: 0, .. } => "not connected yet".to_owned(),
        ConnectionHealth { open: 0, made, .. } => format!("not connected (connections so far: {made})"),
        ConnectionHealth { blocked: 0, made, .. } => format!("connected (connections so far: {made})"),
        ConnectionHealth { made, .. } => {
            format!("blocked by the broker, which is short of memory or disk (connections so far: {made})")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_how_each_connection_is() {
        let of = |open, blocked, made| told(ConnectionHealth { open, blocked, made });
        assert_eq!(of(0, 0, 0), "not connected yet");
        assert_eq!(of(0, 0, 3), "not connected (connections so far: 3)");
        assert_eq!(of(1, 0, 3), "connected (connections so far: 3)");
        assert!(of(1, 1, 3).starts_with("blocked by the broker"));
    }
}
