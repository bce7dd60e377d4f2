//! What is under way to the broker, until it is finished.
//!
//! Before it: [`super::outbox`] begins something ([`super::flight`]). After it: the same room notes how it ended.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures_util::stream::{FuturesUnordered, StreamExt};

/// Things under way that end in a `T`.
pub(crate) struct Underway<T>(FuturesUnordered<Pin<Box<dyn Future<Output = T> + Send>>>);

impl<T> Default for Underway<T> {
    fn default() -> Self {
        Self(FuturesUnordered::new())
    }
}

impl<T> Underway<T> {
    /// Begins something.
    pub(crate) fn begin(&self, thing: Pin<Box<dyn Future<Output = T> + Send>>) {
        self.0.push(thing);
    }

    /// Waits for the next end; for ever where nothing is under way.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn next(&mut self) -> T {
        poll_fn(|context| match self.0.poll_next_unpin(context) {
            Poll::Ready(Some(finished)) => Poll::Ready(finished),
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// What has ended by now, if anything has. Being woken while we look means to look again: `FuturesUnordered` pauses by
    /// waking itself.
    pub(crate) fn finished(&mut self) -> Option<T> {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        loop {
            woken.0.store(false, Ordering::SeqCst);
            match self.0.poll_next_unpin(&mut Context::from_waker(&waker)) {
                Poll::Ready(finished) => return finished,
                Poll::Pending if woken.0.load(Ordering::SeqCst) => {}
                Poll::Pending => return None,
            }
        }
    }
}

/// Notices being woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_has_ended_is_found_and_nothing_else_is_waited_for() {
        let mut underway = Underway::default();
        assert_eq!(underway.finished(), None);
        assert!(underway.next().now_or_never().is_none());
        underway.begin(Box::pin(std::future::pending()));
        for n in 0..100 {
            underway.begin(Box::pin(async move {
                // As what is woken while it is looked at.
                tokio::task::yield_now().await;
                n
            }));
        }
        let mut ended = vec![underway.next().await];
        ended.extend(std::iter::from_fn(|| underway.finished()));
        ended.sort_unstable();
        assert_eq!(ended, (0..100).collect::<Vec<_>>());
    }
}
