//! The part of WASI 0.2 that language runtimes import: what a program has without being given anything.
//!
//! Before it: [`super::Program`] links a component. Our own and not `wasmtime-wasi`: what there is no code for, no
//! mistake can give away. [`cli`] has output, which is the log's, and nothing to read; [`io`] streams and what can be
//! waited for; [`http`] asks servers where it is granted; [`clocks`] and [`random`] are real. [`closed`] is what runtimes
//! link and no handler has: files, sockets. The functions and their meaning are those of
//! <https://github.com/WebAssembly/WASI/tree/v0.2.12>.

mod cli;
mod clocks;
mod closed;
mod handles;
mod http;
mod io;
mod random;

use std::{sync::Arc, time::Instant};

use wasmtime::{
    Engine,
    component::{Component, Linker},
};

use super::{log::Log, tape::Tape};
use crate::capability::Session;

pub(super) use cli::flush;

/// What is real. Linked as 0.2.0, which stands for every 0.2.
const OPEN: [&str; 18] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// What all of this is called in messages.
pub(super) const NAME: &str = "WASI 0.2's cli, clocks, io, random, and its filesystem and sockets, both without any";

/// Handles that a guest holds at once: Python's and Go's runtimes hold less than ten. Each takes memory of the host's.
const MAX_HANDLES: usize = 1024;

/// Why a guest ended in one of these functions.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Ended {
    /// It wanted to.
    #[error("it called exit({0})")]
    Exit(u8),
    /// It asked for what nobody is given.
    #[error("{0}")]
    Misuse(String),
}

/// What is kept for one instance.
#[derive(Debug)]
pub(super) struct Wasi {
    /// What the monotonic clock counts from, so that it does not tell how long the machine has been running.
    started: Instant,
    /// Handles that the guest holds, of every kind.
    handles: usize,
    pollables: Vec<Option<handles::Wake>>,
    http: http::Table,
    output: cli::Output,
    /// Bytes that the request has written to bodies.
    sent: usize,
    /// That of the request, where there is one: what it may ask over HTTP.
    session: Option<Arc<Session>>,
    /// Where what it notices and asks is taped, or told from.
    tape: Tape,
}

/// What the functions of WASI see of a store's data.
pub(super) trait View: Send + 'static {
    /// What is kept for the instance.
    fn wasi(&mut self) -> &mut Wasi;
    /// Where printed lines go.
    fn log(&mut self) -> &mut Log;
}

impl Wasi {
    pub(super) fn new(session: Option<Arc<Session>>) -> Self {
        Self {
            started: Instant::now(),
            handles: 0,
            pollables: Vec::new(),
            http: http::Table::default(),
            output: cli::Output::default(),
            sent: 0,
            session,
            tape: Tape::default(),
        }
    }

    /// The same for a request that is taped, or told from a tape.
    pub(super) fn taped(self, tape: Tape) -> Self {
        Self { tape, ..self }
    }

    /// Whether the guest keeps more than half of what it may, handles or headers.
    pub(super) fn is_worn(&self) -> bool {
        self.handles > MAX_HANDLES / 2 || self.http.is_worn()
    }

    /// Makes ready for another request.
    pub(super) fn begin(&mut self, session: Option<Arc<Session>>, tape: Tape) {
        (self.session, self.tape, self.sent) = (session, tape, 0);
    }

    /// Lets go of what belongs to a request that has ended, whatever handles the guest keeps on it.
    pub(super) fn end(&mut self) {
        (self.session, self.tape) = (None, Tape::default());
        self.http.end();
    }

    /// Counts a handle that the guest is about to get.
    fn hold(&mut self) -> wasmtime::Result<()> {
        if self.handles >= MAX_HANDLES {
            return Err(misuse(format!("it holds more than {MAX_HANDLES} handles of WASI")));
        }
        self.handles += 1;
        Ok(())
    }

    fn release(&mut self) {
        self.handles = self.handles.saturating_sub(1);
    }
}

/// Whether an import is offered: by its name with a version of 0.2.
pub(super) fn offers(import: &str) -> bool {
    let name = import.split('@').next().unwrap_or_default();
    is_0_2(import) && (OPEN.contains(&name) || closed::is(name))
}

/// Whether an import has a version of 0.2, as WASI must have; other interfaces are held against theirs elsewhere.
pub(super) fn is_0_2(import: &str) -> bool {
    let patch = import.split_once('@').and_then(|(_, version)| version.strip_prefix("0.2."));
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Links what is real.
pub(super) fn add_to_linker<T: View>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    io::add_to_linker(linker)?;
    cli::add_to_linker(linker)?;
    clocks::add_to_linker(linker)?;
    http::add_to_linker(linker)?;
    random::add_to_linker(linker)
}

/// Links what a component imports of the rest, all of it to refusals; `None` where it imports nothing of it.
pub(super) fn refusing<T: View>(
    linker: &Linker<T>,
    component: &Component,
    engine: &Engine,
) -> wasmtime::Result<Option<Linker<T>>> {
    closed::link(linker, component, engine)
}

fn misuse(what: impl Into<String>) -> wasmtime::Error {
    wasmtime::Error::new(Ended::Misuse(what.into()))
}

/// The full name of an interface of WASI.
fn versioned(name: &str) -> String {
    format!("wasi:{name}@0.2.0")
}

#[cfg(test)]
mod tests;
