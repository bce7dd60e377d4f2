//! The log, on standard error.

use std::str::FromStr;

use anyhow::Context as _;
use tracing_subscriber::{filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

use super::{Exit, Failed};

/// Starts the log. `levels` is `info`, or `info,handler=debug` by target.
pub(super) fn start(levels: &str, json: bool) -> anyhow::Result<()> {
    let filter = Targets::from_str(levels).map_err(|error| {
        Failed::new(Exit::Usage, format!("log: {error}; such as info, or warn,handler=debug"))
    })?;
    // lapin tells of every lost connection on its own account; the transport says it once, with what it does about it.
    let filter = if levels.contains("lapin") { filter } else { filter.with_target("lapin", tracing::Level::ERROR) };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry.with(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))).try_init()
    };
    started.context("starting the log")
}
