//! The reference's reading of a message, beside ours: what `tests/oslo/decode.py` says of it.
//!
//! Before it: a story has bytes, and properties to go with them. No broker is involved.

use std::io::{BufRead, BufReader};
use std::process::ChildStdout;

use nova_host::envelope::Request;
use serde::Deserialize;
use serde_json::json;

use super::{Release, base64, log::Log, oslo::Python};

/// A process that decodes messages as a server of oslo.messaging does. Ends with the value.
#[derive(Debug)]
pub(crate) struct OsloDecoder {
    process: Python,
    answers: BufReader<ChildStdout>,
}

/// Both readings of a message.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Ours; a rejection's reason as text.
    pub(crate) ours: Result<Request, String>,
    /// Whether the reference takes it; why not, if it does not.
    pub(crate) theirs: Result<(), String>,
    /// Whether both took it for the same message.
    pub(crate) same: bool,
}

impl OsloDecoder {
    /// Starts the process.
    pub(crate) fn start() -> Self {
        let (process, answers) = Python::start(Release::Newest, "decode.py", &[]);
        Self { process, answers }
    }

    /// Has a message read by both.
    ///
    /// # Panics
    ///
    /// With the script's log, where it has ended.
    pub(crate) fn judge(&mut self, body: &[u8], content_type: Option<&str>, compression: Option<&str>) -> Judged {
        #[derive(Deserialize)]
        struct Line {
            accepted: bool,
            same: Option<bool>,
            #[serde(default)]
            reason: String,
        }
        let ours = Request::decode(body, content_type, compression).map_err(|error| error.to_string());
        let again = ours.as_ref().ok().map(|request| String::from_utf8(request.encode()).expect("JSON is text"));
        let line = json!({
            "body": base64::encode(body), "content_type": content_type, "compression": compression, "ours": again,
        });
        self.process.write_line(&line.to_string());
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("text");
        let log = || Log::read(&self.process.log());
        let line: Line = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}\n{}", log()));
        let theirs = if line.accepted { Ok(()) } else { Err(line.reason) };
        Judged { ours, theirs, same: line.same.unwrap_or(false) }
    }
}
