//! A small web server, in plain HTTP or with TLS, that says what the story wants.
//!
//! Used by stories about handlers that fetch. One thread a connection; those that accept end with the process.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{Certificates, PATIENCE};

/// A server, and the requests that it got.
#[derive(Debug)]
pub(crate) struct Web {
    port: u16,
    asked: Receiver<String>,
    closed: Receiver<()>,
}

/// What it says: all of a response; nothing where it is silent until the other side hangs up.
pub(crate) type Answer = fn(&str) -> String;

impl Web {
    /// A server without TLS.
    pub(crate) fn start(answer: Answer) -> Self {
        Self::listen(None, answer)
    }

    /// A server with the broker's certificate, which is for 127.0.0.1.
    pub(crate) fn secure(certificates: &Certificates, answer: Answer) -> Self {
        let read = |name| std::fs::read(certificates.file(name)).expect("the certificates are there");
        let chain = CertificateDer::from_pem_slice(&read("cert.pem")).expect("it is PEM");
        let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).expect("it is PEM");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("there are versions")
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .expect("they belong together");
        Self::listen(Some(Arc::new(config)), answer)
    }

    fn listen(tls: Option<Arc<ServerConfig>>, answer: Answer) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        let ((sender, asked), (closing, closed)) = (channel(), channel());
        let senders = Arc::new(Mutex::new((sender, closing)));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tls, (sender, closing)) = (tls.clone(), senders.lock().expect("no holder panics").clone());
                stream.set_read_timeout(Some(5 * PATIENCE)).expect("not zero");
                std::thread::spawn(move || serve(stream, tls, answer, &sender, &closing));
            }
        });
        Self { port, asked, closed }
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The next request, head and body.
    pub(crate) fn next(&self) -> String {
        self.asked.recv_timeout(PATIENCE).expect("a request")
    }

    /// Whether nobody has asked anything that was not looked at.
    pub(crate) fn is_idle(&self) -> bool {
        self.asked.try_recv().is_err()
    }

    /// Waits until a connection is closed by the other side, of those that are kept silent.
    pub(crate) fn wait_for_close(&self) {
        self.closed.recv_timeout(PATIENCE).expect("a connection is closed");
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    answer: Answer,
    asked: &Sender<String>,
    closed: &Sender<()>,
) {
    match tls {
        None => talk(stream, answer, asked, closed),
        Some(config) => {
            let connection = ServerConnection::new(config).expect("the configuration is whole");
            let mut stream = StreamOwned::new(connection, stream);
            talk(&mut stream, answer, asked, closed);
            stream.conn.send_close_notify();
            stream.flush().ok();
        }
    }
}

fn talk(mut stream: impl Read + Write, answer: Answer, asked: &Sender<String>, closed: &Sender<()>) {
    let Some(request) = read(&mut stream) else { return };
    let says = answer(&request);
    // The story may be over.
    asked.send(request).ok();
    if says.is_empty() {
        while stream.read(&mut [0; 1024]).is_ok_and(|length| length > 0) {}
        closed.send(()).ok();
    } else {
        stream.write_all(says.as_bytes()).ok();
        stream.flush().ok();
    }
}

/// A request with its body, as long as it says.
fn read(stream: &mut impl Read) -> Option<String> {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).expect("a head is text");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a length"))];
    stream.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).expect("a body of the stories is text"))
}
