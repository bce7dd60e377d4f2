//! Who is asked, and for which version of what: oslo.messaging's `Target`.
//!
//! Before it: whoever makes an [`super::Invocation`]. After it: a [`Destination`]. What the reference derives with
//! `prepare()` is a struct update here: `Target { server: Some(name), ..target.clone() }`.

use std::fmt;

use super::Error;
use crate::{
    transport::Destination,
    version::{Version, int},
};

/// Who is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The control exchange. A fanout ignores it: its exchange depends on the topic only.
    pub exchange: String,
    /// The topic; not empty.
    pub topic: String,
    /// One server of the topic; `None` is any. A fanout ignores it.
    pub server: Option<String>,
    /// Every server of the topic; only for casts.
    pub fanout: bool,
    /// `None` is the null namespace, and leaves the key out.
    pub namespace: Option<String>,
    /// The version that is needed, `MAJOR.MINOR`. `None` leaves the key out, which servers take for 1.0.
    pub version: Option<String>,
}

impl Target {
    /// Any server of a topic, in the null namespace.
    #[must_use]
    pub fn new(exchange: impl Into<String>, topic: impl Into<String>) -> Self {
        Self { exchange: exchange.into(), topic: topic.into(), ..Self::default() }
    }

    /// Whether a message of this target's version may be sent under a cap; without a cap every one may.
    ///
    /// # Errors
    ///
    /// [`Error::MalformedVersion`].
    pub fn can_send(&self, cap: Option<Version>) -> Result<bool, Error> {
        let Some(version) = &self.version else { return Ok(cap.is_none()) };
        let malformed = || Error::MalformedVersion(version.clone());
        // All parts that there are, though one alone may decide.
        let parts = version.split('.').take(3).map(int).collect::<Result<Vec<_>, _>>().map_err(|_| malformed())?;
        if parts.len() < 2 {
            return Err(malformed());
        }
        cap.map_or(Ok(true), |cap| cap.serves(version).map_err(|_| malformed()))
    }

    /// Where messages go.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTarget`] where there is no topic.
    pub(super) fn destination(&self) -> Result<Destination, Error> {
        if self.topic.is_empty() {
            return Err(self.invalid("A topic is required to send"));
        }
        let (exchange, topic) = (self.exchange.clone(), self.topic.clone());
        Ok(match &self.server {
            _ if self.fanout => Destination::Fanout { topic },
            Some(server) => Destination::Server { exchange, topic, server: server.clone() },
            None => Destination::Topic { exchange, topic },
        })
    }

    /// That this target will not do, in the reference's words.
    pub(super) fn invalid(&self, reason: &'static str) -> Error {
        Error::InvalidTarget { reason, target: self.to_string() }
    }

    /// For people who wonder why nobody is there.
    pub(super) fn who(&self) -> String {
        let Self { exchange, topic, server, .. } = self;
        match server {
            Some(server) => format!("server {server} of topic {topic} on {exchange}"),
            None => format!("topic {topic} on {exchange}"),
        }
    }

    /// The routing key on the control exchange.
    pub(super) fn key(&self) -> String {
        match &self.server {
            Some(server) => format!("{}.{server}", self.topic),
            None => self.topic.clone(),
        }
    }
}

/// As Python shows it: what is set, in the reference's order.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { exchange, topic, server, fanout, namespace, version } = self;
        let entries = [
            ("exchange", Some(exchange)),
            ("topic", Some(topic)),
            ("namespace", namespace.as_ref()),
            ("version", version.as_ref()),
            ("server", server.as_ref()),
            ("fanout", fanout.then(|| "True".to_owned()).as_ref()),
        ]
        .into_iter()
        .filter_map(|(name, value)| value.filter(|value| !value.is_empty()).map(|value| format!("{name}={value}")))
        .collect::<Vec<_>>();
        write!(f, "<Target {}>", entries.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(version: &str) -> Target {
        Target { version: Some(version.into()), ..Target::new("nova", "t") }
    }

    #[test]
    fn a_target_leads_where_the_reference_sends_it() {
        let any = Target::new("nova", "t");
        let one = Target { server: Some("host.example".into()), ..any.clone() };
        let all = Target { fanout: true, ..one.clone() };
        let (exchange, topic) = ("nova".to_owned(), "t".to_owned());
        let server = "host.example".to_owned();
        assert_eq!(any.destination().unwrap(), Destination::Topic { exchange: exchange.clone(), topic: topic.clone() });
        assert_eq!(one.destination().unwrap(), Destination::Server { exchange, topic: topic.clone(), server });
        assert_eq!(all.destination().unwrap(), Destination::Fanout { topic });
        assert_eq!((any.key().as_str(), one.key().as_str()), ("t", "t.host.example"));
    }

    #[test]
    fn a_target_without_a_topic_is_refused_in_the_references_words() {
        let error = Target { fanout: true, ..Target::new("nova", "") }.destination().unwrap_err();
        assert_eq!(error.to_string(), "A topic is required to send:<Target exchange=nova, fanout=True>");
    }

    #[test]
    fn a_cap_lets_through_what_it_covers() {
        let cap = |text: &str| Some(text.parse().unwrap());
        for (asked, capped, allowed) in [
            ("1.5", "1.5", true),
            ("1.0", "1.5", true),
            ("1.6", "1.5", false),
            ("2.0", "1.5", false),
            ("1.5.1", "1.5", false),
            ("1.5.1", "1.5.2", true),
            ("0.9", "1.5", false),
        ] {
            assert_eq!(version(asked).can_send(cap(capped)).unwrap(), allowed, "{asked} under {capped}");
            assert!(version(asked).can_send(None).unwrap());
        }
        let without = Target::new("nova", "t");
        assert!(without.can_send(None).unwrap() && !without.can_send(cap("1.5")).unwrap());
    }

    #[test]
    fn a_version_that_is_none_is_refused_in_the_references_words() {
        for wrong in ["", "1", "a.b", "1.x", "1.0.x", "1."] {
            for cap in [None, Some(Version::new(2, 0, 0))] {
                let expected = format!("Version must contain a major and minor integer. Got {wrong}");
                assert_eq!(version(wrong).can_send(cap).unwrap_err().to_string(), expected);
            }
        }
        assert!(version(" 1.0 ").can_send(None).unwrap() && version("1.0.0.x").can_send(None).unwrap());
    }
}
