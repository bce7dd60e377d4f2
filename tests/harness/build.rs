//! What is under test, built when the first test asks for it.
//!
//! Used by [`super::serve`] and by stories that run the command line. Cargo builds no binary for another package's
//! tests, so this asks it to, in the profile of the tests: where all is fresh that takes a fraction of a second.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::repository;

/// The binary `nova-host`, as fresh as its sources.
///
/// # Panics
///
/// With the compiler's words, where it does not build.
pub(crate) fn nova_host() -> &'static Path {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    get(BUILT.get_or_init(|| {
        // target/PROFILE/deps/e2e-…
        let tests = env::current_exe().map_err(|error| error.to_string())?;
        let directory = tests.ancestors().nth(2).ok_or("the tests run from no target directory")?;
        let target = directory.parent().ok_or("the profile's directory has no parent")?;
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--package", "nova-host", "--profile"]).arg(profile(directory));
        cargo.arg("--target-dir").arg(target);
        run(cargo)?;
        Ok(directory.join("nova-host"))
    }))
}

/// The directory of the handlers of `handlers/`, as components.
///
/// # Panics
///
/// With the compiler's words, where one does not build.
pub(crate) fn handlers() -> &'static Path {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    get(BUILT.get_or_init(|| {
        run(Command::new(repository().join("handlers/build.sh")))?;
        Ok(repository().join("target/handlers"))
    }))
}

/// The profile that builds into a directory.
fn profile(directory: &Path) -> &OsStr {
    match directory.file_name() {
        Some(name) if name != "debug" => name,
        _ => OsStr::new("dev"),
    }
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

#[test]
fn the_profile_is_read_from_the_directory() {
    assert_eq!(profile(Path::new("target/debug")), "dev");
    assert_eq!(profile(Path::new("target/release")), "release");
}
