//! What is asked for, taken apart: its path, its parameters, its body.
//!
//! Before it: hyper has read the head. After it: a route has what it needs. Whatever is wrong with it is a 400 that says what.

use std::{collections::BTreeMap, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::{
    HeaderMap, StatusCode,
    body::{Body as _, Incoming},
    header::CONTENT_TYPE,
};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::{problem::Problem, who::Known};
use crate::web::{Client, PATIENCE};

/// Bytes of a body that is JSON: what an operator types.
const MAX_JSON: usize = 64 << 10;

/// What the body of a change is.
pub(super) const JSON: &str = "application/json";

/// A request whose route is known.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) client: Client,
    /// Who asks; `None` where anybody may.
    pub(super) who: Option<Known>,
    pub(super) headers: HeaderMap,
    /// By their names in the path and in the query.
    pub(super) parameters: BTreeMap<String, String>,
}

impl Asked {
    /// A parameter that the path has.
    pub(super) fn named(&self, name: &str) -> String {
        self.parameters.get(name).cloned().unwrap_or_default()
    }

    /// A parameter of the query that is read.
    pub(super) fn read<T: std::str::FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, Problem> {
        let Some(text) = self.parameters.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| Problem::bad_request(format!("the parameter {name} must be {expected}")))
    }

    /// Sees to it that the body is said to be of a type.
    pub(super) fn is_of(&self, expected: &str) -> Result<(), Problem> {
        let given = self.headers.get(CONTENT_TYPE).and_then(|given| given.to_str().ok()).unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        match essence.eq_ignore_ascii_case(expected) {
            true => Ok(()),
            false => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("the body must be {expected}: send it with Content-Type: {expected}"),
            )),
        }
    }

    /// The whole of a body that is JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, mut body: Incoming) -> Result<T, Problem> {
        self.is_of(JSON)?;
        let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the body has more than 64 KiB");
        if body.size_hint().lower() > MAX_JSON as u64 {
            return Err(too_large());
        }
        let mut whole = BytesMut::new();
        let read = async {
            while let Some(piece) = next(&mut body, PATIENCE).await? {
                if whole.len() + piece.len() > MAX_JSON {
                    return Err(too_large());
                }
                whole.extend_from_slice(&piece);
            }
            Ok(())
        };
        timeout(PATIENCE, read).await.unwrap_or_else(|_| Err(slow()))?;
        serde_json::from_slice(&whole)
            .map_err(|error| Problem::bad_request(format!("the body makes no sense: {error}")))
    }
}

/// The next piece of a body, which must come within `patience`.
pub(super) async fn next(body: &mut Incoming, patience: Duration) -> Result<Option<Bytes>, Problem> {
    loop {
        match timeout(patience, body.frame()).await {
            Err(_) => return Err(slow()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(Problem::bad_request(format!("the body cannot be read: {error}"))),
            Ok(Some(Ok(frame))) => {
                // Trailers are of no use here.
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

fn slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT, "the body does not come")
}

/// The parameters of a query.
pub(super) fn query(text: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut parameters = BTreeMap::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (unescape(&name.replace('+', " "))?, unescape(&value.replace('+', " "))?);
        if parameters.insert(name, value).is_some() {
            return Err(Problem::bad_request("a parameter is given twice"));
        }
    }
    Ok(parameters)
}

/// A segment of a path, or a part of a query, without its escapes.
pub(super) fn unescape(text: &str) -> Result<String, Problem> {
    let wrong = || Problem::bad_request("the path or the query has an escape that is none, or is not UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2).ok_or_else(wrong)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.chars().all(|c| c.is_ascii_hexdigit()));
        bytes.push(u8::from_str_radix(digits.ok_or_else(wrong)?, 16).map_err(|_| wrong())?);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once_and_nonsense_is_refused() {
        assert_eq!(unescape("a%20b%2Fc%252F").unwrap(), "a b/c%2F");
        assert!(["%", "%2", "%zz", "%+1", "%ff"].iter().all(|text| unescape(text).is_err()));
        let all = query("name=a+b&force=true&&x").unwrap();
        let expected = [("force", "true"), ("name", "a b"), ("x", "")].map(|(name, value)| (name.into(), value.into()));
        assert_eq!(all, expected.into());
        assert!(query("a=1&a=2").is_err() && query("a=%").is_err());
    }
}
