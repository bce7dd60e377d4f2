//! Who speaks to the service's HTTP listener without knowing it, or with ill will: requests do not notice.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Broker, OsloClient, PATIENCE, Scratch, Serve, eventually};
use crate::oslo::serve;

/// What they say.
const NONSENSE: [&[u8]; 6] = [
    b"",
    b"GET /metr",
    b"GET /metrics HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n\x00\x01\x02\xff",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /metrics HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\n",
    b"AMQP\x00\x00\x09\x01",
];

/// Who keeps some connections open, says something on each, and never listens.
fn pester(address: SocketAddr, connections: usize) {
    let mut open = Vec::new();
    for number in 0..connections {
        // One that is not taken is as well.
        let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { continue };
        stream.write_all(NONSENSE[number % NONSENSE.len()]).ok();
        open.push(stream);
        if open.len() > 50 {
            open.remove(0);
        }
    }
}

/// What a path answers, where it is 200.
fn probe(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: nova\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200 ").then_some(answer)
}

#[test]
fn ten_thousand_connections_with_nonsense_are_nothing_to_requests_and_probes() {
    const PESTERERS: usize = 4;
    let vhost = Broker::shared().vhost();
    let host = serve(&vhost, "host-1", "metrics.listen = \"127.0.0.1:0\"");
    let client = OsloClient::start(&vhost.url());
    let call = || client.call(json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}}));
    assert_eq!(call().expect("a result"), 3);
    let address: SocketAddr = host.metrics_address().parse().expect("an address");
    // As Kubernetes counts: three in a row that fail are a failure.
    let ask = |path| (0..3).find_map(|_| probe(address, path)).expect("an answer");
    let open = || {
        let text = ask("/metrics");
        let line = text.lines().find_map(|line| line.strip_prefix("process_open_fds ")?.parse::<u64>().ok());
        line.expect("it is Linux")
    };
    let before = open();
    let (mut most, is_over) = (0, AtomicBool::new(false));
    thread::scope(|scope| {
        let pesterers: Vec<_> =
            (0..PESTERERS).map(|_| scope.spawn(move || pester(address, 10_000 / PESTERERS))).collect();
        scope.spawn(|| {
            pesterers.into_iter().for_each(|one| one.join().expect("it only connects"));
            is_over.store(true, Ordering::Relaxed);
        });
        while !is_over.load(Ordering::Relaxed) {
            assert_eq!(call().expect("a result"), 3);
            ask("/readyz");
            most = most.max(open());
        }
    });
    // Connections are bounded, whatever comes.
    assert!(most < before + 400, "{before} files open, then {most}");
    eventually("their end", || (open() < before + 10).then_some(()));
    let log = host.log();
    assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
}

#[test]
fn a_connection_that_says_nothing_costs_a_probe_nothing() {
    let scratch = Scratch::new();
    let host = Serve::with_config(&format!(
        "transport_url = \"memory://\"\nmetrics.listen = \"127.0.0.1:0\"\nhandlers.directory = \"{}\"",
        scratch.path().display()
    ));
    let address = host.metrics_address();
    let mut silent: Vec<TcpStream> =
        (0..300).map(|_| TcpStream::connect(&address).expect("the service listens")).collect();
    for _ in 0..20 {
        assert!(host.get("/livez").starts_with("HTTP/1.1 200 "));
    }
    let mut told = String::new();
    silent[0].read_to_string(&mut told).expect("it is told, and not reset");
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
}
