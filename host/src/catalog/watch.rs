//! Notices what changes in the directory of handlers, by looking at it a few times a second.
//!
//! Before it: [`super::directory`] says what is there. After it: [`super::keeper`] tries what has changed. Looking covers
//! what is hard to tell apart by events (a rename over the file, a copy that takes its time, a symbolic link that leads
//! elsewhere, Kubernetes' volumes, network file systems) by one rule: a file is taken once it has stayed as it is.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::MissedTickBehavior,
};

use super::{
    directory::{self, Files, Scan},
    keeper::{Error, Keeper, Origin},
    load,
};

/// How often the directory is looked at: as good as at once for a person, and some microseconds of work.
const EVERY: Duration = Duration::from_millis(250);

/// A file that was the same in so many looks is whole. One that is not, because its copying paused, does not load, and is
/// tried again when it goes on.
const SETTLED: u32 = 2;

/// A file that was absent in so many looks, two seconds, is gone: until then, somebody is about to put another there.
const GONE: u32 = 8;

/// How many looks somebody who wishes for some has in the end: half a minute.
const MOST: u32 = 120;

/// What has happened to a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Its files are new, or others than before.
    Changed(String),
    /// Its component is there no more.
    Gone(String),
}

/// What was seen of the directory so far.
#[derive(Debug, Default)]
pub struct Watch {
    handlers: BTreeMap<String, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// In the last look; `None` where it was not there.
    files: Option<Files>,
    /// How many looks have shown the same.
    looks: u32,
    /// What was tried last.
    taken: Option<Files>,
}

impl Watch {
    /// Starts with what has been tried already.
    #[must_use]
    pub fn after(scan: Scan) -> Self {
        let seen = |files: Option<Files>| Seen { taken: files.clone(), files, looks: SETTLED };
        Self { handlers: scan.handlers.into_iter().map(|(name, files)| (name, seen(files))).collect() }
    }

    /// Takes one look's findings.
    pub(super) fn observe(&mut self, scan: &Scan) -> Vec<Event> {
        for name in scan.handlers.keys() {
            self.handlers.entry(name.clone()).or_default();
        }
        let mut events = Vec::new();
        self.handlers.retain(|name, seen| {
            let now = match scan.handlers.get(name) {
                // It cannot be looked at: it stays what it was.
                Some(None) => return true,
                Some(files) => files.clone(),
                None => None,
            };
            seen.looks = if seen.files == now { seen.looks.saturating_add(1) } else { 1 };
            seen.files = now;
            match &seen.files {
                Some(_) if seen.files != seen.taken && seen.looks >= SETTLED => {
                    seen.taken.clone_from(&seen.files);
                    events.push(Event::Changed(name.clone()));
                }
                None if seen.looks >= GONE => {
                    events.extend(seen.taken.is_some().then(|| Event::Gone(name.clone())));
                    return false;
                }
                _ => {}
            }
            true
        });
        events
    }

    /// Has a handler tried again, as if it had just changed.
    pub(super) fn again(&mut self, name: &str) {
        if let Some(seen) = self.handlers.get_mut(name) {
            seen.taken = None;
            seen.looks = 0;
        }
    }

    /// Whether something is yet to be tried.
    fn has_news(&self) -> bool {
        self.handlers.values().any(|seen| seen.files != seen.taken)
    }

    /// What of a handler was tried last.
    fn taken(&self, name: &str) -> Option<&Files> {
        self.handlers.get(name)?.taken.as_ref()
    }
}

/// When the directory is looked at.
#[derive(Debug)]
pub struct Looks {
    always: bool,
    wishes: mpsc::Receiver<oneshot::Sender<()>>,
    /// How many more looks were wished for.
    left: u32,
    /// How many more there may be for what has not settled then.
    spare: u32,
    wishers: Vec<oneshot::Sender<()>>,
}

/// The way to have it looked at. Clones are the same.
#[derive(Clone, Debug)]
pub struct Wish(mpsc::Sender<oneshot::Sender<()>>);

impl Wish {
    /// Has the directory looked at now, and returns when what has changed was tried; at once where nobody looks any more.
    pub async fn look(&self) {
        let (done, is_done) = oneshot::channel();
        if self.0.send(done).await.is_ok() {
            is_done.await.ok();
        }
    }
}

impl Looks {
    /// All the time, or only where somebody wishes it: then for two seconds, and up to half a minute more while something is
    /// being copied, or is to be tried again because what stood in its way has gone.
    #[must_use]
    pub fn new(always: bool) -> (Self, Wish) {
        let (sender, wishes) = mpsc::channel(1);
        (Self { always, wishes, left: 0, spare: 0, wishers: Vec::new() }, Wish(sender))
    }

    /// Waits until it is to be looked at.
    async fn next(&mut self) {
        if self.left == 0 {
            for done in self.wishers.drain(..) {
                done.send(()).ok();
            }
            if !self.always {
                match self.wishes.recv().await {
                    Some(done) => self.wish(done),
                    None => std::future::pending().await,
                }
            }
        }
        while let Ok(done) = self.wishes.try_recv() {
            self.wish(done);
        }
        self.left = self.left.saturating_sub(1);
    }

    fn wish(&mut self, done: oneshot::Sender<()>) {
        self.wishers.push(done);
        self.left = GONE + 1;
        self.spare = MOST;
    }

    /// Looks once more: something is yet to be tried.
    fn go_on(&mut self) {
        if self.left == 0 && self.spare > 0 {
            self.spare -= 1;
            self.left = 1;
        }
    }
}

/// Watches for as long as it is polled.
///
/// # Cancel safety
///
/// Dropped half-way, a handler that was being tried is put into force or is not, and nothing is waited for.
pub async fn watch(keeper: Arc<Keeper>, mut watch: Watch, mut looks: Looks) {
    let mut pause = tokio::time::interval(EVERY);
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut readable, mut changes) = (true, keeper.changes());
    loop {
        looks.next().await;
        pause.tick().await;
        let directory = keeper.directory().to_owned();
        // A directory on another machine may take its time.
        let scanned = tokio::task::spawn_blocking(move || directory::scan(&directory)).await;
        match scanned.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
            Ok(scan) => {
                readable = true;
                for event in watch.observe(&scan) {
                    act(&keeper, &mut watch, event).await;
                }
            }
            Err(error) if readable => {
                readable = false;
                let directory = keeper.directory().display();
                tracing::warn!(%directory, %error, "cannot list the handlers: what is served stays as it is");
            }
            Err(_) => {}
        }
        // What stood in somebody's way may have gone.
        if keeper.changes() != changes {
            changes = keeper.changes();
            keeper.in_conflict().iter().for_each(|name| watch.again(name));
        }
        if watch.has_news() {
            looks.go_on();
        }
    }
}

async fn act(keeper: &Arc<Keeper>, watch: &mut Watch, event: Event) {
    let name = match event {
        Event::Gone(name) => {
            let keeper = Arc::clone(keeper);
            // What it has done is in the log.
            tokio::task::spawn_blocking(move || keeper.gone(&name)).await.ok();
            return;
        }
        Event::Changed(name) => name,
    };
    let path = directory::path_of(keeper.directory(), &name);
    let settled = watch.taken(&name).cloned();
    let read = move || {
        let source = load::read(&path)?;
        // It has changed while it was read, or since it was looked at: the next looks see it settle.
        if Files::look(&path).ok().flatten() == settled { Ok(source) } else { Err(Error::Overtaken) }
    };
    // Any other outcome is in the log and in the list.
    if let Err(Error::Overtaken) = keeper.offer(&name, read, Origin::Watched).await {
        watch.again(&name);
    }
}

#[cfg(test)]
#[path = "watch/tests.rs"]
mod tests;
