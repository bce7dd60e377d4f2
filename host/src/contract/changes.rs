//! Whether a new interface breaks the callers of the old one.
//!
//! A caller of the old interface sends what the old types allow, so the new ones must accept all of that; and it reads
//! what the old types promise, so the new ones must not return anything else. What is thrown is not compared: a caller
//! meets exceptions that it does not know in any case.

use super::Served;
use crate::sandbox::typed::{
    Endpoint, Method,
    names::Names,
    types::{Fields, Type},
};

/// All that breaks callers, a sentence each, in the order of the old endpoints.
#[must_use]
pub fn breaking(old: &[Served<'_>], new: &[Served<'_>]) -> Vec<String> {
    let mut breaks = Vec::new();
    for endpoint in old {
        for method in &endpoint.methods {
            let place = format!("{}: {method}", endpoint.name());
            match answering(endpoint, method, new) {
                None => breaks.push(format!("{place} is no longer served")),
                Some(served) => match (endpoint.method(method), served.method(method)) {
                    (Some(was), Some(is)) => {
                        breaks.extend(compare(was, is).into_iter().map(|change| format!("{place}{change}")));
                    }
                    (Some(_), None) => breaks.push(format!("{place}: its types are not known any more")),
                    (None, _) => {}
                },
            }
        }
    }
    breaks
}

/// Who answers a request for a method in the version of the old endpoint, by the catalog's rule.
fn answering<'a, 'n>(old: &Served<'_>, method: &String, new: &'a [Served<'n>]) -> Option<&'a Served<'n>> {
    let version = old.version.to_string();
    let fits = |served: &&Served<'_>| {
        served.namespace == old.namespace
            && served.version.serves(&version).unwrap_or(false)
            && served.methods.contains(method)
    };
    new.iter().filter(fits).max_by_key(|served| served.version)
}

fn compare((old, was): (&Endpoint, &Method), (new, is): (&Endpoint, &Method)) -> Vec<String> {
    let sent = Flow { old, new, read: false };
    let mut changes: Vec<String> = sent
        .fields(&was.parameters, &is.parameters)
        .into_iter()
        .map(|change| format!("(): argument {change}"))
        .collect();
    let read = Flow { old, new, read: true };
    match (&was.result, &is.result) {
        (Some(was), Some(is)) => {
            changes.extend(read.values(is, was).into_iter().map(|change| format!("(): result{}", change.told())));
        }
        (Some(_), None) => changes.push("(): result: there is none any more".to_owned()),
        // Who reads no result does not miss it.
        (None, _) => {}
    }
    changes
}

/// Values on their way from who makes them to who takes them.
struct Flow<'a> {
    old: &'a Endpoint,
    new: &'a Endpoint,
    /// Results, which callers read: they do not mind more members. Otherwise arguments, which the host takes strictly.
    read: bool,
}

/// A change and where it is.
struct Change {
    path: String,
    words: String,
}

impl Change {
    fn within(mut self, place: &str) -> Self {
        self.path = format!("{place}{}", self.path);
        self
    }

    fn told(&self) -> String {
        format!("{}: {}", self.path, self.words)
    }
}

impl Flow<'_> {
    /// Whether all values of one type are values of the other.
    fn values(&self, from: &Type, to: &Type) -> Vec<Change> {
        match (from, to) {
            _ if from == to => Vec::new(),
            (_, Type::Json) => Vec::new(),
            (Type::Integer(from_integer), Type::Integer(to_integer))
                if from_integer.min() >= to_integer.min() && from_integer.max() <= to_integer.max() =>
            {
                Vec::new()
            }
            (Type::Integer(_) | Type::F32, Type::F64) | (Type::Char | Type::Enum(_), Type::String) => Vec::new(),
            (Type::Option(from), Type::Option(to)) | (Type::Some(from), Type::Some(to)) => self.values(from, to),
            (from, Type::Option(to)) if !matches!(**to, Type::Some(_)) => self.values(from, to),
            (Type::List(from), Type::List(to)) => within(self.values(from, to), "[]"),
            (Type::Map(from), Type::Map(to)) => {
                let mut changes = self.values(&from.0, &to.0);
                changes.extend(within(self.values(&from.1, &to.1), "{}"));
                changes
            }
            (Type::Tuple(from_types), Type::Tuple(to_types)) if from_types.len() == to_types.len() => {
                let items = from_types.iter().zip(to_types).enumerate();
                items.flat_map(|(at, (from, to))| within(self.values(from, to), &format!("[{at}]"))).collect()
            }
            (Type::Record(from), Type::Record(to)) => {
                let changes = if self.read { self.fields(to, from) } else { self.fields(from, to) };
                changes.into_iter().map(|words| Change { path: String::new(), words }).collect()
            }
            (Type::Enum(from), Type::Enum(to)) | (Type::Flags(from), Type::Flags(to)) => self.cases(from, to),
            (Type::Variant(from), Type::Variant(to)) => {
                let mut changes = self.cases(&from.names, &to.names);
                for (name, from) in from.names.iter().zip(&from.types) {
                    let to = to.names.find(name, 0).and_then(|at| to.types.get(at));
                    match (from, to) {
                        (Some(from), Some(Some(to))) => {
                            changes.extend(within(self.values(from, to), &format!(".{name}")))
                        }
                        (None, Some(None)) | (_, None) => {}
                        (Some(_), Some(None)) | (None, Some(Some(_))) => {
                            changes.push(Change {
                                path: format!(".{name}"),
                                words: "has a value in only one of them".to_owned(),
                            });
                        }
                    }
                }
                changes
            }
            (Type::Result(from), Type::Result(to)) => {
                let mut changes = Vec::new();
                for (name, from, to) in [(".ok", &from.0, &to.0), (".err", &from.1, &to.1)] {
                    match (from, to) {
                        (Some(from), Some(to)) => changes.extend(within(self.values(from, to), name)),
                        (None, None) => {}
                        _ => changes.push(Change {
                            path: name.to_owned(),
                            words: "has a value in only one of them".to_owned(),
                        }),
                    }
                }
                changes
            }
            _ => vec![Change { path: String::new(), words: self.was_and_is(from, to) }],
        }
    }

    /// Which members an old caller sends or reads that the new interface takes or returns otherwise.
    fn fields(&self, was: &Fields, is: &Fields) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, was_type) in was.names.iter().zip(&was.types) {
            let Some(is_type) = is.names.find(name, 0).and_then(|at| is.types.get(at)) else {
                changes.push(format!("'{name}': there is none any more"));
                continue;
            };
            let (from, to) = if self.read { (is_type, was_type) } else { (was_type, is_type) };
            changes.extend(self.values(from, to).iter().map(|change| format!("'{name}'{}", change.told())));
        }
        // An old caller does not send what it does not know.
        let added = is.names.iter().zip(&is.types).filter(|(name, _)| was.names.find(name, 0).is_none());
        for (name, ty) in added.filter(|(_, ty)| !self.read && !matches!(ty, Type::Option(_))) {
            changes.push(format!("'{name}': is new and must be given ({})", self.new.type_text(ty)));
        }
        changes
    }

    fn cases(&self, from: &Names, to: &Names) -> Vec<Change> {
        let gone = from.iter().filter(|name| to.find(name, 0).is_none());
        let words = |name: &str| match self.read {
            true => format!("may be '{name}', which callers do not know"),
            false => format!("may not be '{name}' any more"),
        };
        gone.map(|name| Change { path: String::new(), words: words(name) }).collect()
    }

    fn was_and_is(&self, from: &Type, to: &Type) -> String {
        let (was, is) = if self.read { (to, from) } else { (from, to) };
        format!("was {} and is {}", self.old.type_text(was), self.new.type_text(is))
    }
}

fn within(changes: Vec<Change>, place: &str) -> Vec<Change> {
    changes.into_iter().map(|change| change.within(place)).collect()
}
