//! A client of the admin API that can do everything wrong: HTTP/1.1 by hand, over TCP, TLS or a local socket.
//!
//! Used by stories about the admin API. One connection a request; time is bounded.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::Value;

use super::{Certificates, PATIENCE, Serve, eventually};

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    at: At,
    /// What every request has.
    headers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
enum At {
    Tcp(String),
    Tls(String, Arc<ClientConfig>),
    Unix(PathBuf),
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Api {
    /// Of a host whose configuration has `admin.listen`.
    pub(crate) fn of(host: &Serve) -> Self {
        let at = listens(host);
        let at = if at.starts_with('/') { At::Unix(at.into()) } else { At::Tcp(at) };
        Self { at, headers: Vec::new() }
    }

    /// The same over TLS, with a certificate of our own where its files are named.
    pub(crate) fn secure(host: &Serve, certificates: &Certificates, own: Option<[&str; 2]>) -> Self {
        Self { at: At::Tls(listens(host), Arc::new(tls(certificates, own))), headers: Vec::new() }
    }

    /// The same with one more header.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut headers = self.headers.clone();
        headers.push((name.to_owned(), value.to_owned()));
        Self { at: self.at.clone(), headers }
    }

    /// The same with a token.
    pub(crate) fn token(&self, token: &str) -> Self {
        self.with("Authorization", &format!("Bearer {token}"))
    }

    /// Where it is.
    pub(crate) fn address(&self) -> &str {
        match &self.at {
            At::Tcp(address) | At::Tls(address, _) => address,
            At::Unix(path) => path.to_str().expect("UTF-8"),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Answered {
        self.ask("GET", path, b"")
    }

    /// Sends JSON.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Answered {
        self.with("Content-Type", "application/json").ask("PUT", path, body.to_string().as_bytes())
    }

    /// Sends a component.
    pub(crate) fn upload(&self, parameters: &str, body: &[u8]) -> Answered {
        self.with("Content-Type", "application/wasm").ask("POST", &format!("/api/v1/handlers?{parameters}"), body)
    }

    /// Sends a request, and reads the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &[u8]) -> Answered {
        let mut request = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
        if !self.headers.iter().any(|(name, _)| name == "Host") {
            request.push_str(&format!(
                "Host: {}\r\n",
                if let At::Unix(_) = self.at { "localhost" } else { self.address() }
            ));
        }
        for (name, value) in &self.headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        self.say(&[request.as_bytes(), b"\r\n", body].concat())
    }

    /// Sends these bytes, and reads the answer.
    pub(crate) fn say(&self, bytes: &[u8]) -> Answered {
        let answer = match &self.at {
            At::Tcp(address) => talk(tcp(address), bytes),
            At::Unix(path) => talk(UnixStream::connect(path).expect("the service listens"), bytes),
            At::Tls(address, config) => {
                let name = ServerName::try_from("127.0.0.1").expect("an address");
                let connection = ClientConnection::new(Arc::clone(config), name).expect("a name");
                talk(StreamOwned::new(connection, tcp(address)), bytes)
            }
        };
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Answered { status, head: head.to_owned(), body: body.to_owned() }
    }
}

impl Answered {
    /// The body, which is JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The body, where the status is 200.
    #[track_caller]
    pub(crate) fn succeeds(&self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()
    }

    /// What is wrong, where the status is this.
    #[track_caller]
    pub(crate) fn fails(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status, "{self:?}");
        problem["detail"].as_str().expect("a sentence").to_owned()
    }
}

/// Where the log says that it is.
fn listens(host: &Serve) -> String {
    const AT: &str = "at=";
    eventually("the address of the admin API", || {
        let log = host.log();
        let line = log.lines().find(|line| line.contains("the admin API is at /api/v1"))?;
        Some(line.split(AT).nth(1)?.split_whitespace().next()?.trim_matches('"').to_owned())
    })
}

fn tcp(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the service listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

fn talk(mut stream: impl Read + Write, bytes: &[u8]) -> String {
    let mut answer = Vec::new();
    // Whatever it did not want to read, it may answer before.
    stream.write_all(bytes).and_then(|()| stream.flush()).ok();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn tls(certificates: &Certificates, own: Option<[&str; 2]>) -> ClientConfig {
    let read = |name: &str| std::fs::read(certificates.file(name)).expect("the certificates are there");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&read("ca.pem")).expect("it is PEM")).expect("a certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("there are versions")
        .with_root_certificates(roots);
    let Some([certificate, key]) = own else { return builder.with_no_client_auth() };
    let chain = vec![CertificateDer::from_pem_slice(&read(certificate)).expect("it is PEM")];
    let key = PrivateKeyDer::from_pem_slice(&read(key)).expect("it is PEM");
    builder.with_client_auth_cert(chain, key).expect("they belong together")
}

/// Whether a path has a socket.
pub(crate) fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}
