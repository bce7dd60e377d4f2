//! What a version has to pass, as `handlers add` and `handlers canary` are told.
//!
//! Before it: the command line. After it: [`crate::gate`] has read it, here and in the host.

use super::super::{Exit, Failed};
use crate::gate::{Terms, Wishes};

/// Options of a command that brings a version.
#[derive(Debug, clap::Args)]
pub(super) struct Gates {
    /// What it has to pass, beside what manifests demand: all, or interface, imports, grants, recordings[=20], latency[=1.5x],
    /// memory[=1.5x]
    #[arg(long, value_name = "GATE", value_delimiter = ',', conflicts_with = "force")]
    gate: Vec<String>,
    /// Where results of recordings may differ: a JSON pointer, with * for any name or position and ** for any depth; may be repeated
    #[arg(long, value_name = "PATH", conflicts_with = "force")]
    ignore: Vec<String>,
}

impl Gates {
    /// In the words of a request.
    pub(super) fn wishes(self, force: bool) -> Result<Wishes, Failed> {
        let wishes = Wishes::of(&self.gate, self.ignore);
        let read = wishes.and_then(|wishes| Terms::read(force, &wishes).map(|_| wishes));
        read.map_err(|wrong| Failed::new(Exit::Usage, wrong))
    }
}
