//! Text of others, made fit for one line of a log or a terminal.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

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
        if c.is_control() || is_invisible(c) {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}

/// Whether a character ends a line or turns text around, without being seen.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// The same of a value that may write much more: it is stopped where there is enough.
pub fn written(value: &impl fmt::Display, limit: usize) -> String {
    // One character more than the limit, by which it is seen that it goes on.
    let mut room = Room { text: String::new(), left: limit + char::MAX_LEN_UTF8 };
    // It fails where it is stopped.
    write!(room, "{value}").ok();
    printable(&room.text, limit)
}

/// Takes so many bytes.
struct Room {
    text: String,
    left: usize,
}

impl fmt::Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let head = text.get(..text.floor_char_boundary(self.left)).unwrap_or_default();
        self.text.push_str(head);
        self.left -= head.len();
        if head.len() == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
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
        assert_eq!(printable("a\u{200e}b\u{200f}c\u{61c}d", 100), r"a\u{200e}b\u{200f}c\u{61c}d");
    }

    #[test]
    fn a_value_that_never_ends_is_stopped() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("é")?;
                }
            }
        }
        assert_eq!(written(&Endless, 6), "ééé…");
        assert_eq!(written(&"abc", 3), "abc");
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
