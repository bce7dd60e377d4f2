//! A directory of recordings, of which the oldest go when there is no room for a new one.
//!
//! Before it: [`super::keeper`] has a recording, or somebody asks what there is. After it: files, for nobody else (mode 600, in a
//! directory of mode 700). Nothing is touched here that is not called like a recording of the host, and by one process at a time.

use std::{
    collections::VecDeque,
    fs::{self, File, TryLockError},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

/// How a recording's file ends.
const ENDING: &str = ".recording.zst";

/// How the name of a file begins that is being written.
const UNFINISHED: &str = ".unfinished-";

/// Bytes that a file takes at least, and what it takes are multiples of them: a block of the usual file systems.
const BLOCK: u64 = 4096;

/// Digits of the time in an id, and of what makes it unique.
const DIGITS: (usize, usize) = (13, 12);

/// Files that cannot be removed, until one new recording is given up for them.
const MAX_STUCK: usize = 8;

/// Rights of others, of which a directory of recordings gives none.
const OTHERS: u32 = 0o077;

/// Why there is no directory.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error("recordings directory {path}: {source} (record.directory)")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may look into it.
    #[error(
        "recordings directory {path} is not for its owner alone, and recordings hold what callers sent: chmod 700 {path}, or \
         set record.directory to one of your own"
    )]
    Open {
        /// The directory.
        path: PathBuf,
    },
    /// Another process writes into it.
    #[error(
        "recordings directory {path} is another running nova-host's, which keeps its own budget in it: set record.directory to \
         one that is this one's alone"
    )]
    Taken {
        /// The directory.
        path: PathBuf,
    },
}

/// A file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The recording's id.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
}

/// A directory, and what is in it.
#[derive(Debug)]
pub(super) struct Ring {
    directory: PathBuf,
    most: u64,
    files: VecDeque<Listed>,
    /// What they take on the disk.
    bytes: u64,
    /// Whether it was said that one cannot be removed.
    is_told: bool,
    /// The directory, locked.
    _lock: File,
}

impl Ring {
    /// Makes the directory where there is none, and looks at what is in it.
    pub(super) fn open(directory: &Path, most: u64) -> Result<Self, Error> {
        let io = |source| Error::Io { path: directory.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        let metadata = fs::metadata(directory).map_err(io)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() || metadata.mode() & OTHERS != 0 {
            return Err(Error::Open { path: directory.to_owned() });
        }
        let lock = File::open(directory).map_err(io)?;
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(Error::Taken { path: directory.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Ok(()) => {}
        }
        remove_unfinished(directory).map_err(io)?;
        let files: VecDeque<Listed> =
            list(directory).map_err(io)?.into_iter().filter(|file| is_own(&file.id)).collect();
        let bytes = files.iter().map(|file| room(file.bytes)).sum();
        let mut ring = Self { directory: directory.to_owned(), most, files, bytes, is_told: false, _lock: lock };
        // What cannot be removed is said, and counted.
        ring.make_room(0).ok();
        Ok(ring)
    }

    /// Writes a file, for which the oldest go where they must.
    pub(super) fn put(&mut self, id: &str, content: &[u8]) -> io::Result<()> {
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if room(bytes) > self.most {
            return Err(io::Error::other("it is larger than all recordings may be (record.bytes)"));
        }
        self.make_room(room(bytes))?;
        let path = self.directory.join(format!("{id}{ENDING}"));
        // Under another name first: a half-written file never has the real one. Its mode is 600.
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.directory)?;
        file.write_all(content)?;
        file.persist(&path)?;
        self.bytes += room(bytes);
        self.files.push_back(Listed { id: id.to_owned(), path, bytes });
        Ok(())
    }

    /// Removes the oldest until so many bytes fit. One that somebody else has removed is gone too; one that cannot be removed
    /// takes its room further on, and is tried again the next time.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let mut stuck = 0;
        while self.bytes.saturating_add(bytes) > self.most {
            let Some(oldest) = self.files.get(stuck).filter(|_| stuck < MAX_STUCK) else {
                return Err(io::Error::other("there is no room, and old recordings cannot be removed"));
            };
            match fs::remove_file(&oldest.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    if !std::mem::replace(&mut self.is_told, true) {
                        let path = oldest.path.display();
                        tracing::warn!(%path, %error, "an old recording cannot be removed; of others it is not said");
                    }
                    stuck += 1;
                }
                Ok(()) | Err(_) => {
                    self.bytes = self.bytes.saturating_sub(room(oldest.bytes));
                    self.files.remove(stuck);
                }
            }
        }
        Ok(())
    }
}

/// Bytes that a file of this length takes on the disk.
fn room(bytes: u64) -> u64 {
    bytes.max(1).div_ceil(BLOCK).saturating_mul(BLOCK)
}

/// Removes what a host left half-written that was killed. Only who holds the lock may: there is nobody else who writes.
fn remove_unfinished(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
            fs::remove_file(entry.path()).ok();
        }
    }
    Ok(())
}

/// What is in a directory, the oldest first: ids begin with the time.
///
/// # Errors
///
/// The file system's.
pub fn list(directory: &Path) -> io::Result<Vec<Listed>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(ENDING)) else { continue };
        // Gone meanwhile, or no file of ours.
        let Ok(metadata) = entry.metadata() else { continue };
        if is_id(id) && metadata.is_file() {
            files.push(Listed { id: id.to_owned(), path: entry.path(), bytes: metadata.len() });
        }
    }
    files.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    Ok(files)
}

/// The file of an id in a directory.
#[must_use]
pub fn find(directory: &Path, id: &str) -> Option<PathBuf> {
    let path = is_id(id).then(|| directory.join(format!("{id}{ENDING}")))?;
    // As in a list: what is behind a link is none of this directory's.
    fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file()).then_some(path)
}

/// Whether it is an id as the host makes them, so that the file is its own to remove.
fn is_own(id: &str) -> bool {
    id.split_once('-').is_some_and(|(time, rest)| {
        (time.len(), rest.len()) == DIGITS
            && time.bytes().all(|byte| byte.is_ascii_digit())
            && rest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// An id as the host makes them.
    fn id(number: u64) -> String {
        format!("{number:013}-0123456789ab")
    }

    fn ids(directory: &Path) -> Vec<String> {
        list(directory).unwrap().into_iter().map(|file| file.id).collect()
    }

    #[test]
    fn the_oldest_go_first_and_others_files_stay() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("recordings");
        let mut ring = Ring::open(&directory, 2 * BLOCK).unwrap();
        fs::write(directory.join("notes.txt"), "x".repeat(100)).unwrap();
        // A file takes a block, however short it is.
        for number in 1..=3 {
            ring.put(&id(number), &[7; 10]).unwrap();
        }
        assert_eq!(ids(&directory), [id(2), id(3)]);
        assert!(ring.put(&id(4), &[7; 2 * 4096 + 1]).is_err());
        // The next start counts what is there.
        drop(ring);
        drop(Ring::open(&directory, BLOCK).unwrap());
        assert_eq!(ids(&directory), [id(3)]);
        assert!(directory.join("notes.txt").exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&find(&directory, &id(3)).unwrap())), (0o700, 0o600));
        assert_eq!(find(&directory, "../notes"), None);
    }

    #[test]
    fn only_what_the_host_has_named_is_its_own_to_remove() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("recordings");
        drop(Ring::open(&directory, BLOCK).unwrap());
        let kept = ["important", "1-a", "0000000000001-0123456789AB", "0000000000001-0123456789ab-copy"];
        for name in kept {
            fs::write(directory.join(format!("{name}{ENDING}")), "x").unwrap();
        }
        let unfinished = directory.join(format!("{UNFINISHED}x"));
        fs::write(&unfinished, "half").unwrap();
        fs::write(directory.join(format!("{}{ENDING}", id(1))), "x").unwrap();
        drop(Ring::open(&directory, 0).unwrap());
        assert!(ids(&directory).len() == kept.len() && !ids(&directory).contains(&id(1)), "{:?}", ids(&directory));
        assert!(!unfinished.exists());
    }

    #[test]
    fn one_process_at_a_time_writes_into_a_directory() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("recordings");
        let first = Ring::open(&directory, BLOCK).unwrap();
        let error = Ring::open(&directory, BLOCK).unwrap_err().to_string();
        assert!(error.contains("another running nova-host's"), "{error}");
        drop(first);
        Ring::open(&directory, BLOCK).unwrap();
    }

    #[test]
    fn what_cannot_be_removed_takes_its_room() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("recordings");
        let mut ring = Ring::open(&directory, 2 * BLOCK).unwrap();
        // Nobody removes a directory as a file.
        let block = |ring: &mut Ring, number| {
            ring.put(&id(number), b"x").unwrap();
            let path = find(&directory, &id(number)).unwrap();
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
        };
        block(&mut ring, 1);
        (2..=4).for_each(|number| ring.put(&id(number), b"x").unwrap());
        assert_eq!(ids(&directory), [id(4)]);
        block(&mut ring, 5);
        ring.put(&id(6), b"x").unwrap_err();
        fs::remove_dir(directory.join(format!("{}{ENDING}", id(1)))).unwrap();
        ring.put(&id(7), b"x").unwrap();
    }

    #[test]
    fn a_link_is_no_recording() {
        let scratch = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", scratch.path().join(format!("{}{ENDING}", id(1)))).unwrap();
        assert_eq!((find(scratch.path(), &id(1)), list(scratch.path()).unwrap()), (None, Vec::new()));
    }

    #[test]
    fn a_directory_that_others_may_read_is_refused_with_what_helps() {
        let scratch = tempfile::tempdir().unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let error = Ring::open(scratch.path(), 100).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }
}
