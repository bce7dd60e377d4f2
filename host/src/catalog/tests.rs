//! Tests of the resolution rule and of conflicts.

use super::*;
use crate::testing::{ECHO, current, generation, program, tight};

fn found(catalog: &Catalog, version: &str, method: &str) -> Result<String, Miss> {
    match catalog.find(None, version, Some(method))? {
        Found::Handler { generation, .. } => Ok(generation.name.clone()),
        Found::Describe => panic!("the host's own"),
    }
}

#[test]
fn the_highest_version_that_fits_and_has_the_method_answers() {
    let program = program(ECHO, tight());
    let catalog = Catalog::default()
        .with(generation("old", "1.2", &["a", "b"], program.clone()))
        .and_then(|catalog| catalog.with(generation("new", "1.5", &["a"], program.clone())))
        .and_then(|catalog| catalog.with(generation("next", "2.0", &["a"], program)))
        .unwrap();
    assert_eq!(found(&catalog, "1.0", "a"), Ok("new".into()));
    assert_eq!(found(&catalog, "1.0", "b"), Ok("old".into()));
    assert_eq!(found(&catalog, "2.0", "a"), Ok("next".into()));
    assert_eq!(found(&catalog, "1.5", "b"), Err(Miss::NoSuchMethod));
    assert_eq!(found(&catalog, "1.6", "a"), Err(Miss::UnsupportedVersion));
    assert_eq!(found(&catalog, "1", "a"), Err(Miss::Malformed(Malformed::TooShort)));
}

#[test]
fn another_namespace_is_an_unsupported_version_whatever_the_version() {
    let catalog = Catalog::default().with(generation("g", "1.0", &["a"], program(ECHO, tight()))).unwrap();
    for version in ["1.0", "nonsense"] {
        assert_eq!(catalog.find(Some("other"), version, Some("a")).unwrap_err(), Miss::UnsupportedVersion);
        assert_eq!(catalog.find(Some(""), version, Some("a")).unwrap_err(), Miss::UnsupportedVersion);
    }
}

#[test]
fn private_methods_are_not_served() {
    let catalog = Catalog::default().with(generation("g", "1.0", &["_a", ""], program(ECHO, tight()))).unwrap();
    assert_eq!(found(&catalog, "1.0", "_a"), Err(Miss::NoSuchMethod));
    assert_eq!(catalog.find(None, "1.0", None).unwrap_err(), Miss::NoSuchMethod);
}

#[test]
fn a_handler_that_offers_what_is_served_already_is_refused_with_both_names() {
    let program = program(ECHO, tight());
    let catalog = Catalog::default().with(generation("first", "1.0", &["a"], program.clone())).unwrap();
    let conflict = catalog.with(generation("second", "1.0", &["b", "a"], program.clone())).unwrap_err();
    assert_eq!(conflict.to_string(), "offers a 1.0, which first serves already");
    assert!(catalog.with(generation("second", "1.1", &["a"], program)).is_ok());
}

#[test]
fn who_holds_a_catalog_keeps_it() {
    let current = current(Catalog::default());
    let before = current.get();
    current.replace(Catalog::default().with(generation("g", "1.0", &["a"], program(ECHO, tight()))).unwrap());
    assert!(before.generations().is_empty());
    assert_eq!(current.get().generations().len(), 1);
}
