//! `[[endpoint]]` of a manifest: serves an endpoint under another namespace or version, or only some of its methods.
//!
//! Before it: the component has said what it offers. After it: [`super::super::Catalog`] serves what comes out.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{
    catalog::endpoint::Endpoint,
    sandbox::EndpointOffer,
    settings::Problems,
    version::{ParseError, Version},
};

/// One `[[endpoint]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// Which of the component's endpoints is meant; it may be left out where there is only one.
    #[serde(default)]
    offered: Offered,
    /// The namespace it is served under.
    namespace: Option<Namespace>,
    /// The version it is served as.
    version: Option<Number>,
    /// The methods that are served.
    methods: Option<BTreeSet<String>>,
    /// The methods that are not.
    #[serde(default)]
    hide: BTreeSet<String>,
}

/// What the component calls an endpoint; a part that is left out may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Offered {
    namespace: Option<Namespace>,
    version: Option<Number>,
}

/// Text, or `false` for the null namespace, for which TOML has no word.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "toml::Value")]
pub(crate) struct Namespace(pub(crate) Option<String>);

/// A version, which is text: as a number, 1.10 would be 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Number(Version);

impl TryFrom<toml::Value> for Namespace {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => Ok(Self(Some(text))),
            toml::Value::Boolean(false) => Ok(Self(None)),
            other => Err(format!("{other} is no namespace: it takes text, or false for the null namespace")),
        }
    }
}

impl TryFrom<String> for Number {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse().map(Self)
    }
}

/// Turns what a component offers into what is served.
///
/// # Errors
///
/// All that the rules name and the component does not have, and what it has instead.
pub(crate) fn apply(rules: &[Rule], offers: Vec<EndpointOffer>) -> Result<Vec<Endpoint>, Error> {
    let mut endpoints = Vec::new();
    for EndpointOffer { namespace, version, methods } in offers {
        endpoints.push(Endpoint::new(namespace, version.parse()?, methods));
    }
    let names: Vec<String> = endpoints.iter().map(name).collect();
    let mut ruled = BTreeSet::new();
    let mut problems = Vec::new();
    let offered = endpoints.clone();
    for (index, rule) in rules.iter().enumerate() {
        let number = index + 1;
        let mut meant = (0..offered.len()).filter(|at| offered.get(*at).is_some_and(|offer| rule.offered.is(offer)));
        let (Some(at), None) = (meant.next(), meant.next()) else {
            let which = "choose one with offered = { namespace = …, version = … }";
            problems.push(format!(
                "[[endpoint]] number {number} does not mean exactly one endpoint; {which}; there are: {}",
                names.join(", ")
            ));
            continue;
        };
        if !ruled.insert(at) {
            problems.push(format!("[[endpoint]] number {number}: there is one for {} already", name_at(&names, at)));
        } else if let Some(endpoint) = endpoints.get_mut(at)
            && let Err(reason) = rule.change(endpoint)
        {
            problems.push(format!("[[endpoint]] number {number}: {} {reason}", name_at(&names, at)));
        }
    }
    if problems.is_empty() { Ok(endpoints) } else { Err(Error::Rules(Problems(problems))) }
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// An endpoint's version.
    #[error(transparent)]
    Version(#[from] ParseError),
    /// The manifest.
    #[error(transparent)]
    Rules(#[from] Problems),
}

impl Offered {
    fn is(&self, endpoint: &Endpoint) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| namespace.0 == endpoint.namespace)
            && self.version.is_none_or(|version| version.0 == endpoint.version)
    }
}

impl Rule {
    fn change(&self, endpoint: &mut Endpoint) -> Result<(), String> {
        let unknown: Vec<&str> = self.methods.iter().flatten().chain(&self.hide).map(String::as_str).collect();
        let unknown: Vec<&str> = unknown.into_iter().filter(|method| !endpoint.methods.contains(*method)).collect();
        if !unknown.is_empty() {
            let mut known: Vec<&str> = endpoint.methods.iter().map(String::as_str).collect();
            known.sort_unstable();
            return Err(format!("has no method {}; it has: {}", unknown.join(", "), known.join(", ")));
        }
        if self.methods.is_some() && !self.hide.is_empty() {
            return Err("is given both methods and hide: one says it all".to_owned());
        }
        let is_served = |method: &String| {
            self.methods.as_ref().is_none_or(|only| only.contains(method)) && !self.hide.contains(method)
        };
        let (served, hidden): (Vec<String>, Vec<String>) = endpoint.methods.drain().partition(is_served);
        endpoint.methods = served.into_iter().collect();
        endpoint.hidden = hidden.into_iter().collect();
        let namespace = self.namespace.as_ref().map_or_else(|| endpoint.namespace.clone(), |given| given.0.clone());
        let version = self.version.map_or(endpoint.version, |given| given.0);
        if (&namespace, version) != (&endpoint.namespace, endpoint.version) {
            let namespace = std::mem::replace(&mut endpoint.namespace, namespace);
            let version = std::mem::replace(&mut endpoint.version, version);
            endpoint.renamed_from = Some((namespace, version));
        }
        Ok(())
    }
}

fn name(endpoint: &Endpoint) -> String {
    format!("{} {}", endpoint.namespace.as_deref().unwrap_or("(no namespace)"), endpoint.version)
}

fn name_at(names: &[String], at: usize) -> &str {
    names.get(at).map(String::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::manifest::Manifest, sandbox::Limits};

    fn offer(namespace: Option<&str>, version: &str, methods: &[&str]) -> EndpointOffer {
        EndpointOffer {
            namespace: namespace.map(str::to_owned),
            version: version.to_owned(),
            methods: methods.iter().map(|method| (*method).to_owned()).collect(),
        }
    }

    fn offers() -> Vec<EndpointOffer> {
        vec![
            offer(None, "1.0", &["a", "b"]),
            offer(Some("task"), "1.5", &["a", "c"]),
            offer(Some("task"), "2.0", &["a"]),
        ]
    }

    fn served(manifest: &str) -> Result<Vec<String>, String> {
        let manifest = Manifest::parse(manifest, &Limits::default()).unwrap();
        let endpoints = apply(&manifest.endpoints, offers()).map_err(|error| error.to_string())?;
        let show = |endpoint: &Endpoint| {
            let mut methods: Vec<&str> = endpoint.methods.iter().map(String::as_str).collect();
            methods.sort_unstable();
            format!("{}: {}", name(endpoint), methods.join(" "))
        };
        Ok(endpoints.iter().map(show).collect())
    }

    const AS_OFFERED: [&str; 3] = ["(no namespace) 1.0: a b", "task 1.5: a c", "task 2.0: a"];

    #[test]
    fn without_rules_all_is_served_as_it_is_offered() {
        assert_eq!(served("").unwrap(), AS_OFFERED);
    }

    #[test]
    fn an_endpoint_is_renamed_in_part_or_whole_and_the_positions_stay() {
        let one = "[[endpoint]]\noffered = { namespace = \"task\", version = \"1.5\" }\nnamespace = \"build\"";
        assert_eq!(served(one).unwrap(), [AS_OFFERED[0], "build 1.5: a c", AS_OFFERED[2]]);
        let null = "[[endpoint]]\noffered.version = \"2.0\"\nnamespace = false\nversion = \"3.1\"";
        assert_eq!(served(null).unwrap(), [AS_OFFERED[0], AS_OFFERED[1], "(no namespace) 3.1: a"]);
        let named = "[[endpoint]]\noffered.namespace = false\nnamespace = \"\"";
        assert_eq!(served(named).unwrap()[0], " 1.0: a b");
    }

    #[test]
    fn methods_are_allowed_or_hidden() {
        let only = "[[endpoint]]\noffered.namespace = false\nmethods = [\"b\"]";
        assert_eq!(served(only).unwrap()[0], "(no namespace) 1.0: b");
        let hide = "[[endpoint]]\noffered.namespace = false\nhide = [\"b\"]";
        assert_eq!(served(hide).unwrap()[0], "(no namespace) 1.0: a");
        let manifest = Manifest::parse(hide, &Limits::default()).unwrap();
        let endpoints = apply(&manifest.endpoints, offers()).unwrap();
        assert_eq!(endpoints[0].hidden, BTreeSet::from(["b".to_owned()]));
    }

    #[test]
    fn what_is_named_and_not_there_is_an_error_that_names_what_is() {
        for (manifest, expected) in [
            ("[[endpoint]]\nversion = \"3.0\"", "there are: (no namespace) 1.0, task 1.5, task 2.0"),
            ("[[endpoint]]\noffered.namespace = \"tusk\"", "there are: (no namespace) 1.0, task 1.5, task 2.0"),
            (
                "[[endpoint]]\noffered.version = \"1.5\"\nhide = [\"x\", \"a\"]",
                "task 1.5 has no method x; it has: a, c",
            ),
            ("[[endpoint]]\noffered.version = \"1.5\"\nmethods = [\"a\"]\nhide = [\"c\"]", "one says it all"),
            (
                "[[endpoint]]\noffered.version = \"1.5\"\n[[endpoint]]\noffered.version = \"1.5\"",
                "number 2: there is one for task 1.5 already",
            ),
        ] {
            let error = served(manifest).unwrap_err();
            assert!(error.contains(expected), "{manifest}: {error}");
        }
    }
}
