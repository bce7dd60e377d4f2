//! What a caller is told when a method cannot do what it was asked: a remote exception.
//!
//! A Python client rebuilds the exception as `Class(*args, **kwargs)` if it may import the module; `builtins` it always
//! may. Otherwise it raises `RemoteError` with the class and the message.

use std::{
    error::Error,
    fmt::{self, Write as _},
    panic::Location,
};

use serde_json::{Map, Value};

use crate::imports;

/// Sources of an error that its message tells: a chain may lead back to where it began.
const MAX_SOURCES: usize = 16;

/// Bytes of a message; the rest is cut. All of a failure has to fit into `limits.result`, which is 16 MiB by default.
#[cfg(any(target_family = "wasm", test))]
const MAX_MESSAGE: usize = 2 << 20;

/// Bytes of arguments as JSON; beyond it the message stands for them.
#[cfg(any(target_family = "wasm", test))]
const MAX_ARGUMENTS: usize = 6 << 20;

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
    declined: Option<Decline>,
}

/// How the host is told that a request is left to others.
// A pointer: a component that never declines does not import it, and so runs on a host that has no such import.
#[derive(Clone, Copy, Debug)]
struct Decline(fn());

impl PartialEq for Decline {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The module of the failures with which a service says that it does not serve something.
pub(crate) const DISPATCHER: &str = "oslo_messaging.rpc.dispatcher";

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
        Self(Box::new(Parts { class, module, message, args, kwargs: Map::new(), traceback, declined: None }))
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
        Self(Box::new(Parts { class, module, message, args, kwargs, traceback, declined: None }))
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

    /// Leaves the request to others: what becomes of it is what would become of it without this handler. The service
    /// forwards it, where it forwards what nobody serves; otherwise the caller meets `NoSuchMethod`. Held effects are
    /// discarded, and what took place at once stays.
    ///
    /// ```
    /// # use nova_guest::{Failure, Info};
    /// # use serde::Deserialize;
    /// #[derive(Deserialize)]
    /// struct Action {
    ///     objmethod: String,
    /// }
    ///
    /// fn object_action(Action { objmethod }: Action, _info: &Info) -> Result<&'static str, Failure> {
    ///     if objmethod == "save" { Ok("saved") } else { Err(Failure::declined()) }
    /// }
    /// ```
    ///
    /// Nothing is declined before the method has returned it: who calls a function that declines may do otherwise.
    #[must_use]
    #[track_caller]
    pub fn declined() -> Self {
        let mut failure = Self::new(DISPATCHER, "NoSuchMethod", "the handler declines the request");
        failure.0.declined = Some(Decline(imports::decline));
        failure
    }

    /// Says whether it leaves the request to others.
    #[must_use]
    pub fn is_declined(&self) -> bool {
        self.0.declined.is_some()
    }

    /// What a method's failure comes to: the host is told of one that leaves the request to others, and the caller
    /// meets what a service says that has no such method.
    pub(crate) fn carried_out(self, method: &str) -> Self {
        let Some(Decline(tell)) = self.0.declined else { return self };
        tell();
        let mut failure = Self::no_such_method(method);
        failure.0.declined = self.0.declined;
        failure
    }

    /// What a service says that does not have a method.
    pub(crate) fn no_such_method(method: &str) -> Self {
        Self::new(DISPATCHER, "NoSuchMethod", format!("Endpoint does not support RPC method {method}"))
            .without_traceback()
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

    /// The message, arguments and keyword arguments as the host takes them: of a size that fits.
    #[cfg(any(target_family = "wasm", test))]
    pub(crate) fn told(&self) -> (&str, String, String) {
        let message = start(self.message(), MAX_MESSAGE);
        let mut args = Value::from(self.args()).to_string();
        if args.len() > MAX_ARGUMENTS {
            args = Value::from([start(message, MAX_MESSAGE / 4)].as_slice()).to_string();
        }
        let mut kwargs = Value::from(self.kwargs().clone()).to_string();
        if kwargs.len() > MAX_ARGUMENTS {
            kwargs = "{}".to_owned();
        }
        (message, args, kwargs)
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

/// The beginning of a text, as far as it has this many bytes.
#[cfg(any(target_family = "wasm", test))]
fn start(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
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
        let mut message = String::new();
        // An implementation of `Display` may fail half-way: what it has said until then is told.
        write!(message, "{error}").ok();
        let mut source = error.source();
        for _ in 0..MAX_SOURCES {
            let Some(error) = source else { break };
            write!(message, ": {error}").ok();
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
    fn an_error_that_fails_to_say_what_it_is_says_what_it_can() {
        #[derive(Debug)]
        struct Round;
        impl fmt::Display for Round {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("half")?;
                Err(fmt::Error)
            }
        }
        impl Error for Round {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self_of(self))
            }
        }
        fn self_of(_: &Round) -> &'static Round {
            &Round
        }
        let failure = Failure::from(Round);
        assert_eq!(failure.message(), vec!["half"; MAX_SOURCES + 1].join(": "));
    }

    #[test]
    fn what_would_not_fit_is_cut() {
        let small = Failure::value_error("é");
        assert_eq!(small.told(), ("é", r#"["é"]"#.to_owned(), "{}".to_owned()));
        let huge = Failure::value_error("\u{1}é".repeat(8 << 20)).kwarg("k", "k".repeat(MAX_ARGUMENTS));
        let (message, args, kwargs) = huge.told();
        assert!(message.len() <= MAX_MESSAGE && message.len() > MAX_MESSAGE - 3);
        assert!(args.len() < MAX_ARGUMENTS && kwargs == "{}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&args).unwrap()[0], start(message, MAX_MESSAGE / 4));
    }

    #[test]
    fn a_person_reads_class_and_message() {
        assert_eq!(Failure::type_error("no").to_string(), "TypeError: no");
        assert_eq!(Failure::new("a.b", "C", "d").to_string(), "a.b.C: d");
    }
}
