//! Finds and runs the tools of a language.

use std::{
    env,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Error, Result};
use crate::printable::printable;

/// Lines of a tool's output that are shown: the last, where compilers say what is wrong.
const MAX_LINES: usize = 60;

/// Bytes of each.
const MAX_LINE: usize = 300;

/// A program, by any of its names.
pub(super) struct Tool {
    pub(super) names: &'static [&'static str],
    /// A command that installs it.
    pub(super) install: &'static str,
}

impl Tool {
    /// Looks for it in a folder of the project, and then in `PATH`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`].
    pub(super) fn find(&self, also: Option<&Path>) -> Result<PathBuf> {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = also.map(Path::to_owned).into_iter().chain(env::split_paths(&path)).collect();
        let found = self
            .names
            .iter()
            .find_map(|name| folders.iter().map(|folder| folder.join(name)).find(|file| is_program(file)));
        let tool = self.names.first().copied().unwrap_or_default();
        found.ok_or(Error::Missing { tool, install: self.install })
    }

    /// A command that runs it in a folder, as [`Self::find`] finds it.
    pub(super) fn command(&self, folder: &Path, also: Option<&Path>) -> Result<Command> {
        let mut command = Command::new(self.find(also)?);
        command.current_dir(folder);
        Ok(command)
    }
}

fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Runs a tool to its end; what it says is told only if it fails.
///
/// # Errors
///
/// [`Error::Tool`].
pub(super) fn run(command: &mut Command) -> Result<()> {
    let tool = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let failed = |status: String, output: String| Error::Tool { tool: tool.clone(), status, output };
    let done = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string(), String::new()))?;
    if done.status.success() {
        return Ok(());
    }
    let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let lines: Vec<String> = text.lines().map(|line| printable(line.trim_end(), MAX_LINE)).collect();
    let from = lines.len().saturating_sub(MAX_LINES);
    Err(failed(done.status.to_string(), lines.get(from..).unwrap_or_default().join("\n")))
}
