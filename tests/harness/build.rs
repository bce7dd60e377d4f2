//! What is under test: the binary, which cargo builds, and the handlers, which are built when first asked for.
//!
//! Used by [`super::serve`] and by stories that run the command line.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::repository;

/// The binary `nova-host`, which cargo has built for these tests.
pub(crate) fn nova_host() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_nova-host"))
}

/// The directory of the handlers of `handlers/`, as components.
///
/// # Panics
///
/// With the compiler's words, where one does not build.
pub(crate) fn handlers() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built().join("handlers"))
}

/// The directory of the guests of `tests/guests/`, as components.
///
/// # Panics
///
/// As [`handlers`].
pub(crate) fn guests() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| built().join("guests"))
}

/// The directory of both, once they are built.
fn built() -> &'static Path {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    get(BUILT.get_or_init(|| {
        run(Command::new(repository().join("handlers/build.sh")))?;
        Ok(repository().join("target"))
    }))
}

/// The directory of the projects of `handlers/languages/`, as components. Beside them, in `cache`, is their code.
///
/// # Panics
///
/// With the words of `nova-host build`, where one does not build.
pub(crate) fn languages() -> &'static Path {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    get(BUILT.get_or_init(|| {
        let mut command = Command::new(repository().join("handlers/languages.sh"));
        command.arg(nova_host()).arg("--all");
        run(command)?;
        Ok(repository().join("target/languages"))
    }))
}

fn run(mut command: Command) -> Result<(), String> {
    let output = command.current_dir(repository()).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!(
        "{command:?} failed\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn get(built: &'static Result<PathBuf, String>) -> &'static Path {
    match built {
        Ok(path) => path,
        Err(reason) => panic!("{reason}"),
    }
}
