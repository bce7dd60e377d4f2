//! What differs between two instances of a component, and what is alike in all of them.
//!
//! The memory of an instance begins as it was when the component was built, so whatever was drawn until then is alike.
//! docs/languages.md says so, language by language.

use serde_json::json;

use super::{Calculator, callers::Oslo, failures::MANIFEST};

/// Asks two instances what they draw: what must differ, and what must not.
#[track_caller]
pub(super) fn draws(calculator: Calculator, differing: &[&str], alike: &[&str]) {
    let oslo = Oslo::granting(&calculator, &MANIFEST.replace("METHOD", "fresh"));
    let ask = || {
        let request = json!({"topic": "conductor", "version": "1.3", "method": "fresh", "timeout": 120});
        oslo.client().call(request).expect("an answer")
    };
    let (first, second) = (ask(), ask());
    for name in differing {
        assert!(first[name] != second[name] && !first[name].is_null(), "{}: {name} is alike: {first}", calculator.name);
    }
    for name in alike {
        assert!(
            first[name] == second[name] && !first[name].is_null(),
            "{}: {name}: {first}, {second}",
            calculator.name
        );
    }
    let names = first.as_object().map_or(0, |values| values.len());
    assert_eq!(names, differing.len() + alike.len(), "{}: {first}", calculator.name);
}
