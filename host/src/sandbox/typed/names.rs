//! WIT's names in Python's manner, and looking them up.

/// The package that is the host's own; what a handler exports of it is no method.
const OWN: &str = "nova:rpc";

/// Interfaces of the system, which language runtimes export for commands.
const SYSTEM: &str = "wasi:";

/// The interface whose methods are in the null namespace.
const NULL_NAMESPACE: &str = "api";

/// The version where a package has none: what a request without a version asks for.
const DEFAULT_VERSION: &str = "1.0";

/// Names of fields, cases or parameters: as WIT writes them and as callers do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Names {
    wit: Vec<String>,
    json: Vec<String>,
    /// Positions in the order of `json`, for searching: a caller chooses the order of a record's keys.
    sorted: Vec<usize>,
}

impl Names {
    pub(super) fn new<'a>(wit: impl IntoIterator<Item = &'a str>) -> Self {
        let wit: Vec<String> = wit.into_iter().map(str::to_owned).collect();
        let json: Vec<String> = wit.iter().map(|name| snake(name)).collect();
        let mut sorted: Vec<usize> = (0..json.len()).collect();
        sorted.sort_by_key(|at| json.get(*at));
        Self { wit, json, sorted }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.wit.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wit.is_empty()
    }

    /// The names that callers use.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.json.iter().map(String::as_str)
    }

    /// The position of a caller's name; `hint` is looked at first.
    #[must_use]
    pub fn find(&self, name: &str, hint: usize) -> Option<usize> {
        if self.json.get(hint).is_some_and(|at_hint| at_hint == name) {
            return Some(hint);
        }
        let found = self.sorted.binary_search_by(|at| self.json(*at).cmp(name)).ok()?;
        self.sorted.get(found).copied()
    }

    /// The position of a name as WIT writes it.
    pub(super) fn find_wit(&self, name: &str) -> Option<usize> {
        let json = snake(name);
        self.find(&json, usize::MAX)
    }

    /// One as WIT writes it.
    pub(super) fn wit(&self, at: usize) -> &str {
        self.wit.get(at).map(String::as_str).unwrap_or_default()
    }

    /// One as callers write it.
    #[must_use]
    pub fn json(&self, at: usize) -> &str {
        self.json.get(at).map(String::as_str).unwrap_or_default()
    }
}

/// `build-instances` to `build_instances`. Nothing else changes, so the way back is as plain.
pub(super) fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// `compute-task` to `ComputeTask`: a class.
#[must_use]
pub fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    for word in name.split(['-', '_']) {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

/// What an exported name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exported {
    /// As in WIT.
    pub(super) interface: String,
    /// `None` for `api`.
    pub(super) namespace: Option<String>,
    /// `MAJOR.MINOR`.
    pub(super) version: String,
}

/// Takes the name of an export apart: `acme:conductor/compute-task@1.5.2`. `None` where it is no interface of a
/// handler's own: a name without a package, the host's, the system's.
pub(super) fn exported(name: &str) -> Option<Exported> {
    let (path, version) = name.split_once('@').map_or((name, None), |(path, version)| (path, Some(version)));
    let (package, interface) = path.rsplit_once('/')?;
    if package == OWN || package.starts_with(SYSTEM) {
        return None;
    }
    let version = version.map_or_else(
        || DEFAULT_VERSION.to_owned(),
        |version| version.splitn(3, '.').take(2).collect::<Vec<_>>().join("."),
    );
    let namespace = (interface != NULL_NAMESPACE).then(|| snake(interface));
    Some(Exported { interface: interface.to_owned(), namespace, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export(name: &str) -> Option<(Option<String>, String)> {
        exported(name).map(|exported| (exported.namespace, exported.version))
    }

    #[test]
    fn an_export_names_namespace_and_version() {
        let some = |namespace: &str, version: &str| Some((Some(namespace.to_owned()), version.to_owned()));
        assert_eq!(export("acme:conductor/compute-task@1.5.2"), some("compute_task", "1.5"));
        assert_eq!(export("acme:conductor/compute-task@0.12.0-rc.1+build"), some("compute_task", "0.12"));
        assert_eq!(export("acme:conductor/api@2.0.0"), Some((None, "2.0".to_owned())));
        assert_eq!(export("acme:conductor/thing"), some("thing", "1.0"));
    }

    #[test]
    fn what_is_not_the_handlers_own_is_no_endpoint() {
        for name in ["run", "exports", "nova:rpc/handler@0.1.0", "wasi:cli/run@0.2.0"] {
            assert_eq!(export(name), None, "{name}");
        }
    }

    #[test]
    fn names_are_found_wherever_they_stand() {
        let names = Names::new(["zone-id", "b", "VIF-x", "a"]);
        for (at, name) in ["zone_id", "b", "VIF_x", "a"].into_iter().enumerate() {
            for hint in 0..6 {
                assert_eq!(names.find(name, hint), Some(at), "{name} {hint}");
            }
            assert_eq!(names.find_wit(names.wit(at)), Some(at));
        }
        assert_eq!(names.find("zone-id", 0), None);
        assert_eq!(camel("compute-task"), "ComputeTask");
        assert_eq!(camel("HTTP-error2"), "HTTPError2");
    }
}
