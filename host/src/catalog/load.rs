//! From a directory of files to a catalog.
//!
//! One broken file never keeps the others from loading: it is refused, with the reason.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Semaphore;

use super::{Catalog, Conflict, Endpoint, Generation, manifest::Manifest};
use crate::{
    sandbox::{CompileLimits, Digest, EndpointOffer, Limits, LoadError, MAX_COMPONENT, Program, Sandbox},
    settings::{Problems, Settings},
    version,
};

/// Where handlers are, unless configured.
const DEFAULT_DIRECTORY: &str = "handlers";

/// The section `handlers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory of `NAME.wasm` and `NAME.toml`.
    pub directory: PathBuf,
    /// Where compiled code is kept; `None` keeps none.
    pub cache: Option<PathBuf>,
    /// What compiling one component may take.
    pub compile: CompileLimits,
    /// Whether changed files are to be loaded while the service runs. Not yet: they are loaded at the start.
    pub watch: bool,
}

/// A file that is not served.
#[derive(Debug)]
pub struct Refused {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: Error,
}

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(std::io::Error),
    /// The component.
    #[error(transparent)]
    Component(#[from] LoadError),
    /// An endpoint's version.
    #[error("describe returned a wrong version: {0}")]
    Version(#[from] version::ParseError),
    /// The manifest.
    #[error("its manifest is wrong: {}", .0.0.join("; "))]
    Manifest(#[from] Problems),
    /// Another handler offers the same.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Our own fault.
    #[error("loading it failed unexpectedly: {0}")]
    Internal(String),
}

/// What a component is and offers, without serving it.
#[derive(Debug)]
pub struct Inspection {
    /// The code.
    pub program: Program,
    /// What it describes.
    pub endpoints: Vec<EndpointOffer>,
}

impl Config {
    /// Takes the section.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        Self {
            directory: settings.take("handlers.directory", PathBuf::from(DEFAULT_DIRECTORY)),
            cache: settings.take_optional("handlers.cache").or_else(default_cache),
            compile: CompileLimits::read(settings),
            watch: settings.take("handlers.watch", false),
        }
    }
}

/// The user's cache directory by the XDG rules. Who has no home has none.
fn default_cache() -> Option<PathBuf> {
    let from = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = from("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| from("HOME").map(|home| home.join(".cache")))?;
    Some(directory.join("nova-host"))
}

/// Loads every handler of a directory, in the order of their names.
///
/// # Errors
///
/// Where the directory cannot be listed.
pub async fn directory(
    directory: &Path,
    sandbox: &Arc<Sandbox>,
    limits: &Limits,
) -> Result<(Catalog, Vec<Refused>), std::io::Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "wasm") {
            paths.push(path);
        }
    }
    paths.sort();
    let (mut catalog, mut refused) = (Catalog::default(), Vec::new());
    for path in paths {
        let added = generation(&path, sandbox, limits).await.and_then(|new| Ok(catalog.with(Arc::new(new))?));
        match added {
            Ok(larger) => catalog = larger,
            Err(reason) => refused.push(Refused { path, reason }),
        }
    }
    Ok((catalog, refused))
}

/// Loads one handler.
async fn generation(path: &Path, sandbox: &Arc<Sandbox>, limits: &Limits) -> Result<Generation, Error> {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let Inspection { program, endpoints } = inspect(path, sandbox, limits).await?;
    let endpoints = endpoints.into_iter().map(Endpoint::new).collect::<Result<Vec<_>, _>>()?;
    let concurrency = program.limits().concurrency.map(|limit| Arc::new(Semaphore::new(usize::from(limit))));
    Ok(Generation { name: name(path), number: NUMBER.fetch_add(1, Ordering::Relaxed), program, endpoints, concurrency })
}

/// Compiles and describes one component, with its manifest.
///
/// # Errors
///
/// [`Error`].
pub async fn inspect(path: &Path, sandbox: &Arc<Sandbox>, limits: &Limits) -> Result<Inspection, Error> {
    let (name, path, limits) = (name(path), path.to_owned(), limits.clone());
    // Files may be large and disks slow; other tasks go on meanwhile.
    let files = tokio::task::spawn_blocking(move || -> Result<(Vec<u8>, Manifest), Error> {
        let manifest = match read(&path.with_extension("toml"))? {
            Some(bytes) => Manifest::parse(&String::from_utf8_lossy(&bytes), &limits)?,
            None => Manifest { limits, errors_module: None },
        };
        let missing = || Error::Read(std::io::ErrorKind::NotFound.into());
        Ok((read(&path)?.ok_or_else(missing)?, manifest))
    });
    let (wasm, manifest) = files.await.map_err(|error| Error::Internal(error.to_string()))??;
    let program = sandbox.load(&name, wasm, manifest.limits).await?.raising_in(manifest.errors_module);
    let endpoints = program.describe().await?;
    Ok(Inspection { program, endpoints })
}

/// A handler's name: its file without the ending.
fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a file that is not too large; `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let length = match fs::metadata(path) {
        Ok(metadata) => usize::try_from(metadata.len()).unwrap_or(usize::MAX),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::Read(error)),
    };
    if length > MAX_COMPONENT {
        return Err(LoadError::TooLarge(length).into());
    }
    fs::read(path).map(Some).map_err(Error::Read)
}

impl Inspection {
    /// The digest of the component.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        self.program.digest()
    }
}
