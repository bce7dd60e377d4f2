//! The log, on standard error.

use std::str::FromStr;

use anyhow::Context as _;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{Exit, Failed};
use crate::transport::rabbit;

/// Starts the log. `levels` is `info`, or `info,handler=debug` by target.
pub(super) fn start(levels: &str, json: bool) -> anyhow::Result<()> {
    let wrong = |why: &dyn std::fmt::Display| {
        Failed::new(Exit::Usage, format!("log: {why}: it takes a level, such as info, or several: warn,handler=debug"))
    };
    // A lone word would be taken for a target, and a misspelt level with it.
    if let Some(word) = levels.split(',').find(|part| !part.contains('=') && LevelFilter::from_str(part).is_err()) {
        return Err(wrong(&format!("{word:?} is no level")).into());
    }
    let filter = Targets::from_str(levels).map_err(|error| wrong(&error))?;
    // Whatever was asked for: there are secrets in what it would say, and the transport says what matters.
    let filter = filter.with_target(rabbit::LIBRARY, LevelFilter::OFF);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = if json {
        registry.with(lines.json().flatten_event(true)).try_init()
    } else {
        registry.with(lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))).try_init()
    };
    started.context("starting the log")
}
