//! The plan of a canary, as a function: what it does with which numbers, whatever they are.

use fastrand::Rng;
use proptest::prelude::*;

use super::*;
use crate::canary::{
    Side, Tally,
    evidence::{Class, Key},
    policy::Wishes,
};

const STEP: Duration = Duration::from_secs(120);

/// Requests that are played: what a version makes of one that has such a number.
type Version<'a> = &'a dyn Fn(&str, u64, &mut Rng) -> (Option<Class>, u64);

fn policy() -> Policy {
    Policy::read(&Wishes::default()).unwrap()
}

fn key(method: &str) -> Key {
    Key { namespace: Some("ns".to_owned()), method: method.to_owned(), major: 1 }
}

fn class(is_fault: bool, name: &str) -> Class {
    Class { is_fault, name: name.to_owned() }
}

/// A window in which so many of a method's requests failed, of the old version and of the new one.
fn window(class: &Class, old: (u64, u64), new: (u64, u64)) -> Window {
    let tally = Tally::default();
    for (side, (failures, requests)) in [(Side::Old, old), (Side::New, new)] {
        for number in 0..requests {
            tally.note(key("m"), side, (number < failures).then(|| class.clone()), 1_000);
        }
    }
    tally.window(1.3)
}

fn at(step: usize) -> Progress {
    Progress { step, since: Duration::ZERO, is_paused: false }
}

fn planned(window: &Window, now: Duration) -> Action {
    plan(&at(0), &[window], &policy(), now)
}

/// Plays a canary with a request each 5 ms; says what became of it, and after how many requests of the new version.
fn play(seed: u64, methods: &[(&str, u64)], old: Version<'_>, new: Version<'_>) -> (Action, u64) {
    let (policy, mut random) = (policy(), Rng::with_seed(seed));
    let (mut progress, mut windows, tally) = (at(0), Vec::new(), Tally::default());
    let weights = methods.iter().map(|(_, weight)| weight).sum::<u64>();
    let mut tried = 0;
    for number in 0.. {
        let mut drawn = random.u64(..weights);
        let method = methods.iter().find(|(_, weight)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        let is_new = random.f64() < policy.share(progress.step).fraction();
        let (version, side) = if is_new { (new, Side::New) } else { (old, Side::Old) };
        let method = method.unwrap().0;
        let (failure, took) = version(method, number, &mut random);
        tally.note(key(method), side, failure, took);
        tried += u64::from(is_new);
        // Four looks a second.
        if number % 50 != 0 {
            continue;
        }
        let now = Duration::from_millis(5 * number);
        let running = tally.window(policy.max_latency);
        let all: Vec<&Window> = windows.iter().chain([&running]).collect();
        match plan(&progress, &all, &policy, now) {
            Action::Wait => {}
            Action::Advance(step) => {
                windows.push(tally.take(policy.max_latency));
                progress = Progress { step, since: now, is_paused: false };
            }
            end => return (end, tried),
        }
    }
    unreachable!()
}

/// Fails in one of twenty requests with an exception of its everyday, takes some milliseconds, and sometimes much longer.
fn usual(_: &str, _: u64, random: &mut Rng) -> (Option<Class>, u64) {
    let failure = (random.f64() < 0.05).then(|| class(false, "NotFound"));
    (failure, 3_000 + random.u64(..2_000) + if random.f64() < 0.02 { random.u64(..200_000) } else { 0 })
}

const METHODS: [(&str, u64); 3] = [("often", 80), ("sometimes", 18), ("seldom", 2)];

#[test]
fn an_innocent_version_goes_all_the_way() {
    for seed in 0..12 {
        assert_eq!(play(seed, &METHODS, &usual, &usual).0, Action::Promote, "seed {seed}");
    }
}

#[test]
fn a_version_that_traps_on_one_request_of_five_hundred_goes_back() {
    let trapping: Version<'_> = &|method, number, random| match random.f64() < 0.002 {
        true => (Some(class(true, "trapped")), 1_000),
        false => usual(method, number, random),
    };
    for seed in 0..4 {
        let (action, tried) = play(seed, &METHODS, &usual, trapping);
        let Action::Rollback(why) = action else { panic!("{action:?}") };
        assert!(why.to_string().contains("trapped") && tried < 10_000, "{why} after {tried}");
    }
}

#[test]
fn one_method_that_takes_twice_as_long_is_seen_and_named() {
    let slow: Version<'_> = &|method, number, random| {
        let (failure, took) = usual(method, number, random);
        (failure, if method == "sometimes" { 2 * took } else { took })
    };
    for seed in 0..4 {
        let (action, tried) = play(seed, &METHODS, &usual, slow);
        let Action::Rollback(why) = action else { panic!("{action:?}") };
        assert!(why.to_string().starts_with("ns.sometimes: 50 of 100 requests took"), "{why} after {tried}");
    }
}

#[test]
fn a_rare_method_that_fails_otherwise_is_seen_by_the_class_and_named() {
    let other: Version<'_> = &|method, number, random| {
        let (failure, took) = usual(method, number, random);
        let is_it = method == "seldom" && random.f64() < 0.3;
        (if is_it { Some(class(false, "KeyError")) } else { failure }, took)
    };
    for seed in 0..4 {
        let (action, tried) = play(seed, &METHODS, &usual, other);
        let Action::Rollback(why) = action else { panic!("{action:?}") };
        assert!(why.to_string().starts_with("ns.seldom: "), "{why} after {tried}");
    }
}

#[test]
fn a_bad_hour_of_both_versions_is_no_verdict() {
    // From the second minute on, what they ask fails for a third of all requests and takes long for all.
    let with_weather: Version<'_> = &|method, number, random| match number {
        15_000..40_000 if random.f64() < 0.3 => (Some(class(false, "Timeout")), 1_000_000),
        15_000..40_000 => (None, 50_000 + random.u64(..50_000)),
        _ => usual(method, number, random),
    };
    for seed in 0..4 {
        assert_eq!(play(seed, &METHODS, with_weather, with_weather).0, Action::Promote, "seed {seed}");
    }
}

#[test]
fn it_goes_on_when_its_time_has_come_and_there_were_enough_requests_of_both() {
    let fails = class(false, "E");
    for (old, new, after, expected) in [
        (5_000, 50, STEP, Action::Advance(1)),
        (5_000, 50, STEP - Duration::from_millis(1), Action::Wait),
        (5_000, 49, STEP, Action::Wait),
        (49, 5_000, STEP, Action::Wait),
        (5_000, 49, 10 * STEP, Action::Pause(Why::TooFew { new: 49, old: 5_000, needed: 50 })),
    ] {
        assert_eq!(planned(&window(&fails, (0, old), (0, new)), after), expected, "{old} {new} {after:?}");
    }
    let good = window(&fails, (0, 5_000), (0, 5_000));
    assert_eq!(plan(&at(2), &[&good], &policy(), STEP), Action::Promote);
    let paused = Progress { is_paused: true, ..at(2) };
    assert_eq!(plan(&paused, &[&good], &policy(), 100 * STEP), Action::Wait);
    assert_eq!(plan(&at(0), &[], &policy(), STEP), Action::Wait);
}

#[test]
fn while_in_doubt_it_stays_where_it_is_and_asks_in_the_end() {
    let doubtful = window(&class(false, "E"), (0, 9_000), (2, 100));
    assert_eq!(planned(&doubtful, STEP), Action::Wait);
    assert!(matches!(planned(&doubtful, 10 * STEP), Action::Pause(Why::Doubt(_))));
    let sure = window(&class(false, "E"), (0, 9_000), (4, 100));
    let why = "ns.m: 4 of 100 requests failed with E (4.00%), and 0 of 9000 on the version that serves (0.00%)";
    assert!(matches!(planned(&sure, Duration::ZERO), Action::Rollback(said) if said.to_string() == why));
}

#[test]
fn a_fault_that_the_version_in_force_never_shows_decides_sooner_and_one_that_it_shows_does_not() {
    let trap = class(true, "trapped");
    let goes_back = |old, new| matches!(planned(&window(&trap, old, new), Duration::ZERO), Action::Rollback(_));
    assert!(goes_back((0, 9_900), (2, 100)));
    assert!(!goes_back((0, 9_900), (1, 100)), "one is none");
    assert!(!goes_back((1, 9_900), (2, 100)), "the old one traps as well");
    assert!(!goes_back((0, 100), (2, 100)), "two of two is a toss of coins");
    assert!(goes_back((0, 100), (6, 100)));
}

#[test]
fn what_is_allowed_is_borne_but_no_new_kind_of_fault() {
    let tolerant = Policy { max_failures: "5%".parse().unwrap(), ..policy() };
    let judged = |class: &Class, new| plan(&at(0), &[&window(class, (0, 9_000), new)], &tolerant, STEP);
    assert_eq!(judged(&class(false, "E"), (4, 100)), Action::Advance(1));
    assert!(matches!(judged(&class(true, "trapped"), (4, 100)), Action::Rollback(_)));
    assert!(matches!(judged(&class(false, "E"), (30, 100)), Action::Rollback(_)));
}

#[test]
fn what_is_plainly_worse_never_goes_on_whatever_share_it_had() {
    let (fails, trap) = (class(false, "E"), class(true, "trapped"));
    for (class, old, new) in [
        (&fails, (0, 50), (9, 50)),
        (&fails, (0, 50), (10, 50)),
        (&fails, (0, 10), (10, 10)),
        (&fails, (0, 12), (9, 12)),
        (&fails, (0, 50), (60, 450)),
        (&fails, (0, 50), (700, 4_950)),
        (&trap, (0, 50), (5, 50)),
        (&trap, (0, 50), (2, 50)),
        (&trap, (0, 50), (2, 4_950)),
    ] {
        let policy = Policy { min_requests: 10, ..policy() };
        let window = window(class, old, new);
        let act = |after| plan(&at(2), &[&window], &policy, after);
        assert!(matches!(act(STEP), Action::Wait | Action::Rollback(_)), "{old:?} {new:?}: {:?}", act(STEP));
        assert!(matches!(act(10 * STEP), Action::Pause(Why::Doubt(_)) | Action::Rollback(_)), "{old:?} {new:?}");
    }
}

#[test]
fn what_may_well_be_chance_goes_on() {
    let (fails, trap) = (class(false, "E"), class(true, "trapped"));
    for (class, old, new) in [
        (&fails, (0, 50), (2, 50)),
        (&fails, (5, 50), (8, 50)),
        (&fails, (0, 9_900), (1, 100)),
        (&fails, (50, 1_000), (60, 1_000)),
        (&trap, (0, 50), (1, 50)),
        (&trap, (1, 50), (2, 50)),
    ] {
        assert_eq!(planned(&window(class, old, new), STEP), Action::Advance(1), "{old:?} {new:?}");
    }
    // One failure at the smallest share, with nothing allowed, decides nothing either.
    let strict = Policy { max_failures: "0%".parse().unwrap(), ..policy() };
    let one = window(&fails, (0, 500_000), (1, 50));
    assert_eq!(plan(&at(0), &[&one], &strict, STEP), Action::Advance(1));
}

/// Any window of one method.
fn windows() -> impl Strategy<Value = (Window, bool)> {
    let counts = || (0..40_u64, 0..400_u64).prop_map(|(failures, requests)| (failures.min(requests), requests));
    (counts(), counts(), any::<bool>())
        .prop_map(|(old, new, is_fault)| (window(&class(is_fault, "C"), old, new), is_fault))
}

proptest! {
    #[test]
    fn fewer_failures_than_it_takes_never_decide((window, is_fault) in windows(), paused: bool, seconds in 0..10_000_u64) {
        let new: u64 = window.values().map(|method| method.new.failures()).sum();
        let progress = Progress { is_paused: paused, ..at(0) };
        let action = plan(&progress, &[&window], &policy(), Duration::from_secs(seconds));
        if new < if is_fault { 2 } else { 3 } {
            prop_assert!(!matches!(action, Action::Rollback(_)), "{action:?} for {new}");
        }
    }

    #[test]
    fn paused_it_goes_back_for_the_same_and_never_on((window, _) in windows(), seconds in 0..10_000_u64) {
        let act = |is_paused| plan(&Progress { is_paused, ..at(0) }, &[&window], &policy(), Duration::from_secs(seconds));
        match (act(false), act(true)) {
            (Action::Rollback(why), paused) => prop_assert_eq!(paused, Action::Rollback(why)),
            (_, paused) => prop_assert_eq!(paused, Action::Wait),
        }
    }

    #[test]
    fn it_never_goes_on_before_its_time_or_past_its_last_step((window, _) in windows(), step in 0..3_usize, ms in 0..1_000_000_u64) {
        let now = Duration::from_millis(ms);
        match plan(&at(step), &[&window], &policy(), now) {
            Action::Advance(next) => prop_assert!(now >= STEP && next == step + 1 && step < 2),
            Action::Promote => prop_assert!(now >= STEP && step == 2),
            Action::Pause(_) => prop_assert!(now >= 10 * STEP),
            Action::Wait | Action::Rollback(_) => {}
        }
    }

    #[test]
    fn what_fails_more_never_fares_better(
        old in (0..10_u64, 10..400_u64), requests in 10..400_u64, failures in 0..10_u64, more in 0..30_u64,
    ) {
        let act = |failures: u64| {
            planned(&window(&class(false, "C"), old, (failures.min(requests), requests)), STEP)
        };
        if matches!(act(failures), Action::Rollback(_)) {
            prop_assert!(matches!(act(failures + more), Action::Rollback(_)));
        }
    }
}

#[test]
fn of_two_versions_that_do_the_same_none_goes_back_at_any_share() {
    for seed in 0..200 {
        let (tally, mut random) = (Tally::default(), Rng::with_seed(seed));
        let (share, failing) = (random.u64(1..50), random.u64(..30));
        for _ in 0..2_000 {
            let side = if random.u64(..100) < share { Side::New } else { Side::Old };
            let failure = (random.u64(..100) < failing).then(|| class(false, "C"));
            tally.note(key("m"), side, failure, 1_000 + random.u64(..100_000));
        }
        assert_eq!(planned(&tally.window(1.3), Duration::ZERO), Action::Wait, "seed {seed}");
    }
}
