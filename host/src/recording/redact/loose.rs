//! Secrets in text that is no JSON, or only a part of one: `name=value`, `name: value`, `'name': 'value'`, `--name value`,
//! `<name>value</name>`, and passwords in URLs. Letters may be escaped (`\"`, `%3D`) any number of times.
//!
//! Before it: a text of a recording. After it: one of the same length. One pass: what was taken as a value is not looked at again.

use std::ops::Range;

use super::names::Names;

/// A letter, read through what escapes it.
#[derive(Clone, Copy)]
struct Letter {
    byte: u8,
    /// Where it begins in the text.
    start: usize,
    /// Backslashes before it.
    slashes: usize,
}

/// What is before another word of a secret.
const SCHEMES: [&str; 6] = ["bearer", "basic", "digest", "token", "negotiate", "apikey"];

/// Where in a text secrets are, in order.
pub(super) fn places(text: &str, names: &Names) -> Vec<Range<usize>> {
    let letters = letters(text.as_bytes());
    let scan = Scan { letters: &letters, end: text.len() };
    let (mut found, mut at) = (Vec::new(), 0);
    while at < letters.len() {
        if scan.is(at, b":") && scan.is(at + 1, b"/") && scan.is(at + 2, b"/") {
            at = scan.url(at + 3, &mut found);
            continue;
        }
        if !scan.is_name(at) {
            at += 1;
            continue;
        }
        let from = at;
        while scan.is_name(at) {
            at += 1;
        }
        if let Some(value) = scan.value(from, at)
            && (names.hide(&scan.text(from..at))
                || scan.two_words(from).is_some_and(|two| names.hide(&scan.text(two..at))))
        {
            let end = value.end.max(at);
            found.push(scan.start(value.start)..scan.start(value.end));
            at = end;
        }
    }
    found.retain(|place| !place.is_empty());
    found
}

struct Scan<'a> {
    letters: &'a [Letter],
    end: usize,
}

impl Scan<'_> {
    fn byte(&self, at: usize) -> u8 {
        self.letters.get(at).map_or(0, |letter| letter.byte)
    }

    fn is(&self, at: usize, any: &[u8]) -> bool {
        at < self.letters.len() && any.contains(&self.byte(at))
    }

    fn is_name(&self, at: usize) -> bool {
        let byte = self.byte(at);
        byte.is_ascii_alphanumeric() || b"_-.".contains(&byte) || byte >= 0x80
    }

    fn start(&self, at: usize) -> usize {
        self.letters.get(at).map_or(self.end, |letter| letter.start)
    }

    fn text(&self, range: Range<usize>) -> String {
        let from = range.start.max(range.end.saturating_sub(128));
        let bytes: Vec<u8> = (from..range.end).map(|at| self.byte(at)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn until(&self, from: usize, ends: impl Fn(usize) -> bool) -> usize {
        (from..self.letters.len()).find(|at| ends(*at)).unwrap_or(self.letters.len())
    }

    fn blanks(&self, from: usize) -> usize {
        self.until(from, |at| !self.is(at, b" \t\r\n"))
    }

    /// Where the word before begins, of `api key`.
    fn two_words(&self, from: usize) -> Option<usize> {
        let mut at = from.checked_sub(1).filter(|at| self.is(*at, b" "))?;
        while at > 0 && from - at < 32 && self.is_name(at - 1) {
            at -= 1;
        }
        Some(at)
    }

    /// The value after a name, if one follows.
    fn value(&self, from: usize, end: usize) -> Option<Range<usize>> {
        if self.is(end, b">") && from > 0 && self.is(from - 1, b"<:") {
            let close = self.until(end + 1, |at| self.is(at, b"<") && self.is(at + 1, b"/"));
            return Some(end + 1..close);
        }
        let closed = self.until(end, |at| !self.is(at, b"\"'])"));
        let at = self.blanks(closed);
        if closed > end && self.is(at, b",") && self.is(self.blanks(at + 1), b"\"'") {
            return Some(self.read(self.blanks(at + 1)));
        }
        let is_option = self.is(from, b"-") && at > end && !self.is(at, b"=:-");
        if is_option {
            return Some(self.read(at));
        }
        if !self.is(at, b"=:") {
            return None;
        }
        let signs = self.until(at, |at| !self.is(at, b"=:>"));
        Some(self.read(self.blanks(signs)))
    }

    /// From where a value begins to its end.
    fn read(&self, from: usize) -> Range<usize> {
        // Python's bytes and texts.
        let from = if self.is(from, b"bu") && self.is(from + 1, b"\"'") { from + 1 } else { from };
        if self.is(from, b"\"'") {
            let quote = self.byte(from);
            let slashes = |at: usize| self.letters.get(at).map_or(0, |letter| letter.slashes);
            let ends = |at: usize| self.byte(at) == quote && slashes(at) <= slashes(from);
            return from + 1..self.until(from + 1, ends);
        }
        if self.is(from, b"{[(") {
            let mut depth = 0_usize;
            let mut ends = |at: usize| {
                if self.is(at, b"{[(") {
                    depth += 1;
                } else if self.is(at, b"}])") {
                    depth = depth.saturating_sub(1);
                }
                depth == 0
            };
            let close = (from..self.letters.len()).find(|at| ends(*at)).unwrap_or(self.letters.len());
            return from + 1..close;
        }
        let ends = |at: usize| self.is(at, b" \t\r\n&;\"'<");
        let mut end = self.until(from, ends);
        // A scheme, and then what is secret.
        while SCHEMES.contains(&self.text(from..end).to_ascii_lowercase().as_str()) && self.is(end, b" ") {
            end = self.until(self.blanks(end), ends);
        }
        while end > from && self.is(end - 1, b",)]}") {
            end -= 1;
        }
        from..end
    }

    /// Passwords in what stands after `://`, which may name several hosts.
    fn url(&self, from: usize, found: &mut Vec<Range<usize>>) -> usize {
        let end = self.until(from, |at| self.is(at, b" \t\r\n\"'<>/?#"));
        let mut piece = from;
        while let Some(at) = (piece..end).find(|at| self.is(*at, b"@")) {
            let next = self.until(at, |at| at >= end || self.is(at, b","));
            let last = (at..next).rev().find(|at| self.is(*at, b"@")).unwrap_or(at);
            if let Some(colon) = (piece..last).find(|at| self.is(*at, b":")) {
                found.push(self.start(colon + 1)..self.start(last));
            }
            piece = next + 1;
        }
        end
    }
}

fn letters(text: &[u8]) -> Vec<Letter> {
    let (mut letters, mut at) = (Vec::with_capacity(text.len()), 0);
    let digit =
        |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16)).and_then(|it| u8::try_from(it).ok());
    while at < text.len() {
        let start = at;
        let slashes = text.iter().skip(at).take_while(|byte| **byte == b'\\').count();
        at += slashes;
        let two = |at: usize| Some(digit(at)? * 16 + digit(at + 1)?);
        // `%3D`, also as `%253D`.
        let mut coded = at + 1;
        while text.get(coded..coded + 2) == Some(b"25") && two(coded + 2).is_some() {
            coded += 2;
        }
        let (new, length) = match text.get(at) {
            None => (b'\\', 0),
            Some(b'%') => two(coded).map_or((b'%', 1), |byte| (byte, coded + 2 - at)),
            Some(b'u') if slashes > 0 && text.get(at + 1..at + 3) == Some(b"00") => {
                two(at + 3).map_or((b'u', 1), |byte| (byte, 5))
            }
            Some(b'n' | b'r' | b't') if slashes > 0 => (b' ', 1),
            Some(other) => (*other, 1),
        };
        letters.push(Letter { byte: new, start, slashes });
        at += length;
    }
    letters
}
