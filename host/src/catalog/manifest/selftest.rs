//! `[[selftest]]` of a manifest: a request that a component must handle as expected before it serves.
//!
//! Before it: the component is compiled and described. After it: it may be put into force.

use serde::Deserialize;

use super::endpoints::Namespace;
use crate::{
    catalog::{Catalog, Found, Generation},
    envelope::{Answer, Text},
    printable::printable,
    sandbox::{Invocation, RequestInfo},
    version::Version,
};

/// Bytes of an answer that are told.
const MAX_SHOWN: usize = 200;

/// One `[[selftest]]`. Names are those that are served.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelfTest {
    method: String,
    /// Left out, the null namespace.
    namespace: Option<Namespace>,
    /// Left out, the highest that has the method.
    version: Option<String>,
    /// The keyword arguments.
    #[serde(default)]
    args: toml::Table,
    /// The result; left out, any result is good.
    expect: Option<toml::Value>,
    /// The class of the failure that the handler must answer with, such as `ValueError` or `nova.exception.NotFound`.
    fails: Option<String>,
}

impl SelfTest {
    /// Runs the test in an instance of its own; `alone` serves nothing but the generation.
    ///
    /// # Errors
    ///
    /// What was expected and what came, for the operator.
    pub(crate) async fn run(&self, alone: &Catalog, generation: &Generation) -> Result<(), String> {
        self.try_it(alone, generation).await.map_err(|reason| format!("selftest of {}: {reason}", self.method))
    }

    async fn try_it(&self, alone: &Catalog, generation: &Generation) -> Result<(), String> {
        let namespace = self.namespace.as_ref().and_then(|namespace| namespace.0.as_deref());
        let endpoints = generation.endpoints.iter().filter(|one| one.namespace.as_deref() == namespace);
        let versions = endpoints.filter(|endpoint| endpoint.serves(&self.method)).map(|endpoint| endpoint.version);
        let highest = versions.max().unwrap_or(Version::DEFAULT);
        let version = self.version.clone().unwrap_or_else(|| highest.to_string());
        let Ok(Found::Handler { endpoint, .. }) = alone.find(namespace, &version, Some(&self.method)) else {
            let namespace = namespace.unwrap_or("(no namespace)");
            return Err(format!("the handler does not serve it in {namespace} {version}"));
        };
        let invocation = Invocation {
            endpoint,
            method: self.method.clone(),
            namespace: namespace.map(str::to_owned),
            version,
            arguments: Text::of(&self.args).get().to_owned(),
            info: RequestInfo::bare(),
            since: std::time::Instant::now(),
        };
        match (generation.program.handle(invocation).await, &self.fails) {
            (Ok(Answer::Result(result)), None) => self.compare(&result),
            (Ok(Answer::Result(result)), Some(class)) => {
                Err(format!("should fail with {class}, returned {}", shown(&result)))
            }
            (Ok(Answer::Failure(failure)), Some(class))
                if failure.class == *class || format!("{}.{}", failure.module, failure.class) == *class =>
            {
                Ok(())
            }
            (Ok(Answer::Failure(failure)), _) => Err(format!("failed: {}", printable(&failure.to_string(), MAX_SHOWN))),
            (Err(fault), _) => Err(fault.to_string()),
        }
    }

    fn compare(&self, result: &Text) -> Result<(), String> {
        let Some(expected) = &self.expect else { return Ok(()) };
        let expected = Text::of(expected);
        let tree = |text: &Text| serde_json::from_str::<serde_json::Value>(text.get()).ok();
        match tree(&expected) == tree(result) {
            true => Ok(()),
            false => Err(format!("should return {}, returned {}", shown(&expected), shown(result))),
        }
    }
}

fn shown(text: &Text) -> String {
    printable(text.get(), MAX_SHOWN)
}
