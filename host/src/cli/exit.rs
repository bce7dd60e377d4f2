//! Exit codes, and what is said before them.

use crate::{
    admin, client, config, host, metrics::http, printable::printable, project, sandbox::SetUpError, transport,
};

/// Bytes of a remote failure that are shown; `--json` shows all.
const MAX_FAILURE: usize = 4096;

/// How the program ends. The codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The remote side failed: an exception of the handler, or of the service about it.
    Remote = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A handler was refused, or the handlers cannot be loaded at all, or a recorded request ends otherwise in one.
    Handlers = 3,
    /// The broker cannot be reached or refuses.
    Transport = 4,
    /// Nobody answered in time.
    TimedOut = 5,
    /// No running host answers on the control socket.
    Control = 6,
    /// A project cannot be built: a tool is missing, or fails.
    Build = 7,
    /// A host is running and takes no requests now.
    NotReady = 8,
}

/// For everything that is no [`Failed`]: a fault of ours. `EX_SOFTWARE` of BSD's `sysexits.h`.
pub const INTERNAL: u8 = 70;

/// For `--help`.
pub(super) const HELP: &str = "\
Exit codes: 0 done; 1 the remote side failed; 2 wrong command line or configuration; 3 a handler was refused, or a replay differs; \
4 the broker cannot be reached or refuses, or nobody serves the topic; 5 no reply in time; 6 no running \
host on the control socket; 7 a project does not build; 8 the host takes no requests now; 70 internal error.";

/// Why the program ends without having done what was asked.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// For the person; one or two lines that say what to do.
    pub message: String,
    /// For scripts.
    pub exit: Exit,
}

impl Failed {
    pub(super) fn new(exit: Exit, message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), exit }
    }

    pub(super) fn configuration(error: config::Error) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<host::Error> for Failed {
    fn from(error: host::Error) -> Self {
        match error {
            host::Error::Transport(error) => error.into(),
            host::Error::SetUp(error) => error.into(),
            host::Error::Keyvalue(error) => Self::new(Exit::Usage, error),
            host::Error::Handlers { .. } => {
                Self::new(Exit::Handlers, format!("{error}; name another with --handlers DIR"))
            }
        }
    }
}

impl From<SetUpError> for Failed {
    fn from(error: SetUpError) -> Self {
        // The engine needs address space for max_in_flight, the cache a directory: both are configured.
        Self::new(Exit::Usage, error)
    }
}

impl From<http::Error> for Failed {
    fn from(error: http::Error) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<admin::Error> for Failed {
    fn from(error: admin::Error) -> Self {
        Self::new(Exit::Usage, error)
    }
}

impl From<project::Error> for Failed {
    fn from(error: project::Error) -> Self {
        use project::Error as E;
        match error {
            E::Nothing(_) | E::Several { .. } | E::Project(_) | E::Io { .. } => Self::new(Exit::Usage, error),
            E::Wit(_) | E::Missing { .. } | E::Tool { .. } | E::Component(_) => Self::new(Exit::Build, error),
        }
    }
}

impl From<transport::Error> for Failed {
    fn from(error: transport::Error) -> Self {
        Self::new(Exit::Transport, error)
    }
}

impl From<client::Error> for Failed {
    fn from(error: client::Error) -> Self {
        match error {
            // Whoever serves the topic must not write to our terminal as they please.
            client::Error::Remote(failure) => Self::new(Exit::Remote, printable(&failure.to_string(), MAX_FAILURE)),
            client::Error::InvalidReply { ref source, .. } => Self::new(Exit::Remote, format!("{error}: {source}")),
            client::Error::TimedOut { .. } | client::Error::Silent { .. } => Self::new(Exit::TimedOut, error),
            client::Error::NotDelivered { ref source, .. } => Self::new(Exit::Transport, format!("{error}: {source}")),
            client::Error::NotSent { .. }
            | client::Error::QueueFull { .. }
            | client::Error::NotConfirmed { .. }
            | client::Error::Undeliverable { .. }
            | client::Error::Transport(_) => Self::new(Exit::Transport, error),
            client::Error::InvalidTarget { .. }
            | client::Error::MalformedVersion(_)
            | client::Error::VersionCap { .. } => Self::new(Exit::Usage, error),
        }
    }
}
