//! Time, and what a process uses.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nova_host::client::{CallOptions, Client, Invocation};
use tokio::runtime::Runtime;

use crate::harness::LIMIT;

/// Clock ticks of `/proc` in a second: `USER_HZ`, which is 100 on every Linux.
const TICKS: f64 = 100.0;

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// Processor time, all threads.
    pub(super) cpu: Duration,
    /// Resident memory now, in bytes.
    pub(super) rss: u64,
}

impl Usage {
    /// What a process has used so far.
    pub(super) fn of(pid: u32) -> Self {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).expect("the process is there");
        let stat = read("stat");
        // Behind the name, which may hold anything: the fields 14 and 15 of proc(5).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().expect("a number")).sum();
        let status = read("status");
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        let kib: u64 = rss.trim().trim_end_matches(" kB").parse().expect("a number");
        Self { cpu: Duration::from_secs_f64(ticks / TICKS), rss: kib * 1024 }
    }
}

/// What a round of calls came to.
#[derive(Clone, Debug)]
pub(crate) struct Round {
    /// Calls that were answered.
    pub(crate) calls: usize,
    /// From the first to the last.
    pub(super) took: Duration,
    /// How long each took, in order of size.
    pub(super) latencies: Vec<Duration>,
}

impl Round {
    /// Calls in a second.
    pub(super) fn rate(&self) -> f64 {
        self.calls as f64 / self.took.as_secs_f64()
    }

    /// The latency, in milliseconds, that such a part of the calls does not exceed.
    pub(super) fn percentile(&self, part: f64) -> f64 {
        let at = ((self.latencies.len() - 1) as f64 * part).round() as usize;
        self.latencies[at].as_secs_f64() * 1e3
    }
}

/// Calls in a closed loop: so many callers, each of which calls again when it has its answer, for so long.
///
/// # Panics
///
/// Where a call fails.
pub(crate) fn calls(
    runtime: &Runtime,
    client: &Arc<Client>,
    of: &Invocation,
    outstanding: usize,
    time: Duration,
) -> Round {
    let all = Arc::new(Mutex::new(Vec::new()));
    let begun = Instant::now();
    let caller = |_| {
        let (client, of, all) = (Arc::clone(client), of.clone(), Arc::clone(&all));
        runtime.spawn(async move {
            let mut latencies = Vec::new();
            while latencies.is_empty() || begun.elapsed() < time {
                let started = Instant::now();
                client.call(of.clone(), CallOptions::from(LIMIT)).await.expect("an answer");
                latencies.push(started.elapsed());
            }
            all.lock().expect("nobody panics").extend(latencies);
        })
    };
    let callers: Vec<_> = (0..outstanding).map(caller).collect();
    callers.into_iter().for_each(|caller| runtime.block_on(caller).expect("an answer"));
    let took = begun.elapsed();
    let mut latencies = std::mem::take(&mut *all.lock().expect("nobody panics"));
    latencies.sort_unstable();
    Round { calls: latencies.len(), took, latencies }
}

/// Casts as many, from so many senders, and waits until the service has come to a call behind them. Returns how many it
/// has taken in a second.
pub(super) fn casts(runtime: &Runtime, client: &Arc<Client>, of: &Invocation, senders: usize, count: usize) -> f64 {
    let begun = Instant::now();
    let sender = |_| {
        let (client, of) = (Arc::clone(client), of.clone());
        runtime.spawn(async move {
            for _ in 0..count / senders {
                client.cast(of.clone(), CallOptions::from(LIMIT)).await.expect("the broker has it");
            }
        })
    };
    let sending: Vec<_> = (0..senders).map(sender).collect();
    sending.into_iter().for_each(|sender| runtime.block_on(sender).expect("the broker has it"));
    runtime.block_on(client.call(of.clone(), CallOptions::from(LIMIT))).expect("an answer");
    count as f64 / begun.elapsed().as_secs_f64()
}

/// The median.
pub(crate) fn median(of: impl IntoIterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.into_iter().collect();
    all.sort_unstable_by(f64::total_cmp);
    match all.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => all[count / 2],
        count => (all[count / 2 - 1] + all[count / 2]) / 2.0,
    }
}

#[test]
fn the_median_is_in_the_middle() {
    assert_eq!((median([3.0, 1.0, 2.0]), median([4.0, 1.0])), (2.0, 2.5));
}

#[test]
fn a_process_that_computes_uses_its_processor() {
    let before = Usage::of(std::process::id());
    assert!(before.rss > 1 << 20, "{before:?}");
    let mut sum = 0_u64;
    // Until it shows, however slow the machine is.
    while Usage::of(std::process::id()).cpu == before.cpu {
        sum = (0..1_000_000_u64).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_mul(31) ^ n));
    }
}
