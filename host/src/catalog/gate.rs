//! Holds a new version against the one that serves, before it takes its place.
//!
//! Before it: [`super::load`] has made a generation that is good by itself. After it: [`super::keeper`] puts it into force, has it tried on a share
//! of the requests, or refuses it. What is demanded is in [`crate::gate`]; [`super::rehearsal`] runs recordings.

use std::path::Path;

use super::{
    Generation,
    rehearsal::{self, MAX_FINDINGS},
};
use crate::{
    contract::changes,
    gate::{Demands, Finding, Refusal},
    metrics::Gate,
    printable::printable,
};

/// Bytes of an import's name.
const MAX_NAME: usize = 100;

/// Holds a version against the one that serves. Gives what is to be known of it where it passes, in a line.
///
/// # Errors
///
/// [`Refusal`], with all that was found.
///
/// # Cancel safety
///
/// Dropped half-way, guests end where they are.
pub(super) async fn pass(
    [old, new]: [&Generation; 2],
    demands: &Demands,
    recordings: Option<&Path>,
) -> Result<String, Refusal> {
    let mut findings = compared(old, new, demands);
    let mut note = String::new();
    if let Some(most) = demands.rehearsals() {
        let (found, said) = rehearsal::run([old, new], demands, most, recordings).await;
        findings.extend(found);
        note = format!(" ({said})");
    }
    match Refusal::of(findings) {
        Some(refusal) => Err(refusal),
        None => Ok(format!("{demands}{note}")),
    }
}

/// What two versions say of themselves; nothing is run.
fn compared(old: &Generation, new: &Generation, demands: &Demands) -> Vec<Finding> {
    let found = |gate: Gate, is_demanded: bool, all: &dyn Fn() -> Vec<String>| {
        let all = if is_demanded { all() } else { Vec::new() };
        all.into_iter().take(MAX_FINDINGS).map(move |what| Finding::new(gate, &what)).collect::<Vec<_>>()
    };
    [
        found(Gate::Interface, demands.interface, &|| changes::breaking(&old.served(), &new.served())),
        found(Gate::Imports, demands.imports, &|| imports([old, new])),
        found(Gate::Grants, demands.grants, &|| {
            let beyond = new.program.grants().beyond(old.program.grants());
            beyond.into_iter().map(|grant| format!("{grant}, which the version that serves is not granted")).collect()
        }),
    ]
    .concat()
}

/// The interfaces that the new version imports and the old one does not, whatever their versions are.
fn imports([old, new]: [&Generation; 2]) -> Vec<String> {
    let name = |import: &str| import.split('@').next().unwrap_or_default().to_owned();
    let known: Vec<String> = old.program.imports().iter().map(|import| name(import)).collect();
    let is_new = |import: &&String| !known.contains(&name(import));
    let say =
        |import: &String| format!("{}, which the version that serves does not import", printable(import, MAX_NAME));
    new.program.imports().iter().filter(is_new).map(say).collect()
}
