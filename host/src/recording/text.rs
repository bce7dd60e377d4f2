//! JSON text whose values are replaced where they stand: order, spaces and numbers of everything else stay as they were written,
//! for a guest is given the text.

use std::collections::HashSet;

/// A name or a value in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    /// As it is written, quotes included.
    pub(super) raw: &'a str,
    /// What it is.
    pub(super) what: What,
    /// Whether it stands below a name that was asked for.
    pub(super) is_named: bool,
    /// The same of a name.
    pub(super) is_below: bool,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The name of an object's entry.
    Name,
    /// A string.
    Text,
    /// A number.
    Number,
}

/// An object or an array that the walk is in.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    is_object: bool,
    /// Whether all below it is named.
    is_named: bool,
    /// Whether the entry that comes is: by its name, or in an array by what stands before it, as in a pair.
    next_is_named: bool,
    awaits_name: bool,
    index: usize,
    /// Whether it is an object that says in one entry what another is: `{"name": "X-Auth-Token", "value": "…"}`.
    is_pair: bool,
}

/// Entries that name another one.
const NAMING: [&str; 5] = ["name", "key", "header", "field", "k"];

/// Entries that these name.
const NAMED: [&str; 9] = ["value", "values", "val", "v", "content", "contents", "data", "current", "next"];

/// Where the objects begin of which an entry names another.
fn pairs(text: &str, names: &dyn Fn(&str) -> bool) -> HashSet<usize> {
    let (mut open, mut found, mut at): (Vec<(usize, bool)>, _, _) = (Vec::new(), HashSet::new(), 0);
    let bytes = text.as_bytes();
    // What was the last string, and whether a colon came after it.
    let (mut last, mut after) = ("", false);
    while let Some(byte) = bytes.get(at) {
        let mut end = at + 1;
        match byte {
            b'{' | b'[' => open.push((at, *byte == b'{')),
            b'}' | b']' => drop(open.pop()),
            b'"' => {
                end = string_end(bytes, at).max(at + 1);
                let raw = text.get(at..end).unwrap_or_default();
                if after && NAMING.contains(&decoded(last).as_str()) && names(&decoded(raw)) {
                    found.extend(open.last().filter(|(_, is_object)| *is_object).map(|(start, _)| *start));
                }
                (last, after) = (raw, false);
            }
            _ => {}
        }
        if !byte.is_ascii_whitespace() && *byte != b'"' {
            after = *byte == b':';
        }
        at = end;
    }
    found
}

/// Goes through a JSON text and replaces tokens; `None` leaves one as it is. `names` are those below which everything is named.
/// What is no JSON ends somewhere, and is then cut or kept as it is: callers have parsed the text.
pub(super) fn rewrite(
    text: &str,
    names: &dyn Fn(&str) -> bool,
    change: &mut dyn FnMut(Token<'_>) -> Option<String>,
) -> String {
    let pairs = pairs(text, names);
    let bytes = text.as_bytes();
    let mut levels: Vec<Level> = Vec::new();
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let level = levels.last().copied().unwrap_or_default();
        let is_named = level.is_named || level.next_is_named;
        let end = match byte {
            b'"' => string_end(bytes, at),
            b'-' | b'0'..=b'9' => number_end(bytes, at),
            _ => {
                match byte {
                    b'{' => {
                        let is_pair = pairs.contains(&at);
                        levels.push(Level {
                            is_object: true,
                            awaits_name: true,
                            is_named,
                            is_pair,
                            ..Level::default()
                        });
                    }
                    b'[' => levels.push(Level { is_named, ..Level::default() }),
                    b'}' | b']' => drop(levels.pop()),
                    b',' => separated(levels.last_mut()),
                    _ => {}
                }
                let end = at + text.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
                out.push_str(text.get(at..end).unwrap_or_default());
                at = end;
                continue;
            }
        };
        let raw = text.get(at..end).unwrap_or_default();
        let what = match byte {
            b'"' if level.is_object && level.awaits_name => What::Name,
            b'"' => What::Text,
            _ => What::Number,
        };
        if let Some(level) = levels.last_mut() {
            match what {
                What::Name => {
                    let name = decoded(raw);
                    let is_named = names(&name) || (level.is_pair && NAMED.contains(&name.as_str()));
                    (level.awaits_name, level.next_is_named) = (false, is_named);
                }
                What::Text if !level.is_object && level.index == 0 => level.next_is_named = names(&decoded(raw)),
                What::Text | What::Number => {}
            }
        }
        match change(Token { raw, what, is_named: is_named && what != What::Name, is_below: level.is_named }) {
            Some(new) => out.push_str(&new),
            None => out.push_str(raw),
        }
        at = end.max(at + 1);
    }
    out
}

/// After a comma.
fn separated(level: Option<&mut Level>) {
    let Some(level) = level else { return };
    level.index += 1;
    if level.is_object {
        (level.awaits_name, level.next_is_named) = (true, false);
    } else if level.index > 1 {
        level.next_is_named = false;
    }
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn number_end(bytes: &[u8], start: usize) -> usize {
    let length =
        bytes.iter().skip(start).take_while(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
    start + length.count()
}

/// The text of a string.
pub(super) fn decoded(raw: &str) -> String {
    // Half of a surrogate pair is Python's to write, and no text here.
    serde_json::from_str(raw).unwrap_or_else(|_| raw.trim_matches('"').to_owned())
}

/// A text as a string.
pub(super) fn encoded(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> String {
        rewrite(text, &|name| name == "secret", &mut |token| match token {
            Token { is_named: true, .. } => Some("_".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn what_stands_below_a_name_is_found_and_nothing_else_moves() {
        for (text, expected) in [
            (r#"{"a" :1.50,  "secret":"x", "b":["secret"]}"#, r#"{"a" :1.50,  "secret":_, "b":["secret"]}"#),
            (r#"{"secret": {"a": [1, "é\"}"], "b": null}, "c": 2}"#, r#"{"secret": {"a": [_, _], "b": null}, "c": 2}"#),
            (r#"[["secret", "x", "y"], ["z", "x"]]"#, r#"[["secret", _, "y"], ["z", "x"]]"#),
            (r#"{"s\u0065cret": -1e9}"#, r#"{"s\u0065cret": _}"#),
            ("\"secret\"", "\"secret\""),
            (r#"{"é": "ü"}"#, r#"{"é": "ü"}"#),
        ] {
            assert_eq!(named(text), expected);
        }
    }

    #[test]
    fn what_is_no_json_ends() {
        for text in ["\"", "{\"a", "\\", "{]}", "-", "\"\\", "[,,", "é\"é"] {
            named(text);
        }
    }
}
