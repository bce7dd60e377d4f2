//! What an operator wants of a shadow.
//!
//! Before it: text, of the command line or of a request. After it: requests are chosen and compared by it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    replay::paths::Ignored,
    share::{By, Share},
};

/// The share of requests, where none is named.
pub const SHARE: &str = "10%";

/// The most requests after which a shadow ends by itself.
const MOST_UNTIL: u64 = 10_000_000;

/// A shadow as it is asked for, in text. What is absent is as usual.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wishes {
    /// The share of requests that are compared: `10%`.
    #[serde(default)]
    pub share: Option<String>,
    /// By what requests are told apart: `request-id`, or a field of the context such as `context.project_id`.
    #[serde(default)]
    pub by: Option<String>,
    /// Whether the version that serves is run again as well, with other clocks and random numbers, and what differs from itself is ignored.
    #[serde(default)]
    pub noise: bool,
    /// Paths of results that may differ: JSON pointers, with `*` for one part and `**` for any number of them.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// After so many compared requests it ends by itself.
    #[serde(default)]
    pub until: Option<u64>,
}

/// What an operator wants of a shadow.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// The share of requests that are compared.
    pub share: Share,
    /// By what requests are told apart.
    pub by: By,
    /// Whether what differs from itself is ignored.
    pub noise: bool,
    /// Paths that may differ.
    pub ignored: Ignored,
    /// The same as they were written.
    pub ignore: Vec<String>,
    /// After so many compared requests it ends by itself.
    pub until: Option<u64>,
}

impl Policy {
    /// Reads what is wished for.
    ///
    /// # Errors
    ///
    /// What is wrong, for the operator.
    pub fn read(wishes: &Wishes) -> Result<Self, String> {
        let Wishes { share, by, noise, ignore, until } = wishes;
        let named = |name: &'static str| move |error: String| format!("{name}: {error}");
        let share: Share = share.as_deref().unwrap_or(SHARE).parse().map_err(named("share"))?;
        if share == Share::NOTHING {
            return Err("share: of 0% of the requests nothing is found out".to_owned());
        }
        if let Some(until) = until.filter(|until| !(1..=MOST_UNTIL).contains(until)) {
            return Err(format!("until: {until} is not from 1 to {MOST_UNTIL}"));
        }
        Ok(Self {
            share,
            by: by.as_deref().map_or(Ok(By::RequestId), str::parse).map_err(named("by"))?,
            noise: *noise,
            ignored: Ignored::parse(ignore).map_err(named("ignore"))?,
            ignore: ignore.clone(),
            until: *until,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wished_for_is_read_and_what_is_wrong_is_named() {
        let policy = Policy::read(&Wishes::default()).unwrap();
        assert_eq!((policy.share.to_string().as_str(), policy.by, policy.noise), ("10%", By::RequestId, false));
        let wrong = |wishes: Wishes| Policy::read(&wishes).unwrap_err();
        let some = |text: &str| Some(text.to_owned());
        assert!(wrong(Wishes { share: some("0%"), ..Wishes::default() }).starts_with("share: "));
        assert!(wrong(Wishes { share: some("10"), ..Wishes::default() }).starts_with("share: "));
        assert!(wrong(Wishes { by: some("user"), ..Wishes::default() }).starts_with("by: "));
        assert!(wrong(Wishes { until: Some(0), ..Wishes::default() }).starts_with("until: "));
        let ignore = vec!["a.b".to_owned()];
        assert!(wrong(Wishes { ignore, ..Wishes::default() }).starts_with("ignore: "));
    }
}
