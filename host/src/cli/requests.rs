//! `nova-host requests`: what a running host has in flight, and how the methods of its handlers do, over its control socket.
//!
//! After it: [`crate::journal`]. All text of a journal is printable.

use std::time::Duration;

use super::{Options, running::ask, say};
use crate::{
    control::protocol::{ControlAnswer, ControlRequest},
    journal::report::{Activity, LiveRequest, MethodStats},
};

/// It is asked for on this machine, and is there at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Letters of a column.
const MAX_CELL: usize = 48;

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let config = options.load(&[("log", "off")])?;
    let activity = match ask(&config, &ControlRequest::Requests {}, PATIENCE).await? {
        ControlAnswer::Requests(activity) => activity,
        other => anyhow::bail!("the host answered {other:?}"),
    };
    if options.json {
        say(serde_json::to_string(&activity)?);
    } else {
        lines(&activity).iter().for_each(say);
    }
    Ok(())
}

/// What people read.
fn lines(activity: &Activity) -> Vec<String> {
    let mut lines = match activity.requests.as_slice() {
        [] => vec!["no request in flight".to_owned()],
        requests => {
            let titles =
                ["age", "state", "kind", "method", "version", "handler", "generation", "request id", "message id"];
            aligned(titles, requests.iter().map(request))
        }
    };
    if !activity.methods.is_empty() {
        let titles = ["handler", "method", "last minute", "last 5 min", "p50", "p99", "failures", "most of class"];
        lines.push(String::new());
        lines.extend(aligned(titles, activity.methods.iter().map(method)));
    }
    lines
}

fn request(request: &LiveRequest) -> [String; 9] {
    let LiveRequest { age_ms, state, requested } = request;
    let text = |text: &Option<String>| text.clone().unwrap_or_else(none);
    [
        duration(age_ms.saturating_mul(1000)),
        state.as_str().to_owned(),
        requested.kind.as_str().to_owned(),
        full_method(requested.namespace.as_deref(), &requested.method),
        text(&requested.version),
        text(&requested.handler),
        requested.generation.map_or_else(none, |number| number.to_string()),
        text(&requested.request_id),
        text(&requested.message_id),
    ]
}

fn method(stats: &MethodStats) -> [String; 8] {
    let took = |took_us| if stats.requests == 0 { none() } else { duration(took_us) };
    [
        stats.handler.clone(),
        full_method(stats.namespace.as_deref(), &stats.method),
        stats.per_minute.to_string(),
        stats.requests.to_string(),
        took(stats.p50_us),
        took(stats.p99_us),
        stats.failures.iter().map(|class| class.count).sum::<u64>().to_string(),
        stats.failures.first().map_or_else(none, |class| class.class.clone()),
    ]
}

fn none() -> String {
    "-".to_owned()
}

/// A method as rules of forwarding have it.
pub(super) fn full_method(namespace: Option<&str>, method: &str) -> String {
    namespace.map_or_else(|| method.to_owned(), |namespace| format!("{namespace}.{method}"))
}

/// A time in the largest unit that fits, to three digits or so.
pub(super) fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        10_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..10_000_000 => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
        10_000_000..120_000_000 => format!("{} s", us / 1_000_000),
        _ => format!("{} min", us / 60_000_000),
    }
}

/// Rows under their titles, in columns.
fn aligned<const COLUMNS: usize>(
    titles: [&str; COLUMNS],
    rows: impl Iterator<Item = [String; COLUMNS]>,
) -> Vec<String> {
    let short = |cell: String| match cell.char_indices().nth(MAX_CELL) {
        Some((at, _)) => format!("{}…", cell.get(..at).unwrap_or_default()),
        None => cell,
    };
    let rows: Vec<[String; COLUMNS]> =
        std::iter::once(titles.map(str::to_owned)).chain(rows.map(|row| row.map(short))).collect();
    let mut widths = [0; COLUMNS];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::report::{ClassCount, Kind, Requested, State};

    #[test]
    fn people_read_what_is_in_flight_and_how_the_methods_do() {
        let requested = Requested {
            kind: Kind::Call,
            method: "build".into(),
            namespace: Some("compute_task".into()),
            version: Some("1.6".into()),
            handler: Some("conductor".into()),
            digest: Some("0123456789ab".into()),
            generation: Some(3),
            request_id: Some("req-1".into()),
            ..Requested::default()
        };
        let state = State::WaitingForCall;
        let request = LiveRequest { age_ms: 1234, state, requested: requested.clone() };
        let young =
            LiveRequest { age_ms: 0, state, requested: Requested { handler: None, generation: None, ..requested } };
        let methods = vec![MethodStats {
            handler: "conductor".into(),
            namespace: None,
            method: "x".repeat(100),
            major: 1,
            per_minute: 7,
            requests: 12,
            p50_us: 900,
            p99_us: 12_345,
            failures: vec![ClassCount { class: "ValueError".into(), count: 2 }],
            last_fault_ms: None,
        }];
        let told = lines(&Activity { requests: vec![request, young], methods });
        let expected = [
            "age    state               kind  method              version  handler    generation  request id  message id",
            "1.2 s  waiting for a call  call  compute_task.build  1.6      conductor  3           req-1       -",
            "0 µs   waiting for a call  call  compute_task.build  1.6      -          -           req-1       -",
            "",
        ];
        assert_eq!(told[..4], expected);
        assert!(told[5].ends_with("x…  7            12          900 µs  12 ms  2         ValueError"), "{}", told[5]);
        assert_eq!(lines(&Activity::default()), ["no request in flight"]);
    }

    #[test]
    fn a_time_has_the_unit_that_fits() {
        let told = [0, 999, 1_000, 9_999, 10_000, 999_999, 1_500_000, 59_000_000, 120_000_000].map(duration);
        assert_eq!(told, ["0 µs", "999 µs", "1.0 ms", "9.9 ms", "10 ms", "999 ms", "1.5 s", "59 s", "2 min"]);
    }
}
