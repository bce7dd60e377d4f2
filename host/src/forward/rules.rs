//! Which rule is for which method.
//!
//! Before it: [`super::config`]. After it: [`super::Forwarding`] asks for each request.

use std::{collections::BTreeMap, fmt};

use super::rule::{OnFailure, Side};

/// Bytes of the name of a namespace or a method: as many as a handler's may have.
const MAX_NAME: usize = 255;

/// The methods that a rule is for, as operators write them: `METHOD` of the null namespace, `NAMESPACE.METHOD`,
/// `NAMESPACE.*`, or `*` for all. What stands behind the last dot is the method.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pattern {
    /// All methods.
    All,
    /// All methods of a namespace.
    Namespace(String),
    /// One method; `None` is the null namespace.
    Method(Option<String>, String),
}

/// The rules in force. Of several that are for a method, the narrowest counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    sides: BTreeMap<Pattern, Side>,
    on_failure: BTreeMap<Pattern, OnFailure>,
}

/// What is said of some methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Who answers them; `None` is a handler, where one has the method, and otherwise the fallback.
    pub side: Option<Side>,
    /// What becomes of one whose handler fails; `None` is as if it were refused.
    pub on_failure: Option<OnFailure>,
}

impl Pattern {
    /// Reads what an operator writes.
    ///
    /// # Errors
    ///
    /// What is expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (namespace, method) = match text.rsplit_once('.') {
            Some((namespace, method)) => (Some(namespace), method),
            None => (None, text),
        };
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == '*';
        let is_wrong = |name: &str| name.is_empty() || name.len() > MAX_NAME || name.chars().any(is_odd);
        if (method != "*" && is_wrong(method)) || namespace.is_some_and(is_wrong) {
            let shown = crate::printable::printable(text, MAX_NAME);
            return Err(format!("{shown:?} names no method: expected METHOD, NAMESPACE.METHOD, NAMESPACE.* or *"));
        }
        Ok(match (namespace, method) {
            (None, "*") => Self::All,
            (Some(namespace), "*") => Self::Namespace(namespace.to_owned()),
            (namespace, method) => Self::Method(namespace.map(str::to_owned), method.to_owned()),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Namespace(namespace) => write!(f, "{namespace}.*"),
            Self::Method(None, method) => f.write_str(method),
            Self::Method(Some(namespace), method) => write!(f, "{namespace}.{method}"),
        }
    }
}

impl Rules {
    /// What is said of a method, by the narrowest pattern that says anything.
    #[must_use]
    pub fn of(&self, namespace: Option<&str>, method: &str) -> Rule {
        if self.is_empty() {
            return Rule::default();
        }
        let patterns = [
            Some(Pattern::Method(namespace.map(str::to_owned), method.to_owned())),
            namespace.map(|namespace| Pattern::Namespace(namespace.to_owned())),
            Some(Pattern::All),
        ];
        let patterns = || patterns.iter().flatten();
        Rule {
            side: patterns().find_map(|pattern| self.sides.get(pattern)).copied(),
            on_failure: patterns().find_map(|pattern| self.on_failure.get(pattern)).copied(),
        }
    }

    /// What is said with exactly this pattern.
    #[must_use]
    pub fn get(&self, pattern: &Pattern) -> Rule {
        Rule { side: self.sides.get(pattern).copied(), on_failure: self.on_failure.get(pattern).copied() }
    }

    /// Says this, and nothing else, of a pattern.
    pub fn set(&mut self, pattern: &Pattern, rule: Rule) {
        put(&mut self.sides, pattern, rule.side);
        put(&mut self.on_failure, pattern, rule.on_failure);
    }

    /// All of them, the widest first.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Pattern, Rule> {
        let patterns = self.sides.keys().chain(self.on_failure.keys());
        patterns.map(|pattern| (pattern.clone(), self.get(pattern))).collect()
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sides.is_empty() && self.on_failure.is_empty()
    }
}

fn put<T>(map: &mut BTreeMap<Pattern, T>, pattern: &Pattern, value: Option<T>) {
    match value {
        Some(value) => drop(map.insert(pattern.clone(), value)),
        None => drop(map.remove(pattern)),
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.side {
            Some(side) => side.fmt(f)?,
            None => f.write_str("serve where a handler has it")?,
        }
        match self.on_failure {
            Some(on_failure) => write!(f, ", on failure {on_failure}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_as_operators_write_them() {
        let method =
            |namespace: Option<&str>, method: &str| Pattern::Method(namespace.map(str::to_owned), method.to_owned());
        assert_eq!(Pattern::parse("*"), Ok(Pattern::All));
        assert_eq!(Pattern::parse("compute_task.*"), Ok(Pattern::Namespace("compute_task".to_owned())));
        assert_eq!(Pattern::parse("ping"), Ok(method(None, "ping")));
        assert_eq!(Pattern::parse("a.b.ping"), Ok(method(Some("a.b"), "ping")));
        for wrong in ["", ".", "a.", ".a", "a\n", "a b", "build_*", "*.a", "a*.b", "**"] {
            assert!(Pattern::parse(wrong).unwrap_err().contains("names no method"), "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_alike(text in "[a-z_*.]{1,20}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                prop_assert_eq!(pattern.to_string(), text);
            }
        }
    }
}
