//! `nova-host log-level`: what a running host logs, asked and changed over its control socket.

use std::time::Duration;

use super::{Exit, Failed, Options, running::ask, say};
use crate::{
    control::protocol::{ControlAnswer, ControlRequest, LogLevels},
    levels::Levels,
};

/// It is done on this machine, and at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Arguments of `log-level`.
#[derive(Debug, clap::Args)]
pub(super) struct LogLevel {
    /// What to log from now on, as for --log: info, or info,handler=debug; without it, the levels in force are printed
    levels: Option<String>,
}

impl LogLevel {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", "off")])?;
        if let Some(levels) = &self.levels {
            // Before a host is asked, and with the same words.
            Levels::new(levels).map_err(|error| Failed::new(Exit::Usage, error))?;
        }
        match ask(&config, &ControlRequest::LogLevel { levels: self.levels }, PATIENCE).await? {
            ControlAnswer::LogLevel(levels) if options.json => say(serde_json::to_string(&levels)?),
            ControlAnswer::LogLevel(LogLevels { levels }) => say(levels),
            other => anyhow::bail!("the host answered {other:?}"),
        }
        Ok(())
    }
}
