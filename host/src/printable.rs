//! Text of others, made fit for one line of a log or a terminal.

use std::borrow::Cow;

/// Escapes what could break a line, move a cursor or turn text around, and cuts after `limit` bytes. So nobody can forge
/// or flood a log through a method's name, an error's message or a line of their own.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    printed(text, limit).into_owned()
}

/// The same, without a copy of what is fit as it is.
#[must_use]
pub fn printed(text: &str, limit: usize) -> Cow<'_, str> {
    let text = text.trim_end();
    if text.len() <= limit && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len().min(limit));
    for c in text.chars() {
        if line.len() >= limit {
            line.push('…');
            break;
        }
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_cannot_be_forged() {
        assert_eq!(printable("a\nb\r\u{1b}[31mc\u{202e}d\n", 100), r"a\nb\r\u{1b}[31mc\u{202e}d");
        assert_eq!(printable("häß \u{1F600}", 100), "häß \u{1F600}");
        assert_eq!(printable("abcdef", 3), "abc…");
    }

    proptest! {
        #[test]
        fn whatever_comes_in_one_bounded_line_goes_out(text in "\\PC{0,50}|.{0,50}|[\\x00-\\x1f]{0,50}", limit in 0..60usize) {
            let line = printable(&text, limit);
            prop_assert!(!line.chars().any(char::is_control));
            // At most one character, escaped, beyond the limit, and the mark of the cut.
            prop_assert!(line.len() <= limit + 16);
        }
    }
}
