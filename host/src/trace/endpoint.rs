//! Where the collector is, and what it is told besides spans.
//!
//! Before it: [`super::config`] has the text. After it: [`super::post`] connects there.

use std::fmt;

use hyper::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};

use crate::capability::http::{Origin, is_path};

/// What is behind the place of a collector for traces.
const TRACES: &str = "/v1/traces";

/// What is no place of one.
const EXPECTED: &str = "is no place of a collector: write http://HOST:PORT, or https://HOST:PORT";

/// Bytes of headers' names and values: what servers commonly take.
const MAX_HEADERS: usize = 8 << 10;

/// What a request says of itself, and of its connection.
const OURS: [HeaderName; 5] = [CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING];

/// Where spans are sent. `Debug` shows its origin only, which is all that is logged of it: a path or a query may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) origin: Origin,
    /// With its query, where it has one.
    pub(super) path: String,
}

/// Headers of each request to the collector, which may hold a token. `Debug` shows their names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secrets(pub(super) HeaderMap);

impl Endpoint {
    /// Reads the place of a collector, `http://HOST:PORT`, to which `/v1/traces` is added.
    pub(super) fn of_collector(text: &str) -> Result<Self, String> {
        let mut endpoint = Self::exactly(text)?;
        if endpoint.path.contains('?') {
            return Err(EXPECTED.to_owned());
        }
        if !endpoint.path.ends_with(TRACES) {
            endpoint.path = format!("{}{TRACES}", endpoint.path.trim_end_matches('/'));
        }
        Ok(endpoint)
    }

    /// Reads the URL that traces are sent to, and takes it as it is.
    pub(super) fn exactly(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.trim().split_once("://").ok_or(EXPECTED)?;
        let is_secure = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err("only http:// and https:// are spoken (OTLP over HTTP/protobuf)".to_owned()),
        };
        let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |at| rest.split_at(at));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        if authority.contains('@') {
            return Err("must not have a password in it: tracing.headers is for that".to_owned());
        }
        let origin = Origin::parse(is_secure, &authority.to_ascii_lowercase()).ok_or(EXPECTED)?;
        if !is_path(&path) {
            return Err(EXPECTED.to_owned());
        }
        Ok(Self { origin, path })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl Secrets {
    /// Reads `NAME=VALUE,NAME=VALUE`, values with `%20` for what could not stand there otherwise, as OpenTelemetry writes
    /// them. No value is shown where it is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        let mut length = 0;
        for ((name, value), number) in pairs(text)?.into_iter().zip(1..) {
            let wrong = |_| format!("entry {number} is no header: write NAME=VALUE");
            let name: HeaderName =
                name.parse().map_err(|error: hyper::header::InvalidHeaderName| wrong(error.to_string()))?;
            if OURS.contains(&name) {
                return Err(format!("entry {number} is no header of yours: {name} is set here"));
            }
            let mut value = HeaderValue::from_str(&value).map_err(|error| wrong(error.to_string()))?;
            value.set_sensitive(true);
            length += name.as_str().len() + value.len();
            if length > MAX_HEADERS {
                return Err(format!("the headers have more than {MAX_HEADERS} bytes"));
            }
            headers.insert(name, value);
        }
        Ok(Self(headers))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// `NAME=VALUE,NAME=VALUE`, as the variables of OpenTelemetry have lists.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let pair = |(entry, number): (&str, usize)| {
        let pair = entry.split_once('=').and_then(|(name, value)| Some((plain(name.trim())?, plain(value.trim())?)));
        pair.filter(|(name, _)| !name.is_empty()).ok_or_else(|| format!("entry {number} is not NAME=VALUE"))
    };
    entries.zip(1..).map(pair).collect()
}

/// A text without its `%20`; `None` where that is no UTF-8.
fn plain(text: &str) -> Option<String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, more)) = rest.split_first() {
        let two = if *byte == b'%' { more.get(..2) } else { None };
        // Digits only: Rust would read a sign as well.
        let two = two.filter(|two| two.iter().all(u8::is_ascii_hexdigit));
        match two.and_then(|two| std::str::from_utf8(two).ok()).and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(coded) => {
                plain.push(coded);
                rest = more.get(2..).unwrap_or_default();
            }
            None => {
                plain.push(*byte);
                rest = more;
            }
        }
    }
    String::from_utf8(plain).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collectors_place_gets_the_path_for_traces_and_a_url_of_its_own_keeps_its() {
        let shown = |Endpoint { origin, path }| format!("{origin}{path}");
        let of = |text| shown(Endpoint::of_collector(text).unwrap());
        let exactly = |text| shown(Endpoint::exactly(text).unwrap());
        assert_eq!(of("http://Collector:4318"), "http://collector:4318/v1/traces");
        assert_eq!(of("https://c/otlp/"), "https://c/otlp/v1/traces");
        assert_eq!(of("http://127.0.0.1:4318/v1/traces"), "http://127.0.0.1:4318/v1/traces");
        for as_it_is in ["http://c:1/traces", "http://c:1/", "https://c/in?api-key=S3cr3t&x=/", "http://c:1/?a"] {
            assert_eq!(exactly(as_it_is), as_it_is);
        }
        assert_eq!(
            (exactly("http://c:1"), exactly("http://c:1?a=1")),
            ("http://c:1/".into(), "http://c:1/?a=1".into())
        );
        let secret = Endpoint::exactly("https://c/S3cr3t?key=S3cr3t").unwrap();
        assert!(!format!("{secret:?}").contains("S3cr3t"), "{secret:?}");
        for wrong in ["collector:4318", "grpc://c:4317", "http://", "http://c:port", "http://c/a b", "http://c/?key=1"]
        {
            assert!(Endpoint::of_collector(wrong).is_err(), "{wrong}");
        }
        assert!(Endpoint::of_collector("http://u:S3cr3t@c").unwrap_err().contains("tracing.headers"));
    }

    #[test]
    fn headers_are_read_as_opentelemetry_writes_them_and_shown_nowhere() {
        let headers = Secrets::parse("authorization=Bearer%20S3cr3t, x-tenant = a").unwrap();
        assert_eq!(headers.0["authorization"], "Bearer S3cr3t");
        assert_eq!(headers.0["x-tenant"], "a");
        assert!(!format!("{headers:?}").contains("S3cr3t"));
        for ours in
            ["Content-Length=1", "host=S3cr3t", "transfer-encoding=chunked", "CONNECTION=close", "content-type=a"]
        {
            let reason = Secrets::parse(ours).unwrap_err();
            assert!(reason.starts_with("entry 1 is no header of yours") && !reason.contains("S3cr3t"), "{reason}");
        }
        assert_eq!(Secrets::parse("a=%+1%-1%41%4").unwrap().0["a"], "%+1%-1A%4");
        for wrong in ["S3cr3t", "=S3cr3t", "na me=S3cr3t", "name=S3cr3t%0a", "name=%ff%feS3cr3t"] {
            let reason = Secrets::parse(wrong).unwrap_err();
            assert!(reason.starts_with("entry 1 is no") && !reason.contains("S3cr3t"), "{reason}");
        }
        assert!(Secrets::parse(&format!("a={}", "x".repeat(MAX_HEADERS))).is_err());
    }
}
