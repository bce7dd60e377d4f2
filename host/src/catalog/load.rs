//! From a directory of files to a catalog.
//!
//! One broken file never keeps the others from loading: it is refused, with the reason.

use std::{
    fs,
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    Conflict, Endpoint, Generation, Source,
    manifest::{Manifest, endpoints},
    trial,
};
use crate::{
    capability::Grants,
    confine::explained,
    sandbox::{CompileLimits, Limits, LoadError, MAX_COMPONENT, Sandbox},
    settings::{Bytes, Problems, Settings},
    version,
};

/// Where handlers are, unless configured.
const DEFAULT_DIRECTORY: &str = "handlers";

/// How long a method counts as used: longer than the pauses of periodic tasks, which nova runs every minute.
const DEFAULT_RECENT: Duration = Duration::from_secs(600);

/// Bytes of a manifest: far above any that a person writes.
pub const MAX_MANIFEST: usize = 1 << 20;

/// Bytes of a handler's name: a file name has at most 255, and needs its ending and what stands around it while it is
/// being written.
const MAX_NAME: usize = 200;

/// The section `handlers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The directory of `NAME.wasm` and `NAME.toml`.
    pub directory: PathBuf,
    /// Where compiled code is kept.
    pub cache: Cache,
    /// What compiling one component may take.
    pub compile: CompileLimits,
    /// Whether changed files are loaded while the service runs.
    pub watch: bool,
    /// How long after its last call a method cannot be taken away by accident; zero lets any method go.
    pub recent: Duration,
}

/// Where compiled code is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cache {
    /// Somebody wants it there: without it, nothing starts.
    Chosen(PathBuf),
    /// Nobody has said so: where it cannot be there, handlers are compiled at every start.
    Default(PathBuf),
    /// Whoever has no home has no cache directory either.
    Nowhere,
}

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It is no file, or a file that is not to be read.
    #[error("{0} is no regular file")]
    Irregular(PathBuf),
    /// It is larger than any that is loaded.
    #[error("{path} has more than {limit}, the most that is read")]
    TooLarge {
        /// The component, or its manifest.
        path: PathBuf,
        /// The bound.
        limit: Bytes,
    },
    /// Its name.
    #[error("{0:?} cannot be a handler's name: it takes text without slashes that does not begin with a dot")]
    Name(String),
    /// The component.
    #[error(transparent)]
    Component(#[from] LoadError),
    /// An endpoint's version.
    #[error("describe returned a wrong version: {0}")]
    Version(#[from] version::ParseError),
    /// The manifest.
    #[error("its manifest is wrong: {}", .0.0.join("; "))]
    Manifest(#[from] Problems),
    /// Nothing that could be called.
    #[error("offers no method{}", if *.hidden { ": its manifest hides them all" } else { "" })]
    Nothing {
        /// Whether the manifest is why.
        hidden: bool,
    },
    /// A request of the manifest's did not end as it should.
    #[error("{0}")]
    SelfTest(String),
    /// Another handler offers the same.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Our own fault.
    #[error("loading it failed unexpectedly: {0}")]
    Internal(String),
}

impl Config {
    /// Takes the section.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let day = Duration::from_secs(86_400);
        Self {
            directory: settings.take("handlers.directory", PathBuf::from(DEFAULT_DIRECTORY)),
            cache: match settings.take_optional("handlers.cache") {
                Some(directory) => Cache::Chosen(directory),
                None => default_cache().map_or(Cache::Nowhere, Cache::Default),
            },
            compile: CompileLimits::read(settings),
            watch: settings.take("handlers.watch", true),
            recent: settings.take_within("handlers.recent", DEFAULT_RECENT, Duration::ZERO..=day),
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

/// The name of the handler that a file is.
///
/// # Errors
///
/// [`Error::Name`].
pub fn name_of(path: &Path) -> Result<String, Error> {
    let name = path.file_stem().unwrap_or_default();
    name.to_str().map_or_else(|| Err(Error::Name(name.to_string_lossy().into_owned())), checked_name)
}

/// A handler's name, which is a part of file names.
///
/// # Errors
///
/// [`Error::Name`].
pub fn checked_name(name: &str) -> Result<String, Error> {
    let fine = |c: char| !c.is_control() && c != '/';
    let is_name = !name.is_empty() && name.len() <= MAX_NAME && !name.starts_with('.') && name.chars().all(fine);
    if is_name { Ok(name.to_owned()) } else { Err(Error::Name(name.chars().take(MAX_NAME).collect())) }
}

/// Reads a component and the manifest beside it.
///
/// # Errors
///
/// [`Error::Read`], [`Error::Irregular`] and [`Error::TooLarge`].
pub fn read(path: &Path) -> Result<Source, Error> {
    let missing = || Error::Read(io::ErrorKind::NotFound.into());
    let wasm = read_file(path, MAX_COMPONENT)?.ok_or_else(missing)?;
    Ok(Source::new(wasm, read_manifest(path)?))
}

/// Reads the manifest beside a component; `None` where there is none.
///
/// # Errors
///
/// As [`read`].
pub fn read_manifest(path: &Path) -> Result<Option<String>, Error> {
    let bytes = read_file(&path.with_extension("toml"), MAX_MANIFEST)?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// What a manifest grants to a component that is still to be built.
///
/// # Errors
///
/// [`Error::Manifest`].
pub fn grants(manifest: Option<&str>, limits: &Limits) -> Result<Grants, Error> {
    Ok(manifest.map(|text| Manifest::parse(text, limits)).transpose()?.unwrap_or_default().grants)
}

/// Reads a regular file of at most `limit` bytes; `None` where there is none. Whatever else has its name (a pipe, a device)
/// is not read at all: reading could wait for ever, or never end.
fn read_file(path: &Path, limit: usize) -> Result<Option<Vec<u8>>, Error> {
    // Before it is opened, which a confined process may not do elsewhere, so that the reason is the one that matters.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(Error::Irregular(path.to_owned()));
    }
    // Without it, opening a pipe waits for somebody who writes.
    let not_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = match fs::File::options().read(true).custom_flags(not_waiting).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A socket.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(Error::Irregular(path.to_owned()));
        }
        Err(error) => return Err(Error::Read(explained(error))),
    };
    let metadata = file.metadata().map_err(Error::Read)?;
    if !metadata.is_file() {
        return Err(Error::Irregular(path.to_owned()));
    }
    let too_large = || Err(Error::TooLarge { path: path.to_owned(), limit: Bytes(limit) });
    let length = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if length > limit {
        return too_large();
    }
    // It may grow while it is read, and some file systems say that it is empty.
    let mut content = Vec::with_capacity(length);
    file.take(limit as u64 + 1).read_to_end(&mut content).map_err(Error::Read)?;
    if content.len() > limit { too_large() } else { Ok(Some(content)) }
}

/// Makes a generation: compiles, describes, applies the manifest, and runs its self-tests.
///
/// # Errors
///
/// [`Error`].
///
/// # Cancel safety
///
/// Dropped half-way, nothing is left but compiled code in the cache.
pub async fn generation(
    name: &str,
    source: Source,
    sandbox: &Arc<Sandbox>,
    limits: &Limits,
) -> Result<Arc<Generation>, Error> {
    let manifest = match &source.manifest {
        Some(text) => Manifest::parse(text, limits)?,
        None => Manifest::none(limits),
    };
    let Manifest { limits, grants, .. } = &manifest;
    let program = sandbox.load(name, source.wasm.to_vec(), limits.clone(), grants.clone()).await?;
    let program = program.raising_in(manifest.errors_module.clone());
    let endpoints = endpoints::apply(&manifest.endpoints, program.describe().await?)?;
    manifest.policies.check(endpoints.iter().flat_map(|endpoint| &endpoint.methods).map(String::as_str))?;
    if !endpoints.iter().any(serves_something) {
        return Err(Error::Nothing { hidden: endpoints.iter().any(|endpoint| !endpoint.hidden.is_empty()) });
    }
    let generation = Arc::new(Generation::new(name.to_owned(), program, endpoints, source, manifest));
    trial::run(&generation).await?;
    Ok(generation)
}

fn serves_something(endpoint: &Endpoint) -> bool {
    endpoint.served().next().is_some()
}

impl From<trial::Failed> for Error {
    fn from(failed: trial::Failed) -> Self {
        match failed {
            trial::Failed::Conflict(conflict) => conflict.into(),
            trial::Failed::SelfTest(reason) => Self::SelfTest(reason),
        }
    }
}

impl From<endpoints::Error> for Error {
    fn from(error: endpoints::Error) -> Self {
        match error {
            endpoints::Error::Version(error) => error.into(),
            endpoints::Error::Rules(problems) => problems.into(),
        }
    }
}
