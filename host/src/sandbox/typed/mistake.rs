//! What is wrong with a caller's arguments, in Python's words where Python has some.
//!
//! None of the words repeats a value: it may be a password, and the message goes into logs. Names are the caller's own
//! and are cut.

use crate::{printable::printable, version::python_repr};

/// Bytes of a caller's name that are repeated.
const MAX_NAME: usize = 100;

/// A value that is not what the method takes, and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    /// From the outside in, as in `instances[0].uuid`; empty for the whole.
    path: String,
    /// What follows the name of the place, as in "must be a string".
    words: String,
}

impl Mistake {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self { path: String::new(), words: words.into() }
    }

    /// A member that the type does not have.
    pub(super) fn unexpected(name: &str) -> Self {
        Self::new(format!("has an unexpected member {}", quoted(name)))
    }

    /// Members that are not there.
    pub(super) fn missing(names: &[&str]) -> Self {
        Self::new(format!("has no {}", enumerate(names)))
    }

    /// Puts the place inside a member.
    pub(super) fn at_name(&mut self, name: &str) {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{}{dot}{}", printable(name, MAX_NAME), self.path);
    }

    /// Puts the place inside an item of a list.
    pub(super) fn at_index(&mut self, index: usize) {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{index}]{dot}{}", self.path);
    }

    /// Words it for the caller of `call`, such as `Api.add()`.
    pub(super) fn in_call(&self, call: &str) -> String {
        match self.path.as_str() {
            "" => format!("{call} arguments {}", self.words),
            path => format!("{call} argument '{path}' {}", self.words),
        }
    }

    /// Words it for who reads the log about a result.
    pub(super) fn in_result(&self) -> String {
        match self.path.as_str() {
            "" => self.words.clone(),
            path => format!("'{path}' {}", self.words),
        }
    }
}

/// Python's words for an argument that a function does not have.
pub(super) fn unexpected_argument(call: &str, name: &str) -> String {
    match name {
        // Where the reference's method has the object and the context, which no caller may give.
        "self" | "ctxt" => format!("{call} got multiple values for argument '{name}'"),
        _ => format!("{call} got an unexpected keyword argument {}", quoted(name)),
    }
}

/// Python's words for arguments that were left out.
pub(super) fn missing_arguments(call: &str, names: &[&str]) -> String {
    let plural = if names.len() == 1 { "" } else { "s" };
    format!("{call} missing {} required positional argument{plural}: {}", names.len(), enumerate(names))
}

fn quoted(name: &str) -> String {
    python_repr(&name.chars().take(MAX_NAME).collect::<String>())
}

/// Lists names as Python does: `'a'`, `'a' and 'b'`, `'a', 'b', and 'c'`.
pub(super) fn enumerate(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("'{one}'"),
        [one, two] => format!("'{one}' and '{two}'"),
        [first @ .., last] => {
            let first: String = first.iter().map(|name| format!("'{name}', ")).collect();
            format!("{first}and '{last}'")
        }
    }
}
