//! What a handler offers, as the guest describes it, and what of that makes sense.
//!
//! Before it: [`super::program`] has asked the guest, or [`super::typed`] has read its exports. After it: the catalog.

use std::collections::HashSet;

/// Endpoints of one handler; nova's largest service has four.
const MAX_ENDPOINTS: usize = 256;

/// Methods of one endpoint; nova-compute, the largest, has 120.
const MAX_METHODS: usize = 4096;

/// Bytes of a method's or namespace's name.
const MAX_NAME: usize = 255;

/// An endpoint as the guest describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointOffer {
    /// `None` is the null namespace.
    pub namespace: Option<String>,
    /// As the guest wrote it.
    pub version: String,
    /// Method names.
    pub methods: Vec<String>,
}

/// Says what is wrong with the endpoints of a handler.
pub(super) fn check(offers: &[EndpointOffer]) -> Result<(), String> {
    let named = |what: &str, name: &str| match name.len() {
        len if len > MAX_NAME => Err(format!("a {what} of {len} bytes, more than {MAX_NAME}")),
        _ if name.chars().any(char::is_control) => Err(format!("a {what} with control characters: {name:?}")),
        _ => Ok(()),
    };
    if offers.is_empty() {
        return Err("no endpoint".to_owned());
    }
    if offers.len() > MAX_ENDPOINTS {
        return Err(format!("{} endpoints, more than {MAX_ENDPOINTS}", offers.len()));
    }
    for offer in offers {
        named("namespace", offer.namespace.as_deref().unwrap_or_default())?;
        if offer.methods.len() > MAX_METHODS {
            return Err(format!("{} methods in one endpoint, more than {MAX_METHODS}", offer.methods.len()));
        }
        let mut seen = HashSet::new();
        for method in &offer.methods {
            named("method", method)?;
            if method.is_empty() || !seen.insert(method) {
                return Err(format!("the method {method:?} twice or without a name"));
            }
        }
    }
    Ok(())
}
