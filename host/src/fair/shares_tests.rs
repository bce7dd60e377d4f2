//! The scheduler against a model of it: whatever comes and goes, nobody starves and no seat is empty while somebody waits.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn key(handler: u8, caller: u8) -> Key {
    Key { handler: Arc::from(format!("handler-{handler}")), caller: caller.into() }
}

/// Who runs and who waits, counted in another way.
struct Model {
    shares: Shares,
    running: Vec<Key>,
    waiting: BTreeMap<u64, Key>,
    ticket: u64,
}

impl Model {
    fn new(seats: u16, extra: u16) -> Self {
        Self { shares: Shares::new(seats, extra), running: Vec::new(), waiting: BTreeMap::new(), ticket: 0 }
    }

    fn come(&mut self, key: Key) -> Vec<u64> {
        if self.shares.take(&key) {
            assert!(self.waiting.is_empty(), "somebody was passed over");
            self.running.push(key);
            return Vec::new();
        }
        self.shares.wait(&key, self.ticket);
        self.waiting.insert(self.ticket, key);
        self.ticket += 1;
        self.serve()
    }

    fn go(&mut self, index: usize) -> Vec<u64> {
        let key = self.running.swap_remove(index % self.running.len());
        self.shares.leave(&key);
        self.serve()
    }

    fn serve(&mut self) -> Vec<u64> {
        let served: Vec<u64> = std::iter::from_fn(|| self.shares.serve()).collect();
        for ticket in &served {
            let key = self.waiting.remove(ticket).expect("it waited");
            let first = self.waiting.iter().find(|(_, other)| **other == key).map(|(ticket, _)| *ticket);
            assert!(first.is_none_or(|first| *ticket < first), "a caller's requests are served in their order");
            self.running.push(key);
        }
        served
    }

    fn of(&self, handler: u8) -> usize {
        self.running.iter().filter(|running| running.handler == key(handler, 0).handler).count()
    }

    fn check(&self) {
        let (seats, extra) = (self.shares.seats, self.shares.extra);
        assert_eq!(self.shares.running, self.running.len());
        assert!(self.running.len() <= seats + extra);
        assert!(self.running.len() >= seats || self.waiting.is_empty(), "a seat is empty while somebody waits");
        if self.running.len() < seats + extra {
            for key in self.waiting.values() {
                let has = self.running.iter().filter(|running| running.handler == key.handler).count();
                assert!(has > 0, "a handler without a seat waits, and there is an extra seat");
            }
        }
        let lines = self.running.iter().chain(self.waiting.values()).map(|key| &key.handler);
        assert_eq!(self.shares.handlers.lines.len(), lines.collect::<BTreeSet<_>>().len(), "what is over is forgotten");
    }
}

proptest! {
    #[test]
    fn no_seat_is_empty_while_somebody_waits_and_nobody_is_counted_twice(
        seats in 1_u16..9,
        extra in 0_u16..4,
        steps in prop::collection::vec((0_u8..4, 0_u8..5, 0_u8..4, any::<usize>()), 1..200),
    ) {
        let mut model = Model::new(seats, extra);
        for (what, handler, caller, at) in steps {
            match what {
                0 if !model.running.is_empty() => drop(model.go(at)),
                1 if !model.waiting.is_empty() => {
                    let ticket = *model.waiting.keys().nth(at % model.waiting.len()).unwrap();
                    let key = model.waiting.remove(&ticket).unwrap();
                    model.shares.forget(&key, ticket);
                }
                _ => drop(model.come(key(handler, caller))),
            }
            model.check();
        }
        while !model.running.is_empty() {
            model.go(0);
            model.check();
        }
        prop_assert!(model.waiting.is_empty(), "everybody was served");
        prop_assert!(model.shares.handlers.lines.is_empty());
    }

    #[test]
    fn who_has_nothing_is_served_before_as_many_others_as_there_are_lines(
        seats in 1_u16..6,
        others in 1_u8..6,
        ends in prop::collection::vec(any::<usize>(), 40),
    ) {
        // Floods that never end come again as soon as they are served; one call comes in the midst of them.
        let mut model = Model::new(seats, 0);
        for _ in 0..20 {
            (0..others).for_each(|other| drop(model.come(key(other, other))));
        }
        let patient = model.ticket;
        drop(model.come(key(100, 0)));
        for (passed, end) in ends.into_iter().enumerate() {
            let mut served = model.go(end);
            if served.contains(&patient) {
                break;
            }
            prop_assert!(passed < usize::from(others), "{passed} were served before the one that has nothing");
            // Newcomers all the time, each of them another: none may pass who has waited.
            served.extend(model.come(key(101 + u8::try_from(passed).unwrap(), 0)));
        }
        prop_assert!(!model.waiting.contains_key(&patient));
    }
}

#[test]
fn a_flood_has_all_seats_while_it_is_alone_and_an_equal_part_when_it_is_not() {
    let mut model = Model::new(8, 2);
    (0..20).for_each(|_| drop(model.come(key(0, 0))));
    assert_eq!((model.of(0), model.waiting.len()), (8, 12));
    // Another comes: at once it has extra seats, and then every seat that becomes free until both have as many.
    (0..20).for_each(|_| drop(model.come(key(1, 0))));
    assert_eq!((model.of(0), model.of(1)), (8, 2));
    for _ in 0..8 {
        let flood = model.running.iter().position(|running| *running == key(0, 0)).unwrap();
        model.go(flood);
    }
    assert_eq!((model.of(0), model.of(1)), (4, 4), "an equal part");
}

#[test]
fn one_handlers_callers_leave_half_of_the_extra_seats_to_other_handlers() {
    let mut model = Model::new(8, 4);
    (0..20).for_each(|_| drop(model.come(key(0, 0))));
    (1..20).for_each(|caller| drop(model.come(key(0, caller))));
    assert_eq!(model.running.len(), 10);
    assert!(model.running.contains(&key(0, 1)), "a caller is served beside one that floods the same handler");
    drop(model.come(key(1, 0)));
    assert_eq!(model.of(1), 1);
}
