//! A connection to Redis: one command at a time, and its answer.
//!
//! Before it: [`super::Redis`] has none that is free. After it: [`super::resp`]. The server is the operator's own: no
//! guest says where it is.

use std::{io, time::Duration};

use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
};
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::TcpStream,
    time::Instant,
};

use super::{
    resp::{self, Answer},
    url::Url,
};
use crate::printable::printable;

/// How long a connection may rest before another takes its place: shorter than what firewalls forget.
const REST: Duration = Duration::from_secs(60);

/// Bytes of what a server says in the log.
const MAX_SHOWN: usize = 200;

/// What each operation runs.
const SCRIPT: &str = include_str!("state.lua");

/// Bytes of an answer that is no value of a handler's: a script's digest.
const SHORT: usize = 64;

/// A connection that is ready for a command.
#[derive(Debug)]
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
    /// The name that the server has given to the script.
    script: Vec<u8>,
    used: Instant,
}

/// Why a command was not obeyed. `Display` is for the log, and has no secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Nobody is there.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// Nothing that makes sense came back.
    #[error(transparent)]
    Answer(#[from] resp::Error),
    /// It does not want to; its first word, which is all that may be shown where a password was sent.
    #[error("it does not take user or password ({0})")]
    Login(String),
    /// It does not want to.
    #[error("it refuses: {0}")]
    Refused(String),
    /// An answer, but not to what was asked.
    #[error("the answer is not the one that was expected")]
    Unexpected,
    /// Nothing within the time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
}

impl Connection {
    /// Connects, says who asks, and chooses the database.
    pub(super) async fn open(url: &Url) -> Result<Self, Trouble> {
        let stream = TcpStream::connect((url.host.as_str(), url.port)).await.map_err(Trouble::Connect)?;
        stream.set_nodelay(true).ok();
        let stream = BufReader::new(stream);
        let mut connection = Self { stream, script: Vec::new(), used: Instant::now() };
        if let Some(password) = &url.password {
            let mut login = vec![b"AUTH".as_slice()];
            login.extend(url.user.as_deref().map(str::as_bytes));
            login.push(password.expose().as_bytes());
            match connection.ask(&login, 0).await? {
                Answer::Word(_) => {}
                // A server that does not know the command says with what arguments it came.
                Answer::Refused(text) => return Err(Trouble::Login(code(&text))),
                _ => return Err(Trouble::Unexpected),
            }
        }
        if url.database != 0 {
            match connection.ask(&[b"SELECT", url.database.to_string().as_bytes()], 0).await? {
                Answer::Word(_) => {}
                answer => return Err(unexpected(answer)),
            }
        }
        connection.load().await?;
        Ok(connection)
    }

    /// Runs the script; `words` are its keys' number, its keys and its arguments.
    pub(super) async fn run(&mut self, words: &[&[u8]], most: usize) -> Result<Answer, Trouble> {
        match self.evaluate(words, most).await? {
            // It has forgotten scripts, as it does when it is told to, and has run nothing.
            Answer::Refused(text) if text.starts_with("NOSCRIPT") => {
                self.load().await?;
                self.evaluate(words, most).await
            }
            answer => Ok(answer),
        }
    }

    async fn evaluate(&mut self, words: &[&[u8]], most: usize) -> Result<Answer, Trouble> {
        let script = self.script.clone();
        let command: Vec<&[u8]> = [b"EVALSHA", script.as_slice()].into_iter().chain(words.iter().copied()).collect();
        self.ask(&command, most).await
    }

    async fn load(&mut self) -> Result<(), Trouble> {
        match self.ask(&[b"SCRIPT", b"LOAD", SCRIPT.as_bytes()], SHORT).await? {
            Answer::Value(script) => self.script = script,
            answer => return Err(unexpected(answer)),
        }
        Ok(())
    }

    /// Sends a command and reads its answer of at most so many bytes. Dropped half-way, the connection is of no use.
    async fn ask(&mut self, words: &[&[u8]], most: usize) -> Result<Answer, Trouble> {
        let command = resp::command(words.iter().copied());
        self.stream.write_all(&command).await.map_err(resp::Error::from)?;
        let answer = resp::answer(&mut self.stream, most).await?;
        self.used = Instant::now();
        Ok(answer)
    }

    /// Whether it may take another command: the server has neither closed it nor said anything unasked.
    pub(super) fn is_usable(&self) -> bool {
        // The kernel is asked, and not tokio, which knows of an end only when it has looked.
        let said = recv(self.stream.get_ref(), &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        self.used.elapsed() < REST && self.stream.buffer().is_empty() && said.is_err_and(|error| error == Errno::AGAIN)
    }
}

/// What to say of an answer that is not the one that was hoped for.
pub(super) fn unexpected(answer: Answer) -> Trouble {
    match answer {
        Answer::Refused(text) => Trouble::Refused(printable(&text, MAX_SHOWN)),
        _ => Trouble::Unexpected,
    }
}

/// The first word of a refusal, such as `WRONGPASS`.
fn code(text: &str) -> String {
    text.chars().take_while(char::is_ascii_uppercase).take(16).collect()
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;
    use crate::settings::Setting as _;

    #[tokio::test]
    async fn a_server_that_says_with_what_it_was_told_is_not_quoted() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("redis://:hunter2@{}/1", listener.local_addr().unwrap())).unwrap();
        for (answer, expected) in [
            (
                "-ERR unknown command 'AUTH', with args beginning with: 'hunter2'\r\n",
                "it does not take user or password (ERR)",
            ),
            ("-hunter2\r\n", "it does not take user or password ()"),
            ("$7\r\nhunter2\r\n", "the answer has more than 0 bytes"),
            ("hunter2\r\n", "the answer is not Redis'"),
            ("+hunter2\r\n-ERR DB index is out of range\x1b\r\n", r"it refuses: ERR DB index is out of range\u{1b}"),
        ] {
            let serve = async {
                let (mut socket, _) = listener.accept().await.unwrap();
                assert_ne!(socket.read(&mut [0; 1000]).await.unwrap(), 0);
                socket.write_all(answer.as_bytes()).await.unwrap();
                socket
            };
            let (opened, _socket) = tokio::join!(Connection::open(&url), serve);
            assert_eq!(opened.unwrap_err().to_string(), expected);
        }
    }
}
