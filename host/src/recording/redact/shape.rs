//! What stands for a secret: as many letters, and what a guest parses it as where that is easily kept.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Letters of base64 from which on a text is taken for it: shorter words are often that by chance.
const MIN_BASE64: usize = 16;

/// Digits of a number from which on what stands for it may stand for any.
const MIN_DIGITS: usize = 8;

const UUID: &str = "00000000-0000-4000-8000-000000000000";

const DAY: &str = "2000-01-01";

/// What stands for a text that is secret.
pub(super) fn stand_in(secret: &str) -> String {
    if is_like_uuid(secret) {
        return UUID.to_owned();
    }
    if is_time(secret) {
        let rest = secret.get(DAY.len()..).unwrap_or_default();
        let rest = rest.chars().map(|letter| if letter.is_ascii_digit() { '0' } else { letter });
        return DAY.chars().chain(rest).collect();
    }
    if is_base64(secret) {
        let bytes = secret.trim_end_matches('=').len();
        return "A".repeat(bytes) + secret.get(bytes..).unwrap_or_default();
    }
    "*".repeat(secret.len())
}

/// What stands for a number that is secret: as many digits.
pub(super) fn number(raw: &str) -> String {
    format!("1{}", "0".repeat(raw.len().saturating_sub(1)))
}

/// Which bytes of a text may stand for a secret: a guest that makes the secret itself makes others there.
pub(super) fn stand_ins(text: &str) -> Vec<bool> {
    let bytes = text.as_bytes();
    let mut marks: Vec<bool> = bytes.iter().map(|byte| *byte == b'*').collect();
    let mut mark = |from: usize, length: usize| {
        marks.iter_mut().skip(from).take(length).for_each(|mark| *mark = true);
    };
    let run =
        |from: usize, is_in: &dyn Fn(u8) -> bool| bytes.iter().skip(from).take_while(|byte| is_in(**byte)).count();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let length = if rest.starts_with(UUID.as_bytes()) {
            UUID.len()
        } else if rest.starts_with(DAY.as_bytes()) {
            DAY.len() + run(at + DAY.len(), &|byte| b"0T:.Z+- ".contains(&byte))
        } else {
            let letters = run(at, &|byte| byte == b'A');
            let padded = letters + run(at + letters, &|byte| byte == b'=').min(2);
            let digits = 1 + run(at + 1, &|byte| byte == b'0');
            match rest {
                [b'A', ..] if padded >= MIN_BASE64 => padded,
                [b'1', ..] if digits >= MIN_DIGITS => digits,
                [b'A', ..] => {
                    at += letters;
                    continue;
                }
                _ => 0,
            }
        };
        mark(at, length);
        at += length.max(1);
    }
    marks
}

fn is_like_uuid(text: &str) -> bool {
    text.len() == UUID.len()
        && text.bytes().zip(UUID.bytes()).all(|(byte, shape)| match shape {
            b'-' => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A day, or a day and a time of ISO 8601.
fn is_time(text: &str) -> bool {
    let is_day = text.bytes().zip(DAY.bytes()).all(|(byte, shape)| match shape {
        b'-' => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    is_day
        && (DAY.len()..=32).contains(&text.len())
        && text.bytes().skip(DAY.len()).all(|byte| byte.is_ascii_digit() || b"T:.Z+- ".contains(&byte))
}

fn is_base64(text: &str) -> bool {
    text.len() >= MIN_BASE64 && text.len().is_multiple_of(4) && STANDARD.decode(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_a_secret_is_as_long_and_can_be_parsed_where_that_could() {
        for (secret, expected) in [
            ("hunter2", "*******"),
            ("7c9e6679-7425-40de-944b-e07fc1f90ae7", UUID),
            ("2026-11-29T23:30:00.123456Z", "2000-01-01T00:00:00.000000Z"),
            ("2026-11-29 23:30:00+02:00", "2000-01-01 00:00:00+00:00"),
            ("I2Nsb3VkLWNvbmZpZwo=", "AAAAAAAAAAAAAAAAAAA="),
            ("é", "**"),
            ("", ""),
        ] {
            assert_eq!(stand_in(secret), expected);
            assert_eq!(expected.len(), secret.len());
        }
        for secret in
            ["hunter2", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "2026-11-29T23:30:00.5Z", "I2Nsb3VkLWNvbmZpZwo="]
        {
            let marks = stand_ins(&format!("a {} A1", stand_in(secret)));
            let marked: Vec<usize> = (0..marks.len()).filter(|at| marks[*at]).collect();
            assert_eq!(marked.len(), secret.len() + usize::from(secret.ends_with('Z')), "{secret}");
        }
        assert_eq!(stand_ins(&number("9182730019")), [true; 10]);
        assert!(!stand_ins("AAAA 1000 00000000-0000 2000-01-02").contains(&true));
        assert!(STANDARD.decode(stand_in("I2Nsb3VkLWNvbmZpZwo=")).is_ok());
    }
}
