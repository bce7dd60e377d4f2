//! Requests to other services: calls, which are answered, and casts, which are not.
//!
//! The manifest says who may be asked for what: `grants.rpc = ["scheduler.select_destinations", "compute/*"]`. The context
//! of the request that is being handled goes along. Casts are held back until the handler has succeeded, unless the
//! manifest says otherwise: a handler that fails leaves none behind.
//!
//! ```
//! use nova_guest::{Failure, Info, rpc::Target};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize)]
//! struct Select<'a> {
//!     instance_uuids: &'a [&'a str],
//! }
//!
//! #[derive(Deserialize)]
//! struct Build {
//!     uuid: String,
//! }
//!
//! fn build(Build { uuid }: Build, _info: &Info) -> Result<(), Failure> {
//!     let scheduler = Target::topic("scheduler").version("4.5");
//!     // `?` passes the scheduler's own exceptions on to the caller.
//!     let hosts: Vec<String> = scheduler.call("select_destinations", &Select { instance_uuids: &[&uuid] })?;
//!     for host in hosts {
//!         Target::topic("compute").server(host).version("6.0").cast("build", &serde_json::json!({"uuid": uuid}))?;
//!     }
//!     Ok(())
//! }
//! # use nova_guest::serde_json;
//! ```

use std::{fmt, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{Failure, imports};

/// Who is asked, and how patiently.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// A broker by its name in the service's configuration; `None` is the service's own.
    pub broker: Option<String>,
    /// The topic.
    pub topic: String,
    /// One server of the topic; `None` is any.
    pub server: Option<String>,
    /// `None` is the null namespace.
    pub namespace: Option<String>,
    /// The version that is needed; `None` is 1.0.
    pub version: Option<String>,
    /// How long a call may take; `None` is a minute.
    pub timeout: Option<Duration>,
    /// How long a call's server may be silent; `None` asks for no heartbeats.
    pub monitor: Option<Duration>,
}

/// A request to another service, as the tests of a handler see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Who is asked.
    pub target: Target,
    /// The method.
    pub method: String,
    /// The keyword arguments: JSON text.
    pub arguments: String,
    /// Whether every server of the topic is meant.
    pub fanout: bool,
}

/// Why there is no result.
///
/// `?` makes a [`Failure`] of it: the other side's own passes as it is, and the others are what oslo.messaging would raise.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The other side says so.
    Remote(Failure),
    /// No reply came in time. The request may have been handled.
    TimedOut(String),
    /// Nobody serves the target, or the broker cannot be reached.
    Unavailable(String),
    /// The manifest does not grant it, or too many requests of handlers led to this one.
    Denied(String),
    /// A limit was reached.
    Limited(String),
    /// The request makes no sense, or its arguments are not what JSON can express.
    Invalid(String),
    /// The result is not what was expected.
    Unexpected(String),
}

impl Target {
    /// Any server of a topic, in the null namespace.
    #[must_use]
    pub fn topic(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), ..Self::default() }
    }

    /// One server of the topic.
    #[must_use]
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// Another broker, by its name in the service's configuration.
    #[must_use]
    pub fn broker(mut self, broker: impl Into<String>) -> Self {
        self.broker = Some(broker.into());
        self
    }

    /// A namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// The version that is needed, `MAJOR.MINOR`.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// How long a call may take: a minute unless said otherwise, and never longer than the handler itself.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Asks a call's server for heartbeats, and gives it up when none comes for so long.
    #[must_use]
    pub fn monitor(mut self, silence: Duration) -> Self {
        self.monitor = Some(silence);
        self
    }

    /// Calls, and waits for the result.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn call<R: DeserializeOwned>(&self, method: &str, arguments: &impl Serialize) -> Result<R, Error> {
        let request = self.request(method, arguments, false)?;
        read(method, imports::call(request))
    }

    /// Calls each target with its arguments, all at once, and waits for all results.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where arguments are not what JSON can express; nothing is called then. Otherwise each call has
    /// its own.
    pub fn call_many<'a, A: Serialize + 'a, R: DeserializeOwned>(
        method: &str,
        calls: impl IntoIterator<Item = (&'a Self, &'a A)>,
    ) -> Result<Vec<Result<R, Error>>, Error> {
        let requests = calls.into_iter().map(|(target, arguments)| target.request(method, arguments, false));
        let results = imports::call_many(requests.collect::<Result<_, _>>()?);
        Ok(results.into_iter().map(|result| read(method, result)).collect())
    }

    /// Casts: nobody waits for a result.
    ///
    /// # Errors
    ///
    /// [`Error`]; while casts are held, only what is wrong with the request.
    pub fn cast(&self, method: &str, arguments: &impl Serialize) -> Result<(), Error> {
        imports::cast(self.request(method, arguments, false)?)
    }

    /// Casts to every server of the topic.
    ///
    /// # Errors
    ///
    /// As [`Target::cast`].
    pub fn fanout(&self, method: &str, arguments: &impl Serialize) -> Result<(), Error> {
        imports::cast(self.request(method, arguments, true)?)
    }

    fn request(&self, method: &str, arguments: &impl Serialize, fanout: bool) -> Result<Request, Error> {
        // As for a function without parameters, `()` stands for no arguments.
        let text = serde_json::to_string(arguments).map(|text| if text == "null" { "{}".to_owned() } else { text });
        let arguments =
            text.map_err(|error| Error::Invalid(format!("JSON cannot express the arguments of {method}: {error}")))?;
        Ok(Request { target: self.clone(), method: method.to_owned(), arguments, fanout })
    }
}

fn read<R: DeserializeOwned>(method: &str, result: Result<String, Error>) -> Result<R, Error> {
    // Without the value, which may be a secret.
    serde_json::from_str(&result?).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        Error::Unexpected(format!("the result of {method} is not what was expected, at {place}"))
    })
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remote(failure) => failure.fmt(out),
            Self::TimedOut(text)
            | Self::Unavailable(text)
            | Self::Denied(text)
            | Self::Limited(text)
            | Self::Invalid(text)
            | Self::Unexpected(text) => out.write_str(text),
        }
    }
}

/// So that `?` works in handlers. Not itself a [`std::error::Error`], as those become a `RuntimeError`.
impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        const EXCEPTIONS: &str = "oslo_messaging.exceptions";
        match error {
            Error::Remote(failure) => failure,
            Error::TimedOut(text) => Self::new(EXCEPTIONS, "MessagingTimeout", text),
            Error::Unavailable(text) => Self::new(EXCEPTIONS, "MessageDeliveryFailure", text),
            Error::Denied(text) => Self::builtin("PermissionError", text),
            Error::Invalid(text) => Self::value_error(text),
            Error::Limited(text) | Error::Unexpected(text) => Self::builtin("RuntimeError", text),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::{Endpoint, Handler, Info, methods, testing};

    struct Asker;

    impl Handler for Asker {
        const ENDPOINTS: &'static [Endpoint] =
            &[Endpoint { namespace: None, version: "1.0", methods: methods![ask, tell] }];
    }

    #[derive(Deserialize)]
    struct Ask {
        numbers: Vec<u32>,
    }

    fn ask(Ask { numbers }: Ask, _: &Info) -> Result<Vec<u32>, Failure> {
        let adder = Target::topic("adder").version("1.2").timeout(Duration::from_secs(3));
        let arguments: Vec<_> = numbers.iter().map(|number| json!({"a": number})).collect();
        let sums = Target::call_many("add", arguments.iter().map(|arguments| (&adder, arguments)))?;
        sums.into_iter().map(|sum| sum.map_err(Failure::from)).collect()
    }

    fn tell(_: (), _: &Info) -> Result<(), Failure> {
        Target::topic("compute").server("host-1").cast("build", &json!({"n": 1}))?;
        Target::topic("compute").broker("cell1").fanout("refresh", &())?;
        let answer: Value = Target::topic("scheduler").namespace("n").call("choose", &json!({}))?;
        if answer.is_null() { Err(Failure::value_error("nothing chosen")) } else { Ok(()) }
    }

    #[test]
    fn calls_are_answered_by_the_test_and_typed() {
        let adder = |request: &Request| {
            assert_eq!((request.method.as_str(), request.target.topic.as_str()), ("add", "adder"));
            let arguments: Value = serde_json::from_str(&request.arguments).unwrap();
            Ok(json!(arguments["a"].as_u64().unwrap() + 1))
        };
        let request = || testing::Request::new("ask", json!({"numbers": [1, 2]}));
        assert_eq!(request().answering(adder).send::<Asker>().value(), Ok(json!([2, 3])));
        let wrong = request().answering(|_| Ok(json!("three"))).send::<Asker>().value().unwrap_err();
        assert_eq!(wrong.message(), "the result of add is not what was expected, at line 1 column 7");
        let alone = request().send::<Asker>().value().unwrap_err();
        assert_eq!(alone.to_string(), "oslo_messaging.exceptions.MessageDeliveryFailure: nobody serves topic adder");
    }

    #[test]
    fn failures_of_others_pass_as_they_are() {
        let none = || Failure::new("nova.exception", "NoValidHost", "none").kwarg("code", 500);
        for (error, expected) in [
            (Error::Remote(none()), none().to_string()),
            (Error::TimedOut("late".into()), "oslo_messaging.exceptions.MessagingTimeout: late".into()),
            (Error::Denied("no".into()), "PermissionError: no".into()),
            (Error::Limited("much".into()), "RuntimeError: much".into()),
        ] {
            let answer = testing::Request::new("tell", json!({})).answering(move |_| Err(error.clone()));
            let answer = answer.send::<Asker>();
            assert!(answer.casts.is_empty(), "casts of a handler that failed are not sent");
            assert_eq!(answer.value().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn casts_are_seen_where_the_handler_succeeds() {
        let answer = testing::Request::new("tell", json!({})).answering(|_| Ok(json!("host-1"))).send::<Asker>();
        let [build, refresh] = answer.casts.as_slice() else { panic!("{:?}", answer.casts) };
        assert_eq!((build.target.server.as_deref(), build.arguments.as_str()), (Some("host-1"), r#"{"n":1}"#));
        assert!(refresh.fanout && !build.fanout && refresh.target.broker.as_deref() == Some("cell1"));
        let failed = testing::Request::new("tell", json!({})).answering(|_| Ok(json!(null))).send::<Asker>();
        assert!(failed.casts.is_empty() && failed.value().is_err());
    }
}
