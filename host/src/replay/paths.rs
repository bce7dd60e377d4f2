//! Where two results differ, by path: `(expected, got, paths that may differ) → changes`.
//!
//! Before it: two runs have ended alike. After it: who compares them tells the paths. A path is a JSON pointer (RFC 6901). Values are
//! compared, not text: the order of an object's entries and spaces say nothing, and `1` is not `1.0`, as in Python.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{printable::printable, recording::is_like};

/// Changes that are told; more say nothing more.
const MAX_CHANGES: usize = 32;

/// Levels of arrays and objects that are walked; what lies deeper is compared as text. Each level is read once more, so that this bounds
/// the time.
const MAX_DEPTH: usize = 64;

/// Bytes of a value in a change.
const MAX_SHOWN: usize = 120;

/// Bytes of a path in a change.
const MAX_PATH: usize = 300;

/// Paths that may be ignored.
const MAX_IGNORED: usize = 256;

/// Paths whose values may differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored(Vec<Vec<Step>>);

/// A part of such a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// This entry.
    Name(String),
    /// `*`: any one.
    Any,
    /// `**`: any number of them.
    AnyDepth,
}

/// A value that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where: a JSON pointer, `""` for the whole.
    pub path: String,
    /// What was there; `None` where nothing was.
    pub expected: Option<String>,
    /// What is there; `None` where nothing is.
    pub got: Option<String>,
}

impl Ignored {
    /// Reads JSON pointers in which `*` stands for any one name or position, and `**` for any number of them.
    ///
    /// # Errors
    ///
    /// Which one is no path, or that there are more than 256.
    pub fn parse<P: AsRef<str>>(paths: &[P]) -> Result<Self, String> {
        if paths.len() > MAX_IGNORED {
            return Err(format!("{} paths, and there may be {MAX_IGNORED}", paths.len()));
        }
        paths.iter().map(|path| steps(path.as_ref())).collect::<Result<_, _>>().map(Self)
    }

    /// These and others.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self(self.0.iter().chain(&others.0).cloned().collect())
    }

    fn has(&self, path: &[String]) -> bool {
        self.0.iter().any(|steps| fits(steps, path))
    }
}

fn steps(path: &str) -> Result<Vec<Step>, String> {
    let shown = printable(path, MAX_PATH);
    let rest = path.strip_prefix('/').ok_or_else(|| {
        format!(
            "{shown:?} is no path in JSON: write \"/instances/*/updated_at\", or \"/**/updated_at\" for every depth"
        )
    })?;
    let parts = rest.split('/').map(|part| match part {
        "*" => Step::Any,
        "**" => Step::AnyDepth,
        name => Step::Name(name.replace("~1", "/").replace("~0", "~")),
    });
    let steps: Vec<Step> = parts.collect();
    // Each may stand for any depth, and to try them all would take the product.
    match steps.iter().filter(|step| **step == Step::AnyDepth).count() > 2 || steps.len() > MAX_DEPTH {
        true => Err(format!("{shown:?} has more than two ** or {MAX_DEPTH} parts")),
        false => Ok(steps),
    }
}

fn fits(steps: &[Step], path: &[String]) -> bool {
    match (steps.split_first(), path.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((Step::AnyDepth, after)), _) => {
            (0..=path.len()).any(|at| fits(after, path.get(at..).unwrap_or_default()))
        }
        (Some(_), None) => false,
        (Some((Step::Any, after)), Some((_, rest))) => fits(after, rest),
        (Some((Step::Name(wanted), after)), Some((name, rest))) => wanted == name && fits(after, rest),
    }
}

/// What differs, up to 32 of it. Where what was expected is redacted, what stands for a secret is like anything of its length.
#[must_use]
pub fn changes(expected: &str, got: &str, ignored: &Ignored, is_redacted: bool) -> Vec<Change> {
    let mut walk = Walk { path: Vec::new(), ignored, is_redacted, found: Vec::new() };
    walk.compare(expected.trim(), got.trim());
    walk.found
}

struct Walk<'a> {
    path: Vec<String>,
    ignored: &'a Ignored,
    is_redacted: bool,
    found: Vec<Change>,
}

/// A value, one level of it read.
enum Level<'a> {
    Object(BTreeMap<String, &'a RawValue>),
    Array(Vec<&'a RawValue>),
    Leaf,
}

impl Walk<'_> {
    fn compare(&mut self, expected: &str, got: &str) {
        if expected == got || self.found.len() >= MAX_CHANGES || self.ignored.has(&self.path) {
            return;
        }
        match (self.level(expected), self.level(got)) {
            (Level::Object(expected), Level::Object(mut got)) => {
                for (name, expected) in expected {
                    let got = got.remove(&name);
                    self.below(name, Some(expected), got);
                }
                for (name, got) in got {
                    self.below(name, None, Some(got));
                }
            }
            (Level::Array(expected), Level::Array(got)) => {
                for at in 0..expected.len().max(got.len()) {
                    self.below(at.to_string(), expected.get(at).copied(), got.get(at).copied());
                }
            }
            _ if self.is_same(expected, got) => {}
            _ => self.tell(Some(expected), Some(got)),
        }
    }

    fn below(&mut self, name: String, expected: Option<&RawValue>, got: Option<&RawValue>) {
        self.path.push(name);
        match (expected, got) {
            (Some(expected), Some(got)) => self.compare(expected.get(), got.get()),
            (expected, got) => self.tell(expected.map(RawValue::get), got.map(RawValue::get)),
        }
        self.path.pop();
    }

    fn level<'a>(&self, text: &'a str) -> Level<'a> {
        if self.path.len() >= MAX_DEPTH {
            return Level::Leaf;
        }
        let read = match text.as_bytes().first() {
            Some(b'{') => serde_json::from_str(text).ok().map(Level::Object),
            Some(b'[') => serde_json::from_str(text).ok().map(Level::Array),
            _ => None,
        };
        read.unwrap_or(Level::Leaf)
    }

    fn is_same(&self, expected: &str, got: &str) -> bool {
        is_like(expected, got, self.is_redacted) || (is_whole(expected) == is_whole(got) && is_equal(expected, got))
    }

    fn tell(&mut self, expected: Option<&str>, got: Option<&str>) {
        if self.found.len() >= MAX_CHANGES || self.ignored.has(&self.path) {
            return;
        }
        let parts = self.path.iter().map(|part| format!("/{}", part.replace('~', "~0").replace('/', "~1")));
        let shown = |text: &str| printable(text, MAX_SHOWN);
        self.found.push(Change {
            path: printable(&parts.collect::<String>(), MAX_PATH),
            expected: expected.map(shown),
            got: got.map(shown),
        });
    }
}

fn is_number(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
}

fn is_whole(text: &str) -> bool {
    is_number(text) && !text.contains(['.', 'e', 'E'])
}

/// Whether two ways of writing say the same: of a string with escapes, or of a fraction. Whole numbers have one way only.
fn is_equal(expected: &str, got: &str) -> bool {
    if is_whole(expected) {
        return false;
    }
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    read(expected).is_some_and(|expected| Some(expected) == read(got))
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() { "the whole" } else { &self.path };
        match (&self.expected, &self.got) {
            (Some(expected), Some(got)) => write!(f, "{path}: expected {expected}, got {got}"),
            (Some(expected), None) => write!(f, "{path}: expected {expected}, is not there"),
            (None, got) => write!(f, "{path}: is new, {}", got.as_deref().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;
