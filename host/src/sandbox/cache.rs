//! Compiled code on disk, by digest and engine configuration.
//!
//! Loading compiled code is trusting it, so the directory must belong to us alone. An entry that is cut off, damaged or
//! of another engine is compiled again.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use wasmtime::{Engine, component::Component};

use super::{Digest, compile::trusted};

/// The bytes of a checksum, which stands before the code.
const CHECKSUM: usize = 32;

/// The bit of a mode by which only owners may replace what is in a directory.
const STICKY: u32 = 0o1000;

/// How components are prepared for the compiler; another number for every other way.
const PREPARED: u8 = 1;

/// The bits of a mode by which others may write.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// Why the directory is not used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be made or looked at.
    #[error("cache directory {path}: {source}; set handlers.cache to another")]
    Io {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its owner could put code there.
    #[error(
        "cache directory {path} belongs to user {owner}, who could have us run their code, and we are user {we}: set \
         handlers.cache to a directory of our own"
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        we: u32,
    },
    /// Somebody else could put code there.
    #[error(
        "cache directory {path} can be written by others, who could have us run their code: chmod go-w it, or set \
         handlers.cache to another"
    )]
    Untrusted {
        /// The directory.
        path: PathBuf,
    },
}

/// A directory of compiled code.
#[derive(Debug)]
pub(super) struct Cache {
    directory: PathBuf,
    engine: u64,
}

impl Cache {
    /// Makes the directory, readable by us alone, or checks that nobody else can write to it.
    pub(super) fn open(directory: &Path, engine: &Engine) -> Result<Self, Error> {
        let io = |source| Error::Io { path: directory.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        let metadata = fs::metadata(directory).map_err(io)?;
        trusted_place(directory, metadata.uid(), metadata.mode())?;
        // Said and not refused: in a container, nobody else may be there.
        if let Some(above) = replaceable(directory) {
            tracing::warn!(
                directory = %directory.display(), above = %above.display(),
                "others can write to a directory above the cache, and so put another in its place: chmod go-w that directory, or \
                 set handlers.cache to another"
            );
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        PREPARED.hash(&mut hasher);
        Ok(Self { directory: directory.to_owned(), engine: hasher.finish() })
    }

    /// The code of a component, if it is there and whole.
    pub(super) fn get(&self, digest: &Digest, engine: &Engine) -> Option<Component> {
        let path = self.path(digest);
        let bytes = fs::read(&path).ok()?;
        let (checksum, code) = bytes.split_at_checked(CHECKSUM)?;
        if Sha256::digest(code).as_slice() != checksum {
            tracing::warn!(path = %path.display(), "compiled code is damaged, compiling again");
            return None;
        }
        let component = trusted(engine, code);
        component
            .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "compiled code is of another engine"))
            .ok()
    }

    /// Keeps the code of a component. What cannot be kept is compiled again next time.
    pub(super) fn put(&self, digest: &Digest, code: &[u8]) {
        let path = self.path(digest);
        // Under another name first: a half-written file never has the real one.
        let kept = tempfile::NamedTempFile::new_in(&self.directory).and_then(|mut file| {
            file.write_all(&Sha256::digest(code))?;
            file.write_all(code)?;
            file.persist(&path)?;
            Ok(())
        });
        if let Err(error) = kept {
            tracing::warn!(
                directory = %self.directory.display(), %error,
                "compiled code cannot be kept, and is made again at the next start: give handlers.cache room to write, or \
                 set it to another directory"
            );
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.directory.join(format!("{}-{:016x}.cwasm", digest.as_str(), self.engine))
    }
}

/// Sees to it that nobody but us can put code into a directory of this owner and mode.
fn trusted_place(directory: &Path, owner: u32, mode: u32) -> Result<(), Error> {
    let (path, we) = (directory.to_owned(), rustix::process::geteuid().as_raw());
    if owner != we {
        Err(Error::Foreign { path, owner, we })
    } else if mode & WRITABLE_BY_OTHERS != 0 {
        Err(Error::Untrusted { path })
    } else {
        Ok(())
    }
}

/// A directory above in which others can put another in place of what is there; where only owners can (`chmod +t`), they cannot.
fn replaceable(directory: &Path) -> Option<PathBuf> {
    let is_replaceable = |above: &&Path| {
        let mode = fs::metadata(above).map_or(0, |metadata| metadata.mode());
        mode & WRITABLE_BY_OTHERS != 0 && mode & STICKY == 0
    };
    fs::canonicalize(directory).ok()?.ancestors().skip(1).find(is_replaceable).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_directory_above_that_others_can_write_is_found() {
        let home = tempfile::tempdir().unwrap();
        let above = home.path().canonicalize().unwrap().join("above");
        let cache = above.join("between/cache");
        fs::create_dir_all(&cache).unwrap();
        for (mode, is_found) in [(0o755, false), (0o1777, false), (0o775, true), (0o777, true)] {
            fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
            fs::set_permissions(above.join("between"), fs::Permissions::from_mode(0o755)).unwrap();
            assert_eq!(replaceable(&cache).as_ref() == Some(&above), is_found, "{mode:o}");
        }
    }

    #[test]
    fn each_reason_not_to_trust_a_directory_says_what_would_help() {
        let we = rustix::process::geteuid().as_raw();
        let said = |owner, mode| {
            trusted_place(Path::new("/cache"), owner, mode).err().map_or_else(String::new, |error| error.to_string())
        };
        assert_eq!(said(we, 0o755), "");
        assert!(said(we, 0o775).contains("chmod go-w"));
        for mode in [0o700, 0o755, 0o777] {
            let text = said(we + 1, mode);
            assert!(text.contains("set handlers.cache") && !text.contains("chmod"), "{text}");
            assert!(text.contains(&format!("belongs to user {}", we + 1)), "{text}");
        }
    }
}
