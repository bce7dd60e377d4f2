//! Methods under one namespace and version, as they are served.
//!
//! Before it: a component offers them, and its manifest may rename and hide some ([`super::manifest::endpoints`]). After it:
//! [`super::Generation`] has them, and [`super::Catalog`] looks them up.

use std::collections::{BTreeSet, HashSet};

use crate::version::Version;

/// Methods under one namespace and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `None` is the null namespace.
    pub namespace: Option<String>,
    /// What it implements.
    pub version: Version,
    /// Method names.
    pub methods: HashSet<String>,
    /// What the component itself calls it, where the manifest says otherwise.
    pub renamed_from: Option<(Option<String>, Version)>,
    /// What the component offers and the manifest hides.
    pub hidden: BTreeSet<String>,
}

impl Endpoint {
    /// An endpoint that is served as the component offers it.
    pub fn new(namespace: Option<String>, version: Version, methods: impl IntoIterator<Item = String>) -> Self {
        let methods = methods.into_iter().collect();
        Self { namespace, version, methods, renamed_from: None, hidden: BTreeSet::new() }
    }

    /// The methods that it answers, in no order.
    pub(super) fn served(&self) -> impl Iterator<Item = &String> {
        self.methods.iter().filter(|method| self.serves(method))
    }

    /// Whether it answers this method. As by the reference's default access policy, `_names` are private.
    #[must_use]
    pub fn serves(&self, method: &str) -> bool {
        !method.starts_with('_') && self.methods.contains(method)
    }
}
