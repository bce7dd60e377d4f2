//! Redis' protocol, as far as it is used: commands out, answers in, within bounds.
//!
//! Before it: [`super::connection`] has a socket. After it: nothing. This is RESP2, which a connection speaks from its
//! start: <https://redis.io/docs/latest/develop/reference/protocol-spec/>. The server is not trusted with memory: a length
//! is looked at before anything is read, and room is made for what has come, not for what was promised.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _};

/// Bytes of a line: a length or an error's text.
const MAX_LINE: u64 = 4096;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// There is none.
    Nothing,
    /// A word such as `OK`.
    Word(String),
    /// A value.
    Value(Vec<u8>),
    /// Several values.
    Values(Vec<Vec<u8>>),
    /// It refuses.
    Refused(String),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The connection.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It ended.
    #[error("the connection was closed")]
    Closed,
    /// It does not speak the protocol.
    #[error("the answer is not Redis'")]
    Strange,
    /// It is too much.
    #[error("the answer has more than {0} bytes")]
    Long(usize),
}

/// A command, as it is sent.
pub(super) fn command<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut command = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        command.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        command.extend_from_slice(word);
        command.extend_from_slice(b"\r\n");
    }
    command
}

/// Reads an answer whose values have at most so many bytes together, the eight that each costs included.
pub(super) async fn answer(from: &mut (impl AsyncBufRead + Unpin), most: usize) -> Result<Answer, Error> {
    let mut left = most;
    let (kind, text) = line(from).await?;
    Ok(match kind {
        b'+' => Answer::Word(text),
        b'-' => Answer::Refused(text),
        b'$' if text == "-1" => Answer::Nothing,
        b'$' => Answer::Value(value(from, &text, &mut left, most).await?),
        b'*' => {
            let mut values = Vec::new();
            for _ in 0..length(&text)? {
                let (b'$', text) = line(from).await? else { return Err(Error::Strange) };
                values.push(value(from, &text, &mut left, most).await?);
            }
            Answer::Values(values)
        }
        _ => return Err(Error::Strange),
    })
}

/// A line: what kind it is of, and the rest.
async fn line(from: &mut (impl AsyncBufRead + Unpin)) -> Result<(u8, String), Error> {
    let mut line = Vec::new();
    (&mut *from).take(MAX_LINE).read_until(b'\n', &mut line).await?;
    if line.is_empty() {
        return Err(Error::Closed);
    }
    let line = line.strip_suffix(b"\r\n").and_then(|line| line.split_first());
    let (kind, text) = line.ok_or(Error::Strange)?;
    Ok((*kind, String::from_utf8_lossy(text).into_owned()))
}

/// What follows a line with its length.
async fn value(
    from: &mut (impl AsyncRead + Unpin),
    text: &str,
    left: &mut usize,
    most: usize,
) -> Result<Vec<u8>, Error> {
    let length = length(text)?;
    // The eight are so that many empty ones are not nothing.
    *left = length.checked_add(8).and_then(|length| left.checked_sub(length)).ok_or(Error::Long(most))?;
    let (mut value, mut end) = (Vec::new(), [0; 2]);
    let wanted = u64::try_from(length).unwrap_or(u64::MAX);
    if (&mut *from).take(wanted).read_to_end(&mut value).await? < length {
        return Err(Error::Closed);
    }
    from.read_exact(&mut end).await?;
    if end == *b"\r\n" { Ok(value) } else { Err(Error::Strange) }
}

fn length(text: &str) -> Result<usize, Error> {
    text.parse().map_err(|_| Error::Strange)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(bytes: &[u8]) -> Result<Answer, String> {
        let mut from = bytes;
        answer(&mut from, 100).await.map_err(|error| error.to_string())
    }

    #[test]
    fn commands_say_how_long_each_word_is() {
        assert_eq!(
            command([b"GET".as_slice(), b"a\r\n", b""].into_iter()),
            b"*3\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n$0\r\n\r\n"
        );
    }

    #[tokio::test]
    async fn answers_are_read_as_they_are() {
        for (bytes, expected) in [
            ("+OK\r\n", Answer::Word("OK".into())),
            ("-ERR no\r\n", Answer::Refused("ERR no".into())),
            ("$-1\r\n", Answer::Nothing),
            ("$0\r\n\r\n", Answer::Value(Vec::new())),
            ("$4\r\na\r\nb\r\n", Answer::Value(b"a\r\nb".into())),
            ("*2\r\n$1\r\na\r\n$0\r\n\r\n", Answer::Values(vec![b"a".into(), Vec::new()])),
            ("*0\r\n", Answer::Values(Vec::new())),
        ] {
            assert_eq!(read(bytes.as_bytes()).await, Ok(expected));
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_or_too_much_is_refused_before_it_is_read() {
        let endless = format!("+{}", "x".repeat(2 * usize::try_from(MAX_LINE).unwrap()));
        let many = format!("*1000000000\r\n{}", "$0\r\n\r\n".repeat(20));
        let (strange, long) = ("the answer is not Redis'", "the answer has more than 100 bytes");
        for (bytes, expected) in [
            ("", "the connection was closed"),
            ("$5\r\nab", "the connection was closed"),
            ("\r\n", strange),
            ("+OK\n", strange),
            (":1\r\n", strange),
            ("HTTP/1.1 400 Bad Request\r\n", strange),
            ("$1\r\nabc", strange),
            ("$-2\r\n", strange),
            ("$x\r\n", strange),
            ("$18446744073709551616\r\n", strange),
            ("*-1\r\n", strange),
            ("*1\r\n*1\r\n", strange),
            ("*1\r\n$-1\r\n", strange),
            (endless.as_str(), strange),
            ("$93\r\n", long),
            ("$18446744073709551615\r\n", long),
            ("*2\r\n$85\r\n", "the connection was closed"),
            (many.as_str(), long),
        ] {
            assert_eq!(read(bytes.as_bytes()).await, Err(expected.to_owned()), "{bytes:?}");
        }
    }
}
