//! What a setting can be: text, and what is read of it.
//!
//! Before it: [`super::Settings`] has the text. After it: the stage that has asked.

use std::{fmt, path::Path, str::FromStr, time::Duration};

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Reads the text.
    ///
    /// # Errors
    ///
    /// What is expected, for the operator.
    fn parse(text: &str) -> Result<Self, String>;

    /// The file or directory that it names.
    fn path(&self) -> Option<&Path> {
        None
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Setting for $number {
            fn parse(text: &str) -> Result<Self, String> {
                <$number>::from_str(text.trim())
                    .map_err(|_| format!("{text:?} is not a whole number from {} to {}", <$number>::MIN, <$number>::MAX))
            }
        }
    )*};
}

numbers!(u16, u32, u64, i64, usize);

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        // As oslo.config reads them, in any case.
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => Ok(true),
            "false" | "0" | "off" | "no" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl Setting for std::path::PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        // Paths are shown in errors and in the log; a URL may have a password.
        if text.contains("://") {
            Err("is a URL, and must be a path".to_owned())
        } else {
            String::parse(text).map(Self::from)
        }
    }

    fn path(&self) -> Option<&Path> {
        Some(self)
    }
}

impl Setting for std::net::SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| format!("{text:?} is not an address with a port, such as \"127.0.0.1:9464\""))
    }
}

impl Setting for Vec<String> {
    fn parse(text: &str) -> Result<Self, String> {
        let items: Self = text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect();
        if items.is_empty() { Err("must name at least one".to_owned()) } else { Ok(items) }
    }
}

impl Setting for Duration {
    /// A number and its unit: `ms`, `s`, `m` or `h`.
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not a duration, such as \"500ms\", \"30s\", \"5m\" or \"1h\"");
        let (number, unit) = split_unit(text).ok_or_else(expected)?;
        let scale: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(expected()),
        };
        number.checked_mul(scale).map(Self::from_millis).ok_or_else(expected)
    }
}

/// A number of bytes, written `"64 MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub usize);

impl Setting for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not a size, such as \"512 KiB\", \"64 MiB\" or \"1 GiB\"");
        let (number, unit) = split_unit(text).ok_or_else(expected)?;
        let shift = match unit {
            "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(expected()),
        };
        let bytes = number.checked_mul(1 << shift).and_then(|bytes| usize::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(expected)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(shift, _)| self.0 > 0 && self.0.trailing_zeros() >= *shift) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} B", self.0),
        }
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Reads a duration that somebody waits for: in none at all, nothing can happen.
///
/// # Errors
///
/// As for any duration, and where it is zero.
pub fn patience(text: &str) -> Result<Duration, String> {
    match Duration::parse(text)? {
        Duration::ZERO => Err("must be more than 0: nobody answers in no time".to_owned()),
        patience => Ok(patience),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(Duration::parse("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(patience("1ms"), Ok(Duration::from_millis(1)));
        assert!(["0s", "0ms", "0 h"].iter().all(|text| patience(text).unwrap_err().contains("more than 0")));
        assert_eq!(Duration::parse("2 h"), Ok(Duration::from_secs(7200)));
        assert!(["", "5", "5 years", "-1s", "99999999999999999999s"].iter().all(|text| Duration::parse(text).is_err()));
        assert_eq!(Bytes::parse("64 MiB"), Ok(Bytes(64 << 20)));
        assert_eq!(Bytes::parse("1KiB"), Ok(Bytes(1024)));
        assert!(["64", "64 MB", "99999999999 GiB"].iter().all(|text| Bytes::parse(text).is_err()));
        assert_eq!(Bytes(64 << 20).to_string(), "64 MiB");
        assert_eq!(Bytes(1500).to_string(), "1500 B");
    }
}
