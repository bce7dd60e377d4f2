//! How much more may be taken than something else takes: `1.5x`.
//!
//! Used by [`crate::canary`] and [`crate::gate`], which hold a new version against the one that serves.

use std::{fmt, str::FromStr};

use crate::settings::Setting;

/// The largest factor: beyond it, a handler's limits are what counts.
const MOST: f64 = 1000.0;

/// From 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(f64);

impl Factor {
    /// As a number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// The stricter one.
    #[must_use]
    pub fn stricter(self, other: Self) -> Self {
        Self(self.0.min(other.0))
    }
}

impl FromStr for Factor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number: Option<f64> = text.trim().strip_suffix('x').and_then(|number| number.parse().ok());
        let number = number.filter(|number| (1.0..=MOST).contains(number));
        number.map(Self).ok_or_else(|| format!("{text:?} is not a factor from 1x to {MOST}x, such as 1.5x"))
    }
}

impl Setting for Factor {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_a_number_from_one_with_an_x() {
        let read = |text: &str| text.parse::<Factor>().map(|factor| factor.to_string());
        assert_eq!(read("1.5x").as_deref(), Ok("1.5x"));
        assert_eq!(read("2x").as_deref(), Ok("2x"));
        for wrong in ["", "x", "2", "0.9x", "1001x", "NaNx", "infx", "-1x", "1.5 times"] {
            assert!(read(wrong).unwrap_err().contains("is not a factor from 1x to 1000x"), "{wrong}");
        }
    }
}
