//! What Python takes for JSON and serde_json does not, turned into JSON.
//!
//! Only used where the strict parser has refused, so that messages which are JSON pay nothing for it.

use std::borrow::Cow;

/// Writes Python's three literals that JSON does not have in JSON: `NaN` as `null`, the infinities as numbers too large
/// for any float, which read as infinities again where a parser allows it. `None` where there is none of them.
///
/// Nothing else is changed or judged: the strict parser has the last word.
pub(super) fn from_python(text: &str) -> Option<String> {
    let mut json = String::with_capacity(text.len());
    let (mut rest, mut found) = (text, false);
    while !rest.is_empty() {
        let (token, after) = rest.split_at(token_length(rest));
        json.push_str(match token {
            "NaN" => "null",
            "Infinity" => "1e999",
            "-Infinity" => "-1e999",
            other => other,
        });
        found |= matches!(token, "NaN" | "Infinity" | "-Infinity");
        rest = after;
    }
    found.then_some(json)
}

/// The bytes of the token that a text begins with: a string with its quotes, one structural character or space, or all
/// up to the next of these. So `1Infinity` is one token, and no literal.
pub(super) fn token_length(text: &str) -> usize {
    let ends = |byte: u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']' | b',' | b':' | b' ' | b'\t' | b'\n' | b'\r');
    match text.bytes().next() {
        Some(b'"') => string_length(text),
        Some(byte) if ends(byte) => 1,
        _ => text.bytes().position(ends).unwrap_or(text.len()),
    }
}

/// The bytes of the string literal that a text begins with, its quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What becomes of half a surrogate pair, which Python's strings can hold and ours cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    /// The replacement character, U+FFFD: for names, which must be something.
    Replaced,
    /// Its escape, such as `\ud800`: for text that is JSON itself, in which the escape says the same.
    Escaped,
}

/// The text of a string literal, its quotes included. `None` where the literal is not one, or not even Python reads it.
pub(super) fn string(literal: &str, half: Half) -> Option<Cow<'_, str>> {
    let inside = literal.strip_prefix('"')?.strip_suffix('"')?;
    if !inside.contains('\\') {
        return Some(Cow::Borrowed(inside));
    }
    match serde_json::from_str(literal) {
        Ok(text) => Some(Cow::Owned(text)),
        Err(_) => unescape(inside, half).map(Cow::Owned),
    }
}

fn unescape(mut rest: &str, half: Half) -> Option<String> {
    let mut text = String::with_capacity(rest.len());
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let kind = escape.chars().next()?;
        rest = escape.get(kind.len_utf8()..)?;
        let c = match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => match unicode(&mut rest)? {
                Ok(c) => c,
                Err(_) if half == Half::Replaced => char::REPLACEMENT_CHARACTER,
                // After a backslash that stands alone, its own would be read as escaped.
                Err(_) if text.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 => return None,
                Err(surrogate) => {
                    text.push_str(&format!("\\u{surrogate:04x}"));
                    continue;
                }
            },
            _ => return None,
        };
        text.push(c);
    }
    text.push_str(rest);
    Some(text)
}

/// The character after `\u`, of two escapes where they are a pair; `Err` is a half without its other.
fn unicode(rest: &mut &str) -> Option<Result<char, u16>> {
    let digits = |text: &str| -> Option<u16> {
        let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    };
    let first = digits(rest)?;
    *rest = rest.get(4..)?;
    let second = rest.strip_prefix("\\u").and_then(digits);
    match char::decode_utf16([first].into_iter().chain(second)).next()? {
        Ok(c) => {
            if c.len_utf16() == 2 {
                *rest = rest.get(6..)?;
            }
            Some(Ok(c))
        }
        Err(error) => Some(Err(error.unpaired_surrogate())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pythons_literals_are_written_in_json() {
        let json = |text: &str| from_python(text);
        assert_eq!(json(r#"{"a": NaN, "b": [Infinity, -Infinity]}"#).unwrap(), r#"{"a": null, "b": [1e999, -1e999]}"#);
        assert_eq!(json(r#"{"NaN": "\"Infinity", "b": 1}"#), None);
        assert_eq!(json(r#"["é\\", NaN"#).unwrap(), r#"["é\\", null"#);
        assert_eq!(json("\"NaN"), None);
    }

    #[test]
    fn what_only_looks_like_a_literal_stays_wrong() {
        for text in ["1Infinity", "1.Infinity", "-NaN", "--Infinity", "Infinity5", "NaN1", "+Infinity", "nan", "NaNa"] {
            assert_eq!(from_python(text), None, "{text}");
        }
        assert_eq!(from_python("NaN\"x\"").unwrap(), "null\"x\"");
    }

    #[test]
    fn half_a_pair_is_replaced_or_stays_an_escape() {
        for (literal, replaced, escaped) in [
            (r#""\ud83d\ude00""#, "😀", "😀"),
            (r#""a\ud800b""#, "a\u{fffd}b", r"a\ud800b"),
            (r#""\uDC00\uD800""#, "\u{fffd}\u{fffd}", r"\udc00\ud800"),
            (r#""\ud800\ud83d\ude00""#, "\u{fffd}😀", "\\ud800😀"),
            (r#""\ud800A\t\"é""#, "\u{fffd}A\t\"é", "\\ud800A\t\"é"),
            (r#""\\\\\ud800""#, "\\\\\u{fffd}", r"\\\ud800"),
        ] {
            assert_eq!(string(literal, Half::Replaced).as_deref(), Some(replaced), "{literal}");
            assert_eq!(string(literal, Half::Escaped).as_deref(), Some(escaped), "{literal}");
        }
        // Python reads a backslash and then half a pair, which is no escape.
        assert_eq!(string(r#""\\\ud800""#, Half::Escaped), None);
        for wrong in ["7", "\"", r#""\ud80""#, r#""\ud80g""#, r#""\x""#, r#""\ud800\"#] {
            assert_eq!(string(wrong, Half::Replaced), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".*", escapes in r#""(\\(u[d0-9a-f]{4}|.)|[a-z]){0,9}""#) {
            let _ = from_python(&text);
            let _ = string(&text, Half::Escaped);
            let _ = string(&escapes, Half::Escaped);
        }

        #[test]
        fn what_serde_json_reads_is_read_the_same(text in ".*") {
            let literal = crate::envelope::to_text(&text);
            let inside = literal.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap();
            prop_assert_eq!(unescape(inside, Half::Replaced).unwrap(), text);
        }
    }
}
