//! Sessions of browsers: a cookie that stands for a token for a while.
//!
//! Before it: somebody has shown a token ([`super::who`]). After it: the cookie is known by its hash, for [`LIFETIME`] at most and no
//! longer than its token is valid. A process that starts anew knows none.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::tokens::{Hash, hash};

/// How long a session lasts: a working day.
pub(super) const LIFETIME: Duration = Duration::from_secs(8 * 3600);

/// Sessions at once, and those of one token; one more ends the oldest.
const MAX_SESSIONS: usize = 256;
const MAX_OF_TOKEN: usize = 16;

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<Hash, Session>>);

#[derive(Clone, Copy, Debug)]
struct Session {
    token: Hash,
    began: Instant,
}

impl Sessions {
    /// Begins one for a token; gives what its cookie holds. `None` where there is no randomness.
    pub(super) fn begin(&self, token: Hash) -> Option<String> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).ok()?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut sessions = self.lock();
        sessions.retain(|_, session| session.began.elapsed() < LIFETIME);
        while sessions.values().filter(|session| session.token == token).count() >= MAX_OF_TOKEN {
            end_oldest(&mut sessions, |session| session.token == token);
        }
        if sessions.len() >= MAX_SESSIONS {
            end_oldest(&mut sessions, |_| true);
        }
        sessions.insert(hash(&id), Session { token, began: Instant::now() });
        Some(id)
    }

    /// The token that a cookie stands for.
    pub(super) fn token(&self, id: &str) -> Option<Hash> {
        // By its hash: how long looking takes says nothing about the ids that there are.
        let sessions = self.lock();
        let session = sessions.get(&hash(id))?;
        (session.began.elapsed() < LIFETIME).then_some(session.token)
    }

    /// Ends the session of a cookie.
    pub(super) fn end(&self, id: &str) {
        self.lock().remove(&hash(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Hash, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end_oldest(sessions: &mut HashMap<Hash, Session>, of: impl Fn(&Session) -> bool) {
    let oldest = sessions.iter().filter(|(_, session)| of(session)).min_by_key(|(_, session)| session.began);
    if let Some(hash) = oldest.map(|(hash, _)| *hash) {
        sessions.remove(&hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_itself_by_its_owner_or_for_a_newer_one() {
        let sessions = Sessions::default();
        let (one, other) = ([1; 32], [2; 32]);
        let first = sessions.begin(one).unwrap();
        assert_eq!((sessions.token(&first), sessions.token("")), (Some(one), None));
        tokio::time::advance(Duration::from_secs(1)).await;
        let others = sessions.begin(other).unwrap();
        let rest: Vec<_> = (0..MAX_OF_TOKEN).map(|_| sessions.begin(one).unwrap()).collect();
        assert_eq!((sessions.token(&first), sessions.token(&others)), (None, Some(other)));
        sessions.end(&others);
        assert_eq!((sessions.token(&rest[0]), sessions.token(&others)), (Some(one), None));
        tokio::time::advance(LIFETIME).await;
        assert_eq!(sessions.token(&rest[0]), None);
        for token in 0..=u8::MAX {
            sessions.begin([token; 32]).unwrap();
        }
        sessions.begin([7; 32]).unwrap();
        assert_eq!(sessions.lock().len(), MAX_SESSIONS);
    }
}
