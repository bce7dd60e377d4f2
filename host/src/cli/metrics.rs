//! `nova-host metrics`: what a running host counts, over its control socket.

use std::time::Duration;

use super::{Options, running::ask, say};
use crate::control::protocol::{ControlAnswer, ControlRequest};

/// It is asked for on this machine, and is there at once.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let config = options.load(&[("log", "off")])?;
    match ask(&config, &ControlRequest::Metrics {}, PATIENCE).await? {
        ControlAnswer::Metrics { text } => say(text.trim_end()),
        other => anyhow::bail!("the host answered {other:?}"),
    }
    Ok(())
}
