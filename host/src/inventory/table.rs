//! What was counted, as a person reads it.
//!
//! Before it: [`super::report`]. After it: a terminal. Every name in a report is fit for one already.

use super::{
    names::MAX_NAME,
    report::{Callers, Handlers, Method, Report},
};
use crate::printable::printable;

/// The titles of the columns. The first is left out where there is one topic.
const TITLES: [&str; 12] = [
    "topic",
    "namespace",
    "method",
    "versions",
    "calls/s",
    "casts/s",
    "p50",
    "p99",
    "fanout",
    "directed",
    "callers",
    "handlers",
];

/// The columns that are numbers, and stand to the right.
const NUMBERS: std::ops::RangeInclusive<usize> = 4..=9;

/// Bytes of a name in a column.
const MAX_CELL: usize = 48;

/// The report in lines, with as many methods as `most`.
#[must_use]
pub fn lines(report: &Report, most: usize) -> Vec<String> {
    let mut lines = vec![head(report)];
    lines.extend(unseen(report));
    if report.methods.is_empty() {
        lines.push("no requests".to_owned());
        return lines;
    }
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(report.methods.iter().take(most).map(row));
    rows.extend(report.others.as_ref().map(row));
    lines.push(String::new());
    lines.extend(aligned(&rows, usize::from(report.topics.len() == 1)));
    let hidden = report.methods.len().saturating_sub(most);
    if hidden > 0 {
        lines.push(format!("… and {hidden} methods more"));
    }
    lines
}

fn head(report: &Report) -> String {
    let topics: Vec<String> = report.topics.iter().map(|topic| printable(topic, MAX_NAME)).collect();
    let topics = match topics.as_slice() {
        [topic] => format!("topic {topic}"),
        topics => format!("topics {}", topics.join(", ")),
    };
    let exchange = printable(&report.exchange, MAX_NAME);
    let mut head = format!("exchange {exchange}, {topics}: {} requests in {:.0} s", report.requests, report.seconds);
    for (count, what) in [(report.undecodable, "undecodable"), (report.replies, "replies instead of requests")] {
        if count > 0 {
            head.push_str(&format!(", {count} {what}"));
        }
    }
    head
}

/// What was not seen, a line each.
fn unseen(report: &Report) -> Vec<String> {
    let unseen = &report.unseen;
    let mut lines = Vec::new();
    if unseen.dropped > 0 {
        lines
            .push(format!("not seen: at least {} messages, for which the watcher's queue had no room", unseen.dropped));
    }
    if unseen.connections_lost > 0 {
        let now = if unseen.is_away { ", and there is none now: connecting again" } else { "" };
        let (times, seconds) = (unseen.connections_lost, unseen.seconds_away);
        lines.push(format!(
            "not seen: what was sent in {seconds:.1} s without a connection, which was lost {times} times{now}"
        ));
    } else if unseen.is_away {
        let seconds = unseen.seconds_away;
        lines.push(format!("not seen: what was sent in the last {seconds:.1} s, in which the broker did not answer"));
    }
    lines
}

fn row(method: &Method) -> [String; TITLES.len()] {
    let name = |text: &str| if text.is_empty() { "\"\"".to_owned() } else { printable(text, MAX_CELL) };
    [
        printable(&method.topic, MAX_CELL),
        method.namespace.as_deref().map_or_else(|| "(none)".to_owned(), name),
        name(&method.method),
        versions(method),
        rate(method.calls_per_second),
        rate(method.casts_per_second),
        bytes(method.body.p50),
        bytes(method.body.p99),
        share(method.fanout_share),
        share(method.directed_share),
        callers(&method.callers),
        method.handlers.as_ref().map_or_else(|| "-".to_owned(), handlers),
    ]
}

fn versions(method: &Method) -> String {
    let versions = &method.versions;
    let read = match (&versions.lowest, &versions.highest) {
        (Some(lowest), Some(highest)) if lowest == highest => lowest.clone(),
        (Some(lowest), Some(highest)) => format!("{lowest}-{highest}"),
        _ => String::new(),
    };
    match versions.unreadable {
        0 => read,
        count => format!("{read} ({count} unreadable)").trim_start().to_owned(),
    }
}

/// How many callers, and the busiest of them.
fn callers(callers: &Callers) -> String {
    let more = if callers.others > 0 { "+" } else { "" };
    match callers.busiest.first() {
        Some(busiest) => {
            format!("{}{more}, {}: {}", callers.distinct, printable(&busiest.queue, MAX_CELL), busiest.calls)
        }
        None => "-".to_owned(),
    }
}

/// What our handlers would do. Where all requests have the same end, without numbers.
fn handlers(handlers: &Handlers) -> String {
    let reason = handlers.reason.as_deref().unwrap_or_default();
    let ends = [
        (handlers.answered, format!("answered by {}", handlers.by.join(", "))),
        (handlers.other_versions, format!("refused: only version {}", handlers.versions.join(", "))),
        (handlers.refused_arguments, format!("refused: {reason}")),
        (handlers.lacking, "lacking".to_owned()),
    ];
    let ends: Vec<_> = ends.into_iter().filter(|(count, _)| *count > 0).collect();
    match ends.as_slice() {
        [(_, end)] => end.clone(),
        several => several.iter().map(|(count, end)| format!("{count} {end}")).collect::<Vec<_>>().join("; "),
    }
}

fn rate(rate: f64) -> String {
    if rate == 0.0 || rate >= 100.0 { format!("{rate:.0}") } else { format!("{rate:.2}") }
}

fn share(share: f64) -> String {
    format!("{:.0}%", share * 100.0)
}

fn bytes(bytes: usize) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// The rows in columns, without the first `skipped`.
fn aligned(rows: &[[String; TITLES.len()]], skipped: usize) -> Vec<String> {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..TITLES.len()).map(width).collect();
    let line = |row: &[String; TITLES.len()]| {
        let cells = row.iter().zip(&widths).enumerate().skip(skipped).map(|(column, (cell, width))| {
            if NUMBERS.contains(&column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}
