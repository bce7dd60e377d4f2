//! The reference's ping: an endpoint of the host's own, behind all others.
//!
//! Before it: [`super::resolve`] has found no handler. After it: the request is refused in the same way as if the
//! endpoint stood last in the reference's list, or answered.

use super::{Outcome, Refusal, no_such_method};
use crate::{
    envelope::{Arguments, Field, Request, Text},
    version::Version,
};

/// The method.
const METHOD: &str = "oslo_rpc_server_ping";

/// What it answers.
const ANSWER: &str = "pong";

/// Answers the request if it is a ping; `refusal` is what the handlers had to say.
///
/// # Errors
///
/// That refusal, or that of the endpoint, where it comes first in the reference's order.
pub(super) fn answer(refusal: Refusal, request: &Request) -> Result<Outcome, Refusal> {
    // Behind an endpoint that could not read the version, this one is not asked.
    let is_asked = matches!(
        refusal,
        Refusal::NoSuchMethod { .. } | Refusal::MethodType { .. } | Refusal::UnsupportedVersion { .. }
    );
    if !is_asked || !matches!(request.namespace, Field::Absent | Field::Null) {
        return Err(refusal);
    }
    let serves = match &request.version {
        Field::Absent => true,
        Field::Text(text) => Version::DEFAULT.serves(text).map_err(Refusal::MalformedVersion)?,
        Field::Null => false,
        Field::Other(other) => return Err(Refusal::VersionType { python_type: other.python_type() }),
    };
    match (request.method.text(), &request.arguments) {
        _ if !serves => Err(refusal),
        (Some(METHOD), Arguments::Other(other)) => Err(Refusal::ArgumentsType { python_type: other.python_type() }),
        (Some(METHOD), _) => Ok(Outcome::Replied(Text::of(&ANSWER))),
        _ => Err(no_such_method(request)),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        catalog::{Catalog, Current},
        dispatch::{Options, Outcome, resolve},
        envelope::Request,
        testing::{ECHO, current, generation, program, tight},
    };

    async fn ask(catalog: &Current, ping: bool, message: &str) -> String {
        let request = Request::decode(message.as_bytes(), Some("application/json"), None).unwrap();
        match resolve(catalog, Options { ping, ..Options::default() }, request) {
            Ok(resolved) => {
                match resolved
                    .admit(
                        &crate::capability::Capabilities::default(),
                        &crate::testing::standing(),
                        &crate::trace::Span::default(),
                        &crate::sandbox::Tape::default(),
                    )
                    .await
                    .unwrap()
                    .run()
                    .await
                {
                    Outcome::Replied(text) => text.get().to_owned(),
                    other => panic!("{other:?}"),
                }
            }
            Err(refusal) => refusal.to_string(),
        }
    }

    fn ping(more: &str) -> String {
        format!(r#"{{"method": "oslo_rpc_server_ping"{more}}}"#)
    }

    fn with(version: &str, methods: &[&str]) -> Current {
        current(Catalog::default().with(generation("g", version, methods, program(ECHO, tight()))).unwrap())
    }

    #[tokio::test]
    async fn a_ping_is_answered_whatever_its_arguments_where_it_is_enabled() {
        let catalog = with("3.0", &["m"]);
        for more in ["", r#", "args": {"a": [1], "b": null}"#, r#", "namespace": null, "version": "1.0""#] {
            assert_eq!(ask(&catalog, true, &ping(more)).await, r#""pong""#, "{more}");
            assert!(ask(&catalog, false, &ping(more)).await.starts_with("Endpoint does not support RPC version 1.0"));
        }
    }

    #[tokio::test]
    async fn it_stands_behind_all_other_endpoints_as_in_the_reference() {
        let catalog = with("3.0", &["m"]);
        let no_such_method = "Endpoint does not support RPC method oslo_rpc_server_ping";
        let unsupported = |version: &str| {
            format!("Endpoint does not support RPC version {version}. Attempted method: oslo_rpc_server_ping")
        };
        for (more, expected) in [
            (r#", "version": "3.0""#, no_such_method.to_owned()),
            (r#", "version": "1.1""#, unsupported("1.1")),
            (r#", "version": null"#, unsupported("None")),
            (r#", "namespace": "x""#, unsupported("1.0")),
            (r#", "version": "1""#, "list index out of range".to_owned()),
            (r#", "args": null"#, "'NoneType' object has no attribute 'items'".to_owned()),
        ] {
            assert_eq!(ask(&catalog, true, &ping(more)).await, expected, "{more}");
        }
        // A handler that has the method itself comes first.
        let own = with("1.0", &["oslo_rpc_server_ping"]);
        assert_eq!(ask(&own, true, &ping(r#", "args": {"own": 1}"#)).await, r#"{"own": 1}"#);
    }

    #[tokio::test]
    async fn other_requests_meet_it_too() {
        let catalog = with("3.0", &["m"]);
        let method = "Endpoint does not support RPC method n";
        assert_eq!(ask(&catalog, true, r#"{"method": "n"}"#).await, method);
        assert_eq!(ask(&catalog, true, "{}").await, "attribute name must be string, not 'NoneType'");
        assert_eq!(
            ask(&current(Catalog::default()), true, r#"{"method": "n", "version": 1}"#).await,
            "'int' object has no attribute 'split'"
        );
        assert_eq!(ask(&catalog, true, r#"{"method": "m", "version": "3.0", "args": {}}"#).await, "{}");
    }
}
