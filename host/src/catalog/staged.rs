//! Puts the two files of a handler into the directory as one, and takes them away.
//!
//! Before it: [`super::keeper`] has a version that is to be there, or not. After it: [`super::directory`] finds it. Two files
//! cannot be renamed at once, so both are written into a folder, and renaming that to `.NAME.nova-host-put` decides. From
//! then on the version is in the directory, even where the host ends before it has moved the files out: [`complete`] does
//! that at the next start. Hidden names are nobody's handlers.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use super::{
    Source,
    directory::{if_there, path_of, sync},
};

/// What others may do with a handler's file, before the umask: read it, as any other file.
const MODE: u32 = 0o666;

/// What the files are called in the folder, and what stands for a manifest that is not to be there.
const COMPONENT: &str = "component";
const MANIFEST: &str = "manifest";
const NO_MANIFEST: &str = "no-manifest";

/// How a folder is called while it is written.
const PREFIX: &str = ".nova-host-";

/// After that, nobody writes to a folder any more: a component that is sent has ten minutes, and other hosts may have this directory.
const ABANDONED: Duration = Duration::from_secs(3600);

/// What stands around a handler's name in that of the folder, once it is decided.
const DECIDED: (&str, &str) = (".", ".nova-host-put");

/// A version that lies in the directory under names that nobody looks at.
#[derive(Debug)]
pub(super) struct Staged {
    folder: TempDir,
    decided: PathBuf,
}

impl Staged {
    /// Writes the files of a handler, and waits until they are on the disk.
    pub(super) fn write(directory: &Path, name: &str, source: &Source) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(directory)?;
        let write = |name: &str, content: &[u8]| -> io::Result<()> {
            let path = folder.path().join(name);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write(COMPONENT, &source.wasm)?;
        match &source.manifest {
            Some(manifest) => write(MANIFEST, manifest.as_bytes())?,
            None => write(NO_MANIFEST, &[])?,
        }
        File::open(folder.path())?.sync_all()?;
        Ok(Self { folder, decided: decided(directory, name) })
    }

    /// Puts them in their place.
    ///
    /// # Errors
    ///
    /// The file system's. Either nothing has changed, or the next start ends what was begun.
    pub(super) fn put(self) -> io::Result<()> {
        let decided = self.decide()?;
        move_out(&decided)
    }

    /// From here on the version is in the directory, whatever happens to this process. Gives the folder.
    fn decide(self) -> io::Result<PathBuf> {
        let Self { folder, decided } = self;
        // One that was never completed is older than this.
        remove_folder(&decided)?;
        fs::rename(folder.path(), &decided)?;
        // It has another name now, and stays.
        drop(folder.keep());
        sync(&decided);
        Ok(decided)
    }
}

/// Completes what was decided before this host started, and takes away what a host that was killed has left half-written. A directory in which nobody may write has nothing to complete.
///
/// # Errors
///
/// Where the directory cannot be listed, or files not moved.
pub(super) fn complete(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if name_of(&path).is_some() && path.is_dir() {
            move_out(&path)?;
        } else if is_abandoned(&path)
            && let Err(error) = remove_folder(&path)
        {
            tracing::warn!(path = %path.display(), %error, "what a killed host has left there stays");
        }
    }
    Ok(())
}

/// Takes a handler's files away, and what was decided about it.
pub(super) fn remove(directory: &Path, name: &str) -> io::Result<()> {
    let path = path_of(directory, name);
    remove_folder(&decided(directory, name))?;
    if_there(fs::remove_file(&path))?;
    if_there(fs::remove_file(path.with_extension("toml")))?;
    sync(&path);
    Ok(())
}

/// Moves the files out of a folder. What was moved before, or is moved by another host just now, is left out: the end is the
/// same.
fn move_out(folder: &Path) -> io::Result<()> {
    let (Some(directory), Some(name)) = (folder.parent(), name_of(folder)) else { return Ok(()) };
    let component = path_of(directory, name);
    let manifest = component.with_extension("toml");
    if folder.join(NO_MANIFEST).exists() {
        if_there(fs::remove_file(&manifest))?;
    } else {
        if_there(fs::rename(folder.join(MANIFEST), &manifest))?;
    }
    if_there(fs::rename(folder.join(COMPONENT), &component))?;
    sync(&component);
    remove_folder(folder)
}

fn decided(directory: &Path, name: &str) -> PathBuf {
    let (before, after) = DECIDED;
    directory.join(format!("{before}{name}{after}"))
}

/// The handler that a decided folder is of.
fn name_of(folder: &Path) -> Option<&str> {
    let (before, after) = DECIDED;
    folder.file_name()?.to_str()?.strip_prefix(before)?.strip_suffix(after).filter(|name| !name.is_empty())
}

/// Whether it is a folder that was never decided, and that nobody has touched for long.
fn is_abandoned(path: &Path) -> bool {
    let is_ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
    let found = fs::symlink_metadata(path).ok().filter(|found| is_ours && found.is_dir());
    let age = found.and_then(|found| found.modified().ok()?.elapsed().ok());
    age.is_some_and(|age| age > ABANDONED)
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    if_there(fs::remove_dir_all(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is in a directory, hidden names aside.
    fn files(directory: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
        let shown = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        let read = |entry: fs::DirEntry| {
            let content = fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), content)
        };
        let mut files: Vec<_> = shown.map(read).collect();
        files.sort();
        files
    }

    fn pair(component: &str, manifest: Option<&str>) -> Vec<(String, String)> {
        let manifest = manifest.map(|text| ("a.toml".to_owned(), text.to_owned()));
        manifest.into_iter().chain([("a.wasm".to_owned(), component.to_owned())]).collect()
    }

    /// The file system after each step of putting a version in place, as a host that ends there leaves it.
    fn steps(folder: &Path, directory: &Path, step: usize) {
        let (component, manifest) = (directory.join("a.wasm"), directory.join("a.toml"));
        let move_manifest = || match folder.join(NO_MANIFEST).exists() {
            true => if_there(fs::remove_file(&manifest)).unwrap(),
            false => fs::rename(folder.join(MANIFEST), &manifest).unwrap(),
        };
        let move_component = || fs::rename(folder.join(COMPONENT), &component).unwrap();
        let steps: [&dyn Fn(); 2] = [&move_manifest, &move_component];
        steps[..step].iter().for_each(|step| step());
    }

    #[test]
    fn a_host_that_ends_between_two_files_leaves_a_whole_version_at_the_next_start() {
        for (before, after) in [(None, None), (None, Some("m2")), (Some("m1"), None), (Some("m1"), Some("m2"))] {
            for step in 0..=2 {
                let directory = tempfile::tempdir().unwrap();
                let put = |component: &str, manifest: Option<&str>| {
                    let source = Source::new(component.into(), manifest.map(str::to_owned));
                    Staged::write(directory.path(), "a", &source).unwrap()
                };
                put("1", before).put().unwrap();
                assert_eq!(files(directory.path()), pair("1", before));
                let folder = put("2", after).decide().unwrap();
                steps(&folder, directory.path(), step);
                complete(directory.path()).unwrap();
                assert_eq!(files(directory.path()), pair("2", after), "{before:?} {after:?} {step}");
                assert!(!folder.exists());
            }
        }
    }

    #[test]
    fn a_version_that_was_never_decided_changes_nothing_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        drop(Staged::write(directory.path(), "a", &Source::new(b"1".to_vec(), None)).unwrap());
        complete(directory.path()).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_host_has_left_goes_when_it_is_old_and_nothing_else_does() {
        let directory = tempfile::tempdir().unwrap();
        let long_ago = std::time::SystemTime::now() - 2 * ABANDONED;
        for (name, is_old) in [(".nova-host-old", true), (".nova-host-new", false), (".others", true)] {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join(COMPONENT), "half").unwrap();
            if is_old {
                File::open(&path).unwrap().set_modified(long_ago).unwrap();
            }
        }
        complete(directory.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, [".nova-host-new", ".others"]);
    }

    #[test]
    fn what_was_decided_last_counts_and_what_was_removed_does_not_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let stage = |component: &str| {
            Staged::write(directory.path(), "a", &Source::new(component.into(), Some("m".to_owned()))).unwrap()
        };
        stage("1").decide().unwrap();
        stage("2").put().unwrap();
        complete(directory.path()).unwrap();
        assert_eq!(files(directory.path()), pair("2", Some("m")));
        stage("3").decide().unwrap();
        remove(directory.path(), "a").unwrap();
        complete(directory.path()).unwrap();
        assert!(files(directory.path()).is_empty());
    }
}
