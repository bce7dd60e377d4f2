//! Keeps the catalog: tries new versions beside the one that serves, and exchanges them by one switch.
//!
//! Before it: [`super::watch`] and the control socket bring versions. After it: [`super::Current`] serves. Versions are
//! tried one after the other; what is a matter of moments (rollback, removal) waits for none of them and wins over the
//! one that is being tried. A switch is synchronous: whoever drops an operation half-way finds it done or not begun.

mod change;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Called, Catalog, Current, Found, Generation, Source,
    directory::{self, Files, Scan, Staged},
    load,
    shelf::{HandlerState, Shelf, identity},
    watch::Watch,
};
use crate::{
    metrics::Metrics,
    sandbox::{Limits, Sandbox},
};

pub use change::{Change, Error, Origin, RolledBack};

/// Keeps what is served.
#[derive(Debug)]
pub struct Keeper {
    directory: PathBuf,
    sandbox: Arc<Sandbox>,
    limits: Limits,
    metrics: Metrics,
    current: Current,
    /// Held while a version is tried.
    trying: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    shelves: BTreeMap<String, Shelf>,
    /// Who is being tried.
    trying: Option<String>,
    /// Counts the changes of what is served.
    changes: u64,
}

impl Keeper {
    /// Loads every handler of a directory, in the order of their names; remembers for `recent` what is called. One broken
    /// file never keeps the others from loading. Gives along what there is to watch from here on.
    ///
    /// # Errors
    ///
    /// Where the directory cannot be listed.
    pub async fn open(
        config: &load::Config,
        limits: &Limits,
        sandbox: Arc<Sandbox>,
        metrics: Metrics,
    ) -> io::Result<(Self, Watch)> {
        let keeper = Self {
            directory: config.directory.clone(),
            sandbox,
            limits: limits.clone(),
            metrics,
            current: Current::new(Catalog::default(), config.recent),
            trying: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        };
        let scan: Scan = directory::scan(&keeper.directory)?;
        for path in &scan.misnamed {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let reason = load::name_of(path).err().map_or_else(String::new, |error| error.to_string());
            tracing::error!(path = %path.display(), "handler refused: {reason}");
            keeper.metrics.load_refused();
            keeper.lock().shelves.entry(name.into_owned()).or_default().refuse(None, reason, false);
        }
        for name in scan.handlers.keys() {
            // The outcome is in the log and in the list.
            let path = directory::path_of(&keeper.directory, name);
            keeper.offer(name, move || Ok(load::read(&path)?), Origin::Watched).await.ok();
        }
        Ok((keeper, Watch::after(scan)))
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
        &self,
        name: &str,
        read: impl FnOnce() -> Result<Source, Error> + Send + 'static,
        origin: Origin,
    ) -> Result<Change, Error> {
        let _one = self.trying.lock().await;
        self.lock().trying = Some(name.to_owned());
        let source = tokio::task::spawn_blocking(read).await;
        let source = source.unwrap_or_else(|error| Err(load::Error::Internal(error.to_string()).into()));
        let files = source.as_ref().ok().map(identity);
        let offered = match source {
            Ok(source) => self.accept(name, source, origin).await,
            Err(error) => Err(error),
        };
        let mut state = self.lock();
        state.trying = None;
        match &offered {
            Ok(Change::Unchanged { .. }) => {}
            Ok(change) => tracing::info!(handler = name, "handler {change}"),
            // Whoever overtook it has said so, or is to be tried next.
            Err(Error::Overtaken) => {}
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

    /// Compiles, describes, tests, switches.
    async fn accept(&self, name: &str, source: Source, origin: Origin) -> Result<Change, Error> {
        if let Some(generation) = self.serves(name, &source, origin)? {
            if matches!(origin, Origin::Given { .. }) {
                // What lies in the directory may be another version, which was refused.
                let staged = self.stage(name, source).await?;
                staged.put().map_err(|source| self.unwritable(source))?;
            }
            return Ok(Change::Unchanged { generation });
        }
        let generation = load::generation(name, source, &self.sandbox, &self.limits).await?;
        let staged = match origin {
            Origin::Watched => None,
            Origin::Given { .. } => Some(self.stage(name, generation.source.clone()).await?),
        };
        self.switch(generation, staged, origin)
    }

    /// The number of the generation that serves, if it is this very version.
    fn serves(&self, name: &str, source: &Source, origin: Origin) -> Result<Option<u64>, Error> {
        let mut state = self.lock();
        let Some(shelf) = state.shelves.get_mut(name) else { return Ok(None) };
        if origin == Origin::Watched && shelf.unwanted == Some(identity(source)) {
            return Err(Error::Unwanted);
        }
        let serving = shelf.serving.as_ref().filter(|serving| serving.source == *source);
        let number = serving.map(|serving| serving.number);
        if number.is_some() {
            // Whatever was refused lies there no more.
            shelf.refused = None;
        }
        Ok(number)
    }

    /// Writes a version to the disk, to be put into the directory at once.
    async fn stage(&self, name: &str, source: Source) -> Result<Staged, Error> {
        let (directory, name) = (self.directory.clone(), name.to_owned());
        let staged = tokio::task::spawn_blocking(move || Staged::write(&directory, &name, &source)).await;
        staged.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(|source| self.unwritable(source))
    }

    /// The switch: one moment, before which the old version answers every request, and after which the new one does.
    fn switch(&self, generation: Arc<Generation>, staged: Option<Staged>, origin: Origin) -> Result<Change, Error> {
        let mut state = self.lock();
        if state.trying.as_ref() != Some(&generation.name) {
            return Err(Error::Overtaken);
        }
        let old = self.current.get();
        let new = old.with(Arc::clone(&generation)).map_err(load::Error::from)?;
        if !matches!(origin, Origin::Given { force: true }) {
            let methods = dropped(&old, &new, &generation, &self.current.recent());
            if !methods.is_empty() {
                return Err(Error::Drops { methods, within: self.current.remembered() });
            }
        }
        if let Some(staged) = staged {
            staged.put().map_err(|source| self.unwritable(source))?;
        }
        self.current.replace(new);
        self.metrics.loaded(&generation.name, generation.number);
        state.changes += 1;
        let shelf = state.shelves.entry(generation.name.clone()).or_default();
        let instead_of = shelf.serving.as_ref().map(|serving| serving.number);
        let number = generation.number;
        shelf.advance(generation);
        Ok(match instead_of {
            Some(instead_of) => Change::Replaced { generation: number, instead_of },
            None => Change::Added { generation: number },
        })
    }

    /// Tries a file that an operator names, and puts it into the directory where it is good. Its manifest is the one beside
    /// it; without one, the handler's own stays.
    ///
    /// # Errors
    ///
    /// [`Error`]; what served goes on serving, and the directory stays as it is.
    pub async fn add(&self, file: &Path, name: Option<String>, force: bool) -> Result<Change, Error> {
        let name = match name {
            Some(name) => load::checked_name(&name)?,
            None => load::name_of(file)?,
        };
        let (file, own) = (file.to_owned(), directory::path_of(&self.directory, &name));
        let read = move || {
            let mut source = load::read(&file)?;
            if source.manifest.is_none() {
                source.manifest = load::read_manifest(&own)?;
            }
            Ok(source)
        };
        self.offer(&name, read, Origin::Given { force }).await
    }

    /// Stops serving a handler and takes it out of the directory. Requests that it has accepted end on it.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`], and [`Error::Directory`], with which it goes on serving.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let mut state = self.lock();
        self.known(&state, name)?;
        directory::remove(&self.directory, name).map_err(|source| self.unwritable(source))?;
        self.forget(&mut state, name);
        drop(state);
        tracing::info!(handler = name, "handler removed");
        Ok(())
    }

    /// Stops serving a handler whose file is gone.
    pub fn gone(&self, name: &str) {
        let mut state = self.lock();
        // An operator may just have put another there, which happens under the same lock.
        let is_there = Files::look(&directory::path_of(&self.directory, name)).is_ok_and(|files| files.is_some());
        if state.shelves.contains_key(name) && !is_there {
            self.forget(&mut state, name);
            tracing::info!(handler = name, "handler removed: its file is gone");
        }
    }

    fn forget(&self, state: &mut State, name: &str) {
        if let Ok(rest) = self.current.get().without(name) {
            self.current.replace(rest);
        }
        self.metrics.unloaded(name);
        state.changes += 1;
        state.shelves.remove(name);
        state.trying.take_if(|trying| trying == name);
    }

    /// Goes back to the version before, at once: it is still loaded. The directory then gets its files, so that a restart
    /// serves the same.
    ///
    /// # Errors
    ///
    /// [`Error::Unknown`], [`Error::NothingEarlier`], and a conflict with what others serve meanwhile.
    pub fn rollback(&self, name: &str) -> Result<RolledBack, Error> {
        let mut state = self.lock();
        self.known(&state, name)?;
        let nothing = || Error::NothingEarlier { name: name.to_owned() };
        let shelf = state.shelves.get_mut(name).ok_or_else(nothing)?;
        let back = shelf.previous.last().cloned().ok_or_else(nothing)?;
        let catalog = self.current.get().with(Arc::clone(&back)).map_err(load::Error::from)?;
        self.current.replace(catalog);
        self.metrics.loaded(name, back.number);
        let left = shelf.go_back().ok_or_else(nothing)?;
        let directory = self.restore(&back, &left, shelf).err();
        shelf.unwanted = directory.is_some().then(|| identity(&left.source));
        shelf.refused = None;
        state.changes += 1;
        state.trying.take_if(|trying| trying == name);
        drop(state);
        let rolled_back = RolledBack { generation: back.number, instead_of: left.number, directory };
        tracing::warn!(handler = name, generation = back.number, instead_of = left.number, "handler rolled back");
        if let Some(reason) = &rolled_back.directory {
            tracing::warn!(handler = name, "the directory still has the version that was rolled back: {reason}");
        }
        Ok(rolled_back)
    }

    /// Puts a version's files back, unless there are some that nobody has tried yet.
    fn restore(&self, back: &Generation, left: &Generation, shelf: &Shelf) -> Result<(), String> {
        let refused = shelf.refused.as_ref().and_then(|refused| refused.identity.as_ref());
        match load::read(&directory::path_of(&self.directory, &back.name)) {
            Ok(there) if there != left.source && there != back.source && Some(&identity(&there)) != refused => {
                return Err("there is a newer one, which is left alone".to_owned());
            }
            _ => {}
        }
        let staged = Staged::write(&self.directory, &back.name, &back.source).and_then(Staged::put);
        staged.map_err(|source| self.unwritable(source).to_string())
    }

    /// All handlers by name.
    #[must_use]
    pub fn list(&self) -> Vec<HandlerState> {
        self.lock().shelves.iter().map(|(name, shelf)| shelf.state(name)).collect()
    }

    /// Grows with every change of what is served.
    pub(super) fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Those that were refused because of another handler.
    pub(super) fn in_conflict(&self) -> Vec<String> {
        let state = self.lock();
        let refused = |shelf: &Shelf| shelf.refused.as_ref().is_some_and(|refused| refused.in_conflict);
        state.shelves.iter().filter(|(_, shelf)| refused(shelf)).map(|(name, _)| name.clone()).collect()
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
