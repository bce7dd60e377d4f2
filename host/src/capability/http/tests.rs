//! Sessions that fetch, from servers of the tests' own, which say whatever they like.

mod secure;
mod traced;

use std::{
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use tokio::sync::{Notify, oneshot};

use super::*;
use crate::capability::{
    Session,
    tests::{World, cause},
};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server on this machine, and the requests that it got.
struct Server {
    port: u16,
    asked: Receiver<String>,
}

impl Server {
    /// One that answers each connection like this, after it has read the head of a request.
    fn start(answer: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((sender, asked), answer) = (channel(), Arc::new(answer));
        // Ends with the process of the test.
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let (answer, sender) = (Arc::clone(&answer), sender.clone());
                std::thread::spawn(move || {
                    sender.send(head(&mut stream)).ok();
                    answer(&mut stream);
                });
            }
        });
        Self { port, asked }
    }

    /// One that says this and hangs up.
    fn saying(text: impl Into<Vec<u8>>) -> Self {
        let text = text.into();
        Self::start(move |stream| drop(stream.write_all(&text)))
    }

    fn next(&self) -> String {
        self.asked.recv_timeout(PATIENCE).unwrap()
    }

    /// A manifest that grants this server by its address, and more of the manifest.
    fn granted(&self, more: &str) -> String {
        format!("grants.http = [\"http://127.0.0.1:{}\"]\n{more}", self.port)
    }

    fn request(&self) -> Request {
        request(&format!("127.0.0.1:{}", self.port))
    }
}

/// The head of a request, and whatever came with it.
fn head(stream: &mut impl std::io::Read) -> String {
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|length| length > 0) {
        bytes.extend_from_slice(&byte);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads until the other side has closed.
fn drain(stream: &mut impl std::io::Read) {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
}

fn request(authority: &str) -> Request {
    let origin = Origin::parse(false, authority).unwrap();
    let headers = vec![("authorization".to_owned(), b"hunter2".to_vec())];
    Request { method: "GET".to_owned(), origin, path: "/a?token=hunter2".to_owned(), headers }
}

fn body(bytes: &[u8]) -> oneshot::Receiver<Vec<u8>> {
    let (sender, body) = oneshot::channel();
    sender.send(bytes.to_vec()).unwrap();
    body
}

fn start(session: &Session, request: Request) -> Result<Fetch, Error> {
    session.fetch(request, body(b""), Timeouts::default(), Arc::default())
}

/// Waits as a guest does.
async fn until(fetch: &Fetch, woken: &Notify, is_here: impl Fn(&Exchange) -> bool) {
    let waiting = async {
        while !is_here(fetch.exchange()) {
            woken.notified().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

/// The head, the whole body and the trailers.
async fn whole(session: &Session, request: Request, timeouts: Timeouts) -> Result<(Head, Vec<u8>), Error> {
    let woken = Arc::new(Notify::new());
    let fetch = session.fetch(request, body(b""), timeouts, Arc::clone(&woken))?;
    until(&fetch, &woken, Exchange::is_answered).await;
    let (head, mut all) = (fetch.head().unwrap()?, Vec::new());
    loop {
        until(&fetch, &woken, Exchange::is_readable).await;
        match fetch.read(1000) {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(None) => return Ok((head, all)),
            Err(Some(error)) => return Err(error),
        }
        assert!(all.len() < 1 << 20, "it has no end");
    }
}

async fn error(session: &Session, request: Request) -> Error {
    whole(session, request, Timeouts::default()).await.unwrap_err()
}

fn counted(outcome: &str, count: usize) -> String {
    format!("nova_host_outgoing_requests_total{{handler=\"h\",kind=\"http\",outcome=\"{outcome}\"}} {count}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_response_that_is_forgotten_nothing_is_kept() {
    let world = World::new().await;
    let server = Server::saying(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n4\r\nbody\r\n0\r\nx-end: t\r\n\r\n",
    );
    let session = world.session(&server.granted(""), cause());
    let woken = Arc::new(Notify::new());
    let fetch = session.fetch(server.request(), body(b""), Timeouts::default(), Arc::clone(&woken)).unwrap();
    until(&fetch, &woken, Exchange::is_over).await;
    assert!(matches!(fetch.trailers(), Some(Ok(Some(trailers))) if trailers.len() == 1));
    fetch.forget();
    assert!(matches!(fetch.head(), Some(Err(Error::Terminated))));
    assert!(matches!(fetch.read(100), Err(Some(Error::Terminated))));
    assert!(matches!(fetch.trailers(), Some(Err(Error::Terminated))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_granted_is_sent_and_its_response_comes_back() {
    let world = World::new().await;
    let server = Server::saying("HTTP/1.1 103 x\r\n\r\nHTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\n\r\nmoved");
    let session = world.session(&server.granted(""), cause());
    let (head, all) = whole(&session, server.request(), Timeouts::default()).await.unwrap();
    // Wherever it leads, nobody goes there.
    assert_eq!((head.status, all.as_slice()), (302, b"moved".as_slice()));
    assert_eq!(head.headers, [("location".to_owned(), b"http://127.0.0.1:1/".to_vec())]);
    let expected = format!(
        "GET /a?token=hunter2 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\nauthorization: hunter2\r\n\r\n",
        server.port
    );
    assert_eq!(server.next(), expected);
    assert!(world.has_counted(&counted("done", 1)));
    assert!(!format!("{session:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_granted_is_not_sent() {
    let world = World::new().await;
    let server = Server::saying("HTTP/1.1 200 x\r\n\r\n");
    let session = world.session("grants.http = [\"http://127.0.0.1:1\", \"https://*.example.org\"]", cause());
    let metadata = request("169.254.169.254");
    for request in [server.request(), metadata, request("localhost:1"), request("a.example.org")] {
        assert_eq!(start(&session, request).err(), Some(Error::Denied));
    }
    assert!(world.has_counted(&counted("denied", 4)));
    assert!(server.asked.try_recv().is_err());
    // What makes no sense is refused although its host is granted.
    let session = world.session(&server.granted(""), cause());
    let mut split = server.request();
    split.headers.push(("a".to_owned(), b"b\r\nhost: c".to_vec()));
    assert_eq!(start(&session, split).err(), Some(Error::Headers));
    assert!(server.asked.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_to_this_machine_is_refused_unless_it_is_granted_as_private() {
    let world = World::new().await;
    let server = Server::saying("HTTP/1.1 200 x\r\n\r\nok");
    let origin = format!("http://localhost:{}", server.port);
    let asks = || request(&format!("localhost:{}", server.port));
    let session = world.session(&format!("grants.http = [\"{origin}\"]"), cause());
    assert_eq!(error(&session, asks()).await, Error::Prohibited);
    assert!(server.asked.try_recv().is_err());
    assert!(world.has_counted(&counted("denied", 1)));
    let session = world.session(&format!("grants.http = [\"{origin} private\"]"), cause());
    assert_eq!(whole(&session, asks(), Timeouts::default()).await.unwrap().1, b"ok");
    let session = world.session("grants.http = [\"http://nobody.invalid private\"]", cause());
    assert_eq!(error(&session, request("nobody.invalid")).await, Error::Dns);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_is_too_large_or_lies_is_an_error() {
    let world = World::new().await;
    let endless = |start: &'static str, again: &'static str| {
        Server::start(move |stream| {
            let mut sent = stream.write_all(start.as_bytes());
            while sent.is_ok() {
                sent = stream.write_all(again.as_bytes());
            }
        })
    };
    let (said, unsaid) = (Some(1 << 40), None);
    for (server, expected) in [
        (
            Server::saying("HTTP/1.1 200 x\r\ncontent-length: 1099511627776\r\n\r\n"),
            Error::Received { limit: 9000, said },
        ),
        (endless("HTTP/1.1 200 x\r\n\r\n", "x"), Error::Received { limit: 9000, said: unsaid }),
        (
            endless("HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n", "1\r\nx\r\n"),
            Error::Received { limit: 9000, said: unsaid },
        ),
        (Server::saying("HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\nshort"), Error::Incomplete),
        (Server::saying("HTTP/1.1 200 x\r\ncontent-le"), Error::Incomplete),
        (Server::saying(""), Error::Terminated),
        (Server::saying("HTTP/1.1 200 x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"), Error::Protocol),
    ] {
        let session = world.session(&server.granted("limits.http_bytes = \"9000 B\""), cause());
        assert_eq!(error(&session, server.request()).await, expected);
    }
    // Long before the limit.
    for (server, expected) in [
        (endless("HTTP/1.1 200 x\r\n", "a: b\r\n"), Error::ResponseHeaders),
        (endless("HTTP/1.1 100 x\r\n\r\n", "HTTP/1.1 100 x\r\n\r\n"), Error::Protocol),
    ] {
        let session = world.session(&server.granted(""), cause());
        assert_eq!(error(&session, server.request()).await, expected);
    }
    let text = world.metrics.encode();
    assert!(text.contains("nova_host_limit_hits_total{handler=\"h\",limit=\"http_bytes\"} 3"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_slow_ends_at_its_timeout_and_its_connection_with_it() {
    let world = World::new().await;
    let soon = Some(Duration::from_millis(100));
    for (says, timeouts, expected) in [
        ("", Timeouts { first_byte: soon, ..Timeouts::default() }, Error::ResponseTimeout),
        ("HTTP/1.1 200", Timeouts { first_byte: soon, ..Timeouts::default() }, Error::ResponseTimeout),
        ("HTTP/1.1 200 x\r\n\r\nok", Timeouts { between_bytes: soon, ..Timeouts::default() }, Error::ReadTimeout),
    ] {
        let (closed, is_closed) = channel();
        let server = Server::start(move |stream| {
            // Whoever waits for nothing may be gone already.
            stream.write_all(says.as_bytes()).ok();
            drain(stream);
            closed.send(()).unwrap();
        });
        let session = world.session(&server.granted(""), cause());
        assert_eq!(whole(&session, server.request(), timeouts).await.unwrap_err(), expected);
        is_closed.recv_timeout(PATIENCE).unwrap();
    }
    assert!(world.has_counted(&counted("timed_out", 2)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_outlasts_the_handlers_time_or_its_session() {
    let world = World::new().await;
    let (closed, is_closed) = channel();
    let server = Server::start(move |stream| {
        drain(stream);
        closed.send(()).unwrap();
    });
    // A machine may be too busy to connect within the first of these.
    for seconds in [1, 8, 60] {
        let mut short = cause();
        short.deadline = std::time::Instant::now() + Duration::from_secs(seconds);
        let session = world.session(&server.granted(""), short);
        assert_eq!(error(&session, server.request()).await, Error::ReadTimeout);
        if server.asked.try_recv().is_ok() {
            is_closed.recv_timeout(PATIENCE).unwrap();
            break;
        }
    }

    let session = world.session(&server.granted(""), cause());
    let woken = Arc::new(Notify::new());
    let fetch = session.fetch(server.request(), body(b""), Timeouts::default(), Arc::clone(&woken)).unwrap();
    server.next();
    drop(session);
    is_closed.recv_timeout(PATIENCE).unwrap();
    // Whoever still has it learns that nothing comes.
    until(&fetch, &woken, Exchange::is_over).await;
    assert_eq!(fetch.head(), Some(Err(Error::Terminated)));

    let session = world.session(&server.granted(""), cause());
    let fetch = start(&session, server.request()).unwrap();
    server.next();
    drop(fetch);
    is_closed.recv_timeout(PATIENCE).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_counted_and_wait_their_turn() {
    let world = World::new().await;
    let server = Server::start(drain);
    let limits = "[limits]\nhttp_requests = 3\nhttp_outstanding = 1";
    let session = world.session(&server.granted(limits), cause());
    let first = start(&session, server.request()).unwrap();
    server.next();
    let second = start(&session, server.request()).unwrap();
    // It is not connected while the first is.
    assert!(server.asked.recv_timeout(Duration::from_millis(200)).is_err());
    drop(first);
    server.next();
    drop(second);
    // One that is refused counts too.
    assert_eq!(start(&session, request("127.0.0.1:1")).err(), Some(Error::Denied));
    assert_eq!(start(&session, server.request()).err(), Some(Error::Requests(3)));
    let text = world.metrics.encode();
    assert!(text.contains("nova_host_limit_hits_total{handler=\"h\",limit=\"http_requests\"} 1"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_before_it_has_read_all_is_heard() {
    let world = World::new().await;
    let server = Server::start(|stream| {
        stream.write_all(b"HTTP/1.1 413 x\r\ncontent-length: 2\r\n\r\nno").unwrap();
        // The body stays unread until the client has gone.
        std::thread::sleep(Duration::from_millis(50));
        drain(stream);
    });
    let session = world.session(&server.granted(""), cause());
    let (woken, large) = (Arc::new(Notify::new()), vec![0; 8 << 20]);
    let mut post = server.request();
    post.method = "POST".to_owned();
    let fetch = session.fetch(post, body(&large), Timeouts::default(), Arc::clone(&woken)).unwrap();
    until(&fetch, &woken, Exchange::is_over).await;
    assert_eq!(fetch.head().unwrap().unwrap().status, 413);
    assert_eq!(fetch.read(100), Ok(b"no".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_never_finished_is_never_sent() {
    let world = World::new().await;
    let server = Server::saying("HTTP/1.1 200 x\r\n\r\n");
    let session = world.session(&server.granted("limits.http_bytes = \"1000 B\""), cause());
    let (sender, unfinished) = oneshot::channel();
    let woken = Arc::new(Notify::new());
    let fetch = session.fetch(server.request(), unfinished, Timeouts::default(), Arc::clone(&woken)).unwrap();
    drop(sender);
    until(&fetch, &woken, Exchange::is_over).await;
    assert_eq!(fetch.head(), Some(Err(Error::Body)));
    assert!(server.asked.try_recv().is_err());
    // What is sent is bounded, head and body together.
    assert_eq!(session.meter().send(1000), Err(Error::Sent(1000)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_body_no_more_is_read_than_the_guest_wants_soon() {
    let world = World::new().await;
    let length = 12 << 20;
    let server = Server::start(move |stream| {
        write!(stream, "HTTP/1.1 200 x\r\ncontent-length: {length}\r\n\r\n").unwrap();
        for _ in 0..length / 4096 {
            if stream.write_all(&[7; 4096]).is_err() {
                return;
            }
        }
    });
    let session = world.session(&server.granted(""), cause());
    let woken = Arc::new(Notify::new());
    let fetch = session.fetch(server.request(), body(b""), Timeouts::default(), Arc::clone(&woken)).unwrap();
    until(&fetch, &woken, Exchange::is_readable).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!fetch.exchange().is_over());
    let mut read = 0;
    loop {
        until(&fetch, &woken, Exchange::is_readable).await;
        match fetch.read(usize::MAX) {
            Ok(bytes) => {
                assert!(bytes.len() <= 80 << 10, "{}", bytes.len());
                read += bytes.len();
            }
            Err(end) => break assert_eq!(end, None),
        }
    }
    assert_eq!(read, length);
}
