//! What can become of a version that somebody brings, and why it may not.
//!
//! Made by [`super::Keeper`]; told by the log, the list and the command line.

use std::{io, path::PathBuf, time::Duration};

use crate::{catalog::load, gate::Refusal};

/// Who brings a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It lies in the directory.
    Watched,
    /// An operator; it is put into the directory once it is accepted.
    Given {
        /// Whether it may drop methods that were called recently.
        force: bool,
    },
}

/// What has become of a version that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is a new handler.
    Added {
        /// Its number.
        generation: u64,
    },
    /// It has taken another's place.
    Replaced {
        /// Its number.
        generation: u64,
        /// The number of the one before.
        instead_of: u64,
    },
    /// It gets a share of the requests of another.
    OnTrial {
        /// Its number.
        generation: u64,
        /// The number of the one that serves.
        beside: u64,
    },
    /// Its runs are compared with those of another.
    Shadowed {
        /// Its number.
        generation: u64,
        /// The number of the one that serves.
        beside: u64,
    },
    /// It serves already.
    Unchanged {
        /// Its number.
        generation: u64,
    },
}

/// What an operator has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aborted {
    /// A canary.
    Canary,
    /// A shadow.
    Shadow,
}

/// What a rollback has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// Who serves now.
    pub generation: u64,
    /// Who served before.
    pub instead_of: u64,
    /// Why the directory still has another version, which a restart would serve.
    pub directory: Option<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The version cannot be served.
    #[error(transparent)]
    Refused(#[from] load::Error),
    /// It lacks methods that are in use.
    #[error(
        "drops {}, called within the last {within:?}: list what may go as `dropped` in its manifest, or say `--force`",
        list(.methods)
    )]
    Drops {
        /// What it lacks.
        methods: Vec<String>,
        /// What counts as in use.
        within: Duration,
    },
    /// It does not pass a gate.
    #[error(
        "{0} (`nova-host replay RECORDING --handler NEW.wasm` shows what became of a recording; `nova-host handlers add --force` \
         serves the version all the same)"
    )]
    Gate(Refusal),
    /// The operator has rolled back or removed the handler meanwhile, or its files have changed again.
    #[error("was overtaken by a rollback, an abort, a removal or a newer version while it was being tried")]
    Overtaken,
    /// The operator has rolled back while this very version was in the directory.
    #[error(
        "was there when the handler was rolled back, and has not changed since; `nova-host handlers add` serves it"
    )]
    Unwanted,
    /// A canary runs, or is being tried before it does.
    #[error(
        "a canary of {name} runs: end it first, with `nova-host handlers abort {name}` or `nova-host handlers promote {name}`"
    )]
    OnTrial {
        /// The handler.
        name: String,
    },
    /// A shadow runs, or is being tried before it does.
    #[error("a shadow of {name} runs: end it first, with `nova-host handlers abort {name}`")]
    IsShadowed {
        /// The handler.
        name: String,
    },
    /// No canary runs.
    #[error("no canary of {name} runs")]
    NoTrial {
        /// The handler.
        name: String,
    },
    /// Neither a canary nor a shadow runs.
    #[error("no canary of {name} runs, and no shadow")]
    NothingTried {
        /// The handler.
        name: String,
    },
    /// Nothing serves that a canary could be compared with.
    #[error("no version of {name} serves that it could be compared with: `nova-host handlers add` serves it at once")]
    NothingBeside {
        /// The handler.
        name: String,
    },
    /// No such handler.
    #[error("no handler {name}; there are: {}", list(.known))]
    Unknown {
        /// The name.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// There was no other version since the start of the service.
    #[error("no earlier version of {name} is kept: there were none since the service started, or too many rollbacks")]
    NothingEarlier {
        /// The handler.
        name: String,
    },
    /// Somebody has changed the files in the directory, and they were not tried yet.
    #[error(
        "the directory has other files of {name} than serve, which were not tried yet: they are left alone (once they are tried or put back, \
         `nova-host handlers promote {name}` goes on)"
    )]
    Newer {
        /// The handler.
        name: String,
    },
    /// The directory cannot be written.
    #[error("cannot write to {path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Added { generation } => write!(f, "loaded, generation {generation}"),
            Self::Replaced { generation, instead_of } => {
                write!(f, "replaced, generation {generation} instead of {instead_of}")
            }
            Self::OnTrial { generation, beside } => {
                write!(f, "on trial as a canary, generation {generation} beside {beside}")
            }
            Self::Shadowed { generation, beside } => {
                write!(f, "shadowed: generation {generation} is compared with {beside}")
            }
            Self::Unchanged { generation } => write!(f, "unchanged, generation {generation}"),
        }
    }
}
