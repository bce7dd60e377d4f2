//! The log, on standard error: one line an event, as text or as JSON; for systemd's journal with the priority before it.

use std::{fmt, io};

use anyhow::Context as _;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
    },
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use super::{Exit, Failed};
use crate::{levels::Levels, page::tail::Tail};

/// Where systemd says which stream is its journal: device and inode (systemd.exec(5)).
const JOURNAL: &str = "JOURNAL_STREAM";

/// Starts the log. `levels` is `info`, or `info,handler=debug` by target; they can be changed by what is returned.
pub(super) fn start(levels: &str, json: bool) -> anyhow::Result<Levels> {
    start_with(levels, json, None)
}

/// The same, where somebody also looks at the end of it.
pub(super) fn start_with(levels: &str, json: bool, tail: Option<Tail>) -> anyhow::Result<Levels> {
    let levels = Levels::new(levels).map_err(|error| Failed::new(Exit::Usage, error))?;
    let for_journal = is_journal();
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(levels.filter()).with(tail);
    let started = if json {
        registry.with(lines.json().flatten_event(true).map_event_format(|inner| Line { inner, for_journal })).try_init()
    } else {
        let lines = lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr()));
        registry.with(lines.map_event_format(|inner: Format| Line { inner, for_journal })).try_init()
    };
    started.context("starting the log")?;
    Ok(levels)
}

/// Whether standard error is systemd's journal, as systemd says, and not a file or a pipe since.
fn is_journal() -> bool {
    let Ok(stream) = std::env::var(JOURNAL) else { return false };
    rustix::fs::fstat(io::stderr()).is_ok_and(|stat| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

/// A line, with what the journal wants before it (sd-daemon(3)).
struct Line<F> {
    inner: F,
    for_journal: bool,
}

impl<S, N, F> FormatEvent<S, N> for Line<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if self.for_journal {
            writer.write_str(priority(*event.metadata().level()))?;
        }
        self.inner.format_event(context, writer, event)
    }
}

/// syslog's priorities.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}
