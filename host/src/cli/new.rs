//! `nova-host new`: a project to begin with.

use std::path::PathBuf;

use super::{Failed, say};
use crate::project::{self, Language};

/// Arguments of `new`.
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The language
    #[arg(long, value_name = "LANG")]
    lang: Language,
    /// With types of its own, in WIT, in place of JSON
    #[arg(long)]
    typed: bool,
    /// The folder to make; its name is the handler's
    name: PathBuf,
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<()> {
        project::create(&self.name, self.lang, self.typed).map_err(Failed::from)?;
        let folder = self.name.display();
        say(format_args!("{folder}: a project with the method greet; build it with: nova-host build {folder}"));
        Ok(())
    }
}
