//! The least HTTP client that the management API of RabbitMQ needs.
//!
//! Used by [`super::vhost`]. One connection a request, as HTTP/1.0: the answer then ends with the connection and is never
//! in chunks. Time and size are bounded.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, TcpStream};

use serde_json::Value;

use super::{PATIENCE, base64};

/// Far above any answer of a test's broker.
const MAX_ANSWER: u64 = 64 << 20;

/// Sends one request as guest to the management API and returns the status and the JSON answer, null where empty.
pub(crate) fn request(port: u16, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;

    let body = body.map(Value::to_string).unwrap_or_default();
    let credentials = base64::encode(b"guest:guest");
    let length = body.len();
    write!(
        stream,
        "{method} /api/{path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Basic {credentials}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )?;

    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    parse(&String::from_utf8_lossy(&answer)).ok_or_else(|| Error::new(ErrorKind::InvalidData, "not an HTTP answer"))
}

/// Writes one segment of a path: everything but letters, digits and `-._` is escaped.
pub(crate) fn segment(name: &str) -> String {
    let mut segment = String::new();
    for byte in name.bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => segment.push(char::from(byte)),
            _ => segment.push_str(&format!("%{byte:02X}")),
        }
    }
    segment
}

fn parse(answer: &str) -> Option<(u16, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    // An error's body may be a sentence.
    Some((
        status,
        serde_json::from_str(body).unwrap_or_else(|_| if body.is_empty() { Value::Null } else { body.into() }),
    ))
}

#[test]
fn an_answer_is_taken_apart() {
    assert_eq!(parse("HTTP/1.1 204 No Content\r\na: b\r\n\r\n"), Some((204, Value::Null)));
    assert_eq!(parse("HTTP/1.1 200 OK\r\na: b\r\n\r\n[1]"), Some((200, serde_json::json!([1]))));
    assert_eq!(parse("garbage"), None);
}

#[test]
fn a_name_in_a_path_is_escaped() {
    assert_eq!(segment("/"), "%2F");
    assert_eq!(segment("conductor.host-1"), "conductor.host-1");
}
