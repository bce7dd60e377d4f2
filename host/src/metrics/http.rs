//! `GET /metrics` for Prometheus, `GET /livez` and `GET /readyz` for whoever manages services: as little of HTTP/1.1 as that
//! takes.
//!
//! Whoever connects is a stranger: the head of a request is bounded in size and time, the answer in time, and the
//! connections in number. There is no body, no second request on a connection, and no path but these three.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{Metrics, health::Health};
use crate::settings::Settings;

/// The head of a request; Prometheus sends some 300 bytes.
const MAX_HEAD: usize = 8 << 10;

/// Time to send the head, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections at once; the others wait to be accepted.
const MAX_CONNECTIONS: usize = 8;

/// Pause where the process has no file descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// What [`Metrics::encode`] writes.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The section `metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where `GET /metrics` is answered; `None`, the default, is nowhere.
    pub listen: Option<SocketAddr>,
}

/// Why nobody can ask.
#[derive(Debug, thiserror::Error)]
#[error("metrics.listen: cannot listen on {address}: {source}")]
pub struct Error {
    address: SocketAddr,
    source: std::io::Error,
}

/// A listener. Dropped, it and its connections end.
#[derive(Debug)]
pub struct Exporter {
    address: SocketAddr,
    _task: AbortOnDropHandle<()>,
}

impl Config {
    /// Takes the section.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        Self { listen: settings.take_optional("metrics.listen") }
    }
}

impl Exporter {
    /// Listens.
    ///
    /// # Errors
    ///
    /// [`Error`] where the address is not to be had.
    pub async fn start(address: SocketAddr, metrics: Metrics) -> Result<Self, Error> {
        let listener = TcpListener::bind(address).await.map_err(|source| Error { address, source })?;
        let address = listener.local_addr().map_err(|source| Error { address, source })?;
        tracing::info!(%address, "metrics are at /metrics");
        Ok(Self { address, _task: AbortOnDropHandle::new(tokio::spawn(accept(listener, metrics))) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn accept(listener: TcpListener, metrics: Metrics) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    // Dropped with this task, it ends the connections' own.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let metrics = metrics.clone();
                connections.spawn(async move {
                    talk(stream, &metrics).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection for metrics was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Answers one request and closes.
async fn talk(mut stream: TcpStream, metrics: &Metrics) {
    let answer = match timeout(PATIENCE, head(&mut stream)).await {
        Ok(Some(head)) => respond(&head, metrics),
        // Gone.
        Ok(None) => return,
        Err(_) => Answer::error("408 Request Timeout"),
    };
    let send = async {
        stream.write_all(answer.encode().as_bytes()).await?;
        stream.shutdown().await
    };
    // A reader that has gone, or reads nothing, is not our concern.
    drop(timeout(PATIENCE, send).await);
}

/// Reads until the empty line, or to the bound.
async fn head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(1024);
    let mut limited = stream.take(MAX_HEAD as u64);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        if limited.read_buf(&mut head).await.ok()? == 0 {
            return (head.len() == MAX_HEAD).then_some(head);
        }
    }
    Some(head)
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
}

impl Answer {
    fn error(status: &'static str) -> Self {
        Self::text(status, status)
    }

    fn text(status: &'static str, text: &str) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: format!("{text}\n") }
    }

    /// Whether requests are taken, and if not, what is missing, a line each.
    fn readiness(health: &Health) -> Self {
        match health.ready {
            true => Self::text("200 OK", &health.phase),
            false => Self::text("503 Service Unavailable", &health.missing.join("\n")),
        }
    }

    fn encode(&self) -> String {
        let Self { status, content_type, body } = self;
        let length = body.len();
        let allow = if status.starts_with("405") { "Allow: GET\r\n" } else { "" };
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{allow}Connection: close\r\n\r\n{body}"
        )
    }
}

/// What a request line deserves; the rest of the head says nothing that matters here.
fn respond(head: &[u8], metrics: &Metrics) -> Answer {
    if !head.windows(4).any(|window| window == b"\r\n\r\n") {
        return Answer::error("431 Request Header Fields Too Large");
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words.as_slice() else { return Answer::error("400 Bad Request") };
    if !version.starts_with(b"HTTP/1.") {
        return Answer::error("400 Bad Request");
    }
    let path = target.split(|byte| *byte == b'?').next().unwrap_or_default();
    match (*method, path) {
        (b"GET", b"/metrics") => Answer { status: "200 OK", content_type: CONTENT_TYPE, body: metrics.encode() },
        // Who answers is alive: a broker that is away, or a handler that is missing, is nothing that a restart mends.
        (b"GET", b"/livez") => Answer::text("200 OK", "alive"),
        (b"GET", b"/readyz") => Answer::readiness(&metrics.health()),
        (_, b"/metrics" | b"/livez" | b"/readyz") => Answer::error("405 Method Not Allowed"),
        _ => Answer::error("404 Not Found"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Phase;

    async fn ask(exporter: &Exporter, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(exporter.address()).await.unwrap();
        stream.write_all(request).await.ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok();
        answer
    }

    async fn exporter() -> Exporter {
        Exporter::start(([127, 0, 0, 1], 0).into(), Metrics::default()).await.unwrap()
    }

    #[tokio::test]
    async fn prometheus_gets_the_metrics() {
        let exporter = exporter().await;
        let answer = ask(&exporter, b"GET /metrics?x=1 HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: application/openmetrics-text"), "{head}");
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
        assert!(body.contains("nova_host_deliveries_in_flight 0") && body.ends_with("# EOF\n"), "{body}");
    }

    #[tokio::test]
    async fn who_asks_whether_requests_are_taken_is_told_why_not() {
        let metrics = Metrics::default();
        let exporter = Exporter::start(([127, 0, 0, 1], 0).into(), metrics.clone()).await.unwrap();
        metrics.loaded("a", 1);
        for (phase, expected) in [
            (Phase::Loading, ("503", "loading handlers\n")),
            (Phase::Connecting, ("503", "connecting to the broker\n")),
            (Phase::Serving, ("200", "serving\n")),
            (Phase::Stopping, ("503", "stopping\n")),
        ] {
            metrics.enter(phase);
            for (path, expected) in [("/readyz", expected), ("/livez", ("200", "alive\n"))] {
                let answer = ask(&exporter, format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).await;
                let (head, body) = answer.split_once("\r\n\r\n").unwrap();
                assert_eq!((head.split(' ').nth(1).unwrap(), body), expected);
            }
        }
    }

    #[tokio::test]
    async fn everything_else_is_refused() {
        let exporter = exporter().await;
        for (request, status) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405"),
            (b"POST /readyz HTTP/1.1\r\n\r\n", "405"),
            (b"GET /metrics\r\n\r\n", "400"),
            (b"\x16\x03\x01\r\n\r\n", "400"),
            (b"GET /metrics SSH/2\r\n\r\n", "400"),
        ] {
            let answer = ask(&exporter, request).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }

    #[tokio::test]
    async fn a_head_without_end_is_cut_off() {
        let exporter = exporter().await;
        let mut stream = TcpStream::connect(exporter.address()).await.unwrap();
        stream.write_all(&[b'x'; MAX_HEAD]).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn who_says_nothing_does_not_keep_others_out_for_long() {
        let exporter = exporter().await;
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(TcpStream::connect(exporter.address()).await.unwrap());
        }
        // Answered once the silent ones have run out of time.
        let answer = ask(&exporter, b"GET /metrics HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let mut told = String::new();
        silent[0].read_to_string(&mut told).await.unwrap();
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    }
}
