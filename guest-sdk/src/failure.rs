//! What a caller is told when a method cannot do what it was asked: a remote exception.
//!
//! A Python client rebuilds the exception as `Class(*args, **kwargs)` if it may import the module; `builtins` it always
//! may. Otherwise it raises `RemoteError` with the class and the message.

use std::{error::Error, fmt, panic::Location};

use serde_json::{Map, Value};

/// An error for the caller.
///
/// ```
/// use nova_guest::Failure;
///
/// let failure = Failure::new("nova.exception", "InstanceNotFound", "Instance i-7 could not be found.")
///     .kwarg("instance_id", "i-7")
///     .kwarg("code", 404);
/// assert_eq!(failure.args(), ["Instance i-7 could not be found."]);
/// ```
#[derive(Clone, Debug, PartialEq)]
// Boxed: a method's `Result` should not be as large as its rarest case.
pub struct Failure(Box<Parts>);

#[derive(Clone, Debug, PartialEq)]
struct Parts {
    class: String,
    module: String,
    message: String,
    args: Vec<Value>,
    kwargs: Map<String, Value>,
    traceback: Vec<String>,
}

impl Failure {
    /// Makes an exception of any class. Its only positional argument is the message.
    #[must_use]
    #[track_caller]
    pub fn new(module: impl Into<String>, class: impl Into<String>, message: impl Into<String>) -> Self {
        Self::at(Location::caller(), module.into(), class.into(), message.into())
    }

    // Not generic, so that a component has it once.
    fn at(location: &Location<'_>, module: String, class: String, message: String) -> Self {
        let traceback = vec![format!("File \"{}\", line {}", location.file(), location.line())];
        let args = vec![Value::from(message.as_str())];
        Self(Box::new(Parts { class, module, message, args, kwargs: Map::new(), traceback }))
    }

    /// Takes over what another service said.
    #[cfg(target_family = "wasm")]
    pub(crate) fn remote(
        class: String,
        module: String,
        message: String,
        args: Vec<Value>,
        kwargs: Map<String, Value>,
        traceback: Vec<String>,
    ) -> Self {
        Self(Box::new(Parts { class, module, message, args, kwargs, traceback }))
    }

    /// Makes one of Python's own exceptions. Give it no [`kwarg`](Self::kwarg): most of their constructors take none.
    #[must_use]
    #[track_caller]
    pub fn builtin(class: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new("builtins", class, message)
    }

    /// Makes a `ValueError`: an argument has the right type and a value that will not do.
    #[must_use]
    #[track_caller]
    pub fn value_error(message: impl Into<String>) -> Self {
        Self::builtin("ValueError", message)
    }

    /// Makes a `TypeError`: an argument has the wrong type.
    #[must_use]
    #[track_caller]
    pub fn type_error(message: impl Into<String>) -> Self {
        Self::builtin("TypeError", message)
    }

    /// Adds a keyword argument of the exception's constructor.
    #[must_use]
    pub fn kwarg(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.kwargs.insert(name.into(), value.into());
        self
    }

    /// Replaces the positional arguments of the exception's constructor.
    #[must_use]
    pub fn with_args(mut self, args: impl IntoIterator<Item = Value>) -> Self {
        self.0.args = args.into_iter().collect();
        self
    }

    /// Forgets where it was made, which is inside this crate and helps nobody.
    pub(crate) fn without_traceback(mut self) -> Self {
        self.0.traceback.clear();
        self
    }

    /// Returns the exception's class, such as `ValueError`.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.0.class
    }

    /// Returns the module of the class, such as `builtins`.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.0.module
    }

    /// Returns the line for a person.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns the positional arguments of the exception.
    #[must_use]
    pub fn args(&self) -> &[Value] {
        &self.0.args
    }

    /// Returns the keyword arguments of the exception.
    #[must_use]
    pub fn kwargs(&self) -> &Map<String, Value> {
        &self.0.kwargs
    }

    /// Returns where it was made: one line of source, as Python writes it, or nothing.
    #[must_use]
    pub fn traceback(&self) -> &[String] {
        &self.0.traceback
    }
}

/// Writes `ValueError: message`, with the module in front unless it is Python's own.
impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.module() != "builtins" {
            write!(out, "{}.", self.module())?;
        }
        write!(out, "{}: {}", self.class(), self.message())
    }
}

/// Makes a `RuntimeError` of any error, for `?`. The message is the error's and those of its sources.
///
/// `RuntimeError` is what Python raises for "none of the other categories". Since every error converts, a failure is
/// not itself a [`std::error::Error`].
impl<E: Error> From<E> for Failure {
    #[track_caller]
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            message.push_str(": ");
            message.push_str(&error.to_string());
            source = error.source();
        }
        Self::builtin("RuntimeError", message)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn by_default_the_message_is_the_only_argument() {
        let failure = Failure::value_error("no");
        assert_eq!((failure.module(), failure.class(), failure.message()), ("builtins", "ValueError", "no"));
        assert_eq!((failure.args(), failure.kwargs().len()), (&[json!("no")][..], 0));
        assert_eq!(failure.with_args([json!(1), json!(null)]).args(), [json!(1), json!(null)]);
    }

    #[test]
    fn it_says_where_it_was_made() {
        fn parse() -> Result<i32, Failure> {
            Ok("x".parse::<i32>()?)
        }
        let here = |failure: Failure, line| {
            assert_eq!(failure.traceback(), [format!("File \"{}\", line {line}", file!())]);
        };
        here(parse().unwrap_err(), line!() - 5);
        here(Failure::builtin("KeyError", "x"), line!());
    }

    #[test]
    fn a_person_reads_class_and_message() {
        assert_eq!(Failure::type_error("no").to_string(), "TypeError: no");
        assert_eq!(Failure::new("a.b", "C", "d").to_string(), "a.b.C: d");
    }
}
