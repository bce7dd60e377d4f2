//! The door: arguments in, exit code out. No logic.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use nova_host::cli::{Cli, Failed, INTERNAL, complain};

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

fn run(cli: Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(cli.run())
}
