//! The messages that the broker has not confirmed, and for how long.
//!
//! Before it: [`super::outbox`] sends a message. After it: its confirmation, or the end of its time. Pure: the time is
//! given.
//!
//! A broker confirms a message when all its queues have it. One queue that cannot take any (without a leader, without a
//! majority) leaves its messages unconfirmed for ever, and may hold up what comes behind them on the same channel.
//! Whether the queue is ill or the broker is busy tell the others: a message is *overtaken* when one is confirmed that
//! was sent well after it, or when the broker answers a question that was asked well after it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use tokio::time::Instant;

/// A message is overtaken when another is confirmed, or a question answered, that was sent so much later. A quorum queue elects a new leader in a
/// second or two, and a slow disk takes less for a confirmation.
pub(crate) const OVERTAKEN: Duration = Duration::from_secs(3);

/// How long a message that holds others up may wait before its queue is slow. Many times what a confirmation takes.
const SLOW: Duration = Duration::from_millis(250);

/// The longest that a confirmation is waited for where nothing is confirmed at all. Longer than it takes to notice that a
/// connection is dead (two heartbeats of ten seconds): then everything is sent again on the next one.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// The unconfirmed messages, by number.
#[derive(Debug)]
pub(crate) struct Flights<J> {
    all: BTreeMap<u64, Flight<J>>,
    /// How many there are in each lane.
    counts: BTreeMap<usize, usize>,
    /// How many there are for each name, by its hash.
    named: HashMap<u64, usize>,
    next: u64,
    /// When the latest of the confirmed messages was sent; for each lane, and of all.
    newest_in: BTreeMap<usize, Instant>,
    newest: Option<Instant>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Flight<J> {
    /// What was sent, and for whom.
    pub(crate) job: J,
    /// Which way it went.
    pub(crate) lane: usize,
    /// The hash of the name that it went to.
    pub(crate) name: u64,
    /// When.
    pub(crate) since: Instant,
}

impl<J> Flight<J> {
    /// Whether it has waited for longer than others should be held up.
    pub(crate) fn is_slow(&self, now: Instant) -> bool {
        now >= self.since + SLOW
    }
}

impl<J> Default for Flights<J> {
    fn default() -> Self {
        let (all, counts, newest_in) = Default::default();
        Self { all, counts, named: HashMap::new(), next: 0, newest_in, newest: None }
    }
}

impl<J> Flights<J> {
    /// Notes a message that is sent now, to a name of this hash; gives its number.
    pub(crate) fn begin(&mut self, job: J, lane: usize, name: u64, now: Instant) -> u64 {
        let number = self.next;
        self.next += 1;
        self.all.insert(number, Flight { job, lane, name, since: now });
        *self.counts.entry(lane).or_default() += 1;
        *self.named.entry(name).or_default() += 1;
        number
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many there are in a lane.
    pub(crate) fn count(&self, lane: usize) -> usize {
        self.counts.get(&lane).copied().unwrap_or_default()
    }

    /// How many there are for a name.
    pub(crate) fn count_of(&self, name: u64) -> usize {
        self.named.get(&name).copied().unwrap_or_default()
    }

    /// Notes that the broker has said what became of a message, and gives it; `None` where its time was over before.
    pub(crate) fn confirm(&mut self, number: u64) -> Option<Flight<J>> {
        let flight = self.fail(number)?;
        let newest = self.newest_in.entry(flight.lane).or_insert(flight.since);
        *newest = flight.since.max(*newest);
        self.newest = self.newest.max(Some(flight.since));
        Some(flight)
    }

    /// Notes that the broker has answered a question that was asked at a time.
    pub(crate) fn answered(&mut self, asked: Instant) {
        self.newest = self.newest.max(Some(asked));
    }

    /// The message with this number, where it is on its way.
    pub(crate) fn get(&self, number: u64) -> Option<&Flight<J>> {
        self.all.get(&number)
    }

    /// Whether a message has waited for so long that it is worth asking the broker whether it is there.
    pub(crate) fn is_doubtful(&self, now: Instant) -> bool {
        self.all.values().any(|flight| now >= flight.since + OVERTAKEN)
    }

    /// Takes a message out that has failed; `None` where its time was over before.
    pub(crate) fn fail(&mut self, number: u64) -> Option<Flight<J>> {
        let flight = self.all.remove(&number)?;
        self.left(flight.lane, flight.name);
        Some(flight)
    }

    /// Takes those out whose time is over, the oldest first.
    pub(crate) fn overdue(&mut self, now: Instant) -> Vec<Flight<J>> {
        let newest = self.newest;
        self.take(|flight| {
            newest.is_some_and(|newest| newest >= flight.since + OVERTAKEN) || now >= flight.since + LONGEST
        })
    }

    /// Whether nothing that was sent in the lane since `since` was confirmed: then the lane itself may be stuck.
    pub(crate) fn is_silent(&self, lane: usize, since: Instant) -> bool {
        self.newest_in.get(&lane).is_none_or(|newest| *newest <= since)
    }

    /// Takes all out that went by a lane.
    pub(crate) fn take_lane(&mut self, lane: usize) -> Vec<Flight<J>> {
        self.take(|flight| flight.lane == lane)
    }

    fn take(&mut self, is_wanted: impl Fn(&Flight<J>) -> bool) -> Vec<Flight<J>> {
        let taken: Vec<Flight<J>> =
            self.all.extract_if(.., |_, flight| is_wanted(flight)).map(|(_, flight)| flight).collect();
        taken.iter().for_each(|flight| self.left(flight.lane, flight.name));
        taken
    }

    fn left(&mut self, lane: usize, name: u64) {
        if let Some(count) = self.counts.get_mut(&lane) {
            *count = count.saturating_sub(1);
        }
        // Callers choose names: what is at none is forgotten.
        if let Some(count) = self.named.get_mut(&name) {
            *count -= 1;
            if *count == 0 {
                self.named.remove(&name);
            }
        }
    }

    /// Begins to count anew: the broker took nothing for a while, and said so.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.all.values_mut().for_each(|flight| flight.since = now);
        self.newest = None;
        self.newest_in.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICK: Duration = Duration::from_millis(250);

    fn jobs(flights: Vec<Flight<&'static str>>) -> Vec<&'static str> {
        flights.into_iter().map(|flight| flight.job).collect()
    }

    #[test]
    fn a_message_is_overdue_when_later_ones_are_confirmed_and_not_before() {
        let (mut flights, start) = (Flights::default(), Instant::now());
        flights.begin("ill", 0, 0, start);
        let soon = flights.begin("soon", 1, 0, start + OVERTAKEN - TICK);
        let later = flights.begin("later", 1, 0, start + OVERTAKEN);
        assert!(flights.confirm(soon).is_some());
        assert_eq!(jobs(flights.overdue(start + OVERTAKEN + TICK)), [] as [&str; 0]);
        assert!(flights.confirm(later).is_some());
        assert_eq!(jobs(flights.overdue(start + OVERTAKEN + TICK)), ["ill"]);
        assert_eq!(flights.len(), 0);
    }

    #[test]
    fn where_nothing_is_confirmed_nobody_is_ill_for_long() {
        let (mut flights, start) = (Flights::default(), Instant::now());
        flights.begin("a", 0, 0, start);
        flights.begin("b", 1, 0, start + LONGEST - TICK);
        assert_eq!(jobs(flights.overdue(start + LONGEST - TICK)), [] as [&str; 0]);
        assert_eq!(jobs(flights.overdue(start + LONGEST)), ["a"]);
        flights.restart(start + LONGEST + LONGEST);
        assert_eq!(jobs(flights.overdue(start + LONGEST + LONGEST)), [] as [&str; 0]);
    }

    #[test]
    fn a_question_that_is_answered_tells_as_much_as_a_confirmation() {
        let (mut flights, start) = (Flights::default(), Instant::now());
        flights.begin("ill", 0, 0, start);
        assert!(!flights.is_doubtful(start + OVERTAKEN - TICK) && flights.is_doubtful(start + OVERTAKEN));
        flights.answered(start + OVERTAKEN - TICK);
        assert_eq!(jobs(flights.overdue(start + OVERTAKEN + TICK)), [] as [&str; 0]);
        flights.answered(start + OVERTAKEN);
        assert_eq!(jobs(flights.overdue(start + OVERTAKEN + TICK)), ["ill"]);
    }

    #[test]
    fn a_lane_is_silent_until_something_later_is_confirmed_in_it() {
        let (mut flights, start) = (Flights::default(), Instant::now());
        let before = flights.begin("before", 0, 0, start);
        flights.begin("ill", 0, 0, start + TICK);
        let after = flights.begin("after", 0, 0, start + 2 * TICK);
        flights.confirm(before);
        assert!(flights.is_silent(0, start + TICK));
        flights.confirm(after);
        assert!(!flights.is_silent(0, start + TICK));
        assert!(flights.is_silent(1, start));
    }

    proptest! {
        /// Whatever happens, each message leaves once.
        #[test]
        fn every_message_leaves_once(steps in prop::collection::vec((0..5u8, 0..4usize, 0..40u64), 0..200)) {
            let (mut flights, mut now) = (Flights::default(), Instant::now());
            let (mut sent, mut left) = (0u64, Vec::new());
            for (step, lane, n) in steps {
                match step {
                    0 => { flights.begin(sent, lane, n % 3, now); sent += 1; }
                    1 => left.extend(flights.confirm(n).map(|flight| flight.job)),
                    2 => left.extend(flights.overdue(now).into_iter().map(|flight| flight.job)),
                    3 => left.extend(flights.take_lane(lane).into_iter().map(|flight| flight.job)),
                    _ => now += Duration::from_millis(100 * n),
                }
            }
            left.extend(flights.overdue(now + LONGEST).into_iter().map(|flight| flight.job));
            left.sort_unstable();
            prop_assert_eq!(left, (0..sent).collect::<Vec<_>>());
            prop_assert_eq!((flights.len(), flights.named.len()), (0, 0));
        }
    }
}
