//! Bytes in a recording: text where they are text, so that names in it are seen, and base64 where they are not.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// What stands before bytes that are no text, or begin like this themselves.
const MARK: &str = "base64:";

/// Bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blob(pub Vec<u8>);

/// Bytes that are written as base64; `None` is a text.
pub(super) fn of_text(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text.strip_prefix(MARK)?).ok()
}

/// Writes bytes as base64 whatever they are.
pub(super) fn as_base64(bytes: &[u8]) -> String {
    format!("{MARK}{}", STANDARD.encode(bytes))
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with(MARK) => serializer.serialize_str(text),
            _ => serializer.serialize_str(&format!("{MARK}{}", STANDARD.encode(&self.0))),
        }
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.strip_prefix(MARK) {
            Some(coded) => STANDARD.decode(coded).map(Self).map_err(D::Error::custom),
            None => Ok(Self(text.into_bytes())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_whatever_they_are() {
        for (bytes, written) in [
            (&b"{\"a\": 1}"[..], r#""{\"a\": 1}""#),
            (b"\xff\x00", r#""base64:/wA=""#),
            (b"base64:x", r#""base64:YmFzZTY0Ong=""#),
            (b"", r#""""#),
        ] {
            let text = serde_json::to_string(&Blob(bytes.to_vec())).unwrap();
            assert_eq!(text, written);
            assert_eq!(serde_json::from_str::<Blob>(&text).unwrap().0, bytes);
        }
        assert!(serde_json::from_str::<Blob>(r#""base64:?""#).is_err());
    }
}
