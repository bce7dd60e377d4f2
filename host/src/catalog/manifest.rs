//! The manifest: `NAME.toml` beside `NAME.wasm`, optional.
//!
//! Before it: [`super::load`] has read the file. Single values are settings, as in the configuration; the lists of tables
//! have a file each, and so has what dispatch asks ([`delivery`]): [`endpoints`] renames and restricts, [`selftest`] tries a component before it serves.

pub(super) mod delivery;
pub(super) mod endpoints;
pub(super) mod selftest;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;

use delivery::Policies;

use crate::{
    capability::{Grants, Values},
    gate::Demands,
    sandbox::Limits,
    settings::{self, Problems, Settings},
};

/// Requests that one instance may serve: a number that no handler needs more than.
const MAX_REUSE: u32 = 1_000_000;

/// What a manifest says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Manifest {
    /// The handler's own limits over the service's.
    pub(super) limits: Limits,
    /// What is served of what the component offers, and as what.
    pub(super) endpoints: Vec<endpoints::Rule>,
    /// Requests that must end as they should before the component serves.
    pub(super) selftests: Vec<selftest::SelfTest>,
    /// Methods that may go although somebody called them recently.
    pub(super) dropped: BTreeSet<String>,
    /// The module of the exceptions that a typed handler's errors name; without it, Python's own.
    pub(super) errors_module: Option<String>,
    /// When its requests are acknowledged.
    pub(super) policies: Policies,
    /// What it may do beyond computing.
    pub(super) grants: Grants,
    /// What it demands of itself, and of the next version.
    pub(super) gate: Demands,
}

impl Manifest {
    /// Where there is none; `limits` are the service's.
    pub(super) fn none(limits: &Limits) -> Self {
        Self { limits: limits.clone(), ..Self::default() }
    }

    /// Reads a manifest; `limits` are the service's.
    pub(crate) fn parse(text: &str, limits: &Limits) -> Result<Self, Problems> {
        let mut table = settings::table(text)?;
        let mut problems = Vec::new();
        let endpoints = list(&mut table, "endpoint", &mut problems);
        let selftests = list(&mut table, "selftest", &mut problems);
        let config = Values::take(&mut table, |name| std::env::var(name).ok(), &mut problems);
        let mut settings = Settings::default();
        settings.add_table(table);
        settings.refuse("limits.stack", "is one for all handlers: set it in the service's configuration");
        let reuse = settings.take_within("instances.reuse", 1, 1..=MAX_REUSE);
        let limits = Limits { reuse, ..limits.read(&mut settings) };
        let errors_module = settings.take_optional("errors.module");
        let dropped: Vec<String> = settings.take_optional("dropped").unwrap_or_default();
        let dropped = dropped.into_iter().collect();
        let policies = Policies::read(&mut settings);
        let grants = Grants::read(&mut settings, config);
        let gate = Demands::take(&mut settings);
        if let Err(Problems(more)) = settings.finish() {
            problems.extend(more);
        }
        match problems.is_empty() {
            true => Ok(Self { limits, endpoints, selftests, dropped, errors_module, policies, grants, gate }),
            false => Err(Problems(problems)),
        }
    }
}

/// Takes the tables `[[key]]`.
fn list<T: DeserializeOwned>(table: &mut toml::Table, key: &str, problems: &mut Vec<String>) -> Vec<T> {
    let items = match table.remove(key) {
        None => return Vec::new(),
        Some(toml::Value::Array(items)) => items,
        Some(_) => {
            problems.push(format!("{key}: there may be several: write [[{key}]]"));
            return Vec::new();
        }
    };
    let mut read = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match item.try_into() {
            Ok(item) => read.push(item),
            Err(error) => {
                let error = error.to_string().trim_end().replace('\n', " ");
                problems.push(format!("[[{key}]] number {}: {error}", index + 1));
            }
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        Manifest::parse(text, &Limits::default()).unwrap_err().0
    }

    #[test]
    fn a_manifest_overrides_what_it_names() {
        let text = "dropped = [\"a\"]\n[limits]\ntimeout = \"2s\"\n[errors]\nmodule = \"nova.exception\"";
        let manifest = Manifest::parse(text, &Limits::default()).unwrap();
        assert_eq!(manifest.limits, Limits { timeout: Duration::from_secs(2), ..Limits::default() });
        assert_eq!(manifest.dropped, BTreeSet::from(["a".to_owned()]));
        assert_eq!(manifest.errors_module.as_deref(), Some("nova.exception"));
        assert!(manifest.endpoints.is_empty() && manifest.selftests.is_empty());
    }

    #[test]
    fn every_mistake_is_reported_at_once() {
        let found = problems(
            "selftest = 3\n[limits]\ntimeuot = \"2s\"\n[[endpoint]]\nnamespace = 7\n[[endpoint]]\nmethod = [\"a\"]",
        );
        assert_eq!(found.len(), 4, "{found:?}");
        assert!(found[0].starts_with("[[endpoint]] number 1: 7 is no namespace"), "{found:?}");
        assert!(found[1].starts_with("[[endpoint]] number 2: unknown field `method`, expected one of"), "{found:?}");
        assert_eq!(found[2], "selftest: there may be several: write [[selftest]]");
        assert_eq!(found[3], "limits.timeuot: no such setting; did you mean limits.timeout?");
    }

    #[test]
    fn an_instance_is_reused_where_the_manifest_says_so_and_nowhere_else() {
        let reuse = |text| Manifest::parse(text, &Limits::default()).unwrap().limits.reuse;
        assert_eq!((reuse(""), reuse("[instances]\nreuse = 50")), (1, 50));
        assert_eq!(problems("instances.reuse = 0"), ["instances.reuse: must be from 1 to 1000000"]);
        let mut service = Settings::default();
        service.add_table("instances.reuse = 50".parse().unwrap());
        assert_eq!(Limits::read_service(&mut service).reuse, 1);
        assert!(service.finish().is_err());
    }

    #[test]
    fn the_stack_is_the_services() {
        let problems = Manifest::parse("[limits]\nstack = \"1 MiB\"", &Limits::default()).unwrap_err();
        assert_eq!(problems.0, ["limits.stack: is one for all handlers: set it in the service's configuration"]);
    }
}
