//! Stopping, where something of it never ends by itself. Time is paused: what waits without a bound never returns.

use std::{future::pending, sync::mpsc};

use super::*;
use crate::{
    catalog::{Policy, watch::Looks},
    testing::{load_config, sandbox, wide},
    transport::Url,
};

/// A service in which nothing ends in order.
fn stuck(grace_period: Duration) -> (Host, Shutdown) {
    let shutdown = Shutdown::default();
    let host = Host {
        shutdown: shutdown.clone(),
        task: AbortOnDropHandle::new(tokio::spawn(pending())),
        looking: AbortOnDropHandle::new(tokio::spawn(pending())),
        capabilities: Capabilities::default(),
        transport: Transport::new(Url::Memory, crate::transport::rabbit::Config::default()),
        metrics: Metrics::default(),
        grace_period,
    };
    (host, shutdown)
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_end_is_left_alone_after_the_grace_period_and_the_time_to_close() {
    let started = tokio::time::Instant::now();
    let (host, shutdown) = stuck(Duration::from_secs(25));
    let metrics = host.metrics.clone();
    assert!(!host.stop(pending()).await);
    assert_eq!(started.elapsed(), Duration::from_secs(25) + CLOSING);
    assert!(shutdown.stop.is_cancelled() && !shutdown.now.is_cancelled());
    assert_eq!(metrics.phase(), Phase::Stopping);
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_a_service_that_does_not_end_by_itself() {
    let started = tokio::time::Instant::now();
    let (host, shutdown) = stuck(Duration::from_secs(3600));
    assert!(!host.stop(sleep(Duration::from_secs(5))).await);
    assert_eq!(started.elapsed(), Duration::from_secs(5) + HURRIED);
    assert!(shutdown.now.is_cancelled());
}

#[test]
fn with_the_default_grace_period_the_service_has_ended_before_kubernetes_kills_it() {
    let last = crate::serve::Config::default().grace_period + CLOSING + beside::PATIENCE;
    assert!(last < Duration::from_secs(30), "{last:?}");
}

#[test]
fn a_directory_that_does_not_answer_keeps_nobody_who_stops() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build().unwrap();
    let (release, released) = mpsc::channel::<()>();
    runtime.block_on(async {
        let keeper = Keeper::new(&load_config(), &wide(), Policy::default(), sandbox(), Metrics::default());
        // The only thread that may wait for a disk waits for one that does not answer, and every look waits for the thread.
        let (begun, is_begun) = tokio::sync::oneshot::channel();
        tokio::task::spawn_blocking(move || {
            begun.send(()).ok();
            released.recv().ok();
        });
        is_begun.await.unwrap();
        let beside = Beside::default();
        beside.watch(keeper, Scan::default(), Looks::new(true).0);
        // The watch has begun to look.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(beside.end().await);
    });
    drop(release);
}
