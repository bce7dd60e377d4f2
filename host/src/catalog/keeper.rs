//! Keeps the catalog: tries new versions beside the one that serves, and exchanges them by one switch.
//!
//! Before it: [`super::watch`] and the control socket bring versions. After it: [`super::Current`] serves. Versions are
//! tried one after the other; what is a matter of moments (rollback, removal: [`back`]) waits for none of them and wins over
//! the one that is being tried. A switch is synchronous: whoever drops an operation half-way finds it done or not begun. What
//! may wait for a disk runs on threads that may wait, and no lock is held meanwhile that a list or a request needs.

mod back;
mod canary;
mod change;
mod gate;
mod given;
mod shadow;
mod told;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use super::{
    Called, Catalog, Current, Found, Generation, Policy, Source,
    directory::{self, Scan},
    load,
    shelf::{Shelf, identity},
    staged::{self, Staged},
};
use crate::{
    canary::report::Stage,
    gate::Terms,
    metrics::Metrics,
    sandbox::{Limits, Sandbox},
    shadow::{Room, report::ShadowStage},
};

pub use canary::Due;
pub use change::{Aborted, Change, Error, Origin, RolledBack};

/// The target of log lines that say what may surprise of a handler that is served. Who calls one method once wants none.
pub const ADVICE: &str = "nova_host::advice";

/// Keeps what is served.
#[derive(Debug)]
pub struct Keeper {
    directory: PathBuf,
    sandbox: Arc<Sandbox>,
    limits: Limits,
    /// Of methods of which no manifest says anything.
    policy: Policy,
    metrics: Metrics,
    /// Where recordings of requests are, if anywhere.
    recordings: Option<PathBuf>,
    current: Current,
    /// Where shadows run.
    room: Room,
    /// Held while a version is tried.
    trying: tokio::sync::Mutex<()>,
    /// Held while what is served and what is in the directory change together. It may take as long as a disk takes, so it is
    /// taken on threads that may wait, and before `state`.
    changing: Mutex<()>,
    /// Held for moments.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shelves: BTreeMap<String, Shelf>,
    /// Who is being tried.
    trying: Option<String>,
    /// Canaries that are to begin, by the handler. One that is not here any more, or that nobody holds, does not.
    coming: BTreeMap<String, Weak<()>>,
    /// The same of shadows.
    shadows_coming: BTreeMap<String, Weak<()>>,
    /// Counts the changes of what is served.
    changes: u64,
}

impl State {
    /// Sees to it that a version which is being tried does not come into force: what it was read from is not there any more.
    fn overtake(&mut self, name: &str) {
        self.trying.take_if(|trying| trying == name);
    }
}

impl Keeper {
    /// Keeps nothing yet; remembers for `config.recent` what is called. `limits` and `policy` are the service's.
    #[must_use]
    pub fn new(
        config: &load::Config,
        limits: &Limits,
        policy: Policy,
        sandbox: Arc<Sandbox>,
        metrics: Metrics,
    ) -> Arc<Self> {
        Self::with_recordings(config, limits, policy, sandbox, metrics, None)
    }

    /// The same where requests are recorded: new versions may be held against them.
    #[must_use]
    pub fn with_recordings(
        config: &load::Config,
        limits: &Limits,
        policy: Policy,
        sandbox: Arc<Sandbox>,
        metrics: Metrics,
        recordings: Option<PathBuf>,
    ) -> Arc<Self> {
        Arc::new(Self {
            directory: config.directory.clone(),
            sandbox,
            limits: limits.clone(),
            policy,
            metrics,
            recordings,
            current: Current::new(Catalog::default(), config.recent),
            room: Room::default(),
            trying: tokio::sync::Mutex::default(),
            changing: Mutex::default(),
            state: Mutex::default(),
        })
    }

    /// Loads every handler of the directory, in the order of their names. One broken file never keeps the others from loading.
    /// Gives what was found, for [`super::watch`] to go on from.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be listed.
    pub async fn load(self: &Arc<Self>) -> io::Result<Scan> {
        let directory = self.directory.clone();
        let look = move || {
            if let Err(error) = staged::complete(&directory) {
                let directory = directory.display();
                tracing::warn!(%directory, %error, "an exchange that an earlier host has begun cannot be completed");
            }
            directory::scan(&directory)
        };
        let scan = tokio::task::spawn_blocking(look).await.unwrap_or_else(|error| Err(io::Error::other(error)))?;
        for path in &scan.misnamed {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let reason = load::name_of(path).err().map_or_else(String::new, |error| error.to_string());
            tracing::error!(path = %path.display(), "handler refused: {reason}");
            self.metrics.load_refused();
            self.lock().shelves.entry(name.into_owned()).or_default().refuse(None, reason, false);
        }
        // Whoever asks meanwhile sees all that there are.
        for name in scan.handlers.keys() {
            self.lock().shelves.entry(name.clone()).or_default();
        }
        for name in scan.handlers.keys() {
            // An operator may have removed it since.
            if self.lock().shelves.contains_key(name) {
                // The outcome is in the log and in the list.
                let path = directory::path_of(&self.directory, name);
                self.offer(name, move || Ok(load::read(&path)?), Origin::Watched).await.ok();
            }
        }
        Ok(scan)
    }

    /// The catalog in force.
    #[must_use]
    pub fn current(&self) -> &Current {
        &self.current
    }

    /// The directory of handlers.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Tries a version, and puts it into force where it is good. Either way it is logged and listed. `read` gets its files
    /// when it is its turn: what was read before could be older than what came into force meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error`]; what served goes on serving.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the version is in force or is not.
    pub async fn offer(
        self: &Arc<Self>,
        name: &str,
        read: impl FnOnce() -> Result<Source, Error> + Send + 'static,
        origin: Origin,
    ) -> Result<Change, Error> {
        self.attempt(name, read, |source| self.accept(name, source, origin, Terms::default())).await
    }

    /// Reads a version when it is its turn, and has it accepted or refused.
    async fn attempt<A: Future<Output = Result<Change, Error>>>(
        self: &Arc<Self>,
        name: &str,
        read: impl FnOnce() -> Result<Source, Error> + Send + 'static,
        accept: impl FnOnce(Source) -> A,
    ) -> Result<Change, Error> {
        let _one = self.trying.lock().await;
        self.lock().trying = Some(name.to_owned());
        let source = blocking(read).await;
        let files = source.as_ref().ok().map(identity);
        let offered = match source {
            Ok(source) => accept(source).await,
            Err(error) => Err(error),
        };
        let mut state = self.lock();
        state.trying = None;
        match &offered {
            Ok(Change::Unchanged { .. }) => {}
            Ok(change) => {
                tracing::info!(handler = name, "handler {change}");
                let serving = state.shelves.get(name).and_then(|shelf| shelf.serving.as_ref());
                let warnings = serving.map(|serving| [serving.warning(self.policy), self.gate_warning(serving)]);
                for warning in warnings.into_iter().flatten().flatten() {
                    tracing::warn!(target: ADVICE, handler = name, "{warning}");
                }
            }
            // Whoever overtook it has said so, or is to be tried next; and of a version on trial it is known.
            Err(Error::Overtaken | Error::OnTrial { .. } | Error::IsShadowed { .. } | Error::NothingBeside { .. }) => {}
            Err(error) => {
                let path = directory::path_of(&self.directory, name);
                tracing::error!(path = %path.display(), "handler refused: {error}");
                self.metrics.load_refused();
                let in_conflict = matches!(error, Error::Refused(load::Error::Conflict(_)));
                state.shelves.entry(name.to_owned()).or_default().refuse(files, error.to_string(), in_conflict);
            }
        }
        offered
    }

    /// Compiles, describes, tests, compares, switches.
    async fn accept(
        self: &Arc<Self>,
        name: &str,
        source: Source,
        origin: Origin,
        terms: Terms,
    ) -> Result<Change, Error> {
        let keeper = Arc::clone(self);
        if let Some(generation) = self.serves(name, &source, origin)? {
            if matches!(origin, Origin::Given { .. }) {
                // What lies in the directory may be another version, which was refused.
                let name = name.to_owned();
                blocking(move || keeper.put_what_serves(&name, &source)).await?;
            }
            return Ok(Change::Unchanged { generation });
        }
        let generation = self.made(name, source).await?;
        self.pass_gates(&generation, &terms).await?;
        blocking(move || keeper.switch(generation, origin)).await
    }

    async fn made(&self, name: &str, source: Source) -> Result<Arc<Generation>, load::Error> {
        load::generation(name, source, &self.sandbox, &self.limits).await
    }

    /// The number of the generation that serves, if it is this very version.
    fn serves(&self, name: &str, source: &Source, origin: Origin) -> Result<Option<u64>, Error> {
        let mut state = self.lock();
        let Some(shelf) = state.shelves.get_mut(name) else { return Ok(None) };
        wanted(shelf, source, origin)?;
        if shelf.trial.is_some() && matches!(origin, Origin::Given { .. }) {
            return Err(Error::OnTrial { name: name.to_owned() });
        }
        let serving = shelf.serving.as_ref().filter(|serving| serving.source == *source);
        let number = serving.map(|serving| serving.number);
        if number.is_some() {
            // Whatever was refused lies there no more.
            shelf.refused = None;
        }
        Ok(number)
    }

    /// Puts the files of what serves into the directory.
    fn put_what_serves(&self, name: &str, source: &Source) -> Result<(), Error> {
        let staged = self.stage(name, source)?;
        let _changing = self.changing();
        let serving = self.lock().shelves.get(name).and_then(|shelf| shelf.serving.clone());
        // A rollback or a removal was faster.
        serving.filter(|serving| serving.source == *source).ok_or(Error::Overtaken)?;
        staged.put().map_err(|source| self.unwritable(source))?;
        if let Some(shelf) = self.lock().shelves.get_mut(name) {
            shelf.unwanted = None;
        }
        Ok(())
    }

    /// Writes a version to the disk, to be put into the directory at once.
    fn stage(&self, name: &str, source: &Source) -> Result<Staged, Error> {
        Staged::write(&self.directory, name, source).map_err(|source| self.unwritable(source))
    }

    /// The switch: one moment, before which the old version answers every request, and after which the new one does.
    fn switch(&self, generation: Arc<Generation>, origin: Origin) -> Result<Change, Error> {
        let staged = match origin {
            Origin::Watched => None,
            Origin::Given { .. } => Some(self.stage(&generation.name, &generation.source)?),
        };
        let _changing = self.changing();
        let new = self.may_serve(&generation, origin)?;
        if let Some(staged) = staged {
            staged.put().map_err(|source| self.unwritable(source))?;
        }
        let mut state = self.lock();
        self.current.replace(new);
        self.metrics.loaded(&generation.name, generation.number, generation.program.digest().as_str());
        state.changes += 1;
        let shelf = state.shelves.entry(generation.name.clone()).or_default();
        let instead_of = shelf.serving.as_ref().map(|serving| serving.number);
        let number = generation.number;
        let overtaken = Some(format!("generation {number} has come into force"));
        self.end_trial(shelf, Stage::Overtaken, overtaken.clone());
        self.end_shadow(shelf, ShadowStage::Overtaken, overtaken);
        shelf.advance(generation);
        Ok(match instead_of {
            Some(instead_of) => Change::Replaced { generation: number, instead_of },
            None => Change::Added { generation: number },
        })
    }

    /// The catalog with this generation, if it may be in force. Nothing else changes while [`Keeper::changing`] is held.
    fn may_serve(&self, generation: &Arc<Generation>, origin: Origin) -> Result<Catalog, Error> {
        let state = self.lock();
        if state.trying.as_ref() != Some(&generation.name) {
            return Err(Error::Overtaken);
        }
        self.fits(&state, generation, origin)
    }

    /// The same, whoever is being tried.
    fn fits(&self, state: &State, generation: &Arc<Generation>, origin: Origin) -> Result<Catalog, Error> {
        if let Some(shelf) = state.shelves.get(&generation.name) {
            wanted(shelf, &generation.source, origin)?;
        }
        let old = self.current.get();
        let new = old.with(Arc::clone(generation)).map_err(load::Error::from)?;
        if !matches!(origin, Origin::Given { force: true }) {
            let methods = dropped(&old, &new, generation, &self.current.recent());
            if !methods.is_empty() {
                return Err(Error::Drops { methods, within: self.current.remembered() });
            }
        }
        Ok(new)
    }

    fn known(&self, state: &State, name: &str) -> Result<(), Error> {
        match state.shelves.contains_key(name) {
            true => Ok(()),
            false => Err(Error::Unknown { name: name.to_owned(), known: state.shelves.keys().cloned().collect() }),
        }
    }

    fn unwritable(&self, source: io::Error) -> Error {
        Error::Directory { path: self.directory.clone(), source }
    }

    fn changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sees to it that nobody has rolled back from what is offered, unless an operator offers it.
fn wanted(shelf: &Shelf, source: &Source, origin: Origin) -> Result<(), Error> {
    match origin == Origin::Watched && shelf.unwanted == Some(identity(source)) {
        true => Err(Error::Unwanted),
        false => Ok(()),
    }
}

/// Runs what may wait for a disk, on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.unwrap_or_else(|error| Err(load::Error::Internal(error.to_string()).into()))
}

/// What was called recently, was answered by the handler, and would be answered by nobody.
fn dropped(old: &Catalog, new: &Catalog, generation: &Generation, recent: &[Called]) -> Vec<String> {
    let answers = |catalog: &Catalog, called: &Called| {
        catalog.find(called.namespace.as_deref(), &called.version.to_string(), Some(&called.method)).ok()
    };
    let is_its_own = |called: &&Called| matches!(answers(old, called), Some(Found::Handler { generation: old, .. }) if old.name == generation.name);
    let lost = recent.iter().filter(is_its_own).filter(|called| answers(new, called).is_none());
    let unexpected = lost.filter(|called| !generation.manifest.dropped.contains(&called.method));
    unexpected.map(ToString::to_string).collect()
}

#[cfg(test)]
#[path = "keeper/tests.rs"]
mod tests;
