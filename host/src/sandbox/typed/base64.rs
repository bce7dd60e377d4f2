//! Bytes as text: RFC 4648's base64, with its own alphabet and padding, as Python's `b64encode` writes it.
//!
//! The bytes of a `list<u8>` are values of some tens of bytes each, so they pass through a small buffer, piece by piece.

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// Bytes at once: whole groups of three.
const PIECE: usize = 3 << 10;

/// Letters of the text of so many bytes.
pub(super) const fn length(bytes: usize) -> usize {
    bytes.div_ceil(3).saturating_mul(4)
}

/// Appends the text of some bytes.
pub(super) fn encode(mut bytes: impl ExactSizeIterator<Item = u8>, out: &mut String) {
    out.reserve(length(bytes.len()));
    let mut piece = Vec::with_capacity(PIECE.min(bytes.len()));
    while bytes.len() > 0 {
        piece.clear();
        piece.extend(bytes.by_ref().take(PIECE));
        STANDARD.encode_string(&piece, out);
    }
}

/// The bytes of a text, one after the other; `None` where it is no base64. Exactly one text stands for some bytes.
pub(super) fn decode(text: &str, mut push: impl FnMut(u8)) -> Option<()> {
    let mut piece = Vec::with_capacity(PIECE.min(text.len()));
    let mut pieces = text.as_bytes().chunks(PIECE / 3 * 4).peekable();
    while let Some(part) = pieces.next() {
        piece.clear();
        STANDARD.decode_vec(part, &mut piece).ok()?;
        // Only the end of a text is padded.
        if pieces.peek().is_some() && part.ends_with(b"=") {
            return None;
        }
        piece.iter().copied().for_each(&mut push);
    }
    Some(())
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

    #[test]
    fn pieces_are_joined_and_only_the_last_is_padded() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(2 * PIECE + 1).collect();
        let text = encoded(&bytes);
        assert_eq!((text.len(), text.ends_with("==")), ((2 * PIECE + 3) / 3 * 4, true));
        assert_eq!(decoded(&text), Some(bytes));
        let padded = encoded(&[0; PIECE - 1]);
        assert_eq!(decoded(&format!("{padded}{padded}")), None);
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
