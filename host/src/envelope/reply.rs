//! A reply: what the caller gets.

mod incoming;

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::{Failure, Text, seal, shorten};

pub use incoming::Reply;

/// Where the reply to a call goes, and in what form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// The caller's reply queue.
    pub queue: String,
    /// What the caller knows its call by.
    pub message_id: String,
    /// The form that this caller understands.
    pub style: Style,
}

/// Whether a caller wants heartbeats. One that did not ask must get none: it would take them for its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Monitor {
    /// It does not.
    Off,
    /// One after each interval, at least a second.
    Every(Duration),
    /// It asked for something else; what it wrote. There are none, as with the reference.
    Invalid(String),
}

/// The least number of seconds that can be halved and still is a second.
const MIN_MONITOR: f64 = 2.0;

/// A day: no call takes so long that more would matter.
const MAX_MONITOR: f64 = 86_400.0;

/// The form of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Style {
    /// One message, for callers since oslo.messaging 6.3, which always send `_timeout`.
    OneMessage {
        /// `_timeout`: the caller's call-monitor timeout in seconds, or `null`.
        monitor: Text,
    },
    /// The value, then an ending without one, for callers before that: Havana's ignore a value in the ending.
    TwoMessages,
}

impl ReplyTo {
    /// What a Python endpoint finds as `client_timeout` in its context.
    #[must_use]
    pub fn client_timeout(&self) -> Text {
        match &self.style {
            Style::OneMessage { monitor } => monitor.clone(),
            Style::TwoMessages => Text::null(),
        }
    }

    /// How often the caller wants to hear that its call is still being worked on: `_timeout`, halved.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        let Style::OneMessage { monitor } = &self.style else { return Monitor::Off };
        // Python's truth and Python's `int()`.
        let seconds = match serde_json::from_str(monitor.get()) {
            Ok(Value::Null | Value::Bool(false)) => return Monitor::Off,
            Ok(Value::Number(number)) => number.as_f64().map(f64::trunc),
            Ok(Value::String(text)) if text.is_empty() => return Monitor::Off,
            Ok(Value::String(text)) => crate::version::int(&text).ok().map(|seconds| seconds as f64),
            Ok(Value::Array(list)) if list.is_empty() => return Monitor::Off,
            Ok(Value::Object(object)) if object.is_empty() => return Monitor::Off,
            Ok(Value::Bool(true) | Value::Array(_) | Value::Object(_)) | Err(_) => None,
        };
        match seconds {
            Some(0.0) => Monitor::Off,
            Some(seconds) if seconds >= MIN_MONITOR => {
                Monitor::Every(Duration::from_secs_f64(seconds.min(MAX_MONITOR) / 2.0))
            }
            _ => Monitor::Invalid(shorten(monitor.get())),
        }
    }

    /// Encodes a heartbeat: a message that neither answers nor ends the call.
    #[must_use]
    pub fn heartbeat(&self, unique_id: &str) -> Vec<u8> {
        let (message_id, result) = (self.message_id.as_str(), &Text::null());
        seal(&Outgoing { result, failure: None, ending: Some(false), message_id, unique_id })
    }

    /// Encodes the answer as one message or two, to be sent in this order. `new_id` gives a fresh unique id for each.
    #[must_use]
    pub fn encode(&self, answer: &Answer, mut new_id: impl FnMut() -> String) -> Vec<Vec<u8>> {
        let message = |answer: &Answer, ending: Option<bool>, unique_id: String| {
            let (result, failure) = match answer {
                Answer::Result(result) => (result.clone(), None),
                Answer::Failure(failure) => (Text::null(), Some(failure.encode())),
            };
            seal(&Outgoing { result: &result, failure, ending, message_id: &self.message_id, unique_id: &unique_id })
        };
        match self.style {
            Style::OneMessage { .. } => vec![message(answer, Some(true), new_id())],
            Style::TwoMessages => {
                let end = Answer::Result(Text::null());
                vec![message(answer, Some(false), new_id()), message(&end, Some(true), new_id())]
            }
        }
    }
}

/// What a call ends in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The handler's result.
    Result(Text),
    /// An exception.
    Failure(Failure),
}

impl Answer {
    /// Bytes of what it is made of.
    #[must_use]
    pub fn length(&self) -> usize {
        match self {
            Self::Result(result) => result.get().len(),
            Self::Failure(failure) => failure.length(),
        }
    }

    /// The exception, if it is one.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Result(_) => None,
            Self::Failure(failure) => Some(failure),
        }
    }
}

#[derive(Serialize)]
struct Outgoing<'a> {
    result: &'a Text,
    failure: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<bool>,
    #[serde(rename = "_msg_id")]
    message_id: &'a str,
    #[serde(rename = "_unique_id")]
    unique_id: &'a str,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::envelope::CONTENT_TYPE;

    fn reply_to(style: Style) -> ReplyTo {
        ReplyTo { queue: "reply_q".into(), message_id: "i".into(), style }
    }

    fn modern() -> ReplyTo {
        reply_to(Style::OneMessage { monitor: Text::null() })
    }

    fn encode(reply_to: &ReplyTo, answer: &Answer) -> Vec<String> {
        let mut n = 0;
        let id = || {
            n += 1;
            format!("u{n}")
        };
        reply_to.encode(answer, id).into_iter().map(|body| String::from_utf8(body).unwrap()).collect()
    }

    fn decode(body: &str) -> Reply {
        Reply::decode(body.as_bytes(), Some(CONTENT_TYPE), None).unwrap()
    }

    #[test]
    fn a_result_is_one_message_with_the_references_keys_in_its_order() {
        let bodies = encode(&modern(), &Answer::Result(Text::of(&3)));
        assert_eq!(
            bodies,
            [concat!(
                r#"{"oslo.version": "2.0", "oslo.message": "{\"result\": 3, \"failure\": null, "#,
                r#"\"ending\": true, \"_msg_id\": \"i\", \"_unique_id\": \"u1\"}"}"#
            )]
        );
        let reply = Reply { message_id: "i".into(), answer: Ok(Some(Answer::Result(Text::of(&3)))), ending: true };
        assert_eq!(decode(&bodies[0]), reply);
    }

    #[test]
    fn an_old_caller_gets_the_value_and_then_the_end() {
        let bodies = encode(&reply_to(Style::TwoMessages), &Answer::Result(Text::of(&3)));
        let [value, end] = [decode(&bodies[0]), decode(&bodies[1])];
        assert_eq!((value.answer, value.ending), (Ok(Some(Answer::Result(Text::of(&3)))), false));
        assert!(end.ending);
        assert!(bodies[0].contains("u1") && bodies[1].contains("u2"));
    }

    #[test]
    fn a_failure_arrives_whole_and_ends_the_call() {
        let answer = Answer::Failure(Failure::new("nova.exception", "InstanceNotFound", "gone"));
        let reply = decode(&encode(&modern(), &answer)[0]);
        assert_eq!((reply.answer, reply.ending), (Ok(Some(answer)), true));
    }

    #[test]
    fn heartbeats_are_sent_to_who_asked_for_them() {
        let monitor = |text: &str| reply_to(Style::OneMessage { monitor: Text::parse(text.into()).unwrap() }).monitor();
        for off in ["null", "0", "0.5", "false", "\"\"", "[]", "{}"] {
            assert_eq!(monitor(off), Monitor::Off, "{off}");
        }
        for (asked, millis) in
            [("2", 1000), ("60", 30_000), ("5", 2500), ("3.9", 1500), ("\" 2 \"", 1000), ("1e99", 43_200_000)]
        {
            assert_eq!(monitor(asked), Monitor::Every(Duration::from_millis(millis)), "{asked}");
        }
        for invalid in ["1", "-5", "true", "\"soon\"", "[1]", "{\"a\": 1}"] {
            assert_eq!(monitor(invalid), Monitor::Invalid(invalid.into()));
        }
        assert_eq!(reply_to(Style::TwoMessages).monitor(), Monitor::Off);
        let beat = String::from_utf8(modern().heartbeat("u")).unwrap();
        assert_eq!(decode(&beat), Reply { message_id: "i".into(), answer: Ok(None), ending: false });
    }

    proptest! {
        #[test]
        fn any_text_comes_back_as_it_was_sent(text in ".*") {
            let answer = Answer::Result(Text::of(&text));
            prop_assert_eq!(decode(&encode(&modern(), &answer)[0]).answer, Ok(Some(answer)));
        }
    }
}
