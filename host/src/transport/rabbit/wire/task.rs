//! A task that has an owner, and how it lets others run.
//!
//! Before it: [`super::super::consume`] and [`super::super::publish`], which own some. After it: nothing.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

use tokio::task::JoinHandle;

/// Lets everything run that is ready, and comes back. Unlike tokio's own `yield_now`, does not look for events of the
/// outside first, which takes a system call.
pub(crate) async fn let_others_run() {
    let mut is_done = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_done, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// A panic while the lock was held cannot leave what is behind it half-changed, wherever this is used.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A spawned task that ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Task(JoinHandle<()>);

impl Task {
    /// Starts a task.
    pub(crate) fn spawn(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future))
    }

    /// Waits until the task has ended; ends it when `limit` has passed.
    pub(crate) async fn finish(mut self, limit: Duration) {
        // A panic in the task is reported by tokio; there is nothing else to do about it.
        tokio::time::timeout(limit, &mut self.0).await.ok();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
