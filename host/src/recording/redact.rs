//! What is secret in a recording, and what stands in its place: as many letters, so that a replay goes the same way.
//!
//! Before it: a request was taped. After it: the recording is written. A value is secret by the name that it has, wherever that
//! stands (arguments, context, answers, headers, JSON within text, `name=value`), or because the manifest says so of a value of
//! its `[config]`. What was found to be secret is then taken out of every other text as well. The list errs on the safe side.

use std::borrow::Cow;

use super::{
    form::{Ended, Recording},
    text::{Token, What, decoded, encoded, rewrite},
};
use crate::{
    capability::Values,
    envelope::{Failure, Text},
};

/// In a name, in small letters, `-` as `_`.
const PARTS: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "private_key",
    "privatekey",
    "api_key",
    "apikey",
    "access_key",
    "encryption_key",
    "authorization",
    "cookie",
    "user_data",
    "injected_file",
    "personality",
    "auth_plugin",
];

/// At the end of a name.
const ENDS: [&str; 4] = ["_pass", "adminpass", "pwd", "_psk"];

/// Whole names.
const WHOLE: [&str; 4] = ["pass", "auth", "key_material", "psk"];

/// Bytes of a secret below which it is taken out only where its name stands: `nova` is a password somewhere, and in every
/// other word.
const MIN_ANYWHERE: usize = 8;

/// Bytes of a secret of the manifest below which it is not looked for, as in logs.
const MIN_CONFIG: usize = 4;

/// Bytes of a secret from which on it is taken out of names too.
const MIN_IN_NAMES: usize = 16;

/// What each letter of a secret becomes.
const STAR: &str = "*";

/// JSON within JSON within JSON is looked into this far.
const MAX_DEPTH: u32 = 4;

/// Names that hide what they name.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// The operator's own, in small letters.
    more: Vec<String>,
}

/// What is found while a recording is gone through.
#[derive(Debug, Default)]
struct Found {
    secrets: Vec<(String, String)>,
    count: u32,
}

impl Names {
    pub(super) fn new(more: &[String]) -> Self {
        Self { more: more.iter().map(|name| plain(name)).collect() }
    }

    /// Whether a value of this name is secret.
    pub(super) fn hide(&self, name: &str) -> bool {
        let name = plain(name);
        let name = name.as_str();
        PARTS.iter().any(|part| name.contains(part))
            || ENDS.iter().any(|end| name.ends_with(end))
            || WHOLE.contains(&name)
            || self.more.iter().any(|more| name == more)
    }

    /// Takes out of a recording what is secret. `config` has the secrets themselves.
    pub(super) fn redact(&self, recording: &mut Recording, config: &Values) {
        let mut found = Found::default();
        for (number, given) in recording.config.iter_mut().enumerate() {
            if given.secret || self.hide(&given.name) {
                let secret = config.get(&given.name).unwrap_or(&given.value).to_owned();
                given.value = placeholder(number, secret.len());
                given.secret = true;
                found.count += 1;
                if secret.len() >= MIN_CONFIG {
                    found.secrets.push((secret, given.value.clone()));
                }
            }
        }
        texts(recording, &mut |text| self.by_name(text, 0, &mut found));
        // The longest first: one may be a part of another.
        found.secrets.sort_unstable_by(|(one, _), (other, _)| (other.len(), other).cmp(&(one.len(), one)));
        found.secrets.dedup();
        if !found.secrets.is_empty() {
            texts(recording, &mut |text| by_value(text, &mut found));
        }
        recording.redacted = found.count;
    }

    /// Takes out what stands below a name that hides it.
    fn by_name(&self, text: &str, depth: u32, found: &mut Found) -> String {
        rewrite(text, &|name| self.hide(name), &mut |token| match token {
            Token { what: What::Name, .. } => None,
            Token { what: What::Number, is_named: true, raw } => {
                found.count += 1;
                Some(format!("1{}", "0".repeat(raw.len().saturating_sub(1))))
            }
            Token { what: What::Number, .. } => None,
            Token { what: What::Text, is_named: true, raw } => {
                let secret = decoded(raw);
                let stars = STAR.repeat(secret.len());
                found.add(&secret, &stars);
                Some(encoded(&stars))
            }
            Token { what: What::Text, raw, .. } => {
                let text = decoded(raw);
                let within = if depth < MAX_DEPTH && is_json(&text) {
                    self.by_name(&text, depth + 1, found)
                } else {
                    self.in_pairs(&text, found).into_owned()
                };
                (within != text).then(|| encoded(&within))
            }
        })
    }

    /// Takes the values out of `name=value`, as in queries and lines of a log.
    fn in_pairs<'a>(&self, text: &'a str, found: &mut Found) -> Cow<'a, str> {
        if !text.contains('=') {
            return Cow::Borrowed(text);
        }
        let ends = |letter: char| letter.is_whitespace() || "&;?,\"'".contains(letter);
        let mut out = String::with_capacity(text.len());
        for piece in text.split_inclusive(ends) {
            let (pair, end) = match piece.char_indices().next_back().filter(|(_, last)| ends(*last)) {
                Some((at, _)) => piece.split_at(at),
                None => (piece, ""),
            };
            match pair.split_once('=') {
                Some((name, value)) if !value.is_empty() && self.hide(name) => {
                    let stars = STAR.repeat(value.len());
                    found.add(value, &stars);
                    out.extend([name, "=", &stars]);
                }
                _ => out.push_str(pair),
            }
            out.push_str(end);
        }
        Cow::Owned(out)
    }
}

impl Found {
    fn add(&mut self, secret: &str, stars: &str) {
        self.count += 1;
        if secret.len() >= MIN_ANYWHERE && secret != stars {
            self.secrets.push((secret.to_owned(), stars.to_owned()));
        }
    }
}

/// Whether a recorded text is another one; where it is redacted, stars in it may stand for anything.
#[must_use]
pub fn is_like(recorded: &str, got: &str, is_redacted: bool) -> bool {
    recorded == got
        || (is_redacted
            && recorded.len() == got.len()
            && recorded.bytes().zip(got.bytes()).all(|(recorded, got)| recorded == got || recorded == b'*'))
}

/// Takes known secrets out of every text.
fn by_value(text: &str, found: &mut Found) -> String {
    let Found { secrets, count } = found;
    rewrite(text, &|_| false, &mut |token| {
        if token.what == What::Number {
            return None;
        }
        let text = decoded(token.raw);
        let mut clean = Cow::Borrowed(text.as_str());
        for (secret, stars) in secrets.iter() {
            if (token.what == What::Name && secret.len() < MIN_IN_NAMES) || secret.len() > clean.len() {
                continue;
            }
            // As it is, and as JSON within the text writes it.
            let quoted = encoded(secret);
            let quoted = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
            for form in [secret.as_str(), quoted] {
                if clean.contains(form) {
                    *count += 1;
                    clean = Cow::Owned(clean.replace(form, stars));
                }
            }
        }
        (clean != text).then(|| encoded(&clean))
    })
}

/// Each text of a recording in which there may be something.
fn texts(recording: &mut Recording, change: &mut dyn FnMut(&str) -> String) {
    let mut json = |text: &mut Text| {
        let new = change(text.get());
        if new != text.get() {
            // What is no JSON any more is nothing that may be kept.
            *text = Text::parse(new).unwrap_or_else(|_| Text::null());
        }
    };
    let Recording { request, calls, ended, .. } = recording;
    json(&mut request.arguments);
    json(&mut request.context);
    for call in calls {
        json(&mut call.asked);
        call.answer.iter_mut().for_each(&mut json);
    }
    let mut words = |text: &mut String| {
        let new = change(&encoded(text));
        *text = decoded(&new);
    };
    match ended {
        Ended::Replied(result) => {
            let new = change(result.get());
            *result = Text::parse(new).unwrap_or_else(|_| Text::null());
        }
        Ended::Failed(Failure { message, traceback, args, kwargs, .. }) => {
            words(message);
            traceback.iter_mut().for_each(&mut words);
            for text in [args, kwargs] {
                let new = change(text.get());
                *text = Text::parse(new).unwrap_or_else(|_| Text::null());
            }
        }
        Ended::Declined => {}
        Ended::Faulted { message, frames, .. } => {
            words(message);
            frames.iter_mut().for_each(words);
        }
    }
}

fn is_json(text: &str) -> bool {
    text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn plain(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace('-', "_")
}

/// What stands for a secret of the manifest: as long, and like no other.
fn placeholder(number: usize, length: usize) -> String {
    format!("#{number}").chars().cycle().take(length).collect()
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
