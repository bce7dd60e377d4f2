//! Finds known secrets in a text: all of them in one pass, whose time goes by the text and not by how many there are.
//!
//! Before it: secrets were found by their names. After it: each text of the recording is gone through with them. Callers choose the
//! texts and the secrets, so the worst case is linear in both (Aho and Corasick, 1975).

use std::collections::{HashMap, HashSet};

/// Bytes of a secret below which it is taken out only where its name stands: `nova` is a password somewhere, and in every
/// other word.
pub(super) const MIN_ANYWHERE: usize = 8;

/// Bytes of all secrets that are sought in one recording, in all their forms: some 40 bytes of memory each.
const MAX_SOUGHT: usize = 1 << 20;

/// The state in which nothing has been seen.
const ROOT: u32 = 0;

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

/// A state: what has been seen of a form.
#[derive(Debug, Default)]
struct State {
    before: u32,
    /// The state of the longest end of what was seen that begins a form.
    fail: u32,
    /// The longest form that ends here, counted from 1.
    form: u32,
    depth: u32,
    byte: u8,
}

/// Known secrets.
#[derive(Debug)]
pub(super) struct Secrets {
    forms: Vec<Form>,
    states: Vec<State>,
    next: HashMap<(u32, u8), u32>,
}

impl Secrets {
    /// Prepares secrets and what stands for each.
    ///
    /// # Errors
    ///
    /// [`TooMany`].
    pub(super) fn new(secrets: &[(Vec<u8>, Vec<u8>)]) -> Result<Self, TooMany> {
        let mut made = Self { forms: Vec::new(), states: vec![State::default()], next: HashMap::new() };
        let mut seen = HashSet::new();
        for (secret, stand_in) in secrets {
            for form in forms(secret) {
                if made.states.len() + form.len() > MAX_SOUGHT {
                    return Err(TooMany);
                }
                if seen.insert(form.clone()) {
                    made.add(&form, stand_in);
                }
            }
        }
        made.link();
        Ok(made)
    }

    pub(super) fn are_none(&self) -> bool {
        self.forms.is_empty()
    }

    fn add(&mut self, form: &[u8], stand_in: &[u8]) {
        let mut at = ROOT;
        for (depth, byte) in (1..).zip(form) {
            let new = u32::try_from(self.states.len()).unwrap_or(ROOT);
            let next = *self.next.entry((at, *byte)).or_insert(new);
            if next == new {
                self.states.push(State { before: at, byte: *byte, depth, ..State::default() });
            }
            at = next;
        }
        let is_word = form.iter().all(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        let in_names = form.len() >= if is_word { MIN_IN_NAMES } else { MIN_ANYWHERE };
        self.forms.push(Form { length: form.len(), stand_in: stand_in.to_vec(), in_names });
        let number = u32::try_from(self.forms.len()).unwrap_or_default();
        if let Some(state) = self.state_mut(at) {
            state.form = number;
        }
    }

    /// Says of each state where to go on from when nothing follows; the shorter ones first.
    fn link(&mut self) {
        let mut order: Vec<u32> = (1..).take(self.states.len().saturating_sub(1)).collect();
        order.sort_by_key(|at| self.state(*at).depth);
        for at in order {
            let State { before, byte, form, .. } = *self.state(at);
            let fail = if before == ROOT { ROOT } else { self.step(self.state(before).fail, byte) };
            let inherited = self.state(fail).form;
            if let Some(state) = self.state_mut(at) {
                state.fail = fail;
                state.form = if form == 0 { inherited } else { form };
            }
        }
    }

    fn state(&self, at: u32) -> &State {
        const NONE: &State = &State { before: ROOT, fail: ROOT, form: 0, depth: 0, byte: 0 };
        usize::try_from(at).ok().and_then(|at| self.states.get(at)).unwrap_or(NONE)
    }

    fn state_mut(&mut self, at: u32) -> Option<&mut State> {
        self.states.get_mut(usize::try_from(at).ok()?)
    }

    fn step(&self, from: u32, byte: u8) -> u32 {
        let mut at = from;
        loop {
            match self.next.get(&(at, byte)) {
                Some(next) => return *next,
                None if at == ROOT => return ROOT,
                None => at = self.state(at).fail,
            }
        }
    }

    /// Where secrets are in a text: from, to, and the form; none within another.
    fn places(&self, text: &[u8], is_name: bool) -> Vec<(usize, usize, &Form)> {
        let mut places: Vec<(usize, usize, &Form)> = Vec::new();
        let mut at = ROOT;
        for (end, byte) in (1..).zip(text) {
            at = self.step(at, *byte);
            let number = usize::try_from(self.state(at).form).unwrap_or_default();
            let Some(form) = number.checked_sub(1).and_then(|number| self.forms.get(number)) else { continue };
            if is_name && !form.in_names {
                continue;
            }
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
        let all = [(vec![b'x'; MAX_SOUGHT], Vec::new())];
        assert_eq!(Secrets::new(&all).map(drop), Err(TooMany));
    }
}
