//! Bytes as text: RFC 4648's base64, with its own alphabet and padding, as Python's `b64encode` writes it.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the text of some bytes.
pub(super) fn encode(bytes: impl ExactSizeIterator<Item = u8>, out: &mut String) {
    let sextet = |bits: u32, shift: u32| {
        let at = usize::try_from(bits >> shift & 63).unwrap_or_default();
        char::from(ALPHABET.get(at).copied().unwrap_or(b'A'))
    };
    out.reserve(bytes.len().div_ceil(3).saturating_mul(4));
    let mut bytes = bytes.map(u32::from);
    while let Some(first) = bytes.next() {
        let (second, third) = (bytes.next(), bytes.next());
        let bits = first << 16 | second.unwrap_or_default() << 8 | third.unwrap_or_default();
        out.push(sextet(bits, 18));
        out.push(sextet(bits, 12));
        out.push(if second.is_some() { sextet(bits, 6) } else { '=' });
        out.push(if third.is_some() { sextet(bits, 0) } else { '=' });
    }
}

/// The bytes of a text, one after the other; `None` where it is no base64. Exactly one text stands for some bytes.
pub(super) fn decode(text: &str, mut push: impl FnMut(u8)) -> Option<()> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let groups = text.len() / 4;
    for (at, group) in text.chunks_exact(4).enumerate() {
        let padding = group.iter().rev().take_while(|byte| **byte == b'=').count();
        if padding > 2 || (padding > 0 && at + 1 < groups) {
            return None;
        }
        let mut bits = 0_u32;
        for byte in group.iter().take(4 - padding) {
            bits = bits << 6 | value(*byte)?;
        }
        bits <<= 6 * u32::try_from(padding).ok()?;
        let [_, first, second, third] = bits.to_be_bytes();
        match padding {
            0 => [first, second, third].into_iter().for_each(&mut push),
            1 if third == 0 => [first, second].into_iter().for_each(&mut push),
            2 if second == 0 && third == 0 => push(first),
            // Bits that stand for nothing.
            _ => return None,
        }
    }
    Some(())
}

fn value(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        decode(text, |byte| bytes.push(byte)).map(|()| bytes)
    }

    fn encoded(bytes: &[u8]) -> String {
        let mut text = String::new();
        encode(bytes.iter().copied(), &mut text);
        text
    }

    #[test]
    fn the_vectors_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(encoded(bytes.as_bytes()), text);
            assert_eq!(decoded(text).as_deref(), Some(bytes.as_bytes()));
        }
        for wrong in ["Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm-_", "é"] {
            assert_eq!(decoded(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes: Vec<u8>) {
            prop_assert_eq!(decoded(&encoded(&bytes)), Some(bytes));
        }

        #[test]
        fn one_text_for_some_bytes(text in "[A-Za-z0-9+/=]{0,12}") {
            if let Some(bytes) = decoded(&text) {
                prop_assert_eq!(encoded(&bytes), text);
            }
        }
    }
}
