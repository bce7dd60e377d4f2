//! Who asks, and what they may.
//!
//! Made by the doors; [`super::operate`] decides by it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Setting;

/// What somebody may; each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Read,
    /// Change everything.
    Operate,
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who they are, as they have proved it.
    pub name: String,
    /// What they may.
    pub role: Role,
    /// Where they are, for the log.
    pub from: String,
}

impl Caller {
    /// A process of the same user, or of root.
    #[must_use]
    pub fn local(uid: Option<u32>, door: &str) -> Self {
        let name = uid.map_or_else(|| "a local user".to_owned(), |uid| format!("user {uid}"));
        Self { name, role: Role::Operate, from: door.to_owned() }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "operate" => Ok(Self::Operate),
            _ => Err(format!("{text:?} is no role: it is read, or operate for changes")),
        }
    }
}

impl Setting for Role {
    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Operate => "operate",
        })
    }
}
