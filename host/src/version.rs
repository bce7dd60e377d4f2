//! RPC versions, by the reference's rule: same major, at most the implemented minor.
//!
//! Used by [`crate::envelope`] for the envelope's version and by [`crate::catalog`] for an endpoint's. Malformed
//! versions fail as they do in Python, and as late: only the part that decides is read.

use std::{cmp::Ordering, fmt};

/// The version of an endpoint: `MAJOR.MINOR` or `MAJOR.MINOR.REVISION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    major: u32,
    minor: u32,
    revision: u32,
}

/// Text that is not a version of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version: it takes MAJOR.MINOR, such as 1.5, or MAJOR.MINOR.REVISION")]
pub struct ParseError(String);

/// Why a caller's version cannot be compared; what Python raises, in its words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// `IndexError`: there is no minor version.
    #[error("list index out of range")]
    TooShort,
    /// `ValueError`: a part is not a number.
    #[error("invalid literal for int() with base 10: {}", python_repr(.0))]
    NotANumber(String),
}

impl Version {
    /// What a request or an endpoint without a version has.
    pub const DEFAULT: Self = Self { major: 1, minor: 0, revision: 0 };

    /// Makes a version of its parts.
    #[must_use]
    pub const fn new(major: u32, minor: u32, revision: u32) -> Self {
        Self { major, minor, revision }
    }

    /// The part that must be the same.
    #[must_use]
    pub const fn major(&self) -> u32 {
        self.major
    }

    /// What a caller asks for, as far as it decides: parts that cannot be read, or are below zero, count as zero.
    #[must_use]
    pub fn of_request(requested: &str) -> Self {
        let mut parts = requested.split('.').map(|part| {
            let number = int(part).unwrap_or_default();
            u32::try_from(number.max(0)).unwrap_or(u32::MAX)
        });
        let mut part = || parts.next().unwrap_or_default();
        Self { major: part(), minor: part(), revision: part() }
    }

    /// Whether an endpoint of this version serves a request for `requested`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the parts that decide cannot be read.
    pub fn serves(&self, requested: &str) -> Result<bool, Malformed> {
        let mut parts = requested.split('.');
        let major = int(parts.next().unwrap_or_default())?;
        if major != i64::from(self.major) {
            return Ok(false);
        }
        let minor = int(parts.next().ok_or(Malformed::TooShort)?)?;
        match minor.cmp(&i64::from(self.minor)) {
            Ordering::Greater => Ok(false),
            Ordering::Less => Ok(true),
            Ordering::Equal => Ok(int(parts.next().unwrap_or("0"))? <= i64::from(self.revision)),
        }
    }
}

impl std::str::FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let error = || ParseError(text.chars().take(40).collect());
        let number = |part: &str| -> Result<u32, ParseError> {
            if part.bytes().all(|byte| byte.is_ascii_digit()) {
                part.parse().map_err(|_| error())
            } else {
                Err(error())
            }
        };
        let parts = text.split('.').map(number).collect::<Result<Vec<_>, _>>()?;
        match *parts.as_slice() {
            [major, minor] => Ok(Self::new(major, minor, 0)),
            [major, minor, revision] => Ok(Self::new(major, minor, revision)),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.revision > 0 { write!(f, ".{}", self.revision) } else { Ok(()) }
    }
}

/// Python's `int(text)`: white space around, a sign, and single underscores between digits are fine. Numbers beyond
/// 64 bits saturate, which no comparison here can tell from the exact value.
pub(crate) fn int(text: &str) -> Result<i64, Malformed> {
    let malformed = || Malformed::NotANumber(text.chars().take(200).collect());
    let trimmed = text.trim();
    let (negative, digits) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, trimmed.get(1..).unwrap_or_default()),
        Some(b'+') => (false, trimmed.get(1..).unwrap_or_default()),
        _ => (false, trimmed),
    };
    let mut value: i64 = 0;
    for group in digits.split('_') {
        if group.is_empty() || !group.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed());
        }
        for digit in group.bytes() {
            value = value.saturating_mul(10).saturating_add(i64::from(digit - b'0'));
        }
    }
    Ok(if negative { -value } else { value })
}

/// Python's `repr` of a string, for the characters that occur in practice.
#[must_use]
pub fn python_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if u32::from(c) < 0x20 || u32::from(c) == 0x7f => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_endpoint_serves_its_major_up_to_its_minor() {
        let endpoint = Version::new(1, 5, 0);
        for served in ["1.0", "1.4", "1.5", "1.5.0", "1.5.0.9", " 1.0 ", "+1.0", "1.-1", "1.4.7", "1.0_0"] {
            assert_eq!(endpoint.serves(served), Ok(true), "{served}");
        }
        for refused in ["1.6", "1.5.1", "2.0", "0.9", "2", "2.x", "99999999999999999999.0"] {
            assert_eq!(endpoint.serves(refused), Ok(false), "{refused}");
        }
        assert_eq!(Version::new(1, 5, 2).serves("1.5.2"), Ok(true));
        assert_eq!(Version::new(1, 5, 2).serves("1.5.3"), Ok(false));
    }

    #[test]
    fn a_requests_version_is_read_as_far_as_it_decides() {
        for (text, version) in
            [("1.5", (1, 5, 0)), (" 1 .+5.2.9", (1, 5, 2)), ("1.-3", (1, 0, 0)), ("1.4.x", (1, 4, 0))]
        {
            assert_eq!(Version::of_request(text), Version::new(version.0, version.1, version.2), "{text}");
        }
    }

    #[test]
    fn malformed_versions_fail_in_pythons_words() {
        let message = |text: &str| Version::new(1, 0, 0).serves(text).unwrap_err().to_string();
        assert_eq!(message("1"), "list index out of range");
        assert_eq!(message("a.b"), "invalid literal for int() with base 10: 'a'");
        assert_eq!(message(""), "invalid literal for int() with base 10: ''");
        assert_eq!(message("1._1"), "invalid literal for int() with base 10: '_1'");
        assert_eq!(message("it's.1"), "invalid literal for int() with base 10: \"it's\"");
    }

    #[test]
    fn an_endpoints_own_version_is_strict() {
        assert_eq!("1.5".parse(), Ok(Version::new(1, 5, 0)));
        assert_eq!("1.5.2".parse(), Ok(Version::new(1, 5, 2)));
        for wrong in ["", "1", "1.", "1.5.2.1", "+1.0", "1.x", "99999999999.0"] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_compared_without_a_panic(text in ".{0,40}") {
            let _ = Version::new(1, 5, 0).serves(&text);
            let _ = text.parse::<Version>();
        }

        #[test]
        fn a_version_reads_back_as_it_was_written(major: u32, minor: u32, revision: u32) {
            let version = Version::new(major, minor, revision);
            prop_assert_eq!(version.to_string().parse(), Ok(version));
            prop_assert_eq!(version.serves(&version.to_string()), Ok(true));
        }
    }
}
