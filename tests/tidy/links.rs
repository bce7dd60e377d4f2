//! Links in the written map that lead nowhere.
//!
//! Only relative ones: the network is not asked.

use std::path::Path;

use super::{Source, hold};
use crate::harness::repository;

fn broken_links(source: &Source) -> Vec<String> {
    if !source.is("md") {
        return Vec::new();
    }
    let directory = repository().join(&source.path).parent().map(Path::to_owned).unwrap_or_default();
    let links = links(&source.text).into_iter().filter(|link| !directory.join(link).exists());
    links.map(|link| source.complain(&format!("a link to {link}, which is not there"))).collect()
}

/// The files that a text links to, code aside: `a.md` of `[text](a.md#part "title")`.
fn links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            links.extend(prose(line).flat_map(links_in));
        }
    }
    links
}

/// The pieces of a line outside of `code`. A link's text may hold code, so only what comes before the `](` may be lost.
fn prose(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').step_by(2)
}

fn links_in(piece: &str) -> impl Iterator<Item = &str> {
    piece.split("](").skip(1).filter_map(|rest| {
        let target = rest.split([')', ' ', '#']).next()?;
        let is_elsewhere = target.contains("://") || target.starts_with("mailto:");
        (!target.is_empty() && !is_elsewhere).then_some(target)
    })
}

#[test]
fn every_link_leads_somewhere() {
    hold(broken_links, "docs/a.md", "see [the other page](no-such-page.md)\n");
}

#[test]
fn links_are_found_in_prose_only() {
    let text = "[a](a.md) [`b`](b.md#part) [c](https://c.org/c.md) [d](#d) `[e](e.md)`\n```\n[f](f.md)\n```\n";
    assert_eq!(links(text), ["a.md", "b.md"]);
}
