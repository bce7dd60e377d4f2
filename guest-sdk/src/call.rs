//! One request on its way through a method: arguments in, the function, the result out.
//!
//! Before it: [`handler`](crate::Handler) found the method. After it: the reply's text goes back to the host.

use serde::{Deserialize, Serialize};

use crate::{Failure, Info, arguments};

/// The result as JSON text, or what the caller is told instead.
pub type Reply = Result<String, Failure>;

/// A request that waits for its function.
#[derive(Debug)]
pub struct Call<'a> {
    class: &'static str,
    info: &'a Info,
    arguments: &'a str,
}

impl<'a> Call<'a> {
    /// Pairs a request with the class name for its error messages.
    pub(crate) const fn new(class: &'static str, info: &'a Info, arguments: &'a str) -> Self {
        Self { class, info, arguments }
    }

    /// Reads the arguments, runs the function and writes its result.
    ///
    /// # Errors
    ///
    /// The function's own failure; a `TypeError` if the arguments are not the function's; `InvalidResult` if JSON
    /// cannot express the result.
    pub fn run<A, R, E>(self, function: impl FnOnce(A, &Info) -> Result<R, E>) -> Reply
    where
        A: Deserialize<'a>,
        R: Serialize,
        E: Into<Failure>,
    {
        let name = format_args!("{}.{}()", self.class, self.info.method());
        let arguments = match arguments::from_object(self.arguments) {
            Ok(arguments) => arguments,
            Err(mistake) => return Err(Failure::type_error(mistake.in_call(&name)).without_traceback()),
        };
        let result = function(arguments, self.info).map_err(Into::into)?;
        serde_json::to_string(&result).map_err(|error| {
            let message = format!("{name} returned what JSON cannot express: {error}");
            Failure::new("nova_host.errors", "InvalidResult", message).without_traceback()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn run<'a, A: Deserialize<'a>, R: Serialize, E: Into<Failure>>(
        arguments: &'a str,
        function: impl FnOnce(A, &Info) -> Result<R, E>,
    ) -> Reply {
        let info = Info::new("method".to_owned(), None, "1.0".to_owned());
        // Leaked: the call borrows from its request, which outlives this function where the host owns it.
        Call::new("Class", Box::leak(Box::new(info)), arguments).run(function)
    }

    #[derive(Deserialize)]
    struct Greet<'a> {
        name: &'a str,
    }

    #[test]
    fn arguments_can_borrow_from_the_request() {
        assert_eq!(run(r#"{"name": "Ada"}"#, |args: Greet, _| Ok::<_, Failure>(args.name.len())).unwrap(), "3");
    }

    #[test]
    fn a_standard_error_becomes_a_runtime_error() {
        let failure = run("{}", |_: (), _| "x".parse::<i32>()).unwrap_err();
        assert_eq!((failure.module(), failure.class()), ("builtins", "RuntimeError"));
        assert_eq!(failure.message(), "invalid digit found in string");
    }

    #[test]
    fn a_result_that_json_cannot_express_is_a_failure() {
        let failure = run("{}", |_: (), _| Ok::<_, Failure>(BTreeMap::from([((1, 2), 3)]))).unwrap_err();
        assert_eq!((failure.module(), failure.class()), ("nova_host.errors", "InvalidResult"));
        assert_eq!(failure.message(), "Class.method() returned what JSON cannot express: key must be a string");
    }

    #[test]
    fn numbers_outside_json_become_null() {
        assert_eq!(run("{}", |_: (), _| Ok::<_, Failure>([f64::NAN, f64::INFINITY, 0.5])).unwrap(), "[null,null,0.5]");
    }
}
