//! Seats as they go from hand to hand.

use super::*;

fn key(handler: &str) -> Key {
    Key { handler: handler.into(), caller: 0 }
}

fn seated(entry: Entry) -> Seat {
    match entry {
        Entry::Seated(seat) => seat,
        Entry::Waits(waiting) => waiting.try_seat().expect("there is a seat"),
    }
}

fn waits(entry: Entry) -> Waiting {
    match entry {
        Entry::Seated(_) => panic!("there is no seat"),
        Entry::Waits(waiting) => waiting.try_seat().expect_err("there is no seat"),
    }
}

#[tokio::test]
async fn a_seat_goes_to_who_waits_and_one_who_has_gone_is_passed_over() {
    let gate = Gate::new(1, 0);
    let first = seated(gate.enter(key("a")));
    let (gone, second) = (waits(gate.enter(key("b"))), waits(gate.enter(key("c"))));
    drop(gone);
    drop(first);
    let second = second.seat().await;
    assert_eq!(gate.free(), 0);
    drop(second);
    assert_eq!(gate.free(), 1);
}

#[test]
fn one_who_goes_after_it_was_served_gives_its_seat_back() {
    let gate = Gate::new(1, 0);
    let first = seated(gate.enter(key("a")));
    let (second, third) = (waits(gate.enter(key("b"))), waits(gate.enter(key("c"))));
    drop(first);
    drop(second);
    drop(third.try_seat().expect("the next has it"));
    assert_eq!(gate.free(), 1);
}

#[test]
fn a_seat_that_was_given_up_is_taken_back_only_where_one_is_free() {
    let gate = Gate::new(1, 0);
    let lent = seated(gate.enter(key("a")));
    lent.release();
    let inner = seated(gate.enter(key("a")));
    assert!(!lent.try_back());
    drop(inner);
    assert!(lent.try_back() && lent.try_back());
    assert_eq!(gate.free(), 0);
    drop(lent);
    assert_eq!(gate.free(), 1);
}

#[test]
fn a_newcomer_has_an_extra_seat_beside_a_flood_that_never_ends() {
    let gate = Gate::new(2, 1);
    let _flood = (seated(gate.enter(key("flood"))), seated(gate.enter(key("flood"))));
    let _waiting = waits(gate.enter(key("flood")));
    let neighbour = seated(gate.enter(key("neighbour")));
    drop(neighbour);
    let _again = seated(gate.enter(key("neighbour")));
}
