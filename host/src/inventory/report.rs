//! What was counted, as it is told: the shape of `nova-host watch --json`.
//!
//! Before it: [`super::Inventory`]. After it: [`super::table`], or a script.

use std::time::Duration;

use serde::Serialize;

use super::{Inventory, Key, row::Row};

/// The callers that are named for each method.
const NAMED_CALLERS: usize = 3;

/// What was not seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Unseen {
    /// Copies that the broker had no room for, or that expired first; there may have been more.
    pub dropped: u64,
    /// How often the connection was lost.
    pub connections_lost: u64,
    /// Seconds without a connection, in all.
    pub seconds_away: f64,
    /// Whether there is none now, or none over which the broker answers.
    pub is_away: bool,
}

/// All that was counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The control exchange.
    pub exchange: String,
    /// The topics.
    pub topics: Vec<String>,
    /// Seconds from the first moment to the last, those without a connection among them.
    pub seconds: f64,
    /// Requests, of all methods.
    pub requests: u64,
    /// Messages that no server would have understood.
    pub undecodable: u64,
    /// Replies that were sent where requests should be.
    pub replies: u64,
    /// What was not seen.
    pub unseen: Unseen,
    /// By method, the busiest first.
    pub methods: Vec<Method>,
    /// All methods beyond [`super::MAX_METHODS`] together; their names are not kept.
    pub others: Option<Method>,
}

/// What was counted of one method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Method {
    /// The topic.
    pub topic: String,
    /// The namespace; `null` is the null namespace.
    pub namespace: Option<String>,
    /// The method.
    pub method: String,
    /// The versions that were asked for.
    pub versions: Versions,
    /// Requests that want an answer.
    pub calls: u64,
    /// Requests that want none, those to all servers among them.
    pub casts: u64,
    /// Per second with a connection.
    pub calls_per_second: f64,
    /// Per second with a connection.
    pub casts_per_second: f64,
    /// Requests to all servers.
    pub fanout: u64,
    /// Requests to one server by its name.
    pub directed: u64,
    /// Their part of all, from 0 to 1.
    pub fanout_share: f64,
    /// Their part of all, from 0 to 1.
    pub directed_share: f64,
    /// Bytes of the bodies.
    pub body: Body,
    /// Who calls.
    pub callers: Callers,
    /// What our handlers would do; `null` where none were asked.
    pub handlers: Option<Handlers>,
}

/// The versions that were asked for; no version is 1.0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Versions {
    /// The lowest.
    pub lowest: Option<String>,
    /// The highest.
    pub highest: Option<String>,
    /// Requests whose version is none.
    pub unreadable: u64,
}

/// Bytes of bodies as they were sent. Percentiles are at most a sixteenth too large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Body {
    /// Half of them do not exceed it.
    pub p50: usize,
    /// Of a hundred, 99 do not exceed it.
    pub p99: usize,
    /// None exceeds it.
    pub largest: usize,
}

/// Who calls, by reply queue: one for each process that calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Callers {
    /// How many, up to 200.
    pub distinct: usize,
    /// Those with the most calls.
    pub busiest: Vec<Caller>,
    /// Calls of callers beyond those 200.
    pub others: u64,
}

/// One caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Its reply queue.
    pub queue: String,
    /// Its calls.
    pub calls: u64,
}

/// What our handlers would do about a method's requests: how many of them would be answered, or refused, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Handlers {
    /// Requests that a handler would get.
    pub answered: u64,
    /// Which handlers.
    pub by: Vec<String>,
    /// Requests in a version that none has, of a method that is there in others.
    pub other_versions: u64,
    /// Which it is there in.
    pub versions: Vec<String>,
    /// Requests for what no handler has.
    pub lacking: u64,
    /// Requests whose arguments would be refused.
    pub refused_arguments: u64,
    /// Why, of the first.
    pub reason: Option<String>,
}

impl Report {
    /// What was counted in so much time.
    #[must_use]
    pub fn of(inventory: &Inventory, elapsed: Duration, unseen: Unseen) -> Self {
        let seconds = elapsed.as_secs_f64();
        let connected = seconds - unseen.seconds_away;
        let mut rows: Vec<(&Key, &Row)> = inventory.rows.iter().collect();
        rows.sort_by(|one, other| other.1.requests().cmp(&one.1.requests()).then_with(|| one.0.cmp(other.0)));
        let topic = |key: &Key| inventory.topics.get(key.topic).cloned().unwrap_or_default();
        let methods = rows
            .into_iter()
            .map(|(key, row)| Method::of(topic(key), key.namespace.clone(), key.method.clone(), row, connected));
        let others = Some(&inventory.others).filter(|others| others.requests() > 0);
        Self {
            exchange: inventory.exchange.clone(),
            topics: inventory.topics.clone(),
            seconds: rounded(seconds),
            requests: inventory.requests(),
            undecodable: inventory.undecodable,
            replies: inventory.replies,
            unseen: Unseen { seconds_away: rounded(unseen.seconds_away), ..unseen },
            methods: methods.collect(),
            others: others.map(|row| Method::of(String::new(), None, "(others)".to_owned(), row, connected)),
        }
    }
}

impl Method {
    fn of(topic: String, namespace: Option<String>, method: String, row: &Row, seconds: f64) -> Self {
        let per_second = |count: u64| if seconds > 0.0 { rounded(count as f64 / seconds) } else { 0.0 };
        let share = |count: u64| rounded(count as f64 / row.requests().max(1) as f64);
        let busiest = row.callers.busiest(NAMED_CALLERS).into_iter();
        Self {
            topic,
            namespace,
            method,
            versions: Versions {
                lowest: row.versions.map(|(lowest, _)| lowest.to_string()),
                highest: row.versions.map(|(_, highest)| highest.to_string()),
                unreadable: row.unreadable_versions,
            },
            calls: row.calls,
            casts: row.casts,
            calls_per_second: per_second(row.calls),
            casts_per_second: per_second(row.casts),
            fanout: row.fanout,
            directed: row.directed,
            fanout_share: share(row.fanout),
            directed_share: share(row.directed),
            body: Body { p50: row.sizes.per_mille(500), p99: row.sizes.per_mille(990), largest: row.sizes.largest() },
            callers: Callers {
                distinct: row.callers.distinct(),
                busiest: busiest.map(|(queue, calls)| Caller { queue, calls }).collect(),
                others: row.callers.others(),
            },
            handlers: row.answers.as_ref().map(|answers| Handlers {
                answered: answers.answered,
                by: answers.handlers.iter().cloned().collect(),
                other_versions: answers.other_versions,
                versions: answers.versions.iter().map(ToString::to_string).collect(),
                lacking: answers.lacking,
                refused_arguments: answers.refused_arguments,
                reason: answers.reason.clone(),
            }),
        }
    }
}

/// To thousandths: more is noise.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
