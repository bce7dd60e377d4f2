//! How far a stream has been read.
//!
//! Before it: [`super::session`] asks where to read on and notes what arrives. After it: [`super::settle`] notes what is
//! done with. What is read from a stream stays in it: the broker forgets with the connection what was delivered and not
//! settled, so we remember it, and read on from the first message that is not done with.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use lapin::{message::Delivery, types::AMQPValue};

use super::super::wire::task::lock;

/// How far one stream has been read. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets(Arc<Mutex<Reading>>);

/// What is known of a stream.
#[derive(Debug, Default)]
enum Reading {
    /// Nothing was read yet.
    #[default]
    Unread,
    /// It was made while we were away: all of it is new.
    Anew,
    /// Some of it was read.
    Begun(State),
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At an offset that there must be.
    At(u64),
    /// At the beginning.
    First,
    /// At the newest piece of the stream, as the reference.
    Last,
}

/// A place in a stream, whose message is to be settled.
#[derive(Debug)]
pub(crate) struct StreamPlace {
    offsets: Offsets,
    offset: u64,
}

/// What a message is that arrives.
#[derive(Debug)]
pub(crate) enum Offset {
    /// To be handed over; whether it was before, on another connection.
    Wanted(StreamPlace, bool),
    /// Done with before.
    Done,
}

#[derive(Debug)]
struct State {
    /// Everything before this is done with.
    first_open: u64,
    /// What comes next on this connection.
    next: u64,
    /// What would be new on any connection.
    next_ever: u64,
    /// Delivered on this connection and not settled: at most the prefetch.
    open: BTreeSet<u64>,
    /// Settled behind `first_open`: at most the prefetch.
    done: BTreeSet<u64>,
}

impl Offsets {
    /// Where a new connection reads on: one before the first that is not done with, so that a stream that is still the
    /// same has something to deliver.
    pub(crate) fn begin(&self) -> Begin {
        match &mut *lock(&self.0) {
            Reading::Unread => Begin::Last,
            Reading::Anew => Begin::First,
            Reading::Begun(state) => {
                state.open.clear();
                state.next = state.first_open;
                Begin::At(state.first_open.saturating_sub(1))
            }
        }
    }

    /// Forgets everything: this may be another stream.
    pub(crate) fn forget(&self) {
        *lock(&self.0) = Reading::Unread;
    }

    /// Forgets everything: this is another stream, and nothing of it was ever read.
    pub(crate) fn renew(&self) {
        *lock(&self.0) = Reading::Anew;
    }

    /// Notes what arrives. One without an offset is not from a stream, and wanted.
    pub(crate) fn arrive(&self, delivery: &Delivery) -> Option<Offset> {
        let headers = delivery.properties.headers().as_ref()?;
        let offset = match headers.inner().get("x-stream-offset")? {
            AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok()?,
            _ => return None,
        };
        Some(self.note(offset))
    }

    fn note(&self, offset: u64) -> Offset {
        let mut reading = lock(&self.0);
        if let Reading::Unread | Reading::Anew = *reading {
            let (open, done) = (BTreeSet::new(), BTreeSet::new());
            *reading = Reading::Begun(State { first_open: offset, next: offset, next_ever: offset, open, done });
        }
        // As it was just made.
        let Reading::Begun(state) = &mut *reading else { return Offset::Done };
        if offset < state.first_open {
            return Offset::Done;
        }
        state.next = state.next.max(offset.saturating_add(1));
        if state.done.contains(&offset) {
            state.advance();
            return Offset::Done;
        }
        let again = offset < state.next_ever;
        state.next_ever = state.next_ever.max(state.next);
        state.open.insert(offset);
        // What is missing between has been removed from the stream.
        state.advance();
        Offset::Wanted(StreamPlace { offsets: self.clone(), offset }, again)
    }
}

impl State {
    fn advance(&mut self) {
        self.first_open = self.open.first().copied().unwrap_or(self.next);
        self.done = self.done.split_off(&self.first_open);
    }
}

impl StreamPlace {
    /// Notes that the message is done with, and that the broker knows.
    pub(crate) fn settled(self) {
        // Of another connection, or another stream, where it is not there.
        if let Reading::Begun(state) = &mut *lock(&self.offsets.0)
            && state.open.remove(&self.offset)
        {
            state.done.insert(self.offset);
            state.advance();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(offsets: &Offsets, offset: u64) -> (StreamPlace, bool) {
        match offsets.note(offset) {
            Offset::Wanted(place, again) => (place, again),
            Offset::Done => panic!("{offset} was done with"),
        }
    }

    #[test]
    fn reading_goes_on_after_what_is_done_with() {
        let offsets = Offsets::default();
        assert_eq!(offsets.begin(), Begin::Last);
        for offset in 7..10 {
            let (place, again) = wanted(&offsets, offset);
            assert!(!again);
            place.settled();
        }
        assert_eq!(offsets.begin(), Begin::At(9));
        assert!(matches!(offsets.note(9), Offset::Done));
        assert!(!wanted(&offsets, 10).1);
    }

    #[test]
    fn what_was_delivered_and_not_settled_comes_again_and_nothing_else() {
        let offsets = Offsets::default();
        let mut places: Vec<StreamPlace> = (0..6).map(|offset| wanted(&offsets, offset).0).collect();
        // 0, 3 and 5 are settled; 1, 2 and 4 are lost with the connection.
        for index in [5, 3, 0] {
            places.remove(index).settled();
        }
        assert_eq!(offsets.begin(), Begin::At(0));
        // What was settled for another connection counts for nothing.
        places.remove(0);
        let again: Vec<u64> = (0..8)
            .filter(|offset| match offsets.note(*offset) {
                Offset::Wanted(place, again) => {
                    assert_eq!(again, *offset < 6);
                    // Settled in the order of arrival, with more to come.
                    place.settled();
                    true
                }
                Offset::Done => false,
            })
            .collect();
        assert_eq!(again, [1, 2, 4, 6, 7]);
        assert_eq!(offsets.begin(), Begin::At(7));
    }

    #[test]
    fn a_connection_that_is_lost_again_at_once_loses_nothing() {
        let offsets = Offsets::default();
        let _open: Vec<StreamPlace> = (0..4).map(|offset| wanted(&offsets, offset).0).collect();
        offsets.begin();
        wanted(&offsets, 0).0.settled();
        assert_eq!(offsets.begin(), Begin::At(0));
        assert!(wanted(&offsets, 1).1);
        assert_eq!(offsets.begin(), Begin::At(0));
        offsets.forget();
        assert_eq!(offsets.begin(), Begin::Last);
        offsets.renew();
        assert_eq!(offsets.begin(), Begin::First);
        assert!(!wanted(&offsets, 0).1);
    }

    #[test]
    fn what_the_stream_has_dropped_is_not_waited_for() {
        let offsets = Offsets::default();
        wanted(&offsets, 3).0.settled();
        let _open = wanted(&offsets, 4);
        offsets.begin();
        wanted(&offsets, 100).0.settled();
        assert_eq!(offsets.begin(), Begin::At(100));
    }
}
