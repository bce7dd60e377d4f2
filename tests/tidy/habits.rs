//! How files look, whatever is in them.
//!
//! What a rule forbids is written in two halves here, or the rule would find itself.

use super::{Source, hold};

/// At 400 lines a file is two.
const MAX_LINES: usize = 400;

fn no_opening_words(source: &Source) -> Vec<String> {
    if source.is("rs") && !source.text.starts_with("//!") {
        return vec![source.complain("opens without `//!`: what it does, what comes before it, what after")];
    }
    Vec::new()
}

fn too_long(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    if source.is("rs") && lines > MAX_LINES {
        return vec![source.complain(&format!("{lines} lines, more than {MAX_LINES}: split it"))];
    }
    Vec::new()
}

fn named_mod(source: &Source) -> Vec<String> {
    if source.path.ends_with("/mod.rs") {
        return vec![source.complain("`foo.rs` with `foo/`, not `foo/mod.rs`")];
    }
    Vec::new()
}

fn trailing_space(source: &Source) -> Vec<String> {
    source.complain_lines(|line| line.ends_with([' ', '\t', '\r']), "ends in white space")
}

fn unfinished(source: &Source) -> Vec<String> {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimple", "mented!(")];
    source.complain_lines(|line| marks.iter().any(|mark| line.contains(mark)), "is not finished")
}

fn absolute_path(source: &Source) -> Vec<String> {
    source.complain_lines(names_a_machine, "names a place on one machine")
}

/// Whether a line has a path that begins at a directory of somebody's machine.
fn names_a_machine(line: &str) -> bool {
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/")].iter().any(|start| {
        line.match_indices(start).any(|(position, _)| {
            let before = line[..position].chars().next_back();
            let after = line[position + start.len()..].chars().next();
            // In the middle of a relative path it is no beginning; alone, or with a placeholder, it is nobody's.
            !before.is_some_and(|letter| letter.is_alphanumeric() || "._-".contains(letter))
                && after.is_some_and(char::is_alphanumeric)
        })
    })
}

/// Items of an interface that a guest's author meets.
fn undocumented_wit(source: &Source) -> Vec<String> {
    // Those of WASI are commented where they come from.
    if !source.is("wit") || source.path.starts_with("guest-sdk/wit/") {
        return Vec::new();
    }
    let mut documented = false;
    let undocumented = |line: &str| {
        let line = line.trim();
        let is_item = is_wit_item(line);
        let complaint = is_item && !documented;
        // An attribute, such as `@since(…)`, stands between an item and its comment.
        documented = line.starts_with("///") || (documented && line.starts_with('@'));
        complaint
    };
    source.complain_lines(undocumented, "has no `///`")
}

fn is_wit_item(line: &str) -> bool {
    let kinds = ["interface", "world", "record", "variant", "enum", "flags", "resource", "type"];
    let is_kind = line.split_once(' ').is_some_and(|(word, _)| kinds.contains(&word));
    let is_function =
        line.split_once(": ").is_some_and(|(_, kind)| kind.starts_with("func") || kind.starts_with("async func"));
    !line.starts_with("//") && (is_kind || is_function)
}

#[test]
fn every_file_says_what_it_is() {
    hold(no_opening_words, "host/src/a.rs", "use std::fs;\n//! Too late.\n");
}

#[test]
fn no_file_is_too_long() {
    hold(too_long, "host/src/a.rs", &"//! Long.\n".repeat(MAX_LINES + 1));
}

#[test]
fn no_module_is_called_mod() {
    hold(named_mod, "host/src/a/mod.rs", "//! A.\n");
}

#[test]
fn no_line_ends_in_white_space() {
    hold(trailing_space, "README.md", "text \n");
}

#[test]
fn nothing_is_left_unfinished() {
    hold(unfinished, "host/src/a.rs", concat!("// TO", "DO: think\n"));
    hold(unfinished, "host/src/a.rs", concat!("    unimple", "mented!()\n"));
}

#[test]
fn no_path_is_of_one_machine() {
    hold(absolute_path, "README.md", concat!("cd /ho", "me/alice/nova-host\n"));
    assert!(names_a_machine(concat!("see `/wo", "rk/notes.md`")));
    assert!(!names_a_machine(concat!("docs/wo", "rk/notes.md and /ho", "me/<user>")));
}

#[test]
fn every_interface_item_has_a_comment() {
    hold(undocumented_wit, "wit/a.wit", "/// An interface.\ninterface a {\n  run: func() -> u32;\n}\n");
    let good =
        "/// An interface.\n@since(version = 1.0.0)\ninterface a {\n  use b.{c};\n  /// Runs.\n  run: func();\n}\n";
    assert!(undocumented_wit(&Source::new("wit/a.wit", good)).is_empty());
}
