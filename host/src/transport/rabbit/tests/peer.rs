//! The broker of a few lines: it takes whoever comes, keeps nothing, and says what a test wants it to say, where the test wants
//! it.
//!
//! Before it: a test starts it, with a [`Script`]. After it: a client connects. A thread a connection.

use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

/// A method of AMQP: its class and its number.
pub(super) type Method = (u16, u16);

/// The last word of a handshake.
pub(super) const OPEN: Method = (10, 40);
/// `exchange.declare`.
pub(super) const EXCHANGE: Method = (40, 10);
/// `queue.declare`.
pub(super) const QUEUE: Method = (50, 10);
/// `queue.bind`.
pub(super) const BIND: Method = (50, 20);
/// `basic.consume`.
pub(super) const CONSUME: Method = (60, 20);
/// `basic.publish`, once all of the message has come.
pub(super) const PUBLISH: Method = (60, 40);
/// `basic.ack`.
pub(super) const ACK: Method = (60, 80);

/// What a client has said.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// On which connection, counted from 1.
    pub(super) connection: usize,
    /// On which channel.
    pub(super) channel: u16,
    /// What.
    pub(super) method: Method,
    arguments: Vec<u8>,
}

/// What the peer says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Say {
    /// What a broker says that is content.
    Yes,
    /// `channel.close`, with a code and a text.
    Channel(u16, &'static str),
    /// `connection.close`, with a code and a text.
    Connection(u16, &'static str),
    /// The end of the connection, without a word.
    HangUp,
    /// A message for the last consumer.
    Deliver,
    /// The end of the last consumer.
    Cancel,
    /// A message given back, with a code.
    Return(u16),
    /// A message refused.
    Nack,
    /// That it has the first message of this connection.
    First,
    /// That a queue is there and holds so many messages.
    Holds(u8),
}

/// What the peer says to each thing that it hears; nothing is silence.
pub(super) type Script = Box<dyn Fn(&Heard) -> Vec<Say> + Send + Sync>;

/// A running peer. Ends with the test.
pub(super) struct Peer {
    /// Where it listens, `127.0.0.1:PORT`.
    pub(super) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    script: Script,
    heard: Mutex<Vec<Heard>>,
    connections: Mutex<Vec<Arc<Mutex<Line>>>>,
}

/// One connection.
struct Line {
    stream: TcpStream,
    /// The channel and the tag of the last consumer.
    consumer: (u16, Vec<u8>),
    delivered: u64,
    /// How many messages have come on each channel.
    published: HashMap<u16, u64>,
    /// The channel of the first of them.
    first: u16,
}

/// A message on its way to the peer.
struct Incoming {
    arguments: Vec<u8>,
    header: Vec<u8>,
    body: Vec<u8>,
}

impl Heard {
    /// The first name among its arguments: a queue's, or an exchange's.
    pub(super) fn name(&self) -> &str {
        std::str::from_utf8(short(&self.arguments, 2)).unwrap()
    }

    /// The second one: a binding's exchange, a consumer's tag, a message's routing key.
    pub(super) fn second_name(&self) -> &str {
        std::str::from_utf8(short(&self.arguments, 3 + short(&self.arguments, 2).len())).unwrap()
    }

    /// The number of the delivery that is acknowledged.
    pub(super) fn tag(&self) -> u64 {
        u64::from_be_bytes(self.arguments[..8].try_into().unwrap())
    }

    /// Whether what is declared is to survive a restart.
    pub(super) fn is_durable(&self) -> bool {
        let names = if self.method == EXCHANGE {
            2 + self.name().len() + self.second_name().len()
        } else {
            1 + self.name().len()
        };
        self.arguments[2 + names] & 2 != 0
    }
}

impl Peer {
    /// Starts one.
    pub(super) fn start(script: impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared =
            Arc::new(Shared { script: Box::new(script), heard: Mutex::default(), connections: Mutex::default() });
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for (number, stream) in (1..).zip(listener.incoming()) {
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || shared.listen(number, stream.unwrap()));
            }
        });
        Self { address, shared }
    }

    /// A transport URL.
    pub(super) fn url(&self) -> String {
        format!("rabbit://{}/", self.address)
    }

    /// How many connections have come.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.lock().unwrap().len()
    }

    /// All that it has heard of a method.
    pub(super) fn heard(&self, method: Method) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().iter().filter(|heard| heard.method == method).cloned().collect()
    }

    /// Waits until it has heard a method so often.
    pub(super) async fn hears(&self, method: Method, times: usize) {
        super::in_time(async {
            while self.heard(method).len() < times {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    /// Says something unasked, on the last connection that consumes.
    pub(super) fn say(&self, say: Say) {
        let lines = self.shared.connections.lock().unwrap();
        let is_consuming = |line: &&Arc<Mutex<Line>>| !line.lock().unwrap().consumer.1.is_empty();
        lines.iter().rev().find(is_consuming).expect("somebody consumes").lock().unwrap().unasked(say);
    }
}

impl Shared {
    fn listen(&self, number: usize, mut stream: TcpStream) {
        let line = Line {
            stream: stream.try_clone().unwrap(),
            consumer: (0, Vec::new()),
            delivered: 0,
            published: HashMap::new(),
            first: 0,
        };
        let line = Arc::new(Mutex::new(line));
        self.connections.lock().unwrap().push(Arc::clone(&line));
        if stream.read_exact(&mut [0; 8]).is_err() {
            return;
        }
        let long = |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
        let start = [&[0, 9, 0, 0, 0, 0][..], &long("PLAIN AMQPLAIN"), &long("en_US")].concat();
        line.lock().unwrap().method(0, (10, 10), &start);
        let mut incoming: HashMap<u16, Incoming> = HashMap::new();
        while let Some((kind, channel, payload)) = read(&mut stream) {
            let (method, arguments) = match (kind, incoming.get_mut(&channel)) {
                (1, _) => {
                    let number = |at: usize| u16::from_be_bytes([payload[at], payload[at + 1]]);
                    let (method, arguments) = ((number(0), number(2)), payload[4..].to_vec());
                    if method == PUBLISH {
                        incoming.insert(channel, Incoming { arguments, header: Vec::new(), body: Vec::new() });
                        continue;
                    }
                    (method, arguments)
                }
                (2, Some(message)) => {
                    message.header = payload;
                    (PUBLISH, message.arguments.clone())
                }
                (3, Some(message)) => {
                    message.body.extend(payload);
                    (PUBLISH, message.arguments.clone())
                }
                _ => continue,
            };
            let message = incoming.get(&channel);
            if method == PUBLISH && message.is_some_and(|message| !message.is_whole()) {
                continue;
            }
            let heard = Heard { connection: number, channel, method, arguments };
            self.heard.lock().unwrap().push(heard.clone());
            let mut line = line.lock().unwrap();
            line.note(&heard);
            for say in (self.script)(&heard) {
                line.answer(&heard, message, say);
            }
            // connection.close-ok
            if method == (10, 51) {
                return;
            }
        }
    }
}

impl Incoming {
    fn is_whole(&self) -> bool {
        let size = self.header.get(4..12).map(|size| u64::from_be_bytes(size.try_into().unwrap()));
        size.is_some_and(|size| self.body.len() as u64 >= size)
    }
}

impl Line {
    fn note(&mut self, heard: &Heard) {
        match heard.method {
            CONSUME => self.consumer = (heard.channel, heard.second_name().as_bytes().to_vec()),
            PUBLISH => {
                if self.published.is_empty() {
                    self.first = heard.channel;
                }
                *self.published.entry(heard.channel).or_default() += 1;
            }
            _ => {}
        }
    }

    fn answer(&mut self, heard: &Heard, message: Option<&Incoming>, say: Say) {
        let channel = heard.channel;
        let number = self.published.get(&channel).copied().unwrap_or_default().to_be_bytes();
        match say {
            Say::Yes => self.content(heard, &number),
            Say::Channel(code, text) => self.close(channel, (20, 40), code, text),
            Say::Nack => self.method(channel, (60, 120), &[&number[..], &[0]].concat()),
            Say::First => self.method(self.first, (60, 80), &[&1u64.to_be_bytes()[..], &[0]].concat()),
            Say::Holds(messages) => {
                let count = [0, 0, 0, messages, 0, 0, 0, 0];
                self.method(channel, (50, 11), &[&prefixed(heard.name().as_bytes())[..], &count].concat());
            }
            Say::Return(code) => {
                let message = message.expect("a message to return");
                // The names as they came, behind two bytes and before one of flags.
                let names = &message.arguments[2..message.arguments.len() - 1];
                self.method(channel, (60, 50), &[&code.to_be_bytes()[..], &prefixed(b"returned"), names].concat());
                self.frame(2, channel, &message.header);
                self.frame(3, channel, &message.body);
            }
            unasked => self.unasked(unasked),
        }
    }

    fn unasked(&mut self, say: Say) {
        let (channel, tag) = self.consumer.clone();
        match say {
            Say::Connection(code, text) => self.close(0, (10, 50), code, text),
            Say::Channel(code, text) => self.close(channel, (20, 40), code, text),
            // Whoever has gone does not hear it.
            Say::HangUp => drop(self.stream.shutdown(Shutdown::Both)),
            Say::Deliver => {
                self.delivered += 1;
                let from = [&self.delivered.to_be_bytes()[..], &[0, 0, 1, b'q']].concat();
                self.method(channel, (60, 60), &[&prefixed(&tag)[..], &from].concat());
                self.frame(2, channel, &[&[0, 60, 0, 0][..], &2u64.to_be_bytes(), &[0, 0]].concat());
                self.frame(3, channel, b"{}");
            }
            Say::Cancel => self.method(channel, (60, 30), &[&prefixed(&tag)[..], &[1]].concat()),
            said => panic!("{said:?} is an answer"),
        }
    }

    /// What a broker answers that is content.
    fn content(&mut self, heard: &Heard, number: &[u8]) {
        let arguments = &heard.arguments;
        let (method, arguments) = match heard.method {
            // start-ok, then tune: 2047 channels, frames of 128 KiB, a minute's heartbeat.
            (10, 11) => ((10, 30), vec![7, 255, 0, 2, 0, 0, 0, 60]),
            OPEN => ((10, 41), vec![0]),
            (10, 50) => ((10, 51), vec![]),
            (20, 10) => ((20, 11), vec![0; 4]),
            (20, 40) => ((20, 41), vec![]),
            EXCHANGE => ((40, 11), vec![]),
            QUEUE => ((50, 11), [&prefixed(short(arguments, 2))[..], &[0; 8]].concat()),
            BIND => ((50, 21), vec![]),
            // Purged, deleted.
            (50, 30) => ((50, 31), vec![0; 4]),
            (50, 40) => ((50, 41), vec![0; 4]),
            (60, 10) => ((60, 11), vec![]),
            CONSUME => ((60, 21), prefixed(heard.second_name().as_bytes())),
            (60, 30) => ((60, 31), prefixed(short(arguments, 0))),
            PUBLISH => ((60, 80), [number, &[0]].concat()),
            (85, 10) => ((85, 11), vec![]),
            // An answer itself, or nothing that is answered.
            _ => return,
        };
        self.method(heard.channel, method, &arguments);
    }

    fn close(&mut self, channel: u16, method: Method, code: u16, text: &str) {
        let reason = [&code.to_be_bytes()[..], &prefixed(text.as_bytes()), &[0; 4]].concat();
        self.method(channel, method, &reason);
    }

    fn method(&mut self, channel: u16, (class, number): Method, arguments: &[u8]) {
        self.frame(1, channel, &[&class.to_be_bytes(), &number.to_be_bytes(), arguments].concat());
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        // Whoever has gone does not hear it.
        self.stream.write_all(&[&[kind][..], &channel.to_be_bytes(), &size, payload, &[0xce]].concat()).ok();
    }
}

/// A short string, without its length.
fn short(arguments: &[u8], at: usize) -> &[u8] {
    &arguments[at + 1..=at + usize::from(arguments[at])]
}

/// A short string, with its length.
fn prefixed(text: &[u8]) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()][..], text].concat()
}

/// Reads one frame: its type, channel and payload. `None` at the end of the connection.
fn read(stream: &mut TcpStream) -> Option<(u8, u16, Vec<u8>)> {
    let mut head = [0; 7];
    stream.read_exact(&mut head).ok()?;
    let mut payload = vec![0; u32::from_be_bytes(head[3..].try_into().unwrap()).try_into().unwrap()];
    stream.read_exact(&mut payload).ok()?;
    stream.read_exact(&mut [0]).ok()?;
    Some((head[0], u16::from_be_bytes([head[1], head[2]]), payload))
}
