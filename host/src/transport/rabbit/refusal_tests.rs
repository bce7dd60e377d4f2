//! What a broker says that denies queues which are not durable, as RabbitMQ 4.3 does, by a broker of a few lines: it takes
//! whoever comes and ends the connection with `541 INTERNAL_ERROR` where such a queue is declared.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;

use super::{Client, Config};
use crate::transport::{Error, Subscription, topology::Options, url::Url};

/// Reads one frame: its type, channel and payload. `None` at the end of the connection.
fn read(stream: &mut TcpStream) -> Option<(u8, [u8; 2], Vec<u8>)> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_be_bytes(head[3..].try_into().unwrap()).try_into().unwrap()];
    stream.read_exact(&mut payload).ok()?;
    stream.read_exact(&mut [0]).ok()?;
    Some((head[0], [head[1], head[2]], payload))
}

fn send(stream: &mut TcpStream, channel: [u8; 2], class: u16, method: u16, arguments: &[u8]) {
    let payload = [&class.to_be_bytes(), &method.to_be_bytes(), arguments].concat();
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    // Whoever has gone does not hear it.
    stream.write_all(&[&[1][..], &channel, &size, &payload, &[0xce]].concat()).ok();
}

/// Answers one connection. `text` is the reason it gives for a queue that is not durable.
fn answer(mut stream: TcpStream, text: &str) {
    stream.read_exact(&mut [0; 8]).unwrap();
    let long = |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    let start = [&[0, 9, 0, 0, 0, 0][..], &long("PLAIN AMQPLAIN"), &long("en_US")].concat();
    send(&mut stream, [0, 0], 10, 10, &start);
    while let Some((_, channel, payload)) = read(&mut stream) {
        let method = payload.get(..4).map_or([0; 4], |method| method.try_into().unwrap());
        let (class, number) = (u16::from_be_bytes([method[0], method[1]]), u16::from_be_bytes([method[2], method[3]]));
        match (class, number) {
            // start-ok, then tune; open; channel.open; qos; exchange.declare; queue.bind
            (10, 11) => send(&mut stream, channel, 10, 30, &[7, 255, 0, 2, 0, 0, 0, 60]),
            (10, 40) => send(&mut stream, channel, 10, 41, &[0]),
            (20, 10) => send(&mut stream, channel, 20, 11, &[0, 0, 0, 0]),
            (60, 10) => send(&mut stream, channel, 60, 11, &[]),
            (40, 10) => send(&mut stream, channel, 40, 11, &[]),
            (50, 20) => send(&mut stream, channel, 50, 21, &[]),
            // queue.declare: two reserved bytes, the name, and bits of which the second is durability.
            (50, 10) => {
                let length = usize::from(payload[6]);
                let name = &payload[6..=6 + length];
                if payload[7 + length] & 2 == 0 {
                    let close = [&541u16.to_be_bytes()[..], &[u8::try_from(text.len()).unwrap()], text.as_bytes()];
                    send(&mut stream, [0, 0], 10, 50, &[&close.concat()[..], &[0, 50, 0, 10]].concat());
                } else {
                    send(&mut stream, channel, 50, 11, &[name, &[0; 8]].concat());
                }
            }
            // close-ok
            (10, 51) => return,
            _ => {}
        }
    }
}

/// Listens to a topic at such a broker; gives what came of it and how often it was tried.
async fn listen(text: &'static str, declare: Options) -> (Error, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("rabbit://{}/", listener.local_addr().unwrap())).unwrap();
    let Url::Rabbit(address) = url else { panic!() };

    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
            std::thread::spawn(move || answer(stream.unwrap(), text));
        }
    });
    let config = Config { declare, rabbit_retry_interval: Duration::ZERO, ..Config::default() };
    let subscription = Subscription {
        exchange: "nova".into(),
        topics: vec!["conductor".into()],
        server: "host-1".into(),
        prefetch: 1,
        queue_prefix: String::new(),
    };
    let client = Client::new(address, config);
    let (sender, _receiver) = mpsc::channel(1);
    let listening = tokio::time::timeout(Duration::from_secs(60), client.listen(subscription, sender));
    (listening.await.expect("an answer").expect_err("a refusal"), connections.load(Ordering::Relaxed))
}

fn assert_is_refusal(error: &Error) {
    let shown = error.to_string();
    assert!(matches!(error, Error::Refused { .. }), "{shown}");
    for option in ["rabbit_quorum_queue", "rabbit_transient_quorum_queue", "permit.transient_nonexcl_queues"] {
        assert!(shown.contains(option), "{shown}");
    }
}

#[tokio::test]
async fn a_broker_that_gives_up_at_a_transient_queue_twice_denies_it_and_what_to_do_is_said() {
    let (error, connections) = listen("INTERNAL_ERROR", Options::default()).await;
    assert_is_refusal(&error);
    // Once may be an accident.
    assert_eq!(connections, 2);
}

#[tokio::test]
async fn a_broker_that_says_that_it_denies_transient_queues_is_believed_at_once() {
    let text = "INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated";
    let (error, connections) = listen(text, Options::default()).await;
    assert_is_refusal(&error);
    assert_eq!(connections, 1);
    // Also where only the fanout queue is transient.
    let (error, _) = listen(text, Options { rabbit_quorum_queue: true, ..Options::default() }).await;
    assert_is_refusal(&error);
}
