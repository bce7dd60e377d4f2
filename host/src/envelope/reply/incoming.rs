//! What a caller makes of the messages on its reply queue.
//!
//! Before it: [`crate::client`] has a message. After it: the call that waits for it. Servers of all ages and kinds
//! write these messages, so a message is held against its sender only where it cannot be understood at all: values of
//! the wrong type mean what they mean in Python, and what is missing is empty.

use std::collections::HashMap;

use super::Answer;
use crate::envelope::{Error, Failure, Text, failure::BUILTINS, open, parse};

/// What Python 2 calls the module of its built-in exceptions.
const BUILTINS_OF_PYTHON_2: &str = "exceptions";

/// What a caller in Python meets where a failure does not say its class.
const UNNAMED_CLASS: &str = "RemoteError";

/// One message on a reply queue, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Which call it belongs to.
    pub message_id: String,
    /// What it says; nothing where it is a heartbeat. An error where it says something that cannot be read.
    pub answer: Result<Option<Answer>, Error>,
    /// Whether it calls itself the last for this call. A failure is the last even where it does not say so.
    pub ending: bool,
}

impl Reply {
    /// Whether it ends a call without a value of its own: what servers of old send after the value.
    #[must_use]
    pub fn is_bare_ending(&self) -> bool {
        self.ending && matches!(&self.answer, Ok(Some(Answer::Result(value))) if *value == Text::null())
    }

    /// Decodes the body of a message from a reply queue.
    ///
    /// # Errors
    ///
    /// [`Error`] where the bytes are not a reply to any call.
    pub fn decode(body: &[u8], content_type: Option<&str>, compression: Option<&str>) -> Result<Self, Error> {
        let fields: HashMap<String, Text> = open(body, content_type, compression)?;
        let field = |name: &str| fields.get(name).filter(|text| text.get() != "null");
        let message_id = field("_msg_id").and_then(|text| serde_json::from_str(text.get()).ok());
        let message_id = message_id.ok_or(Error::NoMessageId)?;
        let ending = field("ending").is_some_and(is_true);
        let answer = match field("failure").filter(|failure| is_true(failure)) {
            Some(text) => failure(text).map(|failure| Some(Answer::Failure(failure))),
            None => Ok(match field("result") {
                Some(result) => Some(Answer::Result(result.clone())),
                None => ending.then(|| Answer::Result(Text::null())),
            }),
        };
        Ok(Self { message_id, answer, ending })
    }
}

/// A failure: a JSON object as text in a JSON string. Without the string it is as clear.
fn failure(text: &Text) -> Result<Failure, Error> {
    const PART: &str = "failure";
    let fields: HashMap<String, Text> = match text.python_type() {
        "str" => parse(&parse::<String>(text.get(), PART)?, PART)?,
        _ => parse(text.get(), PART)?,
    };
    let string = |name: &str| fields.get(name).and_then(string);
    let of_type = |name: &str, python_type: &str, otherwise: Text| {
        fields.get(name).filter(|text| text.python_type() == python_type).cloned().unwrap_or(otherwise)
    };
    let module = string("module").unwrap_or_default();
    Ok(Failure {
        class: string("class").unwrap_or_else(|| UNNAMED_CLASS.to_owned()),
        module: if module == BUILTINS_OF_PYTHON_2 { BUILTINS.to_owned() } else { module },
        message: string("message").unwrap_or_default(),
        traceback: fields.get("tb").map(lines).unwrap_or_default(),
        args: of_type("args", "list", Text::of(&[(); 0])),
        kwargs: of_type("kwargs", "dict", Text::of(&serde_json::Map::new())),
    })
}

/// A string; of another value its JSON, and nothing of `null`.
fn string(text: &Text) -> Option<String> {
    match text.python_type() {
        "NoneType" => None,
        "str" => Some(serde_json::from_str(text.get()).unwrap_or_else(|_| text.get().to_owned())),
        _ => Some(text.get().to_owned()),
    }
}

/// The lines of a traceback: those of a list that are strings, or a string as one.
fn lines(text: &Text) -> Vec<String> {
    match serde_json::from_str::<Vec<Text>>(text.get()) {
        Ok(lines) => lines.iter().filter_map(string).collect(),
        Err(_) => string(text).into_iter().collect(),
    }
}

/// Python's truth of a JSON value.
fn is_true(text: &Text) -> bool {
    let json = text.get();
    let inside = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    match text.python_type() {
        "NoneType" => false,
        "bool" => json == "true",
        "str" => !inside.is_empty(),
        "list" | "dict" => !inside.trim_ascii().is_empty(),
        _ => json.parse() != Ok(0.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::CONTENT_TYPE;

    fn decode(body: &str) -> Reply {
        Reply::decode(body.as_bytes(), Some(CONTENT_TYPE), None).unwrap()
    }

    fn failure_of(json: &str) -> Failure {
        match decode(&serde_json::json!({"failure": json, "_msg_id": "i"}).to_string()).answer {
            Ok(Some(Answer::Failure(failure))) => failure,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn truth_is_pythons() {
        let truth = |json: &str| is_true(&Text::parse(json.into()).unwrap());
        for yes in ["true", "1", "-1", "0.1", "1e999", r#""x""#, r#""false""#, "[0]", "[[]]", "[ {} ]", r#"{"a": 0}"#] {
            assert!(truth(yes), "{yes}");
        }
        for no in ["false", "null", "0", "-0", "0.0", "0e5", r#""""#, "[]", "[ ]", "{}", "{\n}"] {
            assert!(!truth(no), "{no}");
        }
    }

    #[test]
    fn whatever_is_missing_in_a_failure_is_empty() {
        let empty = Failure {
            class: "RemoteError".into(),
            module: String::new(),
            message: String::new(),
            traceback: Vec::new(),
            args: Text::of(&[(); 0]),
            kwargs: Text::of(&serde_json::Map::new()),
        };
        assert_eq!(failure_of("{}"), empty);
        let nonsense =
            r#"{"class": null, "module": null, "message": null, "tb": null, "args": 1, "kwargs": [], "x": 1}"#;
        assert_eq!(failure_of(nonsense), empty);
        let odd = failure_of(r#"{"class": "C", "class": "D", "message": 7, "tb": "all in one", "args": [NaN]}"#);
        assert_eq!((odd.class.as_str(), odd.message.as_str(), odd.args.get()), ("D", "7", "[null]"));
        assert_eq!(odd.traceback, ["all in one"]);
    }

    #[test]
    fn built_in_exceptions_of_python_2_are_those_of_python_3() {
        let failure = failure_of(r#"{"class": "ValueError", "module": "exceptions", "message": "m"}"#);
        assert_eq!(failure.to_string(), "ValueError: m");
    }

    #[test]
    fn the_last_of_duplicate_keys_wins() {
        let reply =
            decode(r#"{"result": 1, "result": 2, "_msg_id": "h", "ending": false, "_msg_id": "i", "ending": 1}"#);
        let answer = Ok(Some(Answer::Result(Text::of(&2))));
        assert_eq!(reply, Reply { message_id: "i".into(), answer, ending: true });
    }

    #[test]
    fn a_message_without_an_id_is_no_reply() {
        for body in ["", "{}", r#"{"_msg_id": null}"#, r#"{"_msg_id": 7, "result": 1}"#] {
            assert_eq!(Reply::decode(body.as_bytes(), Some(CONTENT_TYPE), None), Err(Error::NoMessageId), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_a_panic(body: Vec<u8>) {
            let _ = Reply::decode(&body, Some(CONTENT_TYPE), None);
        }

        #[test]
        fn any_failure_is_a_failure_or_an_error(failure in ".*") {
            let body = serde_json::json!({"failure": failure, "_msg_id": "i"}).to_string();
            let reply = decode(&body);
            prop_assert!(failure.is_empty() == matches!(reply.answer, Ok(None)));
        }
    }
}
