//! A response's bytes: where its head ends, how long its body is, what is body in it.
//!
//! Before it: [`super::exchange`] reads the bytes. Pure and synchronous, for the bytes are a stranger's. One connection
//! carries one request, so whatever comes behind the response is nobody's, and what is doubtful is an error.

use super::{Error, Fields, Head, is_forbidden};

/// Bytes of a head. Most servers take no more than 8 to 16 KiB themselves.
pub(super) const MAX_HEAD: usize = 64 << 10;

/// Bytes of trailers.
const MAX_TRAILERS: usize = 8 << 10;

/// Headers, and trailers: as many as hyper takes.
const MAX_HEADERS: usize = 100;

/// Answers before the answer, such as 103: nobody needs more.
pub(super) const MAX_INTERIM: usize = 8;

/// Bytes of the line that says how long a chunk is.
const MAX_CHUNK_LINE: usize = 256;

/// How a body ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are missing.
    Length(u64),
    /// With its last chunk.
    Chunked(Chunk),
    /// With the connection.
    Close,
    /// It has ended.
    Done(Option<Fields>),
}

/// What comes next in a body of chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// The line with the next one's length.
    Line,
    /// So many bytes of it.
    Data(u64),
    /// The end of the line behind it.
    End,
    /// Trailers.
    Trailers,
}

/// The head at the beginning of some bytes, how long it is, and how its body ends; `None` where it is not all there.
pub(super) fn head(bytes: &[u8], method: &str) -> Result<Option<(usize, Head, Body)>, Error> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let length = match response.parse(bytes) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_HEAD => length,
        Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Error::ResponseHeaders),
        Err(_) => return Err(Error::Protocol),
    };
    let status = response.code.ok_or(Error::Protocol)?;
    if status == 101 {
        return Err(Error::Upgrade);
    }
    let headers: Fields = fields(response.headers);
    let body = match (status, method) {
        (100..200 | 204 | 304, _) | (_, "HEAD") => Body::Done(None),
        _ => framing(response.version, &headers)?,
    };
    Ok(Some((length, Head { status, headers }, body)))
}

fn fields(headers: &[httparse::Header<'_>]) -> Fields {
    headers.iter().map(|header| (header.name.to_ascii_lowercase(), header.value.to_vec())).collect()
}

fn framing(version: Option<u8>, headers: &Fields) -> Result<Body, Error> {
    let all = |wanted: &str| {
        let found = headers.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.as_slice());
        found.collect::<Vec<&[u8]>>()
    };
    let (codings, lengths) = (all("transfer-encoding"), all("content-length"));
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(Body::Close),
        ([], [length, others @ ..]) if others.iter().all(|other| other == length) => {
            let digits = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = digits.and_then(|text| text.parse().ok()).ok_or(Error::Protocol)?;
            Ok(if length == 0 { Body::Done(None) } else { Body::Length(length) })
        }
        // Both, or lengths that differ: two readers would see two bodies.
        ([_, ..], [_, ..]) | ([], _) => Err(Error::Protocol),
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") && version == Some(1) => {
            Ok(Body::Chunked(Chunk::Line))
        }
        (_, []) => Err(Error::TransferCoding),
    }
}

impl Body {
    /// Takes what is body from the beginning of some bytes: how many bytes are used up, and those among them that are
    /// the body's. Nothing used up means that more bytes are needed first.
    pub(super) fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, &'a [u8]), Error> {
        let missing = match self {
            Self::Done(_) => return Ok((0, &[])),
            Self::Close => return Ok((bytes.len(), bytes)),
            Self::Chunked(chunk) => match chunk {
                Chunk::Data(missing) => missing,
                _ => return self.between(bytes).map(|used| (used, &[] as &[u8])),
            },
            Self::Length(missing) => missing,
        };
        let here = usize::try_from(*missing).unwrap_or(usize::MAX).min(bytes.len());
        *missing -= u64::try_from(here).unwrap_or(*missing);
        let is_over = *missing == 0;
        match self {
            Self::Length(_) if is_over => *self = Self::Done(None),
            Self::Chunked(chunk) if is_over => *chunk = Chunk::End,
            _ => {}
        }
        Ok((here, bytes.get(..here).unwrap_or_default()))
    }

    /// What stands between the data of chunks.
    fn between(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let Self::Chunked(chunk) = self else { return Ok(0) };
        match chunk {
            Chunk::Data(_) => Ok(0),
            Chunk::End => match bytes {
                [b'\r', b'\n', ..] => {
                    *chunk = Chunk::Line;
                    Ok(2)
                }
                [] | [b'\r'] => Ok(0),
                _ => Err(Error::Protocol),
            },
            Chunk::Line => {
                let Some(end) = bytes.iter().take(MAX_CHUNK_LINE).position(|byte| *byte == b'\n') else {
                    return if bytes.len() < MAX_CHUNK_LINE { Ok(0) } else { Err(Error::Protocol) };
                };
                let line = bytes.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(Error::Protocol)?;
                // Extensions mean nothing to us.
                let length = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
                *chunk = match hexadecimal(length)? {
                    0 => Chunk::Trailers,
                    length => Chunk::Data(length),
                };
                Ok(end + 1)
            }
            Chunk::Trailers => {
                let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
                match httparse::parse_headers(bytes, &mut headers) {
                    Ok(httparse::Status::Complete((used, headers))) => {
                        let mut trailers = fields(headers);
                        // Nobody but the guest reads them, and these are the connection's.
                        trailers.retain(|(name, _)| !is_forbidden(name));
                        *self = Self::Done(Some(trailers).filter(|trailers| !trailers.is_empty()));
                        Ok(used)
                    }
                    Ok(httparse::Status::Partial) if bytes.len() < MAX_TRAILERS => Ok(0),
                    Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(Error::ResponseTrailers),
                    Err(_) => Err(Error::Protocol),
                }
            }
        }
    }

    /// Whether the end of the connection is the end of the body.
    pub(super) fn may_close(&self) -> bool {
        matches!(self, Self::Close | Self::Done(_))
    }
}

fn hexadecimal(digits: &[u8]) -> Result<u64, Error> {
    let digits = Some(digits).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or(Error::Protocol)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The status and the body, of bytes that arrive in pieces of this size.
    fn read(bytes: &[u8], method: &str, step: usize) -> Result<(u16, Vec<u8>, Option<Fields>), Error> {
        let (mut buffer, mut body, mut parsed) = (Vec::new(), Vec::new(), None::<(Head, Body)>);
        let mut pieces = bytes.chunks(step);
        loop {
            if let Some((head, state)) = &mut parsed {
                let (used, data) = state.take(&buffer)?;
                body.extend_from_slice(data);
                buffer.drain(..used);
                if let Body::Done(trailers) = state {
                    return Ok((head.status, body, trailers.clone()));
                }
                if used > 0 {
                    continue;
                }
            } else if let Some((used, head, state)) = head(&buffer, method)? {
                buffer.drain(..used);
                parsed = Some((head, state));
                continue;
            }
            match pieces.next() {
                Some(piece) => buffer.extend_from_slice(piece),
                None => match parsed {
                    Some((head, state)) if state.may_close() => return Ok((head.status, body, None)),
                    _ => return Err(Error::Incomplete),
                },
            }
        }
    }

    #[test]
    fn a_body_has_a_length_or_chunks_or_the_end_of_the_connection() {
        let trailers = Some(vec![("a".to_owned(), b"b".to_vec())]);
        for (text, method, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore", "GET", Ok((200, "ok", None))),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "GET", Ok((200, "ok", None))),
            ("HTTP/1.0 404 x\r\n\r\nuntil the end", "GET", Ok((404, "until the end", None))),
            ("HTTP/1.1 204 x\r\nContent-Length: 9\r\n\r\n", "GET", Ok((204, "", None))),
            ("HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\n", "HEAD", Ok((200, "", None))),
            (
                "HTTP/1.1 200 x\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=y\r\nok\r\n00a \r\n0123456789\r\n0\r\nA: b\r\nConnection: x\r\n\r\n",
                "GET",
                Ok((200, "ok0123456789", trailers)),
            ),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore", "GET", Ok((200, "", None))),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nVia: x\r\n\r\n", "GET", Ok((200, "", None))),
            // Lies.
            ("HTTP/1.1 200 x\r\nContent-Length: 3\r\n\r\nok", "GET", Err(Error::Incomplete)),
            ("HTTP/1.1 200 x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200 x\r\nContent-Length: +2\r\n\r\nok", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200 x\r\nContent-Length: 2, 2\r\n\r\nok", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200 x\r\nContent-Length: 99999999999999999999\r\n\r\nok", "GET", Err(Error::Protocol)),
            (
                "HTTP/1.1 200 x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "GET",
                Err(Error::Protocol),
            ),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "GET", Err(Error::TransferCoding)),
            ("HTTP/1.0 200 x\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", Err(Error::TransferCoding)),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok", "GET", Err(Error::Incomplete)),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok!\r\n", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nok", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n\r\nok", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000000\r\n", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 101 x\r\nUpgrade: a\r\n\r\n", "GET", Err(Error::Upgrade)),
            ("HTTP/1.1 20x x\r\n\r\n", "GET", Err(Error::Protocol)),
            ("SSH-2.0-OpenSSH\r\n", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200 x\r\nA: b\0\r\n\r\n", "GET", Err(Error::Protocol)),
            ("HTTP/1.1 200", "GET", Err(Error::Incomplete)),
        ] {
            let expected = expected.map(|(status, body, trailers)| (status, body.as_bytes().to_vec(), trailers));
            for step in [1, 3, 1000] {
                assert_eq!(read(text.as_bytes(), method, step), expected, "{text:?} in pieces of {step}");
            }
        }
    }

    #[test]
    fn what_has_no_end_is_an_error() {
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(MAX_HEAD));
        assert_eq!(read(long.as_bytes(), "GET", 1000), Err(Error::ResponseHeaders));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(MAX_HEADERS + 1));
        assert_eq!(read(many.as_bytes(), "GET", 1000), Err(Error::ResponseHeaders));
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let line = format!("{chunked}1;{}", "x".repeat(MAX_CHUNK_LINE));
        assert_eq!(read(line.as_bytes(), "GET", 100), Err(Error::Protocol));
        let trailers = format!("{chunked}0\r\na: {}", "b".repeat(MAX_TRAILERS));
        assert_eq!(read(trailers.as_bytes(), "GET", 1000), Err(Error::ResponseTrailers));
    }
}
