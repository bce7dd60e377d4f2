//! Names for the queues of one process that it has again after a restart: oslo.messaging's queue manager.
//!
//! Before it: [`super::Client`] needs a name. After it: [`crate::transport::topology`] puts it behind `TOPIC_fanout_` or
//! `reply_`. A name is `HOST:PROCESS:NUMBER`. Its number is the first whose lock file nobody holds: two processes of one
//! host never share a name, as they do with the reference's counter in shared memory, and one that ends, however it
//! ends, leaves its name to the next.

use std::{
    env, fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use crate::settings::Settings;

/// How many names of one host and process are tried, so that a directory full of strange locks ends the search.
const MAX_NUMBER: u32 = 10_000;

/// The longest host or process name, in bytes: with a topic they must fit the 255 that AMQP has for a queue's name.
const MAX_PART: usize = 64;

/// Where locks are where no directory is set, and neither systemd nor the desktop has one for us.
const SYSTEM_DIRECTORY: &str = "/run/nova-host";

/// Whose names they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This machine, different for each of those that share a virtual host.
    pub hostname: String,
    /// The service, different for each on one machine.
    pub processname: String,
    /// Where the lock files are; only this user may write there.
    pub directory: PathBuf,
}

/// A name that is ours for as long as this lives.
#[derive(Debug)]
pub(super) struct Name {
    text: String,
    _lock: File,
}

/// Why there is no name.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The directory or a file in it cannot be used.
    #[error("{path}: {source}; set queue_manager_directory to a directory that this user may write to")]
    File {
        /// Which.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody else might take our locks away.
    #[error("{0} must be a directory of this user's that nobody else may write to; set queue_manager_directory")]
    Unsafe(String),
    /// Every number is taken.
    #[error("{0} has {MAX_NUMBER} locks that are held")]
    Full(String),
}

impl Config {
    /// Takes the options. `None` where `use_queue_manager` is off.
    pub(super) fn read(settings: &mut Settings, is_on: bool) -> Option<Self> {
        let hostname = settings.take_optional("rabbit.hostname");
        let processname = settings.take_optional("rabbit.processname");
        let directory = settings.take_optional("rabbit.queue_manager_directory");
        let config = Self {
            hostname: hostname.unwrap_or_else(crate::machine::host_name),
            processname: processname.unwrap_or_else(process_name),
            directory: directory.unwrap_or_else(run_directory),
        };
        for (key, name) in [("rabbit.hostname", &config.hostname), ("rabbit.processname", &config.processname)] {
            let is_strange = name.contains(|c: char| c.is_control() || c == '/' || c == ':');
            if is_strange || name.len() > MAX_PART {
                settings.problem(key, &format!("must have at most {MAX_PART} bytes, without '/' and ':'"));
            }
        }
        is_on.then_some(config)
    }

    /// Takes the first name that is free.
    pub(super) fn claim(&self) -> Result<Name, Error> {
        self.check_directory()?;
        let Self { hostname, processname, directory } = self;
        for number in 1..=MAX_NUMBER {
            let text = format!("{hostname}:{processname}:{number}");
            let path = directory.join(format!("{text}.lock"));
            let failed = |source| Error::File { path: path.display().to_string(), source };
            let lock = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
                .open(&path)
                .map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => return Ok(Name { text, _lock: lock }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        Err(Error::Full(directory.display().to_string()))
    }

    /// Makes the directory where it is missing, and looks who else may write there.
    fn check_directory(&self) -> Result<(), Error> {
        let shown = || self.directory.display().to_string();
        let failed = |source| Error::File { path: shown(), source };
        match DirBuilder::new().mode(0o700).create(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let found = fs::symlink_metadata(&self.directory).map_err(failed)?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw();
        let others_write = found.mode() & 0o022 != 0;
        if found.is_dir() && is_ours && !others_write { Ok(()) } else { Err(Error::Unsafe(shown())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The name by which this program was called.
fn process_name() -> String {
    let called = env::args_os().next().map(PathBuf::from);
    let name = called.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned())
}

/// systemd's `RuntimeDirectory`, the desktop's, or [`SYSTEM_DIRECTORY`].
fn run_directory() -> PathBuf {
    let of_unit = env::var_os("RUNTIME_DIRECTORY").and_then(|directories| env::split_paths(&directories).next());
    let of_user = || env::var_os("XDG_RUNTIME_DIR").map(|directory| PathBuf::from(directory).join("nova-host"));
    of_unit.or_else(of_user).filter(|path| path.is_absolute()).unwrap_or_else(|| SYSTEM_DIRECTORY.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn names(directory: &Path) -> Config {
        Config { hostname: "h".into(), processname: "p".into(), directory: directory.to_owned() }
    }

    #[test]
    fn nobody_shares_a_name_and_the_next_has_what_is_free() {
        let scratch = tempfile::tempdir().unwrap();
        let names = names(&scratch.path().join("run"));
        let claim = || names.claim().unwrap();
        let (first, second, third) = (claim(), claim(), claim());
        assert_eq!([&first, &second, &third].map(ToString::to_string), ["h:p:1", "h:p:2", "h:p:3"]);
        // Whoever comes back has its name again, whatever the others do.
        drop(second);
        assert_eq!(claim().to_string(), "h:p:2");
        drop((first, third));
        let other = Config { processname: "q".into(), ..names };
        assert_eq!(other.claim().unwrap().to_string(), "h:q:1");
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_not_trusted() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("run");
        for mode in [0o777, 0o1777, 0o770] {
            fs::create_dir_all(&directory).unwrap();
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
            let error = names(&directory).claim().unwrap_err().to_string();
            assert!(error.contains("queue_manager_directory") && error.contains("nobody else"), "{error}");
        }
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(names(&directory).claim().is_ok());
        let link = scratch.path().join("link");
        symlink(&directory, &link).unwrap();
        assert!(matches!(names(&link).claim(), Err(Error::Unsafe(_))));
        // Nor is a lock that leads elsewhere.
        symlink(scratch.path().join("elsewhere"), directory.join("h:q:1.lock")).unwrap();
        assert!(Config { processname: "q".into(), ..names(&directory) }.claim().is_err());
        assert!(!scratch.path().join("elsewhere").exists());
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let error = names(Path::new("/nonexistent/run")).claim().unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/run: ") && error.contains("queue_manager_directory"), "{error}");
    }
}
