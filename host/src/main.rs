//! The door: arguments in, exit code out. No logic.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use nova_host::cli::{Cli, Failed, INTERNAL, complain};

/// A call is some 170 allocations. With the system's allocator it takes a tenth more of a processor (ADR 22).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Err(error) = run(Cli::parse()) else { return ExitCode::SUCCESS };
    match error.downcast::<Failed>() {
        Ok(failed) => {
            if !failed.message.is_empty() {
                complain(format_args!("nova-host: {}", failed.message));
            }
            ExitCode::from(failed.exit as u8)
        }
        Err(error) => {
            complain(format_args!("nova-host: internal error: {error:#}"));
            ExitCode::from(INTERNAL)
        }
    }
}

/// Tasks that a worker runs before it looks at sockets, timers and other threads' wake-ups again. A busy guest holds its
/// worker for a tick of the epoch at a time: with tokio's own 61, as many busy guests as workers would keep everybody else
/// waiting for that many ticks.
const EVENT_INTERVAL: u32 = 8;

fn run(cli: Cli) -> anyhow::Result<()> {
    let Some(cli) = cli.before_threads()? else { return Ok(()) };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .enable_all()
        .event_interval(EVENT_INTERVAL)
        .global_queue_interval(EVENT_INTERVAL)
        .build()
        .context("starting the runtime")?;
    let done = runtime.block_on(cli.run());
    // Not dropped, which would wait for every file and every name that the system is still asked for. Nothing that is left
    // may keep the process.
    runtime.shutdown_background();
    done
}
