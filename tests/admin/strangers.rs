//! Who speaks to the admin API without a right to, or never to an end: it answers what makes sense, within bounds, and callers do not
//! notice.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::{ALICE, BOB, Story, write_tokens};
use crate::harness::{Api, Broker, Certificates, OsloClient, Scratch, eventually};
use crate::oslo::serve;

/// What they do with a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attack {
    /// They connect, and say nothing.
    Silence,
    /// A head comes byte by byte.
    SlowHead,
    /// A head that does not end.
    HugeHead,
    /// What is no HTTP.
    Garbage,
    /// Requests without a right to.
    WrongTokens,
}

impl Attack {
    pub(super) const ALL: [Self; 5] = [Self::Silence, Self::SlowHead, Self::HugeHead, Self::Garbage, Self::WrongTokens];

    /// Attacks until told to stop, with so many connections open at once, and counts those it has made.
    pub(super) fn run(self, address: &str, open: usize, stop: &AtomicBool, made: &AtomicUsize) {
        let address = address.parse().expect("an address");
        let (mut all, mut turn) = (Vec::new(), 0);
        while !stop.load(Ordering::Relaxed) {
            if all.len() < open {
                // One that is not taken is as well.
                let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { continue };
                stream.set_write_timeout(Some(Duration::from_millis(100))).expect("not zero");
                self.begin(&mut stream);
                all.push(stream);
                made.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            turn = (turn + 1) % open;
            match self {
                // They wait with what they have.
                Self::Silence => thread::sleep(Duration::from_millis(20)),
                Self::SlowHead => {
                    thread::sleep(Duration::from_millis(1));
                    if all[turn].write_all(b"x").is_err() {
                        all.swap_remove(turn);
                    }
                }
                Self::HugeHead | Self::Garbage | Self::WrongTokens => drop(all.swap_remove(turn)),
            }
        }
    }

    fn begin(self, stream: &mut TcpStream) {
        let said = match self {
            Self::Silence => Vec::new(),
            Self::SlowHead => b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\na: ".to_vec(),
            Self::HugeHead => [b"GET /api/v1/status HTTP/1.1\r\na: ", &[b'x'; 100_000][..]].concat(),
            Self::Garbage => (0..1000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect(),
            Self::WrongTokens => {
                b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef0123456789abcdef\r\n\r\n"
                    .to_vec()
            }
        };
        stream.write_all(&said).ok();
    }
}

/// Ends the attackers where a story ends, however it does: their threads are waited for.
pub(super) struct Ending<'s>(pub(super) &'s AtomicBool);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn whatever_strangers_do_requests_are_served_and_operators_answered() {
    let vhost = Broker::shared().vhost();
    let scratch = Scratch::new();
    let tokens = write_tokens(&scratch, &[("bob", "read", BOB)]);
    let more =
        format!("control.socket = \"none\"\n[admin]\nlisten = \"127.0.0.1:0\"\ntokens = \"{}\"", tokens.display());
    let host = serve(&vhost, "host-1", &more);
    let client = OsloClient::start(&vhost.url());
    let api = Api::of(&host);
    let bob = api.token(BOB);
    // Who has logged in is not kept out because of others; and as Kubernetes counts, three in a row that fail are a failure.
    bob.get("/api/v1/status").succeeds();
    let ask = |path: &str| (0..3).find_map(|_| Some(bob.get(path)).filter(|answered| answered.status == 200));
    let files = || {
        let text = eventually("the metrics", || ask("/metrics")).body;
        let line = text.lines().find_map(|line| line.strip_prefix("process_open_fds ")?.parse::<u64>().ok());
        line.expect("it is Linux")
    };
    let before = files();
    for attack in Attack::ALL.into_iter().filter(|attack| !matches!(attack, Attack::WrongTokens)) {
        let (stop, made) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let _ending = Ending(&stop);
            for _ in 0..2 {
                scope.spawn(|| attack.run(api.address(), 400, &stop, &made));
            }
            eventually("an attack", || (made.load(Ordering::Relaxed) > 300).then_some(()));
            for number in 0..30 {
                let answer = client.call(json!({"topic": "conductor", "method": "add", "args": {"a": number, "b": 2}}));
                assert_eq!(answer.expect("a result"), number + 2, "{attack:?}");
                assert!(ask("/api/v1/status").is_some(), "{attack:?}");
            }
            let open = files();
            assert!(open < before + 600, "{attack:?}: {before} files open, then {open}");
        });
        eventually("their end", || (files() < before + 10).then_some(()));
    }
    let log = host.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_body_is_read_of_those_who_may_and_not_waited_for() {
    let story = Story::begin();
    let begin = |token: &str, path: &str, content_type: &str| {
        let mut stream = TcpStream::connect(story.api().address()).expect("the service listens");
        let head = format!(
            "{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: {content_type}\r\n\
             Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it reads");
        stream
    };
    let rest = |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it is told, and not reset");
        answer
    };
    let upload = ("POST /api/v1/handlers?name=b", "application/wasm");
    let levels = ("PUT /api/v1/log-level", "application/json");
    for (path, content_type) in [upload, levels] {
        let answer = rest(begin(BOB, path, content_type));
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
    let mut waiting = Vec::new();
    for (path, content_type) in [upload, levels] {
        let mut stream = begin(ALICE, path, content_type);
        stream.write_all(b"{").expect("it reads");
        waiting.push(stream);
    }
    for stream in waiting {
        let answer = rest(stream);
        assert!(answer.starts_with("HTTP/1.1 100 ") && answer.contains("HTTP/1.1 408 "), "{answer}");
    }
    let left = std::fs::read_dir(story.scratch.path().join("handlers")).expect("it is there").count();
    assert_eq!(left, 1);
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_comes_or_as_soon_as_it_is() {
    let story = Story::begin();
    let ask = |path: &str, content_type: &str, rest: &str, body: &[u8]| {
        let head = format!(
            "{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ALICE}\r\nContent-Type: {content_type}\r\n{rest}\r\n\r\n"
        );
        story.api().say(&[head.as_bytes(), body].concat()).fails(413)
    };
    // With `Expect`, what is refused is never sent.
    let large = "Content-Length: 200000000\r\nExpect: 100-continue";
    assert_eq!(ask("POST /api/v1/handlers?name=b", "application/wasm", large, b""), "a component has at most 128 MiB");
    assert_eq!(ask("PUT /api/v1/log-level", "application/json", large, b""), "the body has more than 64 KiB");
    // Who does not say how much it is.
    let chunk = [b"1000\r\n", &[b' '; 0x1000][..], b"\r\n"].concat();
    let said = ask("PUT /api/v1/log-level", "application/json", "Transfer-Encoding: chunked", &chunk.repeat(17));
    assert_eq!(said, "the body has more than 64 KiB");
    let chunk = [b"1000000\r\n", &vec![b' '; 0x100_0000][..], b"\r\n"].concat();
    let said = ask(
        "POST /api/v1/handlers?name=b",
        "application/wasm",
        "Transfer-Encoding: chunked",
        &[&chunk.repeat(8)[..], b"1\r\nx\r\n0\r\n\r\n"].concat(),
    );
    assert_eq!(said, "a component has at most 128 MiB");
    let left = std::fs::read_dir(story.scratch.path().join("handlers")).expect("it is there").count();
    assert_eq!(left, 1);
}

#[test]
fn what_is_no_request_has_a_clear_answer_or_none() {
    let certificates = Certificates::for_user("ops");
    let (plain, path) = (Story::begin(), certificates.path().display());
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(certificates.file("key.pem"), std::fs::Permissions::from_mode(0o600)).expect("it is ours");
    let secure = Story::configured(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{path}/cert.pem\"\nkey = \"{path}/key.pem\"\ntokens = \"SCRATCH/tokens\""
    ));
    let encrypted = Api::secure(&secure.host, &certificates, None);
    let head = |lines: &str| {
        format!("GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {BOB}\r\n{lines}\r\n")
    };
    let (many, long) = (head(&"a: b\r\n".repeat(65)), head(&format!("a: {}\r\n", "b".repeat(10_000))));
    let two = head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n");
    for api in [plain.api(), encrypted] {
        for (said, status) in [
            (head("").as_bytes(), 200),
            (b"GET /api/v1/status HTTP/1.1\r\n\r\n", 400),
            (b"BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
            (b"CONNECT localhost:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"GET //api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
            (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
            (many.as_bytes(), 431),
            (long.as_bytes(), 431),
            // hyper takes the chunks, and says so by closing; nobody before us could have read it another way on one connection.
            (two.as_bytes(), 200),
        ] {
            let answered = api.say(said);
            assert_eq!(
                answered.status,
                status,
                "{}: {answered:?}",
                String::from_utf8_lossy(&said[..said.len().min(60)])
            );
        }
    }
    // What is no TLS is told so by TLS itself.
    assert_eq!(secure.api().say(b"GET / HTTP/1.1\r\n\r\n").status, 0);
    assert!(!secure.host.log().contains("ERROR"));
}
