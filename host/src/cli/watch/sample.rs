//! Whole messages in a file: only of the method that was named, only so many, only so much, only for their owner.
//!
//! Used by [`super::Watch`]. They hold arguments and credentials, which nothing else here shows.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::{
    cli::{Exit, Failed},
    envelope::Request,
    transport::rabbit::Overheard,
};

/// Only the owner may read and write.
const MODE: u32 = 0o600;

/// Samples of a method.
#[derive(Debug)]
pub(super) struct Samples {
    path: PathBuf,
    file: File,
    method: String,
    /// How many more.
    count: u64,
    /// How many more bytes.
    bytes: usize,
}

impl Samples {
    /// Makes a file for them.
    ///
    /// # Errors
    ///
    /// Where it exists already, or cannot be made.
    pub(super) fn create(path: &Path, method: String, count: u64, bytes: usize) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
        Ok(Self { path: path.to_owned(), file, method, count, bytes })
    }

    /// Keeps a message, where it is one that is wanted and there is room.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub(super) fn offer(&mut self, request: &Request, overheard: &Overheard) -> Result<(), Failed> {
        // A line is longer than its body: most that do not fit need not be made.
        if self.count == 0 || request.method.text() != Some(&self.method) || overheard.message.body.len() > self.bytes {
            return Ok(());
        }
        let line = format!("{}\n", line(overheard));
        let Some(left) = self.bytes.checked_sub(line.len()) else { return Ok(()) };
        (self.bytes, self.count) = (left, self.count - 1);
        self.file
            .write_all(line.as_bytes())
            .map_err(|error| Failed::new(Exit::Usage, format!("{}: {error}", self.path.display())))
    }
}

/// A message in a line. A body that is no text is in base64.
fn line(overheard: &Overheard) -> Value {
    let message = &overheard.message;
    let (name, body) = match std::str::from_utf8(&message.body) {
        Ok(text) => ("body", text.to_owned()),
        Err(_) => ("body_base64", BASE64_STANDARD.encode(&message.body)),
    };
    json!({
        "exchange": message.origin.exchange,
        "routing_key": message.origin.routing_key,
        "properties": overheard.properties(),
        name: body,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::transport::{Message, Origin};

    fn overheard(body: &str) -> Overheard {
        let origin = Origin { exchange: "nova".into(), routing_key: "t".into(), ..Origin::default() };
        Overheard { message: Message { body: body.to_owned().into(), origin, ..Message::default() } }
    }

    fn offer(samples: &mut Samples, body: &str) {
        let request = Request::decode(body.as_bytes(), Some("application/json"), None).unwrap();
        samples.offer(&request, &overheard(body)).unwrap();
    }

    #[test]
    fn so_many_and_so_much_of_one_method_is_kept_in_a_new_file_of_the_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("samples");
        let mut samples = Samples::create(&path, "m".to_owned(), 2, 1000).unwrap();
        offer(&mut samples, r#"{"method": "other"}"#);
        offer(&mut samples, &format!(r#"{{"method": "m", "args": {{"a": "{}"}}}}"#, "x".repeat(900)));
        for number in 0..4 {
            offer(&mut samples, &format!(r#"{{"method": "m", "args": {{"n": {number}}}}}"#));
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["exchange"], &lines[0]["routing_key"]), (&json!("nova"), &json!("t")));
        assert_eq!(lines[1]["body"], r#"{"method": "m", "args": {"n": 1}}"#);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let again = Samples::create(&path, "m".to_owned(), 2, 1000).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_body_that_is_no_text_is_kept_as_it_is() {
        let mut message = overheard("");
        message.message.body = vec![0xff, 0].into();
        assert_eq!(line(&message)["body_base64"], "/wA=");
    }
}
