//! `nova-host schema`: the types of a handler's methods, for other programs.

use std::path::PathBuf;

use super::{Exit, Failed, Options, contract::Contract, say, telemetry};
use crate::contract::{python, schema};

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Schema {
    /// A component
    file: PathBuf,
    /// Print a Python module with a client for each endpoint instead of JSON Schema
    #[arg(long)]
    python: bool,
}

impl Schema {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", "warn")])?;
        telemetry::start(&config.log, options.json)?;
        let contract = Contract::of(&self.file, &config).await?;
        let served = contract.served();
        if served.iter().all(|endpoint| endpoint.types.is_none()) {
            let message = format!(
                "{}: a dynamic handler, whose methods have no types; docs/wit-mapping.md says how to write a typed one",
                self.file.display()
            );
            return Err(Failed::new(Exit::Handlers, message).into());
        }
        let name = self.file.file_stem().unwrap_or_default().to_string_lossy();
        match self.python {
            true => say(python::module(&name, &served).trim_end()),
            false => say(format_args!("{:#}", schema::document(&name, &served))),
        }
        Ok(())
    }
}
