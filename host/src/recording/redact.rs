//! What is secret in a recording, and what stands in its place: as many letters, so that a replay goes the same way.
//!
//! Before it: a request was taped. After it: the recording is written. A value is secret by the name that it has, wherever that
//! stands (arguments, context, answers, headers, JSON within text, `name=value`), or because the manifest says so of a value of
//! its `[config]`. What was found to be secret is then taken out of every other text as well. The list errs on the safe side.

mod bodies;
mod loose;
mod names;
mod secrets;
mod shape;

use std::borrow::Cow;

pub use names::Names;
use secrets::{MIN_ANYWHERE, Secrets, TooMany};

use super::{
    blob,
    form::{Ended, Recording},
    text::{Token, What, decoded, encoded, rewrite},
};
use crate::{
    capability::Values,
    envelope::{Failure, Text},
};

/// Bytes of a secret of the manifest below which it is not looked for, as in logs.
const MIN_CONFIG: usize = 4;

/// JSON within JSON within JSON is looked into this far.
const MAX_DEPTH: u32 = 8;

/// Bytes of a name below a secret one from which on it may be a secret itself.
const MIN_KEY: usize = 16;

/// What is found while a recording is gone through.
#[derive(Debug, Default)]
struct Found {
    secrets: Vec<(Vec<u8>, Vec<u8>)>,
    count: u32,
}

impl Names {
    /// Takes out of a recording what is secret. `config` has the secrets themselves.
    ///
    /// # Errors
    ///
    /// [`TooMany`]: then it may not be kept.
    pub(super) fn redact(&self, recording: &mut Recording, config: &Values) -> Result<(), TooMany> {
        let mut found = Found::default();
        for (number, given) in recording.config.iter_mut().enumerate() {
            if given.secret || self.hide(&given.name) {
                let secret = config.get(&given.name).unwrap_or(&given.value).to_owned();
                given.value = placeholder(number, secret.len());
                given.secret = true;
                found.count += 1;
                if secret.len() >= MIN_CONFIG {
                    found.secrets.push((secret.into_bytes(), given.value.clone().into_bytes()));
                }
            }
        }
        self.state(recording, &mut found);
        bodies::change(recording, &mut |bytes| {
            bodies::as_text(bytes, &mut |text| self.in_pairs(text, &mut found).into_owned())
        });
        texts(recording, &mut |text| self.by_name(text, 0, &mut found));
        let secrets = Secrets::new(&found.secrets)?;
        if !secrets.are_none() {
            bodies::change(recording, &mut |bytes| match secrets.taken_out(bytes, false, true) {
                Some((clean, places)) => {
                    found.count = found.count.saturating_add(places);
                    clean
                }
                None => bytes.to_vec(),
            });
            texts(recording, &mut |text| by_value(text, &secrets, &mut found.count));
        }
        recording.redacted = found.count;
        Ok(())
    }

    /// Takes out what a handler was told of its state under a key that names a secret.
    fn state(&self, recording: &mut Recording, found: &mut Found) {
        for call in recording.calls.iter_mut().filter(|call| call.import.starts_with("nova:rpc/keyvalue.")) {
            let asked: serde_json::Value = serde_json::from_str(call.asked.get()).unwrap_or_default();
            if asked.get("key").and_then(|key| key.as_str()).is_some_and(|key| self.hide(key))
                && let Some(answer) = &mut call.answer
            {
                let new = self.below(answer.get(), &|name| name == "Ok", 0, found);
                *answer = Text::parse(new).unwrap_or_else(|_| Text::null());
            }
        }
    }

    /// Takes out what stands below a name that hides it.
    fn by_name(&self, text: &str, depth: u32, found: &mut Found) -> String {
        self.below(text, &|name| self.hide(name), depth, found)
    }

    /// The same with other names.
    fn below(&self, text: &str, hide: &dyn Fn(&str) -> bool, depth: u32, found: &mut Found) -> String {
        rewrite(text, hide, &mut |token| match token {
            Token { what: What::Name, is_below: true, raw, .. } => {
                let name = decoded(raw);
                looks_like_a_key(&name).then(|| {
                    let stars = shape::stand_in(&name);
                    found.add(&name, &stars);
                    encoded(&stars)
                })
            }
            Token { what: What::Name, .. } => None,
            Token { what: What::Number, is_named: true, raw, .. } => {
                let stand_in = shape::number(raw);
                found.add(raw, &stand_in);
                Some(stand_in)
            }
            Token { what: What::Number, .. } => None,
            Token { what: What::Text, is_named: true, raw, .. } => {
                let secret = decoded(raw);
                if let Some(bytes) = blob::of_text(&secret) {
                    let stars = "*".repeat(bytes.len());
                    found.add_bytes(&bytes, &stars);
                    return Some(encoded(&stars));
                }
                let stars = shape::stand_in(&secret);
                found.add(&secret, &stars);
                Some(encoded(&stars))
            }
            Token { what: What::Text, raw, .. } => {
                let text = decoded(raw);
                if let Some(bytes) = blob::of_text(&text) {
                    let clean = bodies::as_text(&bytes, &mut |text| self.in_pairs(text, found).into_owned());
                    return (clean != bytes).then(|| encoded(&blob::as_base64(&clean)));
                }
                let within = if depth < MAX_DEPTH && is_json(&text) {
                    self.by_name(&text, depth + 1, found)
                } else {
                    self.in_pairs(&text, found).into_owned()
                };
                (within != text).then(|| encoded(&within))
            }
        })
    }

    /// Takes the values out of text that is no JSON, as in queries and lines of a log.
    fn in_pairs<'a>(&self, text: &'a str, found: &mut Found) -> Cow<'a, str> {
        let places = loose::places(text, self);
        if places.is_empty() {
            return Cow::Borrowed(text);
        }
        let (mut out, mut done) = (String::with_capacity(text.len()), 0);
        for place in places {
            let value = text.get(place.clone()).unwrap_or_default();
            let stars = shape::stand_in(value);
            found.add(value, &stars);
            out.push_str(text.get(done..place.start).unwrap_or_default());
            out.push_str(&stars);
            done = place.end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }
}

impl Found {
    fn add(&mut self, secret: &str, stars: &str) {
        self.add_bytes(secret.as_bytes(), stars);
    }

    fn add_bytes(&mut self, secret: &[u8], stars: &str) {
        self.count += 1;
        if secret.len() >= MIN_ANYWHERE && secret != stars.as_bytes() {
            self.secrets.push((secret.into(), stars.into()));
        }
    }
}

/// Whether a recorded text is another one; where it is redacted, what stands for a secret may stand for anything.
#[must_use]
pub fn is_like(recorded: &str, got: &str, is_redacted: bool) -> bool {
    recorded == got
        || (is_redacted
            && recorded.len() == got.len()
            && shape::stand_ins(recorded)
                .into_iter()
                .zip(recorded.bytes().zip(got.bytes()))
                .all(|(stands_in, (recorded, got))| stands_in || recorded == got))
}

/// Takes known secrets out of every text.
fn by_value(text: &str, secrets: &Secrets, count: &mut u32) -> String {
    by_value_at(text, 0, secrets, count)
}

fn by_value_at(text: &str, depth: u32, secrets: &Secrets, count: &mut u32) -> String {
    rewrite(text, &|_| false, &mut |token| {
        if token.what == What::Number {
            let (_, places) = secrets.taken_out(token.raw.as_bytes(), false, true)?;
            *count = count.saturating_add(places);
            return Some(shape::number(token.raw));
        }
        let text = decoded(token.raw);
        if let Some(bytes) = blob::of_text(&text) {
            let (clean, places) = secrets.taken_out(&bytes, false, true)?;
            *count = count.saturating_add(places);
            return Some(encoded(&blob::as_base64(&clean)));
        }
        let mut clean = text.clone();
        // Each text within, however its letters are escaped; then what is left of it.
        if token.what == What::Text && depth < MAX_DEPTH && is_json(&clean) {
            clean = by_value_at(&clean, depth + 1, secrets, count);
        }
        if let Some((bytes, places)) = secrets.taken_out(clean.as_bytes(), token.what == What::Name, false) {
            *count = count.saturating_add(places);
            clean = String::from_utf8_lossy(&bytes).into_owned();
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

/// Whether a name below a secret one is a secret itself, as an access key is: long, and with digits.
fn looks_like_a_key(name: &str) -> bool {
    name.len() >= MIN_KEY && name.bytes().any(|byte| byte.is_ascii_digit())
}

fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with(['{', '[']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// What stands for a secret of the manifest: as long, and like no other.
fn placeholder(number: usize, length: usize) -> String {
    format!("#{number}").chars().cycle().take(length).collect()
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
