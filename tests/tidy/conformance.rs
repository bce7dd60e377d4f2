//! The rows of `docs/conformance.md`: each has a proof, and every test that one names is there.

use std::collections::BTreeSet;

use super::{Source, collect};
use crate::harness::repository;

const PAGE: &str = "docs/conformance.md";

/// What is wrong with a page, of a code base with these tests.
fn complaints(page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let rows = page.lines().enumerate().filter(|(_, line)| line.starts_with("| ") && !line.starts_with("| ---"));
    rows.filter(|(_, row)| !row.ends_with("| proof |"))
        .flat_map(|(index, row)| wrong(row, tests).map(move |what| format!("{PAGE}:{}: {what}", index + 1)))
        .collect()
}

/// What is wrong with a row.
fn wrong<'a>(row: &'a str, tests: &'a BTreeSet<String>) -> impl Iterator<Item = String> + 'a {
    let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    let shape =
        (cells.len() != 3 || cells.iter().any(|cell| cell.is_empty())).then(|| "not three full cells".to_owned());
    let proof = cells.last().copied().unwrap_or_default();
    let proves_nothing = (!proof.contains('`') && !proof.contains("*differs*")).then(|| "no proof".to_owned());
    // Between every other pair of backticks.
    let pieces: Vec<&str> = proof.split('`').collect();
    let missing: Vec<String> = (pieces.iter().skip(1).step_by(2))
        .filter(|name| looks_like_a_test(name) && !tests.contains(**name))
        .map(|name| format!("there is no test {name}"))
        .collect();
    shape.into_iter().chain(proves_nothing).chain(missing)
}

/// Whether it is the name of a test rather than a value or an option.
fn looks_like_a_test(name: &str) -> bool {
    name.contains('_') && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// The names of all tests of the repository, those of proptest among them.
fn tests() -> BTreeSet<String> {
    let mut sources = Vec::new();
    collect(&repository(), "", &mut sources);
    sources.iter().filter(|source| source.is("rs")).flat_map(tests_in).collect()
}

fn tests_in(source: &Source) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")
            && std::mem::take(&mut is_test)
        {
            names.extend(rest.split('(').next().map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_row_of_the_conformance_table_has_a_proof_that_is_there() {
    let tests: BTreeSet<String> =
        tests_in(&Source::new("a.rs", "#[test]\nfn a_b() {}\nfn c_d() {}")).into_iter().collect();
    let of = |row: &str| complaints(&format!("| item | what | proof |\n| --- | --- | --- |\n{row}"), &tests).len();
    assert_eq!(of("| x | y | `a_b` |"), 0);
    assert_eq!(of("| x | y | *differs*: so it is |"), 0);
    for bad in ["| x | y | |", "| x | y | yes |", "| x | y | `c_d` |", "| x | y | `a_b` `a_c` |"] {
        assert!(of(bad) > 0, "{bad}");
    }

    let page = std::fs::read_to_string(repository().join(PAGE)).expect("the page is there");
    let rows = page.lines().filter(|line| line.starts_with("| ")).count();
    assert!(rows > 100, "{rows} rows");
    let complaints = complaints(&page, &self::tests());
    assert!(complaints.is_empty(), "{} to mend:\n{}", complaints.len(), complaints.join("\n"));
}
