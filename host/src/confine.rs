//! What the process gives up once it knows what it needs: a second wall around the sandbox (ADR 34).
//!
//! Before it: [`crate::cli`] has read the configuration and has not started a thread yet, for Landlock and seccomp hold for the
//! thread that asks and those that it starts. After it: everything else. [`privileges`] and core dumps go first, then files
//! ([`files`]), then system calls ([`calls`]). What the kernel does not have is said and left out.

mod calls;
mod config;
mod death;
mod files;
mod privileges;

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
};

pub use config::Config;
pub use files::Places;
pub use privileges::no_dumps;

/// Whether files are given up, so that a refusal may be ours.
static FILES: AtomicBool = AtomicBool::new(false);

/// What is in force, each with the reason where it is not.
#[derive(Debug)]
pub struct Confined {
    files: Result<String, String>,
    calls: Result<(), String>,
    privileges: Result<(), String>,
}

/// Gives up what a serving process does not need. To be called before there is a second thread.
#[must_use]
pub fn serving(places: &Places) -> Confined {
    let privileges = privileges::give_up(places.binds_low()).map_err(|error| error.to_string());
    let files = files::restrict(places);
    FILES.store(files.is_ok(), Ordering::Relaxed);
    let calls = calls::serving();
    Confined { files, calls, privileges }
}

/// Gives up everything but computing, and the pipes that are open: for the process that compiles. What the kernel does not have
/// is left out without a word, for the host has said it.
///
/// # Errors
///
/// Where memory could be dumped or privileges gained.
pub fn compiling() -> io::Result<()> {
    privileges::give_up(false)?;
    no_dumps()?;
    files::restrict(&Places::default()).ok();
    calls::compiling().ok();
    Ok(())
}

/// What this kernel does not have, a line each.
#[must_use]
pub fn missing() -> Vec<String> {
    let said = [("files", files::available()), ("system calls", calls::available())];
    let missing = said.into_iter().filter_map(|(what, available)| Some((what, available.err()?)));
    missing.map(|(what, why)| format!("{what} cannot be confined here: {why}; see docs/security.md")).collect()
}

/// An error of a file, with what to do where it may be our own doing.
pub(crate) fn explained(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied || !FILES.load(Ordering::Relaxed) {
        return error;
    }
    let advice = "a running host reads and writes only where its configuration says; name the directory in confinement.read \
                  (or confinement.write), and restart the host, also where a directory was replaced";
    let root = match rustix::process::geteuid().is_root() {
        true => "; root has no power over others' files here: give them to root, or run the host as their owner",
        false => "",
    };
    io::Error::new(error.kind(), format!("{error}; {advice}{root}"))
}

impl Confined {
    /// Whether all of it is in force.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.files.is_ok() && self.calls.is_ok() && self.privileges.is_ok()
    }

    /// Says what is in force, and what is not.
    pub fn log(&self) {
        let Self { files, calls, privileges } = self;
        if let Err(error) = privileges {
            tracing::warn!(%error, "the process keeps the privileges that it was started with");
        }
        if let Err(error) = files {
            tracing::warn!(%error, "files are not confined: what gets out of the sandbox can open what this user can; see docs/security.md");
        }
        if let Err(error) = calls {
            tracing::warn!(%error, "system calls are not confined; see docs/security.md");
        }
        let files = files.as_deref().unwrap_or("not confined");
        let calls = if calls.is_ok() { "seccomp" } else { "not confined" };
        tracing::info!(files, calls, "confined: the process has given up what it does not need");
    }
}
