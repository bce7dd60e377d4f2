//! Who has streams of events at once, and how many more of them there may be.
//!
//! Before it: [`super::page`] has somebody who wants one. After it: a [`Seat`], for as long as the stream lasts. Streams keep their
//! connections' places ([`crate::web`]), of which there are few: no caller has them all, and who may only look has half.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    operate::{Caller, Role},
    web::MAX_CONNECTIONS,
};

/// Streams of one name.
const MAX_OF_NAME: usize = 8;

/// Streams of those who may only look: half of the places that are kept, which are a quarter of all.
const MAX_OF_READ: usize = MAX_CONNECTIONS / 8;

/// All streams. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Seats(Arc<Mutex<BTreeMap<(Role, String), usize>>>);

/// A stream's, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Seats,
    of: (Role, String),
}

impl Seats {
    /// A seat.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub(super) fn take(&self, caller: &Caller) -> Result<Seat, String> {
        let Caller { name, role, .. } = caller;
        let mut taken = self.lock();
        let count = |of: &dyn Fn(&(Role, String)) -> bool| {
            taken.iter().filter(|(key, _)| of(key)).map(|(_, count)| count).sum::<usize>()
        };
        if count(&|(_, other)| other == name) >= MAX_OF_NAME {
            return Err(format!("{name} has {MAX_OF_NAME} streams of events already: close one, for example a tab"));
        }
        if *role == Role::Read && count(&|(role, _)| *role == Role::Read) >= MAX_OF_READ {
            return Err(format!("those who may look have {MAX_OF_READ} streams of events already: close one"));
        }
        let of = (*role, name.clone());
        *taken.entry(of.clone()).or_default() += 1;
        drop(taken);
        Ok(Seat { seats: self.clone(), of })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Role, String), usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if let Some(count) = taken.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, role: Role) -> Caller {
        Caller { name: name.to_owned(), role, from: "here".to_owned() }
    }

    #[test]
    fn nobody_has_all_streams_and_those_who_may_look_have_half() {
        let seats = Seats::default();
        let take = |name: &str, role| seats.take(&caller(name, role));
        let mut all: Vec<_> = (0..MAX_OF_NAME).map(|_| take("a", Role::Read).unwrap()).collect();
        assert!(take("a", Role::Read).unwrap_err().starts_with("a has 8 streams of events already"));
        all.pop();
        all.push(take("a", Role::Read).unwrap());
        let more = (MAX_OF_NAME..MAX_OF_READ).map(|number| take(&number.to_string(), Role::Read).unwrap());
        let more: Vec<_> = more.collect();
        assert!(take("b", Role::Read).unwrap_err().starts_with("those who may look"));
        drop(take("b", Role::Operate).unwrap());
        drop((all, more));
        assert!(seats.lock().is_empty());
    }
}
