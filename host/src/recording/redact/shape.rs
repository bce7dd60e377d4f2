//! What stands for a secret: as many letters, and what a guest parses it as where that is easily kept.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Letters of base64 from which on a text is taken for it: shorter words are often that by chance.
const MIN_BASE64: usize = 16;

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
        assert!(STANDARD.decode(stand_in("I2Nsb3VkLWNvbmZpZwo=")).is_ok());
    }
}
