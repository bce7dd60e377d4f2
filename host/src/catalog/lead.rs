//! Has versions on trial looked at, a few times a second.
//!
//! Before it: [`crate::host`] starts it beside serving. After it: [`super::keeper`] judges, and does what comes of it. So a version that does
//! worse is taken back within a moment of the request that gave it away.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{MissedTickBehavior, interval},
};

use super::keeper::Keeper;

/// How often: a verdict is carried out within a second, and to judge takes less than a millisecond.
const EVERY: Duration = Duration::from_millis(200);

/// Leads for as long as it is polled.
///
/// # Cancel safety
///
/// Dropped half-way, each version on trial is where it was, or where it was to be.
pub async fn lead(keeper: Arc<Keeper>) {
    let mut pause = interval(EVERY);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Those that are put into force, which may wait for a disk; the others are looked at meanwhile.
    let mut promoting = JoinSet::new();
    loop {
        pause.tick().await;
        while promoting.try_join_next().is_some() {}
        let judge = Arc::clone(&keeper);
        let judged = spawn_blocking(move || judge.judge()).await;
        for due in judged.unwrap_or_else(|error| {
            tracing::error!(%error, "no canary could be judged");
            Vec::new()
        }) {
            let keeper = Arc::clone(&keeper);
            promoting.spawn_blocking(move || keeper.promote_due(&due));
        }
    }
}
