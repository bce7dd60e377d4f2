//! Circles among the files of `host/src`: of two files that need each other, neither can be read, tested or changed alone.
//!
//! A file needs another where one of its paths (`crate::…`, `super::…`, `self::…`, or by a module that it declares) leads to an item
//! of the other; re-exports are followed to where the item is. Three things are no need: tests, a re-export of what lies below,
//! and what a file takes from those above it, for a folder's file is the ground that the files in it stand on. A parent and a
//! child that need each other are therefore no circle, but are counted on their own: [`KNOWN_PAIRS`].
//!
//! Paths that macros make are not seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::paths::{self, Import, Module};
use super::{Source, collect};
use crate::harness::repository;

/// Circles that are known, each by its files in the order of the alphabet. The list may only become shorter.
const KNOWN: [&[&str]; 0] = [];

/// Files that need a file of their own folder, which needs them as well. The list may only become shorter.
const KNOWN_PAIRS: [&str; 14] = [
    "capability/keyvalue",
    "catalog",
    "cli",
    "dispatch",
    "metrics",
    "project",
    "sandbox",
    "sandbox/compile",
    "sandbox/typed",
    "sandbox/typed/decode",
    "sandbox/wasi",
    "sandbox/wasi/http",
    "transport/rabbit/wire/tls",
    "transport/url",
];

/// A file by its path below `host/src`, without `.rs`.
type File = Vec<String>;

/// Who needs whom, with a path that says so.
#[derive(Default)]
struct Needs(BTreeMap<File, BTreeMap<File, String>>);

/// All files of a program, by what they declare and import.
struct Program {
    modules: BTreeMap<File, Module>,
}

impl Program {
    /// Of files by their paths below `host/src`.
    fn of<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let file = |path: &str| match path {
            "lib" => Vec::new(),
            path => path.split('/').map(str::to_owned).collect(),
        };
        let all: BTreeMap<File, Module> = files
            .into_iter()
            .filter_map(|(path, text)| Some((file(path.strip_suffix(".rs")?), paths::read(text))))
            .collect();
        // Of tests there is nothing: they are declared by nobody else.
        let mut modules = BTreeMap::new();
        let mut waiting = vec![Vec::new()];
        while let Some(at) = waiting.pop() {
            let Some(module) = all.get(&at) else { continue };
            waiting.extend(module.children.iter().map(|child| below(&at, child)));
            modules.insert(at, module.clone());
        }
        Self { modules }
    }

    /// The file that has the item of a path in a file; `None` where it is of another crate.
    fn resolve(&self, from: &File, path: &[String], hops: usize) -> Option<File> {
        let (first, mut rest) = path.split_first()?;
        let mut at = from.clone();
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop();
                while let Some((_, more)) = rest.split_first().filter(|(word, _)| *word == "super") {
                    at.pop();
                    rest = more;
                }
            }
            child if self.modules.get(from)?.children.contains(child) => rest = path,
            _ => return None,
        }
        while let Some((word, more)) = rest.split_first() {
            let module = self.modules.get(&at)?;
            if module.children.contains(word) {
                at.push(word.clone());
                rest = more;
                continue;
            }
            let passed_on = module.imports.iter().find(|import| import.is_passed_on && import.name == *word);
            let target = passed_on.filter(|_| hops > 0).and_then(|import| self.resolve(&at, &import.path, hops - 1));
            return Some(target.unwrap_or(at));
        }
        Some(at)
    }

    /// Who needs whom: what is below somebody and what is beside, and what is above only where it is asked for.
    fn needs(&self, is_above_too: bool) -> Needs {
        let mut needs = Needs::default();
        for (file, module) in self.modules.iter().filter(|(file, _)| !file.is_empty()) {
            for Import { path, is_passed_on, .. } in module.imports.iter().chain(&module.uses) {
                // Sixteen re-exports of one another are more than anybody writes.
                let Some(target) = self.resolve(file, path, 16) else { continue };
                let is_above = file.starts_with(&target);
                if target.is_empty() || target == *file || (is_above && !is_above_too) {
                    continue;
                }
                if *is_passed_on && target.starts_with(file) {
                    continue;
                }
                needs.0.entry(file.clone()).or_default().entry(target).or_insert_with(|| path.join("::"));
            }
        }
        needs
    }
}

fn below(file: &File, child: &str) -> File {
    [file.as_slice(), &[child.to_owned()]].concat()
}

impl Needs {
    fn of<'a>(&'a self, file: &File) -> impl Iterator<Item = (&'a File, &'a String)> {
        self.0.get(file).into_iter().flatten()
    }

    /// The shortest way from a file back to itself.
    fn circle(&self, start: &File) -> Option<Vec<File>> {
        let mut came: BTreeMap<&File, &File> = BTreeMap::new();
        let mut waiting = VecDeque::from([self.0.get_key_value(start)?.0]);
        while let Some(at) = waiting.pop_front() {
            for (next, _) in self.of(at) {
                if next == start {
                    let mut way = vec![at.clone()];
                    while let Some(before) = came.get(way.last()?) {
                        way.push((*before).clone());
                    }
                    way.reverse();
                    return Some(way);
                }
                if !came.contains_key(next) {
                    came.insert(next, at);
                    waiting.push_back(next);
                }
            }
        }
        None
    }

    /// The files that a file needs, and those that they need in turn.
    fn reached(&self, start: &File) -> BTreeSet<File> {
        let mut reached = BTreeSet::new();
        let mut waiting = vec![start.clone()];
        while let Some(at) = waiting.pop() {
            waiting.extend(self.of(&at).map(|(next, _)| next.clone()).filter(|next| reached.insert(next.clone())));
        }
        reached
    }

    /// Groups of files that all need each other, through whomever.
    fn groups(&self) -> Vec<BTreeSet<File>> {
        let reached: BTreeMap<&File, BTreeSet<File>> = self.0.keys().map(|file| (file, self.reached(file))).collect();
        let group = |file: &File| -> BTreeSet<File> {
            let back = |other: &&File| reached.get(*other).is_some_and(|reached| reached.contains(file));
            reached[file].iter().filter(back).cloned().collect()
        };
        let groups: BTreeSet<BTreeSet<File>> = self.0.keys().map(group).filter(|group| group.len() > 1).collect();
        groups.into_iter().collect()
    }

    /// The shortest circle of a group, as a person reads it.
    fn shown(&self, group: &BTreeSet<File>) -> String {
        let circles = group.iter().filter_map(|file| self.circle(file));
        let Some(mut circle) = circles.min_by_key(Vec::len) else { return String::new() };
        circle.extend(circle.first().cloned());
        let steps = circle.windows(2).filter_map(|step| {
            let [from, to] = step else { return None };
            let path = self.of(from).find(|(file, _)| *file == to).map(|(_, path)| path.as_str());
            Some(format!("{} needs {} ({})", from.join("/"), to.join("/"), path.unwrap_or_default()))
        });
        steps.collect::<Vec<_>>().join(", ")
    }
}

/// The program of this repository.
fn program() -> Program {
    let mut sources = Vec::new();
    collect(&repository().join("host/src"), "", &mut sources);
    assert!(sources.len() > 100, "{} files", sources.len());
    Program::of(sources.iter().map(|Source { path, text }| (path.as_str(), text.as_str())))
}

/// What is wrong with the circles of a program, of which some are known.
fn complaints(program: &Program, known: &[&[&str]]) -> Vec<String> {
    let needs = program.needs(false);
    let named = |group: &BTreeSet<File>| group.iter().map(|file| file.join("/")).collect::<Vec<_>>();
    let groups = needs.groups();
    let new = groups.iter().filter(|group| !known.iter().any(|known| named(group) == *known));
    let gone = known.iter().filter(|known| !groups.iter().any(|group| named(group) == **known));
    let new =
        new.map(|group| format!("a circle of {} files, of which the shortest is: {}", group.len(), needs.shown(group)));
    new.chain(gone.map(|known| format!("no longer a circle, or another: take {known:?} out of the list"))).collect()
}

/// Files that need a file of their own folder, which needs them as well.
fn pairs(program: &Program) -> BTreeSet<String> {
    let needs = program.needs(true);
    let mut pairs = BTreeSet::new();
    for (file, needed) in &needs.0 {
        for child in needed.keys().filter(|child| child.starts_with(file) && child != &file) {
            if needs.of(child).any(|(above, _)| above == file) {
                pairs.insert(file.join("/"));
            }
        }
    }
    pairs
}

#[test]
fn no_files_need_each_other_in_a_circle() {
    let complaints = complaints(&program(), &KNOWN);
    assert!(complaints.is_empty(), "{} to mend:\n{}", complaints.len(), complaints.join("\n"));
}

#[test]
fn no_more_parents_and_children_need_each_other_than_are_known() {
    let known: BTreeSet<String> = KNOWN_PAIRS.into_iter().map(str::to_owned).collect();
    let found = pairs(&program());
    let new: Vec<_> = found.difference(&known).collect();
    assert!(
        new.is_empty(),
        "they use what is in their own folder, which uses what they define; move it beside: {new:?}"
    );
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "take them out of the list: {gone:?}");
}

#[test]
fn a_circle_is_seen_through_re_exports_and_named_by_its_shortest_way() {
    let files = |more: &'static str| {
        Program::of([
            ("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\n"),
            ("a.rs", "use crate::b::Thing;\nuse crate::d::{self, Other};\n"),
            ("b.rs", "mod inner;\npub use inner::Thing;\nfn of() -> crate::c::C {}\n"),
            ("b/inner.rs", "pub struct Thing;\nuse super::Ground;\n// crate::a::A\nconst A: &str = \"crate::a::A\";\n"),
            ("c.rs", more),
            ("d.rs", "use crate::c::C;\n"),
        ])
    };
    assert!(complaints(&files("#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n"), &[]).is_empty());
    let circle = complaints(&files("fn a(_: crate::a::A) {}\n"), &[]);
    let shortest = "a needs d (crate::d), d needs c (crate::c::C), c needs a (crate::a::A)";
    assert_eq!(circle, [format!("a circle of 3 files, of which the shortest is: {shortest}")]);
    assert!(complaints(&files("use crate::a::A;\n"), &[&["a", "c", "d"]]).is_empty());
    assert_eq!(complaints(&files(""), &[&["a", "c", "d"]]).len(), 1);
}

#[test]
fn a_parent_and_a_child_that_need_each_other_are_a_pair() {
    let pair = |parent: &'static str, child: &'static str| {
        pairs(&Program::of([("lib.rs", "mod a;"), ("a.rs", parent), ("a/b.rs", child)])).len()
    };
    assert_eq!(pair("mod b;\npub use b::B;\n", "use super::A;\n"), 0);
    assert_eq!(pair("mod b;\nfn of(_: b::B) {}\n", "use crate::a::A;\n"), 1);
    assert_eq!(pair("mod b;\nuse self::b::B;\n", "#[cfg(test)]\nuse super::A;\n"), 0);
}
