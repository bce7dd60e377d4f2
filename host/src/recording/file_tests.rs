//! Files that are no recordings, each with what is said of it.

use serde_json::{Value, json};

use super::*;
use crate::recording::form::sample;

fn packed(text: &str) -> Vec<u8> {
    compress_to_vec(text.as_bytes(), CompressionLevel::Fastest)
}

fn refused(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    read(file.path()).unwrap_err().to_string()
}

/// A recording that somebody has edited.
fn edited(edit: impl FnOnce(&mut Value)) -> String {
    let mut value = json!(sample());
    edit(&mut value);
    refused(&packed(&value.to_string()))
}

#[test]
fn a_recording_comes_back_as_it_was() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), encode(&sample())).unwrap();
    assert_eq!(read(file.path()).unwrap(), sample());
}

#[test]
fn what_is_cut_off_or_damaged_is_refused() {
    let whole = encode(&sample());
    for length in [0, 1, 4, 10, whole.len() / 2, whole.len() - 1] {
        let text = refused(&whole[..length]);
        assert!(text.contains("damaged or cut off") || text.contains("is no recording"), "{length}: {text}");
    }
    assert!(refused(b"").ends_with(": it is empty"), "{}", refused(b""));
    let text = refused(b"no zstd at all");
    assert!(text.contains("damaged or cut off") && text.ends_with("it does not begin as zstd does"), "{text}");
    // Whatever byte is another one, nothing panics, and what is read is within its bounds.
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let _ = unpack(&bytes).and_then(|text| parse(&text));
    }
}

#[test]
fn what_is_huge_is_refused_before_it_is_kept() {
    let length = usize::try_from(MAX_TEXT).unwrap() + 1;
    let bomb = compress_to_vec(std::io::repeat(b' ').take(length as u64), CompressionLevel::Fastest);
    assert!(bomb.len() < 1 << 20);
    assert!(refused(&bomb).contains("bytes decompressed"));
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file().set_len(MAX_FILE + 1).unwrap();
    assert!(read(file.path()).unwrap_err().to_string().contains("which no recording has"));
    assert!(read(Path::new("/dev/zero")).unwrap_err().to_string().contains("no regular file"));
}

#[test]
fn another_version_is_named_before_anything_else_is_looked_at() {
    let text = refused(&packed(r#"{"format": 2, "new": true}"#));
    assert!(text.starts_with("has format 2, and this host reads 1"), "{text}");
}

#[test]
fn what_was_edited_beyond_the_bounds_is_refused_by_name() {
    for (text, named) in [
        (edited(|value| value["limits"]["timeout_ms"] = json!(u64::MAX)), "limits.timeout_ms"),
        (edited(|value| value["limits"]["cpu_us"] = json!(0)), "limits.cpu_us"),
        (edited(|value| value["limits"]["memory"] = json!(1_u64 << 40)), "limits.memory"),
        (edited(|value| value["limits"]["stack"] = json!(1_u64 << 30)), "limits.stack"),
        (edited(|value| value["handler"]["digest"] = json!("../etc")), "handler.digest"),
        (edited(|value| value["id"] = json!("../../x")), "id is"),
        (edited(|value| value["request"]["context"] = json!([])), "request.context"),
        (edited(|value| value["more"] = json!(1)), "unknown field `more`"),
        (edited(|value| drop(value.as_object_mut().unwrap().remove("calls"))), "missing field `calls`"),
        (edited(|value| value["calls"][0]["import"] = json!(7)), "invalid type"),
    ] {
        assert!(text.contains(named), "{text}");
    }
}

/// Attacks whoever trusts a replay: a context that cannot be read would be told as an empty one. Half a surrogate pair in a name is one.
#[test]
fn a_context_that_cannot_be_read_is_refused_and_not_left_out() {
    let text = json!(sample()).to_string().replace("\"context\":{}", r#""context":{"\ud800":1}"#);
    let refused = refused(&packed(&text));
    assert!(refused.contains("request.context is none that a host"), "{refused}");
}
