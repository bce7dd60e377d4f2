//! How fast, against whom: programs that compare, in one run on one broker, so that a ratio means something on a machine
//! that others use too.
//!
//! `make bench` measures at length and writes docs/performance.md; the story here is the same in short, writes to
//! `target/performance.md`, and asserts nothing about time. What a stage inside the host costs is measured by
//! `host/benches/stages.rs`.

mod end_to_end;
mod languages;
pub(crate) mod measure;
mod page;
mod recording;
mod scale;
mod shadow;
mod stages;

use std::time::Duration;

use self::page::Page;
use crate::harness::repository;

#[test]
fn what_is_measured_can_be_measured() {
    if std::env::var_os("NOVA_HOST_BENCH").is_some() {
        return at_length();
    }
    let turn = Duration::from_millis(100);
    let mut page = Page::read();
    page.fill("languages", || languages::run(3, 8));
    page.fill("contracts", || languages::contracts(8));
    page.fill("end to end", || end_to_end::run(end_to_end::Size { rounds: 1, turn, outstanding: &[1, 16], casts: 32 }));
    let size = scale::Size { handlers: &[1, 5], outstanding: &[1, 100], payloads: &[1000], in_flight: &[4], turn };
    page.fill("handlers", || scale::many_handlers(size));
    page.fill("callers", || scale::many_callers(size));
    page.fill("payloads", || scale::payloads(size));
    page.fill("in flight", || scale::in_flight(size));
    page.fill("recording", || recording::cost(1, turn));
    page.fill("replay", || recording::rate(3));
    page.fill("shadow", || shadow::cost(1, turn));
    let text = page.finish();
    assert!(!text.contains("{{"), "{text}");
    std::fs::write(repository().join("target/performance.md"), text).expect("target/ is writable");
}

#[test]
#[ignore = "measures; cargo test --release -p nova-host --test e2e -- --ignored --nocapture performance::what_a_shadow"]
fn what_a_shadow_costs_those_who_are_answered_is_measured() {
    println!("{}", shadow::cost(9, Duration::from_secs(1)));
}

fn at_length() {
    let mut page = Page::read();
    page.fill("languages", || languages::run(usize::MAX, 400));
    page.fill("contracts", || languages::contracts(4000));
    let turn = Duration::from_secs(1);
    page.fill("end to end", || {
        end_to_end::run(end_to_end::Size { rounds: 3, turn, outstanding: &[1, 16, 128, 512], casts: 512 })
    });
    let size = scale::Size {
        handlers: &[1, 10, 100, 1000],
        outstanding: &[1, 10, 100, 1000, 10_000],
        payloads: &[100, 10_000, 100_000, 1_000_000],
        in_flight: &[16, 64, 256, 1024],
        turn: Duration::from_secs(3),
    };
    page.fill("handlers", || scale::many_handlers(size));
    page.fill("callers", || scale::many_callers(size));
    page.fill("payloads", || scale::payloads(size));
    page.fill("in flight", || scale::in_flight(size));
    page.fill("recording", || recording::cost(9, turn));
    page.fill("replay", || recording::rate(2000));
    page.fill("shadow", || shadow::cost(9, turn));
    std::fs::write(repository().join("docs/performance.md"), page.finish()).expect("docs/ is writable");
}
