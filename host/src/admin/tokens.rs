//! The file of tokens: a line for each, `NAME ROLE sha256:HEX`.
//!
//! Before it: [`super::secrets`] has read the file. After it: [`super::who`] looks for the one that somebody shows. Only hashes are
//! kept, here and in the file. They are fast ones: a token is random, and one that is too short to be is never taken.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::{operate::Role, pem::Mistake};

/// Tokens of a file.
const MAX_TOKENS: usize = 256;

/// Bytes of a token's name.
const MAX_NAME: usize = 64;

/// Characters of a token, at least: 128 bits in hexadecimal.
pub(super) const MIN_TOKEN: usize = 32;

/// What stands before a hash.
const HASH: &str = "sha256:";

/// How to make one.
const HELP: &str = "a line is NAME ROLE sha256:HEX, where HEX is what `printf %s \"$TOKEN\" | sha256sum` says";

/// SHA-256 of a token.
pub(super) type Hash = [u8; 32];

/// All tokens that are valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens(Vec<Token>);

/// A token, without the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) hash: Hash,
}

impl Tokens {
    /// Reads what is in a file. What is wrong is said by its line, and never shown.
    pub(super) fn parse(path: &Path, content: &[u8]) -> Result<Self, Mistake> {
        let text = std::str::from_utf8(content).map_err(|_| Mistake::new(path, "is not text"))?;
        let mut tokens: Vec<Token> = Vec::new();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| Mistake::new(path, format!("line {number}: {what}"));
            let token = Token::parse(line).map_err(wrong)?;
            if tokens.iter().any(|other| other.name == token.name) {
                return Err(wrong("another line has the same name"));
            }
            if tokens.iter().any(|other| other.hash == token.hash) {
                return Err(wrong("another line has the same hash: a token is one person's, with one role"));
            }
            if tokens.len() == MAX_TOKENS {
                return Err(wrong("there are more than 256 tokens"));
            }
            tokens.push(token);
        }
        Ok(Self(tokens))
    }

    /// The one that somebody shows. How long that takes says nothing about what is in the file.
    pub(super) fn find(&self, shown: &str) -> Option<&Token> {
        let hash = hash(shown);
        let mut found = None;
        for token in &self.0 {
            if token.hash.ct_eq(&hash).into() {
                found = Some(token);
            }
        }
        found.filter(|_| shown.len() >= MIN_TOKEN)
    }

    /// The one of this hash, if it is still valid.
    pub(super) fn of(&self, hash: &Hash) -> Option<&Token> {
        self.0.iter().find(|token| Choice::into(token.hash.ct_eq(hash)))
    }
}

impl Token {
    fn parse(line: &str) -> Result<Self, &'static str> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, role, hash] = words.as_slice() else { return Err(HELP) };
        let is_fine = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        if name.len() > MAX_NAME || !name.chars().all(is_fine) {
            return Err("a name has at most 64 letters, digits and ._-@");
        }
        let role = role.parse().map_err(|_| "the role is read or operate")?;
        let hash = hash.strip_prefix(HASH).and_then(unhex).ok_or(HELP)?;
        if hash == self::hash("") {
            return Err("this is the hash of nothing: the variable of the token was empty");
        }
        Ok(Self { name: (*name).to_owned(), role, hash })
    }
}

/// Whether the file is only its owner's to write, and nobody else's to read but its group's.
pub(super) fn is_private(path: &Path) -> Result<(), Mistake> {
    let mode = fs::metadata(path).map_err(|error| Mistake::new(path, error))?.mode();
    match mode & 0o027 {
        0 => Ok(()),
        _ => Err(Mistake::new(
            path,
            format!("its mode {:03o} lets others read or write it: chmod 600 it, or 640 for a group", mode & 0o777),
        )),
    }
}

/// The hash by which a secret is known.
pub(super) fn hash(secret: &str) -> Hash {
    Sha256::digest(secret.as_bytes()).into()
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    if text.len() != 2 * hash.len() || !text.is_ascii() {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn line(name: &str, token: &str) -> String {
        let hex: String = hash(token).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} operate sha256:{hex}\n")
    }

    fn parse(text: &str) -> Result<Tokens, String> {
        Tokens::parse(Path::new("t"), text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_token_whose_hash_it_is_is_found_and_a_short_one_never() {
        let tokens = parse(&format!("# ours\n\n{}{}", line("alice", SECRET), line("bob", "short"))).unwrap();
        assert_eq!(tokens.find(SECRET).unwrap().name, "alice");
        assert_eq!(tokens.of(&hash(SECRET)).unwrap().role, Role::Operate);
        for wrong in ["", "short", "0123456789abcdef0123456789abcdeF", &format!("{SECRET} ")] {
            assert_eq!(tokens.find(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_wrong_line_is_named_by_its_number_and_not_shown() {
        let good = line("alice", SECRET);
        for (text, expected) in [
            (format!("{good}alice {SECRET}"), "t: line 2: a line is NAME ROLE sha256:HEX"),
            (format!("alice operate {SECRET}"), "t: line 1: a line is NAME ROLE"),
            (format!("alice operate sha256:{SECRET}"), "t: line 1: a line is NAME ROLE"),
            (good.replace("operate", "root"), "t: line 1: the role is read or operate"),
            (good.replace("alice", "a\u{1b}b"), "t: line 1: a name has at most 64"),
            (format!("{good}{good}"), "t: line 2: another line has the same name"),
            (line("alice", ""), "t: line 1: this is the hash of nothing"),
            (format!("{good}{}", line("bob", SECRET)), "t: line 2: another line has the same hash"),
            (
                (0..300).map(|number| line(&number.to_string(), &format!("{SECRET}{number}"))).collect(),
                "line 257: there are more than 256",
            ),
        ] {
            let said = parse(&text).unwrap_err();
            assert!(said.contains(expected) && !said.contains(SECRET), "{said}");
        }
        assert!(Tokens::parse(Path::new("t"), b"\xff\xfe").is_err());
    }
}
