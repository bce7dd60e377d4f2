//! Tapes without a guest.

use super::*;

fn call(import: &str, asked: &str, answer: &str) -> Call {
    let text = |text: &str| Text::parse(text.to_owned()).unwrap();
    Call { import: import.to_owned(), asked: text(asked), answer: Some(text(answer)), at_us: 0, took_us: 0 }
}

const CLOCK: &str = "wasi:clocks/monotonic-clock.now";
const GET: &str = "nova:rpc/keyvalue.get";

fn looks(tape: &Tape) -> u64 {
    tape.notices(
        CLOCK,
        nothing,
        || unreachable!("the clock is on the tape"),
        |count, last| last.unwrap_or(1000) + count,
    )
}

fn asks(tape: &Tape, key: &str) -> Result<u64, Over> {
    tape.asks(GET, || text(&key), || unreachable!("nobody is asked"))
}

#[test]
fn what_was_taped_is_told_in_its_order() {
    let tape = Tape::recording(10_000, true);
    assert_eq!(tape.notices(CLOCK, nothing, || 7_u64, |_, _| 0), 7);
    assert_eq!(tape.asks(GET, || text(&"k"), || 8_u64).unwrap(), 8);
    let taped = tape.taken().unwrap();
    assert_eq!(taped.calls.len(), 2);
    let tape = Tape::replaying(taped.calls, Rule::Exact, false);
    assert_eq!((looks(&tape), asks(&tape, "k").unwrap()), (7, 8));
    assert_eq!(tape.played().differences, []);
}

#[test]
fn without_room_everything_is_given_up() {
    let tape = Tape::recording(100, true);
    assert!(tape.listens() && !Tape::default().listens());
    tape.asks(GET, || text(&"k"), || "x".repeat(200)).unwrap();
    // No text is made for it any more.
    assert!(tape.is_on() && !tape.listens());
    assert_eq!(tape.taken(), None);
}

#[test]
fn the_same_component_must_make_the_same_calls_in_the_same_order() {
    let calls = || vec![call(CLOCK, "null", "1"), call(GET, "\"k\"", "2")];
    let tape = Tape::replaying(calls(), Rule::Exact, false);
    asks(&tape, "k").unwrap_err();
    let differences = tape.played().differences;
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].expected.as_deref(), Some(CLOCK));
    // Nothing after it is told, or is a difference.
    assert_eq!(looks(&tape), 1000);
    let tape = Tape::replaying(calls(), Rule::Exact, false);
    looks(&tape);
    assert_eq!(tape.played().differences[0].import, GET);
}

#[test]
fn another_component_may_look_more_often_and_elsewhere_but_asks_in_order() {
    let calls = vec![call(CLOCK, "null", "1"), call(GET, "\"a\"", "2"), call(GET, "\"b\"", "3")];
    let tape = Tape::replaying(calls, Rule::Told, false);
    assert_eq!(asks(&tape, "a").unwrap(), 2);
    assert_eq!((looks(&tape), looks(&tape), looks(&tape)), (1, 2, 3));
    assert_eq!(asks(&tape, "b").unwrap(), 3);
    let played = tape.played();
    assert_eq!((played.differences, played.beyond), (Vec::new(), 2));
}

#[test]
fn other_lines_of_the_log_are_told_apart_from_other_calls() {
    let tape =
        Tape::replaying(vec![call("nova:rpc/log.write", "\"a\"", "null"), call(GET, "\"k\"", "2")], Rule::Exact, false);
    assert!(!tape.says("nova:rpc/log.write", || text(&"b")));
    assert_eq!(asks(&tape, "k").unwrap(), 2);
    let played = tape.played();
    assert_eq!((played.differences.len(), played.said.len()), (0, 1));
}

/// What this thread has had of a processor, in nanoseconds: other work does not change it. The first number, as proc(5) has it.
fn spent() -> u64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    statistics.split(' ').next().unwrap().parse().unwrap()
}

/// Four times the calls take some four times as long; they took sixteen times as long.
#[test]
fn what_a_replay_takes_grows_with_its_calls_and_not_with_their_square() {
    let takes = |count: usize| {
        let tape = Tape::replaying(vec![call(GET, "\"k\"", "2"); count], Rule::Exact, false);
        let before = spent();
        assert!((0..count).all(|_| asks(&tape, "k").is_ok()));
        spent() - before
    };
    takes(1000);
    let (few, many) = (takes(10_000), takes(40_000));
    assert!(many < 10 * few, "{few} ns for 10,000 calls, {many} ns for 40,000");
}
