//! What the service answers, for whoever asks: method `describe`, version 1.0, of the host's own namespace `nova_host`.
//!
//! Before it: [`crate::dispatch`] has found that the host itself is asked. The same shapes are what `nova-host check`
//! and `nova-host handlers list` print as JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Catalog, Endpoint, Generation};
use crate::version::Version;

/// The host's own namespace. No handler can have it.
pub const NAMESPACE: &str = "nova_host";

/// The version of what the host answers itself.
pub const VERSION: Version = Version::new(1, 0, 0);

/// Its only method.
pub const METHOD: &str = "describe";

/// All that a service answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The host itself.
    pub host: HostDescription,
    /// The handlers, in the order of their names.
    pub handlers: Vec<HandlerDescription>,
}

/// The host itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HostDescription {
    /// The version of the program.
    pub version: &'static str,
    /// What it answers without any handler.
    pub endpoints: Vec<EndpointDescription>,
}

/// One handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HandlerDescription {
    /// Its name.
    pub name: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Which load of this process it is; it grows with every exchange of any handler.
    pub generation: u64,
    /// What it answers.
    pub endpoints: Vec<EndpointDescription>,
}

/// Methods under one namespace and version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointDescription {
    /// `null` is the null namespace.
    pub namespace: Option<String>,
    /// What it implements: it serves the same major version up to this minor one.
    pub version: String,
    /// Method names, in order.
    pub methods: Vec<String>,
}

impl Catalog {
    /// Says what is served.
    #[must_use]
    pub fn describe(&self) -> Description {
        let own = EndpointDescription {
            namespace: Some(NAMESPACE.to_owned()),
            version: VERSION.to_string(),
            methods: vec![METHOD.to_owned()],
        };
        let mut handlers: Vec<_> =
            self.generations().iter().map(|generation| HandlerDescription::of(generation)).collect();
        handlers.sort_by(|one, other| one.name.cmp(&other.name));
        Description { host: HostDescription { version: env!("CARGO_PKG_VERSION"), endpoints: vec![own] }, handlers }
    }
}

impl HandlerDescription {
    /// Describes one generation.
    #[must_use]
    pub fn of(generation: &Generation) -> Self {
        Self {
            name: generation.name.clone(),
            digest: generation.program.digest().as_str().to_owned(),
            generation: generation.number,
            endpoints: generation.endpoints.iter().map(EndpointDescription::of).collect(),
        }
    }
}

impl EndpointDescription {
    /// Describes one endpoint; private methods are not served and not told.
    #[must_use]
    pub fn of(endpoint: &Endpoint) -> Self {
        let mut methods: Vec<_> = endpoint.methods.iter().filter(|method| endpoint.serves(method)).cloned().collect();
        methods.sort_unstable();
        Self { namespace: endpoint.namespace.clone(), version: endpoint.version.to_string(), methods }
    }
}
