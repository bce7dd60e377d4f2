//! What a service is asked, counted: by method, with bounded memory, whatever is sent.
//!
//! Before it: [`crate::cli`] overhears messages that were sent to others. After it: [`report`] says what was counted, and
//! [`table`] puts it before a person. Pure: no IO, no clock. Of a request, nothing is kept but names and numbers: neither
//! arguments nor context.

mod callers;
mod names;
pub mod report;
mod row;
mod sizes;
pub mod table;

use std::collections::HashMap;

use crate::{
    dispatch::Foresight,
    envelope::{Error, Request},
};
use names::{method, namespace};
use row::{Row, Way};

/// The most methods that are counted on their own. nova's largest interface has fewer than a hundred and fifty.
pub const MAX_METHODS: usize = 500;

/// What was counted.
#[derive(Debug)]
pub struct Inventory {
    exchange: String,
    topics: Vec<String>,
    rows: HashMap<Key, Row>,
    /// The requests for methods that there was no row for any more.
    others: Row,
    /// Messages that are none.
    undecodable: u64,
    /// Replies that were sent where requests should be.
    replies: u64,
}

/// What a row is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Key {
    /// The position of the topic.
    topic: usize,
    /// The namespace as it may be shown.
    namespace: Option<String>,
    /// The method as it may be shown.
    method: String,
}

/// A message that was overheard.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The exchange it was published to.
    pub exchange: &'a str,
    /// The key it was published with.
    pub routing_key: &'a str,
    /// Bytes of its body, as it was sent.
    pub bytes: usize,
    /// What it says.
    pub request: Result<&'a Request, &'a Error>,
    /// What our handlers would do about it, where they were asked.
    pub foresight: Option<Foresight>,
}

impl Inventory {
    /// Nothing yet, of what is sent to these topics by way of this control exchange.
    #[must_use]
    pub fn new(exchange: &str, topics: &[String]) -> Self {
        Self {
            exchange: exchange.to_owned(),
            topics: topics.to_vec(),
            rows: HashMap::new(),
            others: Row::default(),
            undecodable: 0,
            replies: 0,
        }
    }

    /// Counts a message.
    pub fn note(&mut self, observed: Observed<'_>) {
        let request = match observed.request {
            Ok(request) => request,
            Err(Error::NotARequest) => return self.replies += 1,
            Err(_) => return self.undecodable += 1,
        };
        let (topic, way) = self.sent_to(observed.exchange, observed.routing_key);
        let key = Key { topic, namespace: namespace(&request.namespace), method: method(&request.method) };
        let has_room = self.rows.len() < MAX_METHODS;
        let row = match self.rows.get_mut(&key) {
            Some(row) => row,
            None if has_room => self.rows.entry(key).or_default(),
            None => &mut self.others,
        };
        row.note(request, way, observed.bytes, observed.foresight.as_ref());
    }

    /// How many requests were counted.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.rows.values().chain([&self.others]).map(Row::requests).sum()
    }

    /// The position of the topic that a message was sent to, and how. Of topics that begin alike, the longest that fits.
    fn sent_to(&self, exchange: &str, routing_key: &str) -> (usize, Way) {
        if let Some(topic) = exchange.strip_suffix("_fanout")
            && let Some(at) = self.topics.iter().position(|known| known == topic)
        {
            return (at, Way::Fanout);
        }
        let directed = |topic: &str| routing_key.strip_prefix(topic).is_some_and(|rest| rest.starts_with('.'));
        let fits = |topic: &str| routing_key == topic || directed(topic);
        let longest =
            self.topics.iter().enumerate().filter(|(_, topic)| fits(topic)).max_by_key(|(_, topic)| topic.len());
        match longest {
            Some((at, topic)) if directed(topic) => (at, Way::Directed),
            Some((at, _)) => (at, Way::Any),
            None => (0, Way::Any),
        }
    }
}

#[cfg(test)]
mod tests;
