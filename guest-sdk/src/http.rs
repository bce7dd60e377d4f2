//! HTTP requests, to hosts that the manifest grants.
//!
//! The manifest says `grants.http = ["https://api.example.org"]`. A request happens at once, whatever becomes of the
//! handler afterwards, and nothing is added to it: no credential, no cookie. A redirect is a response like any other.
//!
//! ```
//! use nova_guest::{Endpoint, Failure, Handler, Info, http, methods, serde_json::{Value, json}, testing};
//!
//! # struct Images;
//! # impl Handler for Images {
//! #     const ENDPOINTS: &'static [Endpoint] = &[Endpoint { namespace: None, version: "1.0", methods: methods![images] }];
//! # }
//! fn images(_: (), _info: &Info) -> Result<Vec<String>, Failure> {
//!     let answer = http::Request::get("https://glance.example.org/v2/images").header("x-auth-token", "t").send()?;
//!     if answer.status != 200 {
//!         return Err(Failure::builtin("RuntimeError", format!("glance says {}", answer.status)));
//!     }
//!     let images: Value = answer.json()?;
//!     Ok(images["images"].as_array().into_iter().flatten().map(|image| image["id"].to_string()).collect())
//! }
//!
//! // In a test, natively:
//! let answer = testing::Request::new("images", json!({}))
//!     .fetching(|request| {
//!         assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", "https://glance.example.org/v2/images"));
//!         Ok(http::Response::new(200, r#"{"images": [{"id": 7}]}"#))
//!     })
//!     .send::<Images>();
//! assert_eq!(answer.value(), Ok(json!(["7"])));
//! ```

use std::{fmt, time::Duration};

use serde::de::DeserializeOwned;

use crate::{Failure, imports};

/// A request in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method, in capital letters.
    pub method: String,
    /// `https://HOST[:PORT][/PATH][?QUERY]`, or the same with `http`.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// How long each step may take: to connect, to wait for the response, and for each piece of its body.
    pub timeout: Option<Duration>,
}

/// What came back, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names in small letters, and values.
    pub headers: Vec<(String, Vec<u8>)>,
    /// All of the body.
    pub body: Vec<u8>,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The manifest does not grant the host, or its name leads to an address that is not everybody's.
    Denied(String),
    /// It took too long.
    TimedOut(String),
    /// Nobody is there, or nobody who is trusted and speaks HTTP.
    Unavailable(String),
    /// A limit was reached.
    Limited(String),
    /// The request makes no sense.
    Invalid(String),
    /// The body is not what was expected.
    Unexpected(String),
}

/// Gets a URL.
///
/// # Errors
///
/// [`Error`].
pub fn get(url: &str) -> Result<Response, Error> {
    Request::get(url).send()
}

impl Request {
    /// A request with a method such as `DELETE`.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        let (method, url) = (method.to_owned(), url.to_owned());
        Self { method, url, headers: Vec::new(), body: Vec::new(), timeout: None }
    }

    /// Gets.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// Posts.
    #[must_use]
    pub fn post(url: &str) -> Self {
        Self::new("POST", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets what is sent.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Bounds each step; without, each may take as long as the handler.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it, and waits for all of the response.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn send(self) -> Result<Response, Error> {
        imports::fetch(self)
    }
}

impl Response {
    /// One as a test makes it.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// The first value of a header, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }

    /// The body as text.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`].
    pub fn text(&self) -> Result<&str, Error> {
        std::str::from_utf8(&self.body).map_err(|_| Error::Unexpected("the body is not text".to_owned()))
    }

    /// The body as a value.
    ///
    /// # Errors
    ///
    /// [`Error::Unexpected`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // Without the value, which may be a secret.
        serde_json::from_slice(&self.body).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            Error::Unexpected(format!("the body is not what was expected, at {place}"))
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(text)
            | Self::TimedOut(text)
            | Self::Unavailable(text)
            | Self::Limited(text)
            | Self::Invalid(text)
            | Self::Unexpected(text) => out.write_str(text),
        }
    }
}

/// So that `?` works in handlers. Not itself a [`std::error::Error`], as those become a `RuntimeError`.
impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            Error::Denied(_) => Self::builtin("PermissionError", text),
            Error::TimedOut(_) => Self::builtin("TimeoutError", text),
            Error::Unavailable(_) => Self::builtin("ConnectionError", text),
            Error::Invalid(_) => Self::value_error(text),
            Error::Limited(_) | Error::Unexpected(_) => Self::builtin("RuntimeError", text),
        }
    }
}

/// Scheme, authority and path of a URL; `None` where it is none.
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "natively the test looks at the URL"))]
pub(crate) fn parts(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split('#').next()?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    Some((scheme, authority, path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Endpoint, Handler, Info, methods, testing};

    struct Fetcher;

    impl Handler for Fetcher {
        const ENDPOINTS: &'static [Endpoint] =
            &[Endpoint { namespace: None, version: "1.0", methods: methods![fetch] }];
    }

    fn fetch(_: (), _: &Info) -> Result<u32, Failure> {
        let answer = Request::post("http://a/b").header("c", "d").body("e").send()?;
        Ok(answer.json()?)
    }

    #[test]
    fn responses_are_the_tests_and_errors_are_exceptions() {
        let send = |answer: Result<Response, Error>| {
            let request = testing::Request::new("fetch", json!({})).fetching(move |request| {
                assert_eq!((request.method.as_str(), request.body.as_slice()), ("POST", b"e".as_slice()));
                assert_eq!(request.headers, [("c".to_owned(), "d".to_owned())]);
                answer.clone()
            });
            request.send::<Fetcher>().value().map_err(|failure| failure.to_string())
        };
        assert_eq!(send(Ok(Response::new(200, "7"))), Ok(json!(7)));
        for (error, expected) in [
            (Error::Denied("no".into()), "PermissionError: no"),
            (Error::TimedOut("late".into()), "TimeoutError: late"),
            (Error::Unavailable("gone".into()), "ConnectionError: gone"),
            (Error::Limited("much".into()), "RuntimeError: much"),
            (Error::Invalid("what".into()), "ValueError: what"),
        ] {
            assert_eq!(send(Err(error)), Err(expected.to_owned()));
        }
        let expected = "RuntimeError: the body is not what was expected, at line 1 column 3";
        assert_eq!(send(Ok(Response::new(200, "\"x\""))), Err(expected.to_owned()));
        let alone = testing::call::<Fetcher>("fetch", json!({})).unwrap_err();
        assert_eq!(alone.to_string(), "ConnectionError: nobody answers http://a/b");
    }

    #[test]
    fn a_url_has_three_parts() {
        for (url, expected) in [
            ("https://a.org", Some(("https", "a.org", ""))),
            ("http://a:80/b?c#d", Some(("http", "a:80", "/b?c"))),
            ("http://a?b", Some(("http", "a", "?b"))),
            ("a.org/b", None),
        ] {
            assert_eq!(parts(url), expected);
        }
        let response = Response { headers: vec![("a-b".into(), b"c".to_vec())], ..Response::new(200, vec![0xff]) };
        assert_eq!((response.header("A-B"), response.header("d")), (Some("c"), None));
        assert!(response.text().is_err());
    }
}
