//! A request that makes sense by itself, and its bytes.
//!
//! Before it: the guest, who writes whatever it likes. After it: [`super::exchange`] sends the bytes. What could end a
//! line, or mean something to the connection, is refused here, and nowhere else.

use super::{Error, Fields, Origin};

/// Bytes of a path with its query: what servers commonly take.
const MAX_PATH: usize = 8 << 10;

/// Bytes of headers: what servers commonly take, and room for a token of keystone's.
const MAX_HEADERS: usize = 64 << 10;

/// Headers that are the connection's or the host's own: RFC 9110, 7.6.1, the credentials of proxies, and `expect`, which
/// would need an answer in between.
const FORBIDDEN: [&str; 13] = [
    "connection",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// What a guest asks for. It has no `Debug`: its headers and its path may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// As it stands in the request: methods have capital letters.
    pub method: String,
    /// Who is asked.
    pub origin: Origin,
    /// The path and the query.
    pub path: String,
    /// The headers.
    pub headers: Fields,
}

/// Whether it can be a header's name, or a method.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether it can be a header's value: no byte that ends a line or a string.
#[must_use]
pub fn is_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))
}

/// Whether a guest may set a header of this name, or see it.
#[must_use]
pub fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

/// Whether it can be a path with a query.
#[must_use]
pub fn is_path(text: &str) -> bool {
    text.starts_with(['/', '?']) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

impl Request {
    /// Looks whether it makes sense, but for its body.
    pub(in crate::capability) fn check(&self) -> Result<(), Error> {
        if !is_name(&self.method) || self.method.eq_ignore_ascii_case("connect") {
            return Err(Error::Method);
        }
        if !is_path(&self.path) {
            return Err(Error::Uri);
        }
        if self.path.len() > MAX_PATH {
            return Err(Error::LongUri);
        }
        let fits = |(name, value): &(String, Vec<u8>)| is_name(name) && is_value(value) && !is_forbidden(name);
        let length: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        if length <= MAX_HEADERS && self.headers.iter().all(fits) { Ok(()) } else { Err(Error::Headers) }
    }

    /// The bytes, with a body. They say how long it is, whatever the guest has said about that.
    pub(super) fn bytes(&self, body: &[u8]) -> Result<Vec<u8>, Error> {
        for (_, said) in self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            if *said != body.len().to_string().as_bytes() {
                return Err(Error::Body);
            }
        }
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        let Self { method, origin, path, headers } = self;
        let head = format!("{method} {slash}{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", origin.authority());
        let mut bytes = head.into_bytes();
        for (name, value) in headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-length")) {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !body.is_empty() || matches!(method.as_str(), "POST" | "PUT" | "PATCH") {
            bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str, headers: &[(&str, &[u8])]) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
        let origin = Origin::parse(false, "a.org:8080").unwrap();
        Request { method: method.to_owned(), origin, path: path.to_owned(), headers }
    }

    #[test]
    fn a_request_says_whom_it_is_for_and_how_long_it_is() {
        let request = request("POST", "?q=1", &[("x-a", b"b"), ("content-length", b"2")]);
        assert_eq!(request.check(), Ok(()));
        let text =
            "POST /?q=1 HTTP/1.1\r\nhost: a.org:8080\r\nconnection: close\r\nx-a: b\r\ncontent-length: 2\r\n\r\nok";
        assert_eq!(String::from_utf8(request.bytes(b"ok").unwrap()).unwrap(), text);
        for body in [&b"o"[..], b"ok!", b""] {
            assert_eq!(request.bytes(body), Err(Error::Body));
        }
    }

    #[test]
    fn what_would_say_something_else_to_the_server_is_refused() {
        let long = "a".repeat(MAX_PATH);
        let large = vec![b'a'; MAX_HEADERS];
        for (request, error) in [
            (request("CONNECT", "/", &[]), Error::Method),
            (request("connect", "/", &[]), Error::Method),
            (request("", "/", &[]), Error::Method),
            (request("GET / HTTP/1.1\r\nhost: b\r\n\r\nGET", "/", &[]), Error::Method),
            (request("GET", "", &[]), Error::Uri),
            (request("GET", "a", &[]), Error::Uri),
            (request("GET", "http://b.org/", &[]), Error::Uri),
            (request("GET", "/a b", &[]), Error::Uri),
            (request("GET", "/ HTTP/1.1\r\nhost: b\r\n\r\n", &[]), Error::Uri),
            (request("GET", "/#a", &[]), Error::Uri),
            (request("GET", "/é", &[]), Error::Uri),
            (request("GET", &format!("/{long}"), &[]), Error::LongUri),
            (request("GET", "/", &[("a", b"b\r\nc: d")]), Error::Headers),
            (request("GET", "/", &[("a", b"b\nc: d")]), Error::Headers),
            (request("GET", "/", &[("a", b"b\0")]), Error::Headers),
            (request("GET", "/", &[("a\r\nb", b"c")]), Error::Headers),
            (request("GET", "/", &[("a: b", b"c")]), Error::Headers),
            (request("GET", "/", &[("", b"c")]), Error::Headers),
            (request("GET", "/", &[("Host", b"b.org")]), Error::Headers),
            (request("GET", "/", &[("Transfer-Encoding", b"chunked")]), Error::Headers),
            (request("GET", "/", &[("connection", b"keep-alive")]), Error::Headers),
            (request("GET", "/", &[("a", &large)]), Error::Headers),
        ] {
            assert_eq!(request.check(), Err(error.clone()), "{error:?}");
        }
        assert_eq!(request("PROPFIND", "/%20?a=/&b=[]", &[("x-Ok", b"\xff \t~")]).check(), Ok(()));
    }
}
