//! The admin API: all that operators do, over HTTP.
//!
//! Before it: the section `admin` ([`config`]). After it: [`crate::web`] brings questions, [`dispatch`] finds who answers them, and
//! [`crate::operate`] does what the control socket does too. Who asks is a stranger until [`who`] knows better.

mod api;
mod asked;
mod config;
mod dispatch;
mod guard;
mod openapi;
mod origin;
mod page;
mod problem;
mod route;
mod routes;
mod seats;
mod secrets;
mod sessions;
mod tokens;
mod told;
mod upload;
mod who;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    local::{self, Socket},
    operate::Operated,
    page::{Page, board::Board},
    web::{Bounds, Listener, Server},
};
use api::Api;
pub use config::{Config, Place};
use secrets::Secrets;
use who::Gate;

/// Time between a head and its answer: for a large component to come, and to be compiled and tried. What is sent has bounds of its
/// own.
const WORK: Duration = Duration::from_secs(1800);

/// Why there is no admin API.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is not to be had.
    #[error("admin.listen: cannot listen on {address}: {source}")]
    Address {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The local socket is not to be had.
    #[error("admin.listen: {path}: {source}; name another path, or take it out")]
    Socket {
        /// The path.
        path: PathBuf,
        /// Why.
        source: local::Error,
    },
    /// A file.
    #[error("admin: {0}")]
    Files(String),
}

/// The admin API, which listens and does not answer yet.
#[derive(Debug)]
pub struct Admin {
    listener: Listener,
    socket: Option<Socket>,
    secrets: Secrets,
    config: Config,
    wish: Arc<Notify>,
}

/// Reads the files that the configuration names, so that what is wrong with them is known before a start.
///
/// # Errors
///
/// [`Error::Files`].
pub fn check(config: &Config) -> Result<(), Error> {
    match &config.listen {
        Some(_) => Secrets::read(config).map(drop).map_err(|mistake| Error::Files(mistake.to_string())),
        None => Ok(()),
    }
}

impl Admin {
    /// Reads the files, and listens; `None` where the configuration wants none.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub async fn bind(config: &Config) -> Result<Option<Self>, Error> {
        let Some(place) = &config.listen else { return Ok(None) };
        let secrets = Secrets::read(config).map_err(|mistake| Error::Files(mistake.to_string()))?;
        let (listener, socket) = match place {
            Place::Tcp(address) => {
                let listener = Listener::tcp(*address).await;
                let listener = listener.map_err(|source| Error::Address { address: *address, source })?;
                (listener, None)
            }
            Place::Unix(path) => {
                let bound = Socket::bind(path).map_err(|source| Error::Socket { path: path.clone(), source });
                let (socket, listener) = bound?;
                (Listener::Unix(listener), Some(socket))
            }
        };
        let listener = match secrets.tls() {
            Some(tls) => listener.secure(tls),
            None => listener,
        };
        let at = listener.address().map(|address| address.to_string());
        let at = at.or_else(|| Some(socket.as_ref()?.path().display().to_string())).unwrap_or_default();
        tracing::info!(at, tls = secrets.tls().is_some(), "the admin API is at /api/v1");
        if config.is_open() {
            tracing::info!(
                "admin: anybody on this machine may look, and nobody may change anything there: no admin.tokens"
            );
        }
        Ok(Some(Self { listener, socket, secrets, config: config.clone(), wish: Arc::default() }))
    }

    /// Wakes who looks at the files.
    #[must_use]
    pub fn wish(&self) -> Arc<Notify> {
        Arc::clone(&self.wish)
    }

    /// Answers until told to stop; the page shows what is on the board.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, it stops.
    pub async fn serve(self, operated: Operated, board: Board, stop: CancellationToken) {
        let Self { listener, socket, secrets, config, wish } = self;
        let routes = Arc::new(routes::routes());
        let document = Bytes::from(openapi::document(&routes).to_string());
        let (gate, tasks) = (Gate::new(&config, &secrets), TaskTracker::new());
        let page = Page { board, stop: stop.clone() };
        let (names, certified, ending) = (config.names, secrets.names(), (tasks.clone(), stop.clone()));
        let api = Arc::new(Api::new(operated, page, gate, names, certified, document, ending));
        let answer = move |question| dispatch::answer(Arc::clone(&api), Arc::clone(&routes), question);
        let server = Server::start_within(Bounds { work: WORK, ..Bounds::default() }, listener, answer);
        stop.run_until_cancelled(secrets.keep(wish)).await;
        drop((server, socket));
        // What was begun is told to stop as well.
        tasks.close();
        tasks.wait().await;
    }
}

#[cfg(test)]
#[path = "admin/tests.rs"]
mod tests;
