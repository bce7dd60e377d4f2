//! A directory of recordings, of which the oldest go when there is no room for a new one.
//!
//! Before it: [`super::keeper`] has a recording, or somebody asks what there is. After it: files, for nobody else (mode 600, in a
//! directory of mode 700). Nothing is touched here that is not called like a recording.

use std::{
    collections::VecDeque,
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

/// How a recording's file ends.
const ENDING: &str = ".recording.zst";

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
    bytes: u64,
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
        let files: VecDeque<Listed> = list(directory).map_err(io)?.into();
        let bytes = files.iter().map(|file| file.bytes).sum();
        let mut ring = Self { directory: directory.to_owned(), most, files, bytes };
        ring.make_room(0);
        Ok(ring)
    }

    /// Writes a file, for which the oldest go where they must.
    pub(super) fn put(&mut self, id: &str, content: &[u8]) -> io::Result<()> {
        let bytes = u64::try_from(content.len()).unwrap_or(u64::MAX);
        if bytes > self.most {
            return Err(io::Error::other("it is larger than all recordings may be (record.bytes)"));
        }
        self.make_room(bytes);
        let path = self.directory.join(format!("{id}{ENDING}"));
        // Under another name first: a half-written file never has the real one. Its mode is 600.
        let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
        file.write_all(content)?;
        file.persist(&path)?;
        self.bytes += bytes;
        self.files.push_back(Listed { id: id.to_owned(), path, bytes });
        Ok(())
    }

    /// Removes the oldest until so many bytes fit. One that somebody else has removed is gone too.
    fn make_room(&mut self, bytes: u64) {
        while self.bytes.saturating_add(bytes) > self.most {
            let Some(oldest) = self.files.pop_front() else { return };
            if let Err(error) = fs::remove_file(&oldest.path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %oldest.path.display(), %error, "an old recording cannot be removed");
            }
            self.bytes = self.bytes.saturating_sub(oldest.bytes);
        }
    }
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
    path.is_file().then_some(path)
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_oldest_go_first_and_others_files_stay() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = scratch.path().join("recordings");
        let mut ring = Ring::open(&directory, 25).unwrap();
        fs::write(directory.join("notes.txt"), "x".repeat(100)).unwrap();
        for id in ["1-a", "2-b", "3-c"] {
            ring.put(id, &[7; 10]).unwrap();
        }
        let ids = |directory: &Path| list(directory).unwrap().into_iter().map(|file| file.id).collect::<Vec<_>>();
        assert_eq!(ids(&directory), ["2-b", "3-c"]);
        assert!(ring.put("4-d", &[7; 26]).is_err());
        // The next start counts what is there.
        drop(ring);
        drop(Ring::open(&directory, 10).unwrap());
        assert_eq!(ids(&directory), ["3-c"]);
        assert!(directory.join("notes.txt").exists());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&find(&directory, "3-c").unwrap())), (0o700, 0o600));
        assert_eq!(find(&directory, "../notes"), None);
    }

    #[test]
    fn a_directory_that_others_may_read_is_refused_with_what_helps() {
        let scratch = tempfile::tempdir().unwrap();
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let error = Ring::open(scratch.path(), 100).unwrap_err().to_string();
        assert!(error.contains("chmod 700"), "{error}");
    }
}
