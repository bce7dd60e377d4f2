//! One request that a handler sends, and what is wrong with it.
//!
//! Before it: the guest, who writes whatever it likes. After it: [`super::Session`] sends it, or holds it.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::Error;
use crate::{
    client::{Invocation, Provenance, Target},
    envelope::{Context, Text},
    printable::printable,
};

/// Bytes of each name: AMQP's bound on routing keys.
const MAX_NAME: usize = 255;

/// Calls of one list that may end before others may work.
const IN_A_ROW: usize = 64;

/// A request of a handler's.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Who is asked.
    pub recipient: Recipient,
    /// The method.
    pub method: String,
    /// The keyword arguments: a JSON object.
    pub arguments: String,
    /// How long a call may take; `None` is the reference's default.
    pub timeout: Option<Duration>,
    /// How long a call's server may be silent.
    pub monitor: Option<Duration>,
}

/// Who is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recipient {
    /// The broker by its name; `None` is the service's own.
    pub broker: Option<String>,
    /// The topic.
    pub topic: String,
    /// One server of the topic; `None` is any.
    pub server: Option<String>,
    /// `None` is the null namespace.
    pub namespace: Option<String>,
    /// The version that is needed.
    pub version: Option<String>,
}

/// A request that makes sense and is allowed.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) recipient: Recipient,
    pub(super) method: String,
    pub(super) arguments: Text,
    pub(super) fanout: bool,
}

/// Lets others work, after some of many calls: so many have ended.
pub(super) async fn breathe(ended: usize) {
    if ended.is_multiple_of(IN_A_ROW) {
        tokio::task::yield_now().await;
    }
}

impl Outgoing {
    /// Bytes that the request has, as far as the handler chooses them.
    pub(super) fn length(&self) -> usize {
        self.texts().map(|(_, text)| text.len()).sum::<usize>() + self.arguments.len()
    }

    /// What the log shows of it in so many bytes: never its arguments.
    pub(super) fn shown(&self, most: usize) -> String {
        printable(&format!("{}/{}", self.recipient.topic, self.method), most)
    }

    fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Recipient { broker, topic, server, namespace, version } = &self.recipient;
        let optional = [("broker", broker), ("server", server), ("namespace", namespace), ("version", version)];
        let optional = optional.into_iter().filter_map(|(what, text)| Some((what, text.as_deref()?)));
        optional.chain([("topic", topic.as_str()), ("method", self.method.as_str())])
    }

    /// Looks whether it makes sense by itself.
    pub(super) fn check(self, fanout: bool) -> Result<Checked, Error> {
        for (what, text) in self.texts() {
            if text.len() > MAX_NAME || text.chars().any(char::is_control) {
                return Err(Error::Invalid(format!(
                    "the {what} has control characters, or more than {MAX_NAME} bytes"
                )));
            }
        }
        if self.recipient.topic.is_empty() || self.method.is_empty() {
            return Err(Error::Invalid("a request needs a topic and a method".to_owned()));
        }
        let Self { mut recipient, method, arguments, .. } = self;
        let wrong = |why: &str| Error::Invalid(format!("the arguments of {method} are not a JSON object: {why}"));
        let arguments = Text::parse(arguments).map_err(|error| wrong(&error.to_string()))?;
        if arguments.python_type() != "dict" {
            return Err(wrong(&format!("they are a {}", arguments.python_type())));
        }
        if fanout {
            recipient.server = None;
        }
        Ok(Checked { recipient, method, arguments, fanout })
    }
}

impl Checked {
    /// The request as the client sends it.
    pub(super) fn invocation(self, exchange: &str, context: Context, origin: Provenance) -> Invocation {
        let Self { recipient, method, arguments, fanout } = self;
        let Recipient { topic, server, namespace, version, .. } = recipient;
        let target = Target { exchange: exchange.to_owned(), topic, server, fanout, namespace, version };
        Invocation { target, method, arguments, context, origin }
    }

    /// The mark of a cast: the same where the same request runs again and casts the same, so that receivers who remember
    /// the first do not act twice. `number` tells those of one request from one another.
    pub(super) fn mark(&self, cause: &str, number: u32) -> String {
        let Self { recipient, method, arguments, fanout } = self;
        let Recipient { broker, topic, server, namespace, version } = recipient;
        let mut digest = Sha256::new();
        let mut add = |part: &str| {
            // With the length, so that no two lists of parts are the same bytes.
            digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        };
        for part in [cause, &number.to_string(), topic, method, arguments.get(), &fanout.to_string()] {
            add(part);
        }
        for part in [broker, server, namespace, version] {
            add(part.as_ref().map_or("-", |_| "+"));
            add(part.as_deref().unwrap_or_default());
        }
        // As long as the reference's.
        digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
