//! The door for the operator: a local socket over which a running host is asked and told about its handlers.
//!
//! Before it: `nova-host handlers`, through [`client`]. After it: [`crate::operate`]. One line of JSON in, one line
//! out ([`protocol`]), bounded in size and time; whoever is not the same user, or root, is not heard ([`socket`]).

pub mod client;
pub mod protocol;
pub mod socket;

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    sync::Semaphore,
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::operate::{Caller, Operated, operate};
use protocol::{ControlAnswer, Kind};
use socket::Listener;

/// Bytes of a request: a path has at most 4096.
const MAX_REQUEST: u64 = 64 << 10;

/// Time for a request to arrive and for an answer to be taken, both of which are local.
const PATIENCE: Duration = Duration::from_secs(10);

/// Operators at once.
const MAX_CONNECTIONS: usize = 16;

/// Wait after a connection could not be accepted: there are too many open files, and it would fail again at once.
const RETRY: Duration = Duration::from_secs(1);

/// Answers operators until told to stop.
///
/// # Cancel safety
///
/// Dropped half-way, an operation is done or not begun; its operator gets no answer.
pub async fn serve(listener: Listener, operated: Operated, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    let next = async || {
        let place = Arc::clone(&places).acquire_owned().await.ok();
        (place, listener.accept().await)
    };
    while let Some((place, accepted)) = stop.run_until_cancelled(next()).await {
        match accepted {
            Ok(stream) => {
                let operated = operated.clone();
                let converse = async move {
                    if let Err(error) = converse(stream, operated).await {
                        tracing::warn!(%error, "control socket: an operator was not answered");
                    }
                    drop(place);
                };
                connections.spawn(stop.clone().run_until_cancelled_owned(converse));
            }
            Err(error) => {
                tracing::warn!(%error, "control socket: cannot accept");
                stop.run_until_cancelled(tokio::time::sleep(RETRY)).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

/// One request, one answer.
async fn converse(stream: UnixStream, operated: Operated) -> io::Result<()> {
    let caller = Caller::local(stream.peer_cred().ok().map(|peer| peer.uid()), "the control socket");
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST));
    timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
    let answer = match serde_json::from_slice(&line) {
        Ok(request) => operate(request, operated, &caller).await,
        Err(error) => ControlAnswer::failed(Kind::Request, format!("the request makes no sense: {error}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    timeout(PATIENCE, writer.write_all(&text)).await??;
    timeout(PATIENCE, writer.shutdown()).await?
}

#[cfg(test)]
#[path = "control/tests.rs"]
mod tests;
