//! Nothing is lost and nothing runs twice while methods move and hosts die.

use std::sync::Arc;

use super::{Front, LEGACY, python};
use crate::harness::{Broker, LIMIT, Ledger, Load, OsloLoad};

/// Requests that our own client has outstanding.
const OUTSTANDING: usize = 16;

/// Requests that oslo.messaging's client has outstanding.
const OSLO_OUTSTANDING: usize = 4;

/// How many hosts are killed.
const KILLS: usize = 4;

/// How often a method is moved.
const MOVES: usize = 20;

#[test]
fn a_method_that_is_moved_to_and_fro_under_load_loses_nothing_and_runs_nothing_twice() {
    let vhost = Broker::shared().vhost();
    let python = python(&vhost, "python-1");
    let host =
        Front::start(&vhost, "front", &format!("[forward]\nexchange = \"{LEGACY}\"\nmethods.record = \"forward\""));
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&vhost.url(), OUTSTANDING, LIMIT, &ledger);
    let oslo = OsloLoad::start(&vhost.url(), OSLO_OUTSTANDING, &ledger);
    for turn in 0..MOVES {
        ledger.wait_for_answers(OUTSTANDING);
        let side: &[&str] = match turn % 4 {
            0 | 2 => &["serve"],
            1 => &["serve", "50%"],
            _ => &["forward"],
        };
        host.forward(&[&["set", "record"], side].concat());
    }
    ledger.wait_for_answers(OUTSTANDING);
    load.finish();
    oslo.finish();
    let tally = ledger.tally(|| vec![host.serve.log().into(), python.log()]);
    tally.assert_nothing_lost();
    assert_eq!(tally.again, 0, "{tally}");
    assert!(host.went("record", "served") > 0 && host.went("record", "forwarded") > 0, "{tally}");
}

#[test]
fn hosts_that_are_killed_under_load_lose_nothing_and_send_little_on_twice() {
    const MAX_IN_FLIGHT: u64 = 16;
    let vhost = Broker::shared().vhost();
    let python = python(&vhost, "python-1");
    let more =
        format!("max_in_flight = {MAX_IN_FLIGHT}\n[forward]\nexchange = \"{LEGACY}\"\nmethods.record = \"serve 50%\"");
    let mut hosts = vec![Front::start(&vhost, "host-0", &more)];
    let ledger = Arc::new(Ledger::default());
    let load = Load::start(&vhost.url(), OUTSTANDING, LIMIT, &ledger);
    for round in 1..=KILLS {
        ledger.wait_for_answers(OUTSTANDING);
        hosts.push(Front::start(&vhost, &format!("host-{round}"), &more));
        hosts[round - 1].serve.kill();
    }
    ledger.wait_for_answers(OUTSTANDING);
    load.finish();
    let tally = ledger.tally(|| hosts.iter().map(|host| host.serve.log().into()).chain([python.log()]).collect());
    tally.assert_nothing_lost();
    assert!(tally.again <= KILLS as u64 * MAX_IN_FLIGHT, "{tally}");
}
