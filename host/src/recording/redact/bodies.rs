//! Secrets in bytes that are no text, and in bodies that came in pieces: a piece may end within a secret, or within a letter.
//!
//! Before it: [`super`] goes through a recording. After it: the same bytes in number, cut at the same places.

use crate::envelope::Text;
use crate::recording::{
    Blob,
    form::{Call, Recording},
};

/// What stands for a byte that is no text while the rest is looked at: a letter that nobody writes.
const NO_TEXT: u8 = 0x7f;

/// Changes bytes as a text of their length. A change that does not keep it is none.
pub(super) fn as_text(bytes: &[u8], change: &mut dyn FnMut(&str) -> String) -> Vec<u8> {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::from(NO_TEXT)));
    }
    let new = change(&text).into_bytes();
    if new.len() != bytes.len() {
        return bytes.to_vec();
    }
    let back = |(new, old): (u8, &u8)| if new == NO_TEXT { *old } else { new };
    new.into_iter().zip(bytes).map(back).collect()
}

/// Changes each body that was read, as a whole.
pub(super) fn change(recording: &mut Recording, change: &mut dyn FnMut(&[u8]) -> Vec<u8>) {
    let mut pieces: Vec<(&mut Call, Vec<u8>)> = Vec::new();
    for call in recording.calls.iter_mut().filter(|call| call.import == "wasi:http/types.incoming-body.read") {
        let answer = call.answer.as_ref().map_or("null", Text::get);
        match serde_json::from_str::<Result<Blob, serde_json::Value>>(answer) {
            Ok(Ok(Blob(bytes))) => pieces.push((call, bytes)),
            _ => put_back(std::mem::take(&mut pieces), change),
        }
    }
    put_back(pieces, change);
}

fn put_back(pieces: Vec<(&mut Call, Vec<u8>)>, change: &mut dyn FnMut(&[u8]) -> Vec<u8>) {
    let whole: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let new = change(&whole);
    if new == whole || new.len() != whole.len() {
        return;
    }
    let mut rest = new.as_slice();
    for (call, bytes) in pieces {
        let (piece, after) = rest.split_at_checked(bytes.len()).unwrap_or((rest, &[]));
        rest = after;
        if piece != bytes {
            let answer: Result<Blob, ()> = Ok(Blob(piece.to_vec()));
            call.answer = serde_json::to_string(&answer).ok().and_then(|text| Text::parse(text).ok());
        }
    }
}
