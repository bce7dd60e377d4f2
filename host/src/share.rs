//! Shares of requests, and which requests are in one.
//!
//! Used by [`crate::forward`], which keeps a share of a method's requests here, by [`crate::canary`], which gives a share to a
//! version that is tried, and by [`crate::recording`]. A request has one *place* among all, by what it belongs to: so all requests of one operation are on
//! the same side, on every host, and a share that grows keeps those that it has.

use std::{fmt, str::FromStr};

use sha2::{Digest as _, Sha256};

use crate::{envelope::Request, settings::Setting};

/// All requests, in hundredths of a per cent.
const ALL: u16 = 10_000;

/// What names a field of the context.
const CONTEXT: &str = "context.";

/// Bytes of such a name.
const MAX_FIELD: usize = 128;

/// A part of all requests, in hundredths of a per cent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

/// By what requests belong together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The request id of the context; without one, the sender's mark of the message. What has neither has a place by chance.
    #[default]
    RequestId,
    /// A field of the context, such as `project_id`; requests without it have their place by the request id.
    Context(String),
}

impl Share {
    /// All requests.
    pub const WHOLE: Self = Self(ALL);

    /// No requests.
    pub const NOTHING: Self = Self(0);

    /// Whether a request is in it. `salt` tells shares apart that are to have nothing to do with each other: with the same one, the
    /// smaller of two shares is a part of the larger.
    #[must_use]
    pub fn has(self, request: &Request, by: &By, salt: &str) -> bool {
        let id = || match by {
            By::RequestId => request.operation_id(),
            By::Context(field) => request.context.get_str(field).or_else(|| request.operation_id()),
        };
        self.has_id(id, salt)
    }

    /// The same of what belongs together by an `id`, which is asked for where it matters; what has none has a place by chance.
    #[must_use]
    pub fn has_id(self, id: impl FnOnce() -> Option<String>, salt: &str) -> bool {
        match self {
            Self::WHOLE => true,
            Self::NOTHING => false,
            Self(part) => id().map_or_else(|| fastrand::u16(..ALL), |id| place(&id, salt)) < part,
        }
    }

    /// As a part of 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(ALL)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: Option<f64> = text.strip_suffix('%').and_then(|number| number.parse().ok());
        match number {
            None => Err(format!("{text:?} is no share, such as 10%")),
            Some(number) if !(0.0..=100.0).contains(&number) => Err(format!("{text:?}: a share is from 0% to 100%")),
            Some(number) if (number * 100.0 - (number * 100.0).round()).abs() > 1e-6 => {
                Err(format!("{text:?}: a share has at most two decimals, such as 0.01%"))
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 10,000")]
            Some(number) => Ok(Self((number * 100.0).round() as u16)),
        }
    }
}

impl Setting for Share {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(CONTEXT) {
            None if text == "request-id" => Ok(Self::RequestId),
            Some(field) if !field.is_empty() && field.len() <= MAX_FIELD => Ok(Self::Context(field.to_owned())),
            _ => Err(format!(
                "{text:?} is neither request-id nor a field of the context, such as context.project_id, of at most \
                 {MAX_FIELD} bytes"
            )),
        }
    }
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestId => f.write_str("request-id"),
            Self::Context(field) => write!(f, "{CONTEXT}{field}"),
        }
    }
}

/// Where what has this id stands among all, from 0 to [`ALL`] less one.
fn place(id: &str, salt: &str) -> u16 {
    let digest = Sha256::new().chain_update(salt).chain_update(id).finalize();
    let number = digest.iter().take(8).fold(0u64, |number, byte| number << 8 | u64::from(*byte));
    u16::try_from(number % u64::from(ALL)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(context: &str) -> Request {
        let text = format!(r#"{{"method": "m", {context} "args": {{}}}}"#);
        Request::decode(text.as_bytes(), Some("application/json"), None).unwrap()
    }

    fn of(id: impl fmt::Display) -> Request {
        request(&format!(r#""_context_request_id": "req-{id}", "_context_project_id": "p-{id}","#))
    }

    fn share(text: &str) -> Share {
        text.parse().unwrap()
    }

    #[test]
    fn a_share_is_read_and_written() {
        for text in ["0%", "0.01%", "1%", "12.5%", "100%"] {
            assert_eq!(share(text).to_string(), text);
        }
        for text in
            ["", "%", "10", "10 %", "x%", "NaN%", "-1%", "100.01%", "inf%", "0.001%", "0.004%", "12.345%", "1e-3%"]
        {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        for text in ["request-id", "context.project_id"] {
            assert_eq!(text.parse::<By>().unwrap().to_string(), text);
        }
        for text in ["", "context.", "project_id", &format!("context.{}", "x".repeat(129))] {
            assert!(text.parse::<By>().is_err(), "{text}");
        }
    }

    #[test]
    fn shares_with_other_salts_have_nothing_to_do_with_each_other() {
        let tenth = share("10%");
        let requests: Vec<Request> = (0..20_000).map(of).collect();
        let forwarded = requests.iter().filter(|request| tenth.has(request, &By::RequestId, ""));
        let (forwarded, both) = forwarded.fold((0, 0), |(all, both), request| {
            (all + 1, both + usize::from(tenth.has(request, &By::RequestId, "calculator")))
        });
        assert!((1_800..2_200).contains(&forwarded), "{forwarded}");
        assert!((130..280).contains(&both), "a tenth of {forwarded}, not {both}");
    }

    #[test]
    fn requests_of_a_project_are_together_and_those_without_one_are_told_apart_by_their_id() {
        let (half, by) = (share("50%"), By::Context("project_id".to_owned()));
        let in_project = |id: u32| {
            let context = format!(r#""_context_request_id": "req-{id}", "_context_project_id": "p","#);
            half.has(&request(&context), &by, "")
        };
        assert!((0..50).all(|id| in_project(id) == in_project(0)));
        let without = |id: u32| half.has(&request(&format!(r#""_context_request_id": "req-{id}","#)), &by, "");
        assert!((0..50).any(without) && !(0..50).all(without));
        let marked = |id: u32| half.has(&request(&format!(r#""_unique_id": "{id}","#)), &by, "");
        assert!((0..50).any(marked) && (0..50).all(|id| marked(id) == marked(id)));
    }

    proptest! {
        #[test]
        fn a_share_that_grows_keeps_the_requests_that_it_has(id in "[a-z0-9-]{0,40}", small in 0..=10_000u16, large in 0..=10_000u16) {
            let (small, large) = (small.min(large), small.max(large));
            let request = of(id);
            let has = |share| Share(share).has(&request, &By::RequestId, "s");
            prop_assert!(!has(small) || has(large));
            prop_assert!(has(ALL) && !has(0));
        }
    }
}
