//! What would become of a request, without running it: for who watches what others are asked.
//!
//! Before it: a request that was sent to somebody else. After it: a report. The checks are those of [`super::resolve`] and
//! [`super::Resolved::admit`], in their order.

use std::sync::Arc;

use super::{Options, Refusal, arguments, find, ping};
use crate::{
    catalog::{Catalog, Found, Generation},
    envelope::Request,
    version::Version,
};

/// What would become of a request.
#[derive(Clone, Debug)]
pub enum Foresight {
    /// This handler would run.
    Handler(Arc<Generation>),
    /// The host itself would answer.
    Host,
    /// The method is served, in other versions than this one.
    OtherVersions(Vec<Version>),
    /// Nobody has the method.
    Lacking,
    /// A handler has it, and its arguments would be refused.
    Arguments(Refusal),
}

/// Says what would become of a request.
#[must_use]
pub fn foresee(catalog: &Catalog, options: Options, request: &Request) -> Foresight {
    let refusal = match find(catalog, request) {
        Ok((Found::Handler { generation, .. }, ..)) => {
            return match arguments(&request.arguments, &generation) {
                Ok(_) => Foresight::Handler(generation),
                Err(refusal) => Foresight::Arguments(refusal),
            };
        }
        Ok((Found::Describe, ..)) => return Foresight::Host,
        Err(refusal) => refusal,
    };
    if options.ping && ping::answer(refusal, request).is_ok() {
        return Foresight::Host;
    }
    let versions = match request.method.text() {
        Some(method) => catalog.versions(request.namespace.text(), method),
        None => Vec::new(),
    };
    if versions.is_empty() { Foresight::Lacking } else { Foresight::OtherVersions(versions) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ECHO, generation, program, tight};

    fn foretold(message: &str, ping: bool) -> String {
        let catalog = Catalog::default().with(generation("g", "1.4", &["m", "_m"], program(ECHO, tight()))).unwrap();
        let catalog = catalog.with(generation("h", "2.1", &["m"], program(ECHO, tight()))).unwrap();
        let request = Request::decode(message.as_bytes(), Some("application/json"), None).unwrap();
        match foresee(&catalog, Options { ping, ..Options::default() }, &request) {
            Foresight::Handler(generation) => generation.name.clone(),
            Foresight::Host => "host".to_owned(),
            Foresight::OtherVersions(versions) => {
                versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            Foresight::Lacking => "lacking".to_owned(),
            Foresight::Arguments(refusal) => refusal.to_string(),
        }
    }

    #[test]
    fn what_would_become_of_a_request_is_what_dispatch_does() {
        for (message, expected) in [
            (r#"{"method": "m"}"#, "g"),
            (r#"{"method": "m", "version": "2.0"}"#, "h"),
            (r#"{"method": "m", "version": "1.5"}"#, "1.4 2.1"),
            (r#"{"method": "m", "version": "nonsense"}"#, "1.4 2.1"),
            (r#"{"method": "m", "version": 3}"#, "1.4 2.1"),
            (r#"{"method": "n"}"#, "lacking"),
            (r#"{"method": "_m"}"#, "lacking"),
            (r#"{"method": "m", "namespace": "x"}"#, "lacking"),
            (r#"{"method": 5}"#, "lacking"),
            (r#"{"method": "m", "args": [1]}"#, "'list' object has no attribute 'items'"),
            (r#"{"method": "describe", "namespace": "nova_host"}"#, "host"),
            (r#"{"method": "oslo_rpc_server_ping"}"#, "lacking"),
        ] {
            assert_eq!(foretold(message, false), expected, "{message}");
        }
        assert_eq!(foretold(r#"{"method": "oslo_rpc_server_ping"}"#, true), "host");
    }
}
