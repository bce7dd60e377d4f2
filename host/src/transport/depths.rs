//! What waits in the queues, as the broker says: looked at now and then, for whoever wants to know.
//!
//! Before it: [`super::rabbit`] looks. After it: [`crate::metrics`]. Nothing depends on it: a look that fails is one less.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How often the queues are looked at. The broker asks each queue's process, so not often.
pub(crate) const EVERY: Duration = Duration::from_secs(15);

/// A depth that is older is not known any more.
const STALE: Duration = EVERY.saturating_mul(4);

/// What waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Messages that were delivered to nobody yet.
    pub messages: u32,
    /// Consumers, whosever they are.
    pub consumers: u32,
}

/// What waits in each queue. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Depths(Arc<Mutex<BTreeMap<String, (Depth, Instant)>>>);

impl Depths {
    /// What was seen last, by what the queues are called.
    #[must_use]
    pub fn known(&self) -> BTreeMap<String, Depth> {
        self.known_at(Instant::now())
    }

    fn known_at(&self, now: Instant) -> BTreeMap<String, Depth> {
        let depths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = depths.iter().filter(|(_, (_, seen))| now.saturating_duration_since(*seen) < STALE);
        fresh.map(|(queue, (depth, _))| (queue.clone(), *depth)).collect()
    }

    /// Notes what was seen now.
    pub(crate) fn note(&self, queue: &str, depth: Depth) {
        let mut depths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        depths.insert(queue.to_owned(), (depth, Instant::now()));
    }
}

/// The queues that are worth a look, each with what it is called there. A fanout queue has a name of its own at each start,
/// which must not make a series each time; and what is in a stream does not wait.
#[must_use]
pub fn shown<'a>(queues: &'a [String], topics: &[String]) -> Vec<(&'a str, String)> {
    let shown = queues.iter().filter_map(|queue| {
        let fanout = topics.iter().map(|topic| format!("{topic}_fanout")).find(|fanout| queue.starts_with(&**fanout));
        match fanout {
            Some(stream) if stream == *queue => None,
            Some(fanout) => Some((queue.as_str(), fanout)),
            None => Some((queue.as_str(), queue.clone())),
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_long_ago_is_not_known() {
        let (depths, depth) = (Depths::default(), Depth { messages: 3, consumers: 1 });
        depths.note("a", depth);
        assert_eq!(depths.known(), BTreeMap::from([("a".to_owned(), depth)]));
        assert_eq!(depths.known_at(Instant::now() + STALE), BTreeMap::new());
    }

    #[test]
    fn a_fanout_queue_has_the_same_name_after_a_restart_and_a_stream_none() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let topics = names(&["conductor", "cells"]);
        let queues =
            names(&["conductor", "conductor.h1", "conductor_fanout_0123", "cells", "cells.h1", "cells_fanout"]);
        let shown = shown(&queues, &topics);
        let called: Vec<_> = shown.iter().map(|(_, called)| called.as_str()).collect();
        assert_eq!(called, ["conductor", "conductor.h1", "conductor_fanout", "cells", "cells.h1"]);
        assert_eq!(shown[2].0, "conductor_fanout_0123");
    }
}
