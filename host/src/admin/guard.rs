//! How many log-ins may fail: so many from one place, and so many from all.
//!
//! Before it: [`super::who`] is shown something. After it: where too many have failed, nothing is looked at for a while. Memory is
//! constant: places share one of [`SLOTS`] accounts, by a hash that nobody outside can foresee. An account that is empty because of
//! others fills again in seconds: all failures together empty a few of them at most.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::web::Peer;

/// Accounts of places.
const SLOTS: usize = 1024;

/// Failures of one place at once, and the time in which one more is allowed.
const PLACE: Rate = Rate { burst: 10, refill: Duration::from_secs(6) };

/// The same of all places.
const ALL: Rate = Rate { burst: 100, refill: Duration::from_millis(100) };

/// How long a place that has logged in is not kept out because of others.
const KNOWN_FOR: Duration = Duration::from_secs(3600);

/// Counts failures.
#[derive(Debug)]
pub(super) struct Guard {
    began: Instant,
    hasher: RandomState,
    accounts: Mutex<Accounts>,
}

#[derive(Debug)]
struct Accounts {
    all: Account,
    places: Box<[Account]>,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: u32,
    refill: Duration,
}

/// What is left of a rate: full where `debt` is in the past.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// When all failures are forgotten, since the guard began.
    debt: Duration,
    /// Until when the place is known.
    known: Duration,
}

impl Guard {
    pub(super) fn new() -> Self {
        let accounts = Accounts { all: Account::default(), places: vec![Account::default(); SLOTS].into() };
        Self { began: Instant::now(), hasher: RandomState::new(), accounts: Mutex::new(accounts) }
    }

    /// Whether what somebody shows is looked at.
    ///
    /// # Errors
    ///
    /// How long it is not.
    pub(super) fn admit(&self, peer: Peer) -> Result<(), Duration> {
        let now = self.began.elapsed();
        self.with(peer, |all, place| {
            place.wait(PLACE, now)?;
            if place.known > now { Ok(()) } else { all.wait(ALL, now) }
        })
    }

    /// It was wrong.
    pub(super) fn failed(&self, peer: Peer) {
        let now = self.began.elapsed();
        self.with(peer, |all, place| {
            all.charge(ALL, now);
            place.charge(PLACE, now);
        });
    }

    /// It was right.
    pub(super) fn succeeded(&self, peer: Peer) {
        let until = self.began.elapsed() + KNOWN_FOR;
        self.with(peer, |_, place| place.known = until);
    }

    fn with<T>(&self, peer: Peer, act: impl FnOnce(&mut Account, &mut Account) -> T) -> T {
        let slot = usize::try_from(self.hasher.hash_one(place_of(peer)) % SLOTS as u64).unwrap_or_default();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let Accounts { all, places } = &mut *accounts;
        match places.get_mut(slot) {
            Some(place) => act(all, place),
            None => act(all, &mut Account::default()),
        }
    }
}

impl Account {
    fn charge(&mut self, rate: Rate, now: Duration) {
        self.debt = self.debt.max(now) + rate.refill;
    }

    fn wait(&self, rate: Rate, now: Duration) -> Result<(), Duration> {
        let owed = self.debt.saturating_sub(now);
        let most = rate.refill * rate.burst;
        match owed + rate.refill > most {
            true => Err(owed + rate.refill - most),
            false => Ok(()),
        }
    }
}

/// Whose failures are counted together: those of an address, or of a network of IPv6 that one machine may have.
fn place_of(peer: Peer) -> u128 {
    match peer {
        Peer::Unix(uid) => u128::from(uid.unwrap_or(u32::MAX)) << 64,
        Peer::Tcp(address) => match address.ip().to_canonical() {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => address.to_bits() >> 64 << 64,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::Tcp((address.parse::<IpAddr>().unwrap(), 1).into())
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_too_often_waits_and_others_do_not() {
        let guard = Guard::new();
        let (bad, other) = (peer("192.0.2.1"), peer("2001:db8::1"));
        for _ in 0..PLACE.burst {
            guard.admit(bad).unwrap();
            guard.failed(bad);
        }
        let wait = guard.admit(bad).unwrap_err();
        assert!(wait <= PLACE.refill && !wait.is_zero(), "{wait:?}");
        guard.admit(other).unwrap();
        tokio::time::advance(wait).await;
        guard.admit(bad).unwrap();
        guard.failed(bad);
        guard.admit(bad).unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn who_fails_from_everywhere_keeps_out_only_those_who_have_never_logged_in() {
        let guard = Guard::new();
        let (known, unknown) = (peer("192.0.2.1"), peer("192.0.2.2"));
        guard.succeeded(known);
        // Of a network of their own each.
        for network in 0..ALL.burst {
            guard.failed(peer(&format!("2001:db8:{network:x}::1")));
        }
        guard.admit(unknown).unwrap_err();
        guard.admit(known).unwrap();
        tokio::time::advance(Duration::from_secs(60)).await;
        guard.admit(unknown).unwrap();
    }

    #[test]
    fn addresses_that_one_machine_may_have_are_one_place() {
        assert_eq!(place_of(peer("2001:db8::1")), place_of(peer("2001:db8::2:3")));
        assert_ne!(place_of(peer("2001:db8::1")), place_of(peer("2001:db8:0:1::1")));
        assert_eq!(place_of(peer("::ffff:192.0.2.1")), place_of(peer("192.0.2.1")));
        assert_ne!(place_of(peer("192.0.2.2")), place_of(peer("192.0.2.1")));
    }
}
