//! The section `record`: which requests are recorded, and how much of that is kept.
//!
//! Before it: [`crate::config`]. After it: [`super::Keeper`].

use std::{path::PathBuf, time::Duration};

use crate::{
    settings::{Bytes, Setting, Settings},
    share::Share,
};

/// Bytes of all recordings: some ten thousand of small requests.
const DEFAULT_BYTES: Bytes = Bytes(256 << 20);

/// Recordings in a second: what a disk takes without anybody noticing, and enough of a failure that happens to all requests.
const DEFAULT_PER_SECOND: u32 = 20;

/// Bytes that are taped of one request, before they are compressed.
const DEFAULT_REQUEST: Bytes = Bytes(4 << 20);

/// Stands for every method.
const ANY: &str = "*";

/// Which requests are recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where recordings are kept.
    pub directory: PathBuf,
    /// Methods whose every request is recorded.
    pub methods: Vec<String>,
    /// Endings that are recorded.
    pub outcomes: Outcomes,
    /// The part of all other requests that is recorded.
    pub share: Share,
    /// Bytes of all recordings; the oldest go first.
    pub bytes: Bytes,
    /// Recordings in a second.
    pub per_second: u32,
    /// Bytes that are taped of one request.
    pub request: Bytes,
    /// Names of values that are secret, beside those that always are.
    pub redact: Vec<String>,
}

/// Endings that are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Whatever is no result.
    pub failures: bool,
    /// Requests that took longer than this.
    pub slow: Option<Duration>,
}

impl Config {
    /// Takes the settings; `None` where no directory is named, and nothing is recorded.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let directory = settings.take_optional::<PathBuf>("record.directory");
        let methods = settings.take_optional::<Vec<String>>("record.methods").unwrap_or_default();
        let outcomes = settings.take("record.outcomes", Outcomes::default());
        let share = settings.take_optional::<Share>("record.share");
        let is_switched_off = share.is_some();
        let share = share.unwrap_or_default();
        let bytes = settings.take_within("record.bytes", DEFAULT_BYTES, Bytes(1 << 20)..=Bytes(1 << 40));
        let per_second = settings.take_within("record.per_second", DEFAULT_PER_SECOND, 1..=100_000);
        let request = settings.take_within("record.request_bytes", DEFAULT_REQUEST, Bytes(1 << 10)..=Bytes(32 << 20));
        let redact = settings.take_optional::<Vec<String>>("record.redact").unwrap_or_default();
        let is_asked_for = !methods.is_empty() || outcomes != Outcomes::default() || share != Share::NOTHING;
        let directory = match directory {
            Some(directory) if is_asked_for || is_switched_off => directory,
            Some(_) => {
                let nothing = "nothing is recorded there: say what with record.methods, record.outcomes or record.share, or \
                               that nothing is, and what is there is kept, with record.share = \"0%\"";
                settings.problem("record.directory", nothing);
                return None;
            }
            None if is_asked_for => {
                settings.problem("record.directory", "is missing: say where recordings are kept");
                return None;
            }
            None => return None,
        };
        Some(Self { directory, methods, outcomes, share, bytes, per_second, request, redact })
    }

    /// Whether anything is recorded; otherwise the directory is only one to look into.
    #[must_use]
    pub fn records(&self) -> bool {
        !self.methods.is_empty() || self.outcomes.are_any() || self.share != Share::NOTHING
    }

    /// Whether every request of a method is recorded.
    #[must_use]
    pub fn names(&self, method: &str) -> bool {
        self.methods.iter().any(|name| name == method || name == ANY)
    }
}

impl Outcomes {
    /// Whether which requests these are is known only at their end.
    #[must_use]
    pub fn are_any(self) -> bool {
        self != Self::default()
    }
}

impl Setting for Outcomes {
    /// `failures`, `slow > 500ms`, or both.
    fn parse(text: &str) -> Result<Self, String> {
        let mut outcomes = Self::default();
        for word in Vec::<String>::parse(text)? {
            if word == "failures" {
                outcomes.failures = true;
            } else if let Some(("slow", than)) = word.split_once('>').map(|(slow, than)| (slow.trim(), than)) {
                outcomes.slow = Some(Duration::parse(than.trim())?);
            } else {
                return Err(format!("{word:?} is neither \"failures\" nor \"slow > 500ms\""));
            }
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Config>, Vec<String>> {
        let mut settings = Settings::default();
        settings.add_file(text).unwrap();
        let config = Config::read(&mut settings);
        settings.finish().map(|_| config).map_err(|problems| problems.0)
    }

    #[test]
    fn nothing_is_recorded_unless_a_place_and_a_choice_are_named() {
        assert_eq!(read(""), Ok(None));
        assert!(read("record.share = \"10%\"").unwrap_err()[0].starts_with("record.directory: is missing"));
        assert!(read("record.directory = \"/r\"").unwrap_err()[0].contains("nothing is recorded there"));
        let text = "[record]\ndirectory = \"/r\"\noutcomes = [\"failures\", \"slow > 500ms\"]\nmethods = [\"a\"]";
        // Switched off, so that what is there can be looked at.
        let off = read("record.directory = \"/r\"\nrecord.share = \"0%\"").unwrap().unwrap();
        assert!(!off.records() && read("record.share = \"0%\"") == Ok(None));
        let config = read(text).unwrap().unwrap();
        assert!(config.records());
        assert_eq!(config.outcomes, Outcomes { failures: true, slow: Some(Duration::from_millis(500)) });
        assert!(config.names("a") && !config.names("b"));
        let wrong = read("record.directory = \"/r\"\nrecord.outcomes = [\"fast\"]").unwrap_err();
        assert_eq!(wrong[0], "record.outcomes: \"fast\" is neither \"failures\" nor \"slow > 500ms\"");
    }
}
