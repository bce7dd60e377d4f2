//! Says the same thing seldom, and how often it was true.
//!
//! Before it: [`super::work`] has a message that nobody takes. After it: the log. A queue that is gone, or an exchange that
//! is full, concerns many messages; a line for each would bury the others.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How long nothing more is said of the same.
const SILENCE: Duration = Duration::from_secs(30);

/// How many things are told apart. Callers name their queues: what comes beyond is one thing.
const MAX_THINGS: usize = 256;

/// What was said, and when.
#[derive(Debug, Default)]
pub(super) struct Quiet(Mutex<HashMap<String, Said>>);

#[derive(Debug)]
struct Said {
    at: Instant,
    since: u64,
}

impl Quiet {
    /// Counts something. `Some` where it is to be said, with how often it was true since it was said last, this time
    /// included.
    pub(super) fn say(&self, what: &str) -> Option<u64> {
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if things.len() >= MAX_THINGS && !things.contains_key(what) {
            things.retain(|_, said| now < said.at + SILENCE || said.since > 0);
        }
        let what = if things.len() >= MAX_THINGS && !things.contains_key(what) { "" } else { what };
        match things.get_mut(what) {
            Some(said) if now < said.at + SILENCE => {
                said.since += 1;
                None
            }
            Some(said) => {
                let count = said.since + 1;
                *said = Said { at: now, since: 0 };
                Some(count)
            }
            None => {
                things.insert(what.to_owned(), Said { at: now, since: 0 });
                Some(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_said_once_and_again_with_a_count_when_some_time_has_passed() {
        let quiet = Quiet::default();
        assert_eq!((quiet.say("a"), quiet.say("a"), quiet.say("a"), quiet.say("b")), (Some(1), None, None, Some(1)));
        tokio::time::advance(SILENCE).await;
        assert_eq!((quiet.say("a"), quiet.say("a")), (Some(3), None));
    }

    #[tokio::test(start_paused = true)]
    async fn names_that_others_choose_take_bounded_room_and_lines() {
        let quiet = Quiet::default();
        let said = (0..10 * MAX_THINGS).filter(|n| quiet.say(&n.to_string()).is_some()).count();
        assert!(said <= MAX_THINGS + 1, "{said}");
        assert!(quiet.0.lock().unwrap().len() <= MAX_THINGS + 1);
    }
}
