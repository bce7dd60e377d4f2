//! What a rule says: who answers, and what becomes of a request whose handler fails.
//!
//! Before it: text, of the configuration or of the command line. After it: [`super::Forwarding`] decides by it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{settings::Setting, share::Share};

/// What is expected.
const EXPECTED: &str = "is no rule: expected serve, forward, or a share such as serve 10%";

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A handler: this share of all requests. The others go on.
    Serve {
        /// The share.
        share: Share,
    },
    /// The fallback.
    Forward,
}

impl FromStr for Side {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} {EXPECTED}");
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            ["forward"] => Ok(Self::Forward),
            ["serve"] => Ok(Self::Serve { share: Share::WHOLE }),
            ["serve", share] => {
                let share = share.parse().map_err(|error| format!("{}: {error}", wrong()))?;
                Ok(Self::Serve { share })
            }
            _ => Err(wrong()),
        }
    }
}

impl Setting for Side {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forward => f.write_str("forward"),
            Self::Serve { share: Share::WHOLE } => f.write_str("serve"),
            Self::Serve { share } => write!(f, "serve {share}"),
        }
    }
}

/// What becomes of a request whose handler traps or does not end in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Its caller is told.
    Refuse,
    /// It goes on, and so may run twice.
    Forward,
}

impl FromStr for OnFailure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "forward" => Ok(Self::Forward),
            _ => Err(format!("{text:?} is neither \"forward\", for methods that may run twice, nor \"refuse\"")),
        }
    }
}

impl Setting for OnFailure {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for OnFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "refuse",
            Self::Forward => "forward",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rules_are_read_and_written() {
        for text in ["serve", "forward", "serve 10%", "serve 0.5%", "serve 0%", "serve 99.99%"] {
            assert_eq!(text.parse::<Side>().unwrap().to_string(), text);
        }
        assert_eq!("serve  100%".parse::<Side>().unwrap().to_string(), "serve");
        for text in ["forward", "refuse"] {
            assert_eq!(text.parse::<OnFailure>().unwrap().to_string(), text);
        }
        assert!("serve".parse::<OnFailure>().unwrap_err().contains("neither"));
    }

    #[test]
    fn what_is_no_rule_is_said() {
        for text in ["", "Serve", "serve 10", "serve %", "serve 10 %", "forward 10%", "x"] {
            assert!(text.parse::<Side>().unwrap_err().contains("expected serve, forward"), "{text}");
        }
        for text in ["serve 101%", "serve -1%", "serve NaN%", "serve inf%"] {
            assert!(text.parse::<Side>().unwrap_err().contains("from 0% to 100%"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".{0,40}") {
            text.parse::<Side>().ok();
        }
    }
}
