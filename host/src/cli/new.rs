//! `nova-host new`: a project to begin with, or one of endpoint classes that are there.

use std::path::PathBuf;

use super::{Exit, Failed, say};
use crate::project::{self, Endpoints, Language};

/// Lines of each part of the report that are shown.
const MAX_LINES: usize = 60;

/// Arguments of `new`.
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The language
    #[arg(long, value_name = "LANG")]
    lang: Language,
    /// With types of its own, in WIT, in place of JSON
    #[arg(long)]
    typed: bool,
    /// Of oslo.messaging's endpoint classes, as they are, with --lang python: a file and a class in it, or several with commas;
    /// several times for several files
    #[arg(long, value_name = "FILE:CLASS", conflicts_with = "typed")]
    from: Vec<Endpoints>,
    /// The folder to make; its name is the handler's
    name: PathBuf,
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let folder = self.name.display();
        if self.from.is_empty() {
            project::create(&self.name, self.lang, self.typed).map_err(Failed::from)?;
            say(format_args!("{folder}: a project with the method greet; build it with: nova-host build {folder}"));
            return Ok(());
        }
        if self.lang != Language::Python {
            return Err(Failed::new(Exit::Usage, "--from takes endpoint classes in Python: say --lang python").into());
        }
        let brought = project::bring(&self.name, &self.from).map_err(Failed::from)?;
        lines(&brought.report);
        if !brought.cannot.is_empty() {
            say("\nwhat a sandbox cannot have, or that is to be brought along:");
            lines(&brought.cannot);
            say("");
        }
        say(format_args!("{folder}: a project with the endpoints; build it with: nova-host build {folder}"));
        Ok(())
    }
}

fn lines(lines: &[String]) {
    lines.iter().take(MAX_LINES).for_each(|line| say(format_args!("  {line}")));
    let more = lines.len().saturating_sub(MAX_LINES);
    if more > 0 {
        say(format_args!("  … and {more} more"));
    }
}
