//! Calls a handler natively, for its unit tests.
//!
//! Requests find their endpoint by the host's rule, so that a test sees what a caller would.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    Endpoint, Failure, Handler, Info, Reply,
    failure::DISPATCHER,
    handler::handle,
    http,
    imports::{Done, Scene, Services, Web, nobody, nothing, play},
    log::Level,
    rpc, trace,
};

/// The time that a request has left unless it says otherwise: the host's default limit.
const TIME_LEFT: Duration = Duration::from_secs(60);

/// Calls a method in the null namespace at version 1.0.
///
/// # Errors
///
/// The failure that a caller would get.
pub fn call<H: Handler>(method: &str, arguments: impl ToString) -> Result<Value, Failure> {
    Request::new(method, arguments).send::<H>().value()
}

/// A request in the making.
pub struct Request {
    method: String,
    namespace: Option<String>,
    version: String,
    arguments: String,
    context: Value,
    reply_wanted: bool,
    time_left: Duration,
    services: Services,
    web: Web,
    config: BTreeMap<String, String>,
    state: BTreeMap<String, Vec<u8>>,
    span_context: Option<trace::SpanContext>,
}

impl Request {
    /// Starts a call in the null namespace at version 1.0 with an empty context. The arguments are a
    /// [`json!`](serde_json::json) object or JSON text.
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "reads as json!(…) rather than &json!(…)")]
    pub fn new(method: &str, arguments: impl ToString) -> Self {
        Self {
            method: method.to_owned(),
            namespace: None,
            version: "1.0".to_owned(),
            arguments: arguments.to_string(),
            context: Value::Object(serde_json::Map::new()),
            reply_wanted: true,
            time_left: TIME_LEFT,
            services: Box::new(nobody),
            web: Box::new(nothing),
            config: BTreeMap::new(),
            state: BTreeMap::new(),
            span_context: None,
        }
    }

    /// Asks in a namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Asks for a version, `MAJOR.MINOR`.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// Sends a request context: a JSON object.
    #[must_use]
    pub fn context(mut self, context: Value) -> Self {
        self.context = context;
        self
    }

    /// Makes it a cast: nobody waits for the result.
    #[must_use]
    pub fn cast(mut self) -> Self {
        self.reply_wanted = false;
        self
    }

    /// Sets the time that is left.
    #[must_use]
    pub fn time_left(mut self, time: Duration) -> Self {
        self.time_left = time;
        self
    }

    /// Answers the calls that the handler makes. Without it, nobody serves any topic.
    #[must_use]
    pub fn answering(mut self, services: impl FnMut(&rpc::Request) -> Result<Value, rpc::Error> + 'static) -> Self {
        self.services = Box::new(services);
        self
    }

    /// Answers the handler's HTTP requests. Without it, nobody does.
    #[must_use]
    pub fn fetching(
        mut self,
        web: impl FnMut(&http::Request) -> Result<http::Response, http::Error> + 'static,
    ) -> Self {
        self.web = Box::new(web);
        self
    }

    /// Gives the handler a value of its manifest's section `config`.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.config.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Gives the handler a value that it has kept from requests before.
    #[must_use]
    pub fn state(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.state.insert(key.to_owned(), value.as_ref().to_vec());
        self
    }

    /// Makes it part of a trace. What the handler adds to its span is seen in any case.
    #[must_use]
    pub fn span_context(mut self, context: trace::SpanContext) -> Self {
        self.span_context = Some(context);
        self
    }

    /// Lets a handler answer.
    ///
    /// # Panics
    ///
    /// If the handler does.
    #[must_use]
    pub fn send<H: Handler>(self) -> Answer {
        let scene = Scene {
            context: self.context,
            reply_wanted: self.reply_wanted,
            time_left_ms: u64::try_from(self.time_left.as_millis()).unwrap_or(u64::MAX),
            log: Vec::new(),
            services: self.services,
            web: self.web,
            config: self.config,
            state: self.state,
            writes: BTreeMap::new(),
            casts: Vec::new(),
            span_context: self.span_context,
            attributes: BTreeMap::new(),
            events: Vec::new(),
        };
        let endpoint = match find(H::ENDPOINTS, self.namespace.as_deref(), &self.version, &self.method) {
            Ok(endpoint) => endpoint,
            Err(failure) => {
                let (state, reply) = (scene.state, Err(failure));
                let (log, casts, attributes, events) = (Vec::new(), Vec::new(), BTreeMap::new(), Vec::new());
                return Answer { reply, log, casts, state, attributes, events };
            }
        };
        let info = Info::new(self.method, self.namespace, self.version);
        let (reply, done) = play(scene, || handle::<H>(endpoint, &info, &self.arguments));
        let Done { log, mut casts, mut state, writes, attributes, events } = done;
        // As the host does where effects are held.
        if reply.is_ok() {
            for (key, value) in writes {
                match value {
                    Some(value) => drop(state.insert(key, value)),
                    None => drop(state.remove(&key)),
                }
            }
        } else {
            casts.clear();
        }
        Answer { reply, log, casts, state, attributes, events }
    }
}

/// What came of a request.
#[derive(Debug)]
pub struct Answer {
    /// The result as JSON text, or the failure.
    pub reply: Reply,
    /// What the handler logged, oldest first.
    pub log: Vec<(Level, String)>,
    /// What the handler has cast, oldest first; nothing where it did not succeed.
    pub casts: Vec<rpc::Request>,
    /// What the handler keeps afterwards.
    pub state: BTreeMap<String, Vec<u8>>,
    /// The attributes that it has added to its span.
    pub attributes: BTreeMap<String, trace::Value>,
    /// The events that it has added to its span, oldest first.
    pub events: Vec<(String, Vec<(String, trace::Value)>)>,
}

impl Answer {
    /// Says whether the handler leaves the request to others. Its failure is then what a caller gets where there are
    /// none.
    #[must_use]
    pub fn is_declined(&self) -> bool {
        self.reply.as_ref().is_err_and(Failure::is_declined)
    }

    /// Returns the result as a value, or the failure.
    ///
    /// # Errors
    ///
    /// The failure that a caller would get.
    pub fn value(self) -> Result<Value, Failure> {
        Ok(serde_json::from_str(&self.reply?)?)
    }
}

/// Finds the highest endpoint that serves a version and has the method.
fn find(endpoints: &[Endpoint], namespace: Option<&str>, version: &str, method: &str) -> Result<usize, Failure> {
    let asked = parse(version);
    let fits = |endpoint: &Endpoint| {
        let offered = parse(endpoint.version);
        endpoint.namespace == namespace
            && matches!((asked, offered), (Some(asked), Some(offered)) if asked.0 == offered.0 && asked.1 <= offered.1)
    };
    let fitting = || endpoints.iter().enumerate().filter(|(_, endpoint)| fits(endpoint));
    let has = |endpoint: &Endpoint| endpoint.methods.iter().any(|offered| offered.name == method);
    match fitting().filter(|(_, e)| has(e)).max_by_key(|(_, e)| parse(e.version)) {
        Some((index, _)) => Ok(index),
        None if fitting().next().is_some() => Err(Failure::no_such_method(method)),
        None => {
            let message = format!("Endpoint does not support RPC version {version}. Attempted method: {method}");
            Err(Failure::new(DISPATCHER, "UnsupportedVersion", message))
        }
    }
}

fn parse(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{keyvalue, methods};

    struct Picky;

    impl Handler for Picky {
        const ENDPOINTS: &'static [Endpoint] =
            &[Endpoint { namespace: None, version: "1.0", methods: methods![never, always] }];
    }

    fn inner() -> Result<(), Failure> {
        rpc::Target::topic("compute").cast("begin", &())?;
        keyvalue::set("k", "v")?;
        Err(Failure::declined())
    }

    fn never(_: (), _: &Info) -> Result<(), Failure> {
        inner()
    }

    fn always(_: (), _: &Info) -> Result<bool, Failure> {
        Ok(inner().is_err_and(|failure| failure.is_declined()))
    }

    #[test]
    fn who_declines_leaves_nothing_behind_and_is_not_there() {
        let answer = Request::new("never", "{}").send::<Picky>();
        assert!(answer.is_declined() && answer.casts.is_empty() && answer.state.is_empty(), "{answer:?}");
        let (declined, missing) = (answer.value().unwrap_err(), call::<Picky>("nothing_such", "{}").unwrap_err());
        assert!(declined.is_declined() && !missing.is_declined());
        assert_eq!((declined.module(), declined.class()), (missing.module(), missing.class()));
        assert_eq!(declined.message(), "Endpoint does not support RPC method never");
    }

    #[test]
    fn who_takes_it_back_in_time_has_not_declined() {
        let answer = Request::new("always", "{}").send::<Picky>();
        assert!(!answer.is_declined() && answer.casts.len() == 1, "{answer:?}");
        assert_eq!(answer.value(), Ok(true.into()));
    }
}
