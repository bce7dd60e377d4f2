//! Finds known secrets in a text: all of them in one pass, whose time goes by the text and not by how many there are.
//!
//! Before it: secrets were found by their names. After it: each text of the recording is gone through with them. Callers choose the
//! texts and the secrets, so what is stepped through is the automaton of Aho and Corasick: its crate's own searches either leave what
//! overlaps, or list each secret within a secret.

use std::collections::HashSet;

use aho_corasick::{Anchored, automaton::Automaton as _, nfa::contiguous::NFA};

/// Bytes of a secret below which it is taken out only where its name stands: `nova` is a password somewhere, and in every
/// other word.
pub(super) const MIN_ANYWHERE: usize = 8;

/// Bytes of all secrets that are sought in one recording, in all their forms: some 40 bytes of memory each.
const MAX_SOUGHT: usize = 1 << 20;

/// There are more secrets than can be sought.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::recording) struct TooMany;

/// A secret in one of the ways it may be written.
#[derive(Debug)]
struct Form {
    length: usize,
    /// What stands for the secret as it is; not for this form of it.
    stand_in: Vec<u8>,
    /// Whether it is taken out of the names of objects, too.
    in_names: bool,
}

/// Known secrets.
#[derive(Debug)]
pub(super) struct Secrets {
    forms: Vec<Form>,
    automaton: NFA,
}

impl Secrets {
    /// Prepares secrets and what stands for each.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub(super) fn new(secrets: &[(Vec<u8>, Vec<u8>)]) -> Result<Self, TooMany> {
        let (mut sought, mut seen, mut all, mut bytes) = (Vec::new(), HashSet::new(), Vec::new(), 0_usize);
        for (secret, stand_in) in secrets {
            for form in forms(secret) {
                if seen.insert(form.clone()) {
                    bytes += form.len();
                    if bytes > MAX_SOUGHT {
                        return Err(TooMany);
                    }
                    let is_word = form.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
                    let in_names = form.len() >= if is_word { MIN_IN_NAMES } else { MIN_ANYWHERE };
                    all.push(Form { length: form.len(), stand_in: stand_in.clone(), in_names });
                    sought.push(form);
                }
            }
        }
        // Not for as many as are allowed.
        let automaton = NFA::new(&sought).map_err(|_| TooMany)?;
        Ok(Self { forms: all, automaton })
    }

    pub(super) fn are_none(&self) -> bool {
        self.forms.is_empty()
    }

    /// Where secrets are in a text: from, to, and the form; none within another.
    fn places(&self, text: &[u8], is_name: bool) -> Vec<(usize, usize, &Form)> {
        let mut places: Vec<(usize, usize, &Form)> = Vec::new();
        let Ok(mut at) = self.automaton.start_state(Anchored::No) else { return places };
        for (end, byte) in (1..).zip(text) {
            at = self.automaton.next_state(Anchored::No, at, *byte);
            if !self.automaton.is_match(at) {
                continue;
            }
            // The longest that ends here comes first.
            let form = self.forms.get(self.automaton.match_pattern(at, 0).as_usize());
            let Some(form) = form.filter(|form| form.in_names || !is_name) else { continue };
            let start = end - form.length;
            while places.last().is_some_and(|(before, ..)| *before >= start) {
                places.pop();
            }
            places.push((start, end, form));
        }
        places
    }

    /// A text without them, and in how many places one was; `None` where there is none. With `is_exact` it keeps its length
    /// whatever is written how; else a secret with letters that its writer escapes becomes as long as the secret is.
    pub(super) fn taken_out(&self, text: &[u8], is_name: bool, is_exact: bool) -> Option<(Vec<u8>, u32)> {
        let places = self.places(text, is_name);
        if places.is_empty() {
            return None;
        }
        let (mut out, mut done) = (Vec::with_capacity(text.len()), 0);
        for (start, end, form) in &places {
            let from = (*start).max(done);
            out.extend_from_slice(text.get(done..from).unwrap_or_default());
            if form.stand_in.len() == form.length {
                out.extend_from_slice(form.stand_in.get(from - start..).unwrap_or_default());
            } else if is_exact || from > *start {
                out.resize(out.len() + (end - from), b'*');
            } else {
                out.extend_from_slice(&form.stand_in);
            }
            done = *end;
        }
        out.extend_from_slice(text.get(done..).unwrap_or_default());
        Some((out, u32::try_from(places.len()).unwrap_or(u32::MAX)))
    }
}

/// Bytes of a secret that is only letters from which on it is taken out of names too: a shorter one may be a field's name.
const MIN_IN_NAMES: usize = 16;

/// A secret as it is, as JSON writes it within a string, and as a URL does.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec()];
    if let Ok(text) = std::str::from_utf8(secret) {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        forms.extend(quoted.get(1..quoted.len().saturating_sub(1)).map(|quoted| quoted.as_bytes().to_vec()));
        // As Python's json and Go's: what is no ASCII, and what would be HTML.
        let mut escaped = String::new();
        for letter in quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().chars() {
            match letter {
                ' '..='~' => escaped.push(letter),
                _ => {
                    letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| escaped.push_str(&format!("\\u{unit:04x}")))
                }
            }
        }
        forms.push(escaped.clone().into_bytes());
        let html = escaped.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        forms.push(html.into_bytes());
        let in_url = |byte: &u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        forms.push(secret.iter().map(in_url).collect::<String>().into_bytes());
    }
    forms.retain(|form| !form.is_empty());
    forms.sort_unstable();
    forms.dedup();
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(secrets: &[&str], text: &str) -> String {
        let secrets: Vec<_> = secrets.iter().map(|one| (one.as_bytes().to_vec(), vec![b'*'; one.len()])).collect();
        let secrets = Secrets::new(&secrets).unwrap();
        secrets
            .taken_out(text.as_bytes(), false, false)
            .map_or(text.to_owned(), |(out, _)| String::from_utf8(out).unwrap())
    }

    #[test]
    fn secrets_that_overlap_or_hold_each_other_are_all_taken_out() {
        for (secrets, text, left) in [
            (&["abcdefgh12", "12345678"][..], "-abcdefgh12345678-", "-****************-"),
            (&["bcd", "abcde"], "abcd abcde", "a*** *****"),
            (&["aaaa"], "aaaaaaaab", "********b"),
            (&["he", "she", "hers"], "ushers", "u*****"),
            (&["e", "he", "she"], "ushe u she", "u*** u ***"),
            (
                &["a\"b<é"],
                r#"a"b<é a\"b<é a\"b<\u00e9 a\"b\u003c\u00e9 a%22b%3C%C3%A9"#,
                "****** ****** ****** ****** ******",
            ),
            (&[], "x", "x"),
        ] {
            assert_eq!(taken(secrets, text), left);
        }
    }

    /// Attacks the thread that writes: as many secrets as a request can have, each in every text. With a loop over them it took minutes.
    #[test]
    fn many_secrets_and_many_texts_take_one_pass_each() {
        let secrets: Vec<_> = (0..40_000).map(|n| (format!("secret{n:08}").into_bytes(), vec![b'*'; 14])).collect();
        let secrets = Secrets::new(&secrets).unwrap();
        for n in 0..40_000 {
            let (out, count) = secrets.taken_out(format!("x secret{n:08}").as_bytes(), false, false).unwrap();
            assert_eq!((out.as_slice(), count), (&b"x **************"[..], 1));
        }
    }

    #[test]
    fn more_than_can_be_sought_is_said() {
        let all = [(vec![b'x'; MAX_SOUGHT + 1], Vec::new())];
        assert_eq!(Secrets::new(&all).map(drop), Err(TooMany));
    }
}
