//! The paths in a file of Rust: what it imports, and what it names.
//!
//! No parser: enough for how files look here. [`super::circles`] follows the paths.

use std::collections::BTreeSet;

/// What a file has.
#[derive(Clone, Debug, Default)]
pub(super) struct Module {
    /// The modules that it declares in files of their own, tests aside.
    pub(super) children: BTreeSet<String>,
    /// What its `use`s bring.
    pub(super) imports: Vec<Import>,
    /// Paths in its code.
    pub(super) uses: Vec<Import>,
}

/// A path, and what it is called here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) name: String,
    pub(super) path: Vec<String>,
    /// Whether others may take it from here.
    pub(super) is_passed_on: bool,
}

/// Reads a file.
pub(super) fn read(text: &str) -> Module {
    let tokens = without_tests(&tokens(text));
    let mut module = Module::default();
    let mut at = 0;
    // Depth of braces, and at which of them modules begin that are in the file itself.
    let (mut depth, mut inner) = (0_usize, Vec::new());
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                inner.retain(|begun| *begun < depth);
            }
            "mod" => match (tokens.get(at + 1), tokens.get(at + 2).map(String::as_str)) {
                (Some(name), Some(";")) => drop(module.children.insert(name.clone())),
                (Some(_), Some("{")) => inner.push(depth),
                _ => {}
            },
            "use" => {
                let is_passed_on = is_public(&tokens, at);
                let end =
                    tokens.iter().skip(at).position(|token| token == ";").map_or(tokens.len(), |length| at + length);
                let mut found = Vec::new();
                tree(tokens.get(at + 1..end).unwrap_or_default(), &[], &mut found);
                let found = found.into_iter().filter_map(|(name, path)| Some((name, outer(path, inner.len())?)));
                module.imports.extend(found.map(|(name, path)| Import { name, path, is_passed_on }));
                at = end;
            }
            word if is_word(word)
                && (at == 0 || tokens.get(at - 1).is_none_or(|before| before != "::" && before != ".")) =>
            {
                let mut path = vec![word.to_owned()];
                while let (Some("::"), Some(next)) = (tokens.get(at + 1).map(String::as_str), tokens.get(at + 2)) {
                    if !is_word(next) {
                        break;
                    }
                    path.push(next.clone());
                    at += 2;
                }
                if path.len() > 1
                    && let Some(path) = outer(path, inner.len())
                {
                    module.uses.push(Import { name: String::new(), path, is_passed_on: false });
                }
            }
            _ => {}
        }
        at += 1;
    }
    module
}

/// A path of a module that is in the file itself, seen from the file; `None` where it stays in there.
fn outer(mut path: Vec<String>, inner: usize) -> Option<Vec<String>> {
    for _ in 0..inner {
        match path.first().map(String::as_str) {
            Some("super") => drop(path.remove(0)),
            Some("crate") => return Some(path),
            _ => return None,
        }
    }
    if inner > 0 && path.first().is_some_and(|word| word != "super") {
        path.insert(0, "self".to_owned());
    }
    Some(path)
}

/// Whether `pub` or `pub(…)` stands before a word.
fn is_public(tokens: &[String], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at)).map(String::as_str);
    if before(1) != Some(")") {
        return before(1) == Some("pub");
    }
    (2..8).find(|back| before(*back) == Some("(")).is_some_and(|open| before(open + 1) == Some("pub"))
}

/// The paths of a `use`, each with its name.
fn tree(tokens: &[String], prefix: &[String], found: &mut Vec<(String, Vec<String>)>) {
    let mut path = prefix.to_vec();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => {}
            "{" => {
                let mut depth = 0_usize;
                let mut start = at + 1;
                for (index, token) in tokens.iter().enumerate().skip(at) {
                    match token.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        _ => {}
                    }
                    if (depth == 1 && token == ",") || depth == 0 {
                        let part = tokens.get(start..index).unwrap_or_default();
                        if !part.is_empty() {
                            tree(part, &path, found);
                        }
                        start = index + 1;
                    }
                }
                return;
            }
            "as" => {
                let name = tokens.get(at + 1).cloned().unwrap_or_default();
                found.push((name, path));
                return;
            }
            "self" if !path.is_empty() => {}
            word => path.push(word.to_owned()),
        }
        at += 1;
    }
    found.push((path.last().cloned().unwrap_or_default(), path));
}

/// Leaves out what is compiled for tests alone.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const TEST: [&str; 5] = ["#", "[", "cfg", "(", "test"];
    let mut kept = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let is_test =
            TEST.iter().enumerate().all(|(index, word)| tokens.get(at + index).is_some_and(|token| token == word));
        if !is_test {
            kept.push(token.clone());
            at += 1;
            continue;
        }
        // To the end of the item behind it: its braces, or its semicolon.
        let mut depth = 0_usize;
        for token in tokens.iter().skip(at) {
            at += 1;
            match token.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

fn is_word(token: &str) -> bool {
    token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_')
}

/// Words and signs, without comments and texts.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("r#\"") {
            rest.get(3..).and_then(|rest| rest.find("\"#")).map_or(rest.len(), |length| length + 5)
        } else if letter == '"' {
            quoted(rest)
        } else if letter == '\'' {
            // A letter, or a lifetime, which has no second quote.
            let mut letters = rest.char_indices().skip(1);
            match (letters.next(), letters.next()) {
                (Some((_, '\\')), _) => rest.get(3..).and_then(|rest| rest.find('\'')).map_or(1, |length| length + 4),
                (Some(_), Some((at, '\''))) => at + 1,
                _ => 1,
            }
        } else if letter.is_alphabetic() || letter == '_' {
            let length = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
            tokens.extend(rest.get(..length).map(str::to_owned));
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !letter.is_whitespace() {
                tokens.push(letter.to_string());
            }
            letter.len_utf8()
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// Bytes of a text with its quotes.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if letter == '"' && !is_escaped {
            return at + 1;
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    text.len()
}

#[test]
fn paths_are_found_in_code_and_imports_and_not_in_words() {
    let module = read(concat!(
        "//! crate::comment\nmod child;\npub(crate) use child::{A, deeper::{B as C, self}};\n",
        "use std::fs;\nfn f<'a>(_: &'a super::D) -> char { let _ = \"crate::text\\\"\"; other::call(); '\\'' }\n",
        "mod inside {\n    use super::child::E;\n    use super::super::F;\n}\n",
        "#[cfg(test)]\nmod tests {\n    use crate::test;\n}\n#[cfg(test)]\nmod more;\n",
    ));
    assert_eq!(module.children.iter().map(String::as_str).collect::<Vec<_>>(), ["child"]);
    let paths = |imports: &[Import]| imports.iter().map(|import| import.path.join("::")).collect::<Vec<_>>();
    let imports = ["child::A", "child::deeper::B", "child::deeper", "std::fs", "self::child::E", "super::F"];
    assert_eq!(paths(&module.imports), imports);
    assert_eq!(paths(&module.uses), ["super::D", "other::call"]);
    let named: Vec<_> = module.imports.iter().map(|import| (import.name.as_str(), import.is_passed_on)).collect();
    assert_eq!(named[..4], [("A", true), ("C", true), ("deeper", true), ("fs", false)]);
}
