//! What a method can learn about its request besides the arguments.

use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::{Failure, arguments, imports};

/// The request that is being handled.
///
/// Whatever is not asked for costs nothing: the host hands it over on demand.
#[derive(Debug)]
pub struct Info {
    method: String,
    namespace: Option<String>,
    version: String,
}

impl Info {
    /// Takes over the parts of a request.
    pub(crate) const fn new(method: String, namespace: Option<String>, version: String) -> Self {
        Self { method, namespace, version }
    }

    /// Returns the method's name.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Returns the namespace as the caller wrote it.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Returns the version as the caller wrote it: at most that of the endpoint.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Reads the whole request context.
    ///
    /// It often holds a live auth token: never log it.
    ///
    /// # Errors
    ///
    /// A `TypeError` if the context is not a `T`.
    pub fn context<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        arguments::from_text(&imports::context())
            .map_err(|mistake| Failure::type_error(mistake.in_context(None)).without_traceback())
    }

    /// Reads one entry of the request context; `None` if it is absent or null.
    ///
    /// # Errors
    ///
    /// A `TypeError` if the entry is not a `T`.
    pub fn context_entry<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Failure> {
        let Some(text) = imports::context_entry(name) else { return Ok(None) };
        arguments::from_text(&text)
            .map_err(|mistake| Failure::type_error(mistake.in_context(Some(name))).without_traceback())
    }

    /// Says whether the caller waits for the result. If not, the result is discarded and a failure is only logged.
    #[must_use]
    pub fn reply_wanted(&self) -> bool {
        imports::reply_wanted()
    }

    /// Returns the time that is left before the host stops this handler, in whole milliseconds.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        Duration::from_millis(imports::time_left_ms())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use crate::{Endpoint, Failure, Handler, Info, methods, testing::Request};

    struct Who;

    impl Handler for Who {
        const ENDPOINTS: &'static [Endpoint] =
            &[Endpoint { namespace: None, version: "1.0", methods: methods![user, roles, rest] }];
    }

    #[derive(Deserialize)]
    struct Context {
        roles: Vec<String>,
    }

    fn user(_: (), info: &Info) -> Result<Option<String>, Failure> {
        info.context_entry("user_id")
    }

    fn roles(_: (), info: &Info) -> Result<Vec<String>, Failure> {
        info.context::<Context>().map(|context| context.roles)
    }

    fn rest(_: (), info: &Info) -> Result<Value, Failure> {
        let left = u64::try_from(info.time_left().as_millis())?;
        Ok(json!([info.method(), info.namespace(), info.version(), info.reply_wanted(), left]))
    }

    #[test]
    fn context_entries_are_typed_and_null_is_none() {
        let ask = |context: Value| Request::new("user", json!({})).context(context).send::<Who>().value();
        assert_eq!(ask(json!({"user_id": "u"})), Ok(json!("u")));
        assert_eq!(ask(json!({"user_id": null})), Ok(json!(null)));
        assert_eq!(ask(json!({})), Ok(json!(null)));
        let failure = ask(json!({"user_id": 5})).unwrap_err();
        assert_eq!(failure.message(), "context entry 'user_id' must be a string, not an integer");
    }

    #[test]
    fn the_context_can_be_a_type_of_ones_own() {
        let ask = |context: Value| Request::new("roles", json!({})).context(context).send::<Who>().value();
        assert_eq!(ask(json!({"roles": ["admin"], "auth_token": "t"})), Ok(json!(["admin"])));
        let failure = ask(json!({"roles": ["admin", {}]})).unwrap_err();
        assert_eq!(failure.message(), "context entry 'roles[1]' must be a string, not an object");
        assert_eq!(ask(json!({})).unwrap_err().message(), "context has no 'roles'");
    }

    #[test]
    fn the_rest_is_as_the_caller_wrote_it() {
        let answer =
            Request::new("rest", json!({})).cast().time_left(std::time::Duration::from_millis(7)).send::<Who>();
        assert_eq!(answer.value(), Ok(json!(["rest", null, "1.0", false, 7])));
    }
}
