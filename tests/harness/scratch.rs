//! Directories for one test, gone when it ends.
//!
//! Used by [`super::serve`] for configuration and logs, and by stories that put handlers somewhere.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory that exists as long as this value.
#[derive(Debug)]
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// Makes an empty directory.
    pub(crate) fn new() -> Self {
        Self(tempfile::Builder::new().prefix("nova-host-test-").tempdir().expect("the temporary directory is writable"))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file in it, and the directories on the way; returns where.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a file in a directory")).expect("the directory is writable");
        fs::write(&path, content).expect("the directory is writable");
        path
    }
}

#[test]
fn a_scratch_directory_goes_with_its_value() {
    let scratch = Scratch::new();
    let file = scratch.write("a/b.txt", "text");
    assert_eq!(fs::read_to_string(&file).expect("the file is there"), "text");
    drop(scratch);
    assert!(!file.exists());
}
