//! Strangers of every kind, against a server that answers with the path and the body's bytes that it does not read.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream},
};

use bytes::Bytes;

use super::*;

/// Room in these stories.
const PLACES: usize = 8;

fn bounds() -> Bounds {
    Bounds { connections: PLACES, ..Bounds::default() }
}

async fn server() -> (Server, SocketAddr) {
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address().unwrap();
    (Server::start_within(bounds(), listener, echo), address)
}

async fn echo(question: Question) -> Answer {
    Response::new(question.uri().path().to_owned().into())
}

async fn ask(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request).await.ok();
    rest(&mut stream).await
}

async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    // Not reset: whoever sends nonsense is told so.
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_request_is_answered_and_the_connection_closed() {
    let (_server, address) = server().await;
    for version in ["1.0", "1.1"] {
        let answer = ask(address, format!("GET /a?b HTTP/{version}\r\nHost: h\r\n\r\n").as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/{version} 200 OK\r\n")) && answer.ends_with("\r\n\r\n/a"),
            "{answer}"
        );
        assert!(answer.contains("content-length: 2\r\n"), "{answer}");
    }
    let answer = ask(address, b"HEAD /a HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("content-length: 2\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn what_is_no_request_has_a_clear_answer() {
    let (_server, address) = server().await;
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
    let long = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(MAX_HEAD));
    let far = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MAX_HEAD));
    // Far more than it reads before it answers.
    let endless = vec![b'x'; 20 * MAX_HEAD];
    for (request, status) in [
        (&b"GET /\r\n\r\n"[..], "400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", "400"),
        (b"GET / SSH/2\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\n: b\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\ncontent-length: 1, 2\r\n\r\n", "400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        (many.as_bytes(), "431"),
        (long.as_bytes(), "431"),
        (far.as_bytes(), "431"),
        (&endless, "431"),
    ] {
        let answer = ask(address, request).await;
        let shown = String::from_utf8_lossy(request).chars().take(60).collect::<String>();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}: {answer}");
    }
}

#[tokio::test]
async fn what_comes_behind_a_request_is_thrown_away() {
    let (_server, address) = server().await;
    for behind in [&b"GET /b HTTP/1.1\r\n\r\n"[..], b"\x00\xff garbage\r\n\r\n", &[b'x'; 10 * MAX_HEAD]] {
        let answer = ask(address, &[b"GET /a HTTP/1.1\r\n\r\n", behind].concat()).await;
        assert!(answer.ends_with("\r\n\r\n/a") && answer.matches("HTTP/1.1").count() == 1, "{answer}");
    }
    // A body that never comes is not waited for.
    let answer = ask(address, b"POST /a HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 9999999999\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n/a"), "{answer}");
}

#[tokio::test]
async fn who_still_sends_when_the_answer_is_there_is_not_cut_off() {
    let (_server, address) = server().await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST /a HTTP/1.1\r\ncontent-length: 100000\r\n\r\n").await.unwrap();
    stream.peek(&mut [0]).await.unwrap();
    for _ in 0..100 {
        stream.write_all(&[b'x'; 1000]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let answer = rest(&mut stream).await;
    assert!(answer.ends_with("\r\n\r\n/a"), "{answer}");
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_has_its_time_and_no_more() {
    let (_server, address) = server().await;
    let mut slow = TcpStream::connect(address).await.unwrap();
    let (mut reading, mut writing) = slow.split();
    let drip = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let answer = tokio::select! {
        () = drip => panic!("the connection was reset"),
        answer = rest(&mut reading) => answer,
    };
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_flood_of_the_silent_keeps_nobody_out() {
    let (_server, address) = server().await;
    let mut silent = Vec::new();
    for number in 0..5 * PLACES {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Some begin to ask.
        if number % 2 == 0 {
            stream.write_all(b"GET /").await.unwrap();
        }
        silent.push(stream);
    }
    let answer = ask(address, b"GET /a HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let told = rest(&mut silent[1]).await;
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    // The newest has had its time.
    let told = rest(silent.last_mut().unwrap()).await;
    assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
}

#[tokio::test]
async fn clients_that_take_no_answer_keep_nobody_out() {
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address().unwrap();
    // More than a socket's buffers hold.
    let large = Bytes::from(vec![b'x'; 16 << 20]);
    let answer = move |question: Question| {
        let body = if question.uri().path() == "/large" { large.clone() } else { Bytes::new() };
        async { Response::new(body.into()) }
    };
    let _server = Server::start_within(bounds(), listener, answer);
    let mut greedy = Vec::new();
    for _ in 0..PLACES {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /large HTTP/1.1\r\n\r\n").await.unwrap();
        // It is being answered.
        stream.peek(&mut [0]).await.unwrap();
        greedy.push(stream);
    }
    let answer = ask(address, b"GET /a HTTP/1.1\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // The oldest has lost its place, and with it its answer.
    let mut taken = Vec::new();
    greedy[0].read_to_end(&mut taken).await.ok();
    assert!(taken.len() < 16 << 20, "{}", taken.len());
}

#[tokio::test]
async fn a_path_is_as_good_as_an_address() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.sock");
    let listener = Listener::unix(&path).unwrap();
    assert_eq!(listener.address(), None);
    let _server = Server::start(listener, echo);
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET /a HTTP/1.1\r\n\r\n").await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("/a"), "{answer}");
}

#[tokio::test]
async fn an_answer_may_come_in_pieces_and_few_may_have_such_a_one() {
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address().unwrap();
    let (pieces, _) = tokio::sync::broadcast::channel::<&'static str>(8);
    let told = pieces.clone();
    let answer = move |_| {
        let told = futures_util::stream::unfold(told.subscribe(), async |mut told| {
            Some((Bytes::from(told.recv().await.ok()?), told))
        });
        async { Response::new(Body::pieces(told)) }
    };
    let _server = Server::start_within(bounds(), listener, answer);
    let mut all = Vec::new();
    for _ in 0..PLACES / 4 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /a HTTP/1.0\r\n\r\n").await.unwrap();
        // The head comes before the first piece.
        stream.peek(&mut [0]).await.unwrap();
        all.push(stream);
    }
    let refused = ask(address, b"GET /a HTTP/1.1\r\n\r\n").await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    for piece in ["first", "second"] {
        pieces.send(piece).unwrap();
        for stream in &mut all {
            let mut read = Vec::new();
            while !read.ends_with(piece.as_bytes()) {
                assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "{}", String::from_utf8_lossy(&read));
            }
        }
    }
    // Who leaves makes room.
    drop(all.pop());
    while pieces.receiver_count() >= PLACES / 4 {
        tokio::task::yield_now().await;
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /a HTTP/1.0\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.0 200");
}

#[tokio::test]
async fn whoever_answers_is_told_who_asks() {
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.address().unwrap();
    let answer = |question: Question| async move {
        let client = question.extensions().get::<Client>().unwrap();
        Response::new(format!("{:?}", (client.peer(), client.is_secure(), client.certificate())).into())
    };
    let _server = Server::start(listener, answer);
    let answer = ask(address, b"GET /a HTTP/1.1\r\n\r\n").await;
    assert!(answer.contains("(Tcp(127.0.0.1:") && answer.ends_with(", false, None)"), "{answer}");
}
