//! What is wrong with a value, and the words for it.
//!
//! None of the words repeats the value: it may be a password, and the message goes into logs.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

/// A value that is not what the method takes, and where it is.
#[derive(Debug)]
pub(crate) struct Mistake {
    /// From the outside in, as in `instances[0].uuid`; empty for the whole.
    path: String,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    /// A name that is not known.
    Unexpected(String),
    /// Names that must be there and are not.
    Missing(Vec<&'static str>),
    /// Ready words that follow the place, as in "must be a string".
    Wrong(String),
    /// What the type itself has to say.
    Refused(String),
}

impl Mistake {
    fn new(problem: Problem) -> Self {
        Self { path: String::new(), problem }
    }

    /// Makes one of words that follow the name of the place.
    pub(super) fn wrong(words: impl Into<String>) -> Self {
        Self::new(Problem::Wrong(words.into()))
    }

    /// Makes one of an unknown name.
    pub(super) fn unexpected(name: &str) -> Self {
        Self::new(Problem::Unexpected(name.to_owned()))
    }

    /// Makes one of all the arguments that were left out.
    pub(super) fn missing(names: Vec<&'static str>) -> Self {
        Self::new(Problem::Missing(names))
    }

    /// Returns the argument that was left out, if that is the problem.
    pub(super) fn missing_name(&self) -> Option<&'static str> {
        match &self.problem {
            Problem::Missing(names) if self.path.is_empty() => names.first().copied(),
            _ => None,
        }
    }

    /// Puts the place inside a member.
    pub(super) fn at_name(mut self, name: &str) -> Self {
        self.path = join(name, &self.path);
        self
    }

    /// Puts the place inside an item of a list.
    pub(super) fn at_index(mut self, index: usize) -> Self {
        self.path = join(&format!("[{index}]"), &self.path);
        self
    }

    /// Words it for the caller of `call`, such as `Calculator.add()`; as Python does, where Python has words for it.
    pub(crate) fn in_call(&self, call: &impl Display) -> String {
        match &self.problem {
            Problem::Unexpected(name) if self.path.is_empty() => match name.as_str() {
                // Where the reference's method has the object and the context, which no caller may give.
                "self" | "ctxt" => format!("{call} got multiple values for argument '{name}'"),
                _ => format!("{call} got an unexpected keyword argument '{name}'"),
            },
            Problem::Missing(names) if self.path.is_empty() => {
                let plural = if names.len() == 1 { "" } else { "s" };
                format!("{call} missing {} required positional argument{plural}: {}", names.len(), enumerate(names))
            }
            problem if self.path.is_empty() => format!("{call} arguments {problem}"),
            problem => format!("{call} argument '{}' {problem}", self.path),
        }
    }

    /// Words it for a handler that reads the request context, or one entry of it.
    pub(crate) fn in_context(&self, entry: Option<&str>) -> String {
        match entry {
            Some(entry) => format!("context entry '{}' {}", join(entry, &self.path), self.problem),
            None if self.path.is_empty() => format!("context {}", self.problem),
            None => format!("context entry '{}' {}", self.path, self.problem),
        }
    }
}

/// Puts a path inside another: `a` and `b[1]` make `a.b[1]`, `a` and `[1]` make `a[1]`.
fn join(outer: &str, inner: &str) -> String {
    let dot = if inner.is_empty() || inner.starts_with('[') { "" } else { "." };
    format!("{outer}{dot}{inner}")
}

/// Lists names as Python does: `'a'`, `'a' and 'b'`, `'a', 'b', and 'c'`.
fn enumerate(names: &[&str]) -> String {
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

/// Follows the name of the place.
impl Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unexpected(name) => write!(out, "has an unexpected member '{name}'"),
            Self::Missing(names) => write!(out, "has no {}", enumerate(names)),
            Self::Wrong(words) => out.write_str(words),
            Self::Refused(reason) => write!(out, "was refused: {reason}"),
        }
    }
}

/// serde's words for what it wants, in those of JSON.
fn wanted(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        words if is_integer_type(words) => "an integer".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        words if words.starts_with("struct ") => "an object".to_owned(),
        _ => words,
    }
}

fn is_integer_type(words: &str) -> bool {
    matches!(words, "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize")
}

/// The kind of a value, without the value.
fn kind(unexpected: Unexpected<'_>) -> &str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
        Unexpected::Float(_) => "a float",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "a string",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        Unexpected::Other(kind) => kind,
        _ => "a value of another kind",
    }
}

impl de::Error for Mistake {
    fn custom<T: Display>(reason: T) -> Self {
        Self::new(Problem::Refused(reason.to_string()))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::wrong(format!("must be {}, not {}", wanted(expected), kind(unexpected)))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let type_name = expected.to_string();
        if is_integer_type(&type_name) {
            return Self::wrong(format!("does not fit {type_name}"));
        }
        Self::wrong(format!("must be {type_name}, and this is {} that is not", kind(unexpected)))
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::wrong(format!("must be {expected}, not of length {length}"))
    }

    fn unknown_variant(_variant: &str, known: &'static [&'static str]) -> Self {
        let known: Vec<String> = known.iter().map(|name| format!("'{name}'")).collect();
        Self::wrong(format!("must be one of {}", known.join(", ")))
    }

    fn unknown_field(name: &str, _known: &'static [&'static str]) -> Self {
        Self::unexpected(name)
    }

    fn missing_field(name: &'static str) -> Self {
        Self::missing(vec![name])
    }

    fn duplicate_field(name: &'static str) -> Self {
        Self::wrong(format!("has '{name}' twice"))
    }
}

/// For a person who debugs; callers read [`Mistake::in_call`].
impl Display for Mistake {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "'{}' {}", self.path, self.problem)
    }
}

impl std::error::Error for Mistake {}
