//! `[[selftest]]` of a manifest: a request that a component must handle as expected before it serves.
//!
//! Before it: [`super::Manifest`]. After it: [`crate::catalog::trial`] runs the request and asks here what to make of the
//! answer.

use serde::Deserialize;

use super::endpoints::Namespace;
use crate::{
    envelope::{Answer, Text},
    printable::printable,
};

/// Bytes of an answer that are told.
const MAX_SHOWN: usize = 200;

/// One `[[selftest]]`. Names are those that are served.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SelfTest {
    pub(crate) method: String,
    /// Left out, the null namespace.
    namespace: Option<Namespace>,
    /// Left out, the highest that has the method.
    pub(crate) version: Option<String>,
    /// The keyword arguments.
    #[serde(default)]
    args: toml::Table,
    /// The result; left out, any result is good.
    expect: Option<toml::Value>,
    /// The class of the failure that the handler must answer with, such as `ValueError` or `nova.exception.NotFound`.
    fails: Option<String>,
    /// Whether the handler must leave the request to others.
    #[serde(default)]
    declines: bool,
}

impl SelfTest {
    /// The namespace that is asked for; `None` is the null namespace.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_ref()?.0.as_deref()
    }

    /// The keyword arguments as JSON.
    pub(crate) fn arguments(&self) -> String {
        Text::of(&self.args).get().to_owned()
    }

    /// Whether the request has ended as it should; `None` is a request that the handler leaves to others.
    ///
    /// # Errors
    ///
    /// What was expected and what came, for the operator.
    pub(crate) fn judge(&self, answer: Option<&Answer>) -> Result<(), String> {
        match (answer, &self.fails) {
            (None, _) if self.declines => Ok(()),
            (None, _) => Err("the handler declines it (where that is meant: declines = true)".to_owned()),
            (Some(Answer::Result(result)), _) if self.declines => {
                Err(format!("should be declined, returned {}", shown(result)))
            }
            (Some(Answer::Failure(failure)), _) if self.declines => {
                Err(format!("should be declined, failed: {}", printable(&failure.to_string(), MAX_SHOWN)))
            }
            (Some(Answer::Result(result)), None) => self.compare(result),
            (Some(Answer::Result(result)), Some(class)) => {
                Err(format!("should fail with {class}, returned {}", shown(result)))
            }
            (Some(Answer::Failure(failure)), Some(class))
                if failure.class == *class || format!("{}.{}", failure.module, failure.class) == *class =>
            {
                Ok(())
            }
            (Some(Answer::Failure(failure)), _) => {
                Err(format!("failed: {}", printable(&failure.to_string(), MAX_SHOWN)))
            }
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
