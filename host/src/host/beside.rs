//! What goes on beside serving: operators are answered, changed files are noticed, and versions on trial are judged.
//!
//! Before it: [`crate::cli`] has a socket and a keeper. After it: [`crate::control`] and [`crate::catalog::watch`]. It begins
//! before there is a broker, and ends when the service does.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin::Admin,
    catalog::{
        Scan,
        keeper::Keeper,
        lead::lead,
        watch::{self, Looks, Watch},
    },
    control::{self, socket::Listener},
    operate::Operated,
    page::board::Board,
};

/// Time for what goes on to end. None of it waits for anybody once it is told.
pub(super) const PATIENCE: Duration = Duration::from_secs(1);

/// What goes on beside serving. Dropped, it goes on until the process ends.
#[derive(Debug, Default)]
pub struct Beside {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Beside {
    /// Lets operators exchange handlers.
    pub fn control(&self, listener: Listener, operated: Operated) {
        tracing::info!(socket = %listener.path().display(), "listening for `nova-host handlers`");
        self.tasks.spawn(control::serve(listener, operated, self.stop.clone()));
    }

    /// The same over HTTP, with a page.
    pub fn admin(&self, admin: Admin, operated: Operated, board: Board) {
        self.tasks.spawn(admin.serve(operated, board, self.stop.clone()));
    }

    /// Exchanges handlers as their files change after this scan, or where that is wished for.
    pub fn watch(&self, keeper: Arc<Keeper>, scan: Scan, looks: Looks) {
        let watching = watch::watch(keeper, Watch::after(scan), looks);
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(watching));
    }

    /// Has versions on trial go on, pause and go back.
    pub fn lead(&self, keeper: Arc<Keeper>) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(lead(keeper)));
    }

    /// Ends all of it, and waits for that, but not for long. Gives whether it has ended.
    pub async fn end(self) -> bool {
        self.stop.cancel();
        self.tasks.close();
        let has_ended = timeout(PATIENCE, self.tasks.wait()).await.is_ok();
        if !has_ended {
            tracing::warn!("what goes on beside serving has not ended within {PATIENCE:?}, and is left alone");
        }
        has_ended
    }
}
