//! What this process takes of its machine, under the names that all of Prometheus' clients use.
//!
//! Before it: the kernel, in `/proc`. After it: [`super::Metrics`] writes it. Where there is no such `/proc`, there are no such
//! metrics.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// Looks at the process each time that somebody asks.
#[derive(Debug)]
pub(super) struct Process;

/// What there was to see.
#[derive(Debug, Default)]
struct Seen {
    cpu_seconds: Option<f64>,
    start_time: Option<f64>,
    threads: Option<u64>,
    virtual_bytes: Option<u64>,
    resident_bytes: Option<u64>,
    open_files: Option<u64>,
    max_files: Option<u64>,
}

impl Seen {
    fn now() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{name}")).unwrap_or_default();
        let (stat, system, limits) = (read("self/stat"), read("stat"), read("self/limits"));
        let open_files = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        Self {
            // Less the one that looks.
            open_files: open_files.and_then(|count| u64::try_from(count.saturating_sub(1)).ok()),
            max_files: max_files(&limits),
            ..Self::of(&stat, &system)
        }
    }

    /// From `/proc/self/stat` (proc(5)) and the `btime` of `/proc/stat`.
    fn of(stat: &str, system: &str) -> Self {
        // The second field is the program's name in parentheses, in which anything may stand.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let fields: Vec<&str> = after.split_whitespace().collect();
        // The first of these is the third of all.
        let field = |number: usize| fields.get(number - 3).and_then(|field| field.parse::<u64>().ok());
        let seconds = |ticks: u64| as_f64(ticks) / as_f64(rustix::param::clock_ticks_per_second());
        let booted = system.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<u64>().ok());
        let page = u64::try_from(rustix::param::page_size()).ok();
        Self {
            cpu_seconds: field(14).zip(field(15)).map(|(user, system)| seconds(user + system)),
            threads: field(20),
            start_time: booted.zip(field(22)).map(|(booted, started)| as_f64(booted) + seconds(started)),
            virtual_bytes: field(23),
            resident_bytes: field(24).zip(page).map(|(pages, size)| pages.saturating_mul(size)),
            ..Self::default()
        }
    }
}

/// The soft limit on open files; none where it is unlimited.
fn max_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// These are far below the numbers that do not fit.
#[expect(clippy::cast_precision_loss, reason = "seconds and ticks since the boot")]
fn as_f64(number: u64) -> f64 {
    number as f64
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let seen = Seen::now();
        if let Some(seconds) = seen.cpu_seconds {
            let help = "Processor time that this process has used";
            let metric = encoder.encode_descriptor("process_cpu_seconds", help, None, MetricType::Counter)?;
            ConstCounter::new(seconds).encode(metric)?;
        }
        if let Some(seconds) = seen.start_time {
            let help = "When this process was started, in seconds since 1970";
            let metric = encoder.encode_descriptor("process_start_time_seconds", help, None, MetricType::Gauge)?;
            ConstGauge::new(seconds).encode(metric)?;
        }
        for (name, help, value) in [
            ("process_resident_memory_bytes", "Memory of this process that is in use", seen.resident_bytes),
            ("process_virtual_memory_bytes", "Addresses of this process that are in use", seen.virtual_bytes),
            ("process_open_fds", "Files and sockets that this process has open", seen.open_files),
            ("process_max_fds", "Files and sockets that it may have open", seen.max_files),
            ("process_threads", "Threads of this process", seen.threads),
        ] {
            let Some(value) = value.and_then(|value| i64::try_from(value).ok()) else { continue };
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            ConstGauge::new(value).encode(metric)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_shifts_nothing() {
        let stat = "7 (a) b (c d) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 12 0 1000 4096 3 184467440737";
        let seen = Seen::of(stat, "cpu 1 2\nbtime 1700000000\n");
        let ticks = as_f64(rustix::param::clock_ticks_per_second());
        assert_eq!(seen.cpu_seconds, Some(200.0 / ticks));
        assert_eq!(seen.start_time, Some(1_700_000_000.0 + 1000.0 / ticks));
        assert_eq!((seen.threads, seen.virtual_bytes), (Some(12), Some(4096)));
        assert_eq!(seen.resident_bytes, u64::try_from(3 * rustix::param::page_size()).ok());
        assert_eq!(max_files("Limit  Soft  Hard\nMax open files            1024      4096   files\n"), Some(1024));
        assert_eq!(max_files("Max open files            unlimited  unlimited  files\n"), None);
        assert_eq!(Seen::of("", "").cpu_seconds, None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_sees_itself() {
        let seen = Seen::now();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(seen.start_time.is_some_and(|start| start > now - 86_400.0 && start <= now + 1.0), "{seen:?}");
        assert!(seen.resident_bytes.is_some_and(|bytes| bytes > 1 << 20), "{seen:?}");
        assert!(seen.open_files.is_some_and(|files| files >= 3), "{seen:?}");
    }
}
