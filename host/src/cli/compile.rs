//! `nova-host compile`: what the host runs to compile a component; not for people.

use super::{Exit, Failed, complain};
use crate::{sandbox::child, settings::Bytes};

/// Arguments of `compile`.
#[derive(Debug, clap::Args)]
pub(super) struct Compile {
    /// Bytes of the component, which comes on standard input
    length: usize,
    /// Bytes of memory
    memory: usize,
    /// Seconds of CPU time
    seconds: u64,
    /// Whether everything else is given up
    #[arg(action = clap::ArgAction::Set)]
    confined: bool,
}

impl Compile {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let Self { length, memory, seconds, confined } = *self;
        let done = child::run(length, Bytes(memory), seconds, confined);
        Ok(done.map_err(|error| {
            // Without what `main` puts before it: the host reads this.
            complain(error);
            Failed::new(Exit::Handlers, "")
        })?)
    }
}
