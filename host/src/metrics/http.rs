//! `GET /metrics` for Prometheus, `GET /livez` and `GET /readyz` for whoever manages services.
//!
//! Before it: [`crate::web`] has read a request of a stranger. After it: the answer. There are no paths but these three, and
//! one answer is made at a time: who asks without a pause costs the service no more than a part of one worker.

use std::{net::SocketAddr, sync::Arc};

use hyper::{
    Method, Response, StatusCode,
    header::{self, ALLOW, HeaderValue},
};
use tokio::sync::Mutex;

use super::{Metrics, health::Health};
use crate::{
    settings::Settings,
    web::{Answer, Listener, Question, Server},
};

/// What [`Metrics::encode`] writes.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const METRICS: HeaderValue = HeaderValue::from_static(CONTENT_TYPE);

/// Everything else.
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

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
    _server: Server,
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
        let listener = Listener::tcp(address).await.map_err(|source| Error { address, source })?;
        let address = listener.address().unwrap_or(address);
        tracing::info!(%address, "metrics are at /metrics");
        let turn = Arc::new(Mutex::new(()));
        let respond = move |question: Question| {
            let (metrics, turn) = (metrics.clone(), Arc::clone(&turn));
            async move {
                let _turn = turn.lock().await;
                respond(question.method(), question.uri().path(), &metrics)
            }
        };
        Ok(Self { address, _server: Server::start(listener, respond) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What a request deserves.
pub(crate) fn respond(method: &Method, path: &str, metrics: &Metrics) -> Answer {
    let answer: fn(&Metrics) -> Answer = match path {
        "/metrics" => |metrics| answer(StatusCode::OK, METRICS, metrics.encode()),
        // Who answers is alive: a broker that is away, or a handler that is missing, is nothing that a restart mends.
        "/livez" => |_| text(StatusCode::OK, "alive"),
        "/readyz" => |metrics| readiness(&metrics.health()),
        _ => return status(StatusCode::NOT_FOUND),
    };
    if method == Method::GET || method == Method::HEAD {
        return answer(metrics);
    }
    let mut refused = status(StatusCode::METHOD_NOT_ALLOWED);
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    refused
}

/// Whether requests are taken, and if not, what is missing, a line each.
fn readiness(health: &Health) -> Answer {
    match health.ready {
        true => text(StatusCode::OK, &health.phase),
        false => text(StatusCode::SERVICE_UNAVAILABLE, &health.missing.join("\n")),
    }
}

fn status(status: StatusCode) -> Answer {
    text(status, &status.to_string())
}

fn text(status: StatusCode, text: &str) -> Answer {
    answer(status, TEXT, format!("{text}\n"))
}

fn answer(status: StatusCode, content_type: HeaderValue, body: String) -> Answer {
    let mut answer = Response::new(body.into());
    *answer.status_mut() = status;
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type);
    answer
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

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
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0"), "{head}");
        assert!(head.contains(&format!("content-length: {}", body.len())), "{head}");
        assert!(body.contains("nova_host_deliveries_in_flight 0") && body.ends_with("# EOF\n"), "{body}");
    }

    #[tokio::test]
    async fn who_asks_whether_requests_are_taken_is_told_why_not() {
        let metrics = Metrics::default();
        let exporter = Exporter::start(([127, 0, 0, 1], 0).into(), metrics.clone()).await.unwrap();
        metrics.loaded("a", 1, "d");
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
            assert_eq!(answer.contains("allow: GET, HEAD\r\n"), status == "405", "{answer}");
        }
    }
}
