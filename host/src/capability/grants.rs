//! What a manifest grants: the section `grants`, and how effects are released.
//!
//! Before it: [`crate::catalog`] reads the manifest. After it: [`crate::sandbox`] refuses a component that imports more,
//! and [`super::Session`] holds each request against it.

use std::fmt;

use super::{
    Values,
    http::{Grant, Origin},
};
use crate::{
    printable::printable,
    settings::{Setting, Settings},
};

/// The interfaces that can be granted, and the setting that does it.
pub const GRANTABLE: [(&str, &str); 4] = [
    ("nova:rpc/client", "grants.rpc"),
    ("nova:rpc/keyvalue", "grants.keyvalue"),
    ("wasi:http/outgoing-handler", "grants.http"),
    ("wasi:http/types", "grants.http"),
];

/// Stands for every method.
const ANY: &str = "*";

/// Bytes of a topic or a method: AMQP's bound on routing keys.
const MAX_NAME: usize = 255;

/// Bytes of a grant in a message.
const MAX_SHOWN: usize = 100;

/// What a handler may do. Nothing, by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    rpc: Vec<Method>,
    /// Whether it may keep state.
    pub keyvalue: bool,
    http: Vec<Grant>,
    /// When casts are sent.
    pub effects: Effects,
    /// Values for the handler.
    pub config: Values,
}

/// When a handler's casts are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effects {
    /// When the handler has succeeded; never, where it does not.
    #[default]
    Held,
    /// At once.
    Immediate,
}

/// Methods that may be asked for: one, or all of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Method {
    broker: Option<String>,
    topic: String,
    /// `None` is any.
    method: Option<String>,
}

impl Setting for Effects {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "held" => Ok(Self::Held),
            "immediate" => Ok(Self::Immediate),
            _ => Err(format!("{text:?} is neither \"held\" nor \"immediate\"")),
        }
    }
}

impl Grants {
    /// Takes the settings of a manifest; `config` was taken before.
    #[must_use]
    pub fn read(settings: &mut Settings, config: Values) -> Self {
        let effects = settings.take("delivery.effects", Effects::default());
        let mut rpc = Vec::new();
        for text in settings.take_optional::<Vec<String>>("grants.rpc").unwrap_or_default() {
            match Method::parse(&text) {
                Ok(method) => rpc.push(method),
                Err(reason) => settings.problem("grants.rpc", &format!("{}: {reason}", printable(&text, MAX_SHOWN))),
            }
        }
        let keyvalue = settings.take("grants.keyvalue", false);
        let mut http = Vec::new();
        for text in settings.take_optional::<Vec<String>>("grants.http").unwrap_or_default() {
            match Grant::parse(&text) {
                Ok(grant) => http.push(grant),
                // A URL in its place may hold a password.
                Err(reason) => settings.problem("grants.http", &format!("{}: {reason}", shown(&text))),
            }
        }
        Self { rpc, keyvalue, http, effects, config }
    }

    /// For a guest that is told what was recorded: it may import everything, and reaches nothing.
    #[must_use]
    pub fn told(config: Values) -> Self {
        let any = Method { broker: None, topic: "*".to_owned(), method: None };
        let http = Grant::parse("http://localhost").into_iter().collect();
        Self { rpc: vec![any], keyvalue: true, http, effects: Effects::Held, config }
    }

    /// Whether anything is granted that takes a session.
    #[must_use]
    pub fn is_anything(&self) -> bool {
        self.keyvalue || !self.rpc.is_empty() || !self.http.is_empty()
    }

    /// Whether an interface, named without its version, may be imported.
    #[must_use]
    pub fn allows_import(&self, interface: &str) -> bool {
        match GRANTABLE.iter().find(|(name, _)| *name == interface) {
            Some((_, "grants.rpc")) => !self.rpc.is_empty(),
            Some((_, "grants.keyvalue")) => self.keyvalue,
            Some((_, "grants.http")) => !self.http.is_empty(),
            Some(_) | None => false,
        }
    }

    /// Whether a method may be asked for.
    #[must_use]
    pub fn allows(&self, broker: Option<&str>, topic: &str, method: &str) -> bool {
        self.rpc.iter().any(|granted| {
            granted.broker.as_deref() == broker
                && granted.topic == topic
                && granted.method.as_deref().is_none_or(|granted| granted == method)
        })
    }

    /// What these grant and others do not, as the manifest writes it.
    #[must_use]
    pub fn beyond(&self, others: &Self) -> Vec<String> {
        let rpc = self.rpc.iter().filter(|wanted| !others.rpc.iter().any(|granted| granted.includes(wanted)));
        let http = self.http.iter().filter(|wanted| !others.http.iter().any(|granted| granted.includes(wanted)));
        let is_new = |is_now: bool, what: &str| is_now.then(|| what.to_owned());
        let effects = self.effects == Effects::Immediate && others.effects != Effects::Immediate;
        let mut beyond: Vec<String> = rpc.map(|wanted| format!("grants.rpc: {wanted}")).collect();
        beyond.extend(is_new(self.keyvalue && !others.keyvalue, "grants.keyvalue"));
        beyond.extend(http.map(|wanted| format!("grants.http: {wanted}")));
        beyond.extend(is_new(effects, "delivery.effects: immediate"));
        beyond
    }

    /// Whether HTTP requests may go there, and whether they may find a private address; `None` where they may not.
    #[must_use]
    pub fn allows_fetch(&self, origin: &Origin) -> Option<bool> {
        let mut covering = self.http.iter().filter(|grant| grant.covers(origin)).peekable();
        covering.peek()?;
        Some(covering.any(Grant::is_private))
    }

    /// What is granted of an interface, as the manifest writes it.
    #[must_use]
    pub fn of(&self, interface: &str) -> Vec<String> {
        match interface {
            "nova:rpc/client" => self.rpc.iter().map(ToString::to_string).collect(),
            "nova:rpc/keyvalue" if self.keyvalue => vec!["true".to_owned()],
            "wasi:http/outgoing-handler" => self.http.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        }
    }
}

/// A grant that is none, in a message: without what stands before an `@`.
fn shown(text: &str) -> String {
    let text = match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => text.to_owned(),
    };
    printable(&text, MAX_SHOWN)
}

impl Method {
    /// Reads `[BROKER:]TOPIC/METHOD`. A dot does for the slash where the topic has none; `*` is any method.
    fn parse(text: &str) -> Result<Self, String> {
        let (broker, rest) = match text.split_once(':') {
            Some((broker, rest)) => (Some(broker), rest),
            None => (None, text),
        };
        let (topic, method) = match rest.split_once('/') {
            Some(parts) => parts,
            None => match rest.split_once('.') {
                Some((_, method)) if method.contains('.') => {
                    return Err("has two dots: write TOPIC/METHOD where the topic has one".to_owned());
                }
                Some(parts) => parts,
                None => return Err("names no method: write TOPIC.METHOD, or TOPIC/* for all".to_owned()),
            },
        };
        let named = |what: &str, name: &str, others: &str| {
            let fits = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
            match name.len() {
                1..=MAX_NAME if name.chars().all(fits) => Ok(name.to_owned()),
                _ if name.contains('*') => Err(format!("{what} must be named; only the method may be *")),
                _ => Err(format!("{what} is 1 to {MAX_NAME} letters, digits and {others}")),
            }
        };
        Ok(Self {
            broker: broker.map(|broker| named("the broker", broker, "_-.")).transpose()?,
            topic: named("the topic", topic, "_-.")?,
            method: match method {
                ANY => None,
                method => Some(named("the method", method, "_")?),
            },
        })
    }
}

impl Method {
    /// Whether it allows all that another one does.
    fn includes(&self, other: &Self) -> bool {
        let is_method = self.method.is_none() || self.method == other.method;
        is_method && self.broker == other.broker && self.topic == other.topic
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(broker) = &self.broker {
            write!(f, "{broker}:")?;
        }
        let between = if self.topic.contains('.') || self.method.is_none() { '/' } else { '.' };
        write!(f, "{}{between}{}", self.topic, self.method.as_deref().unwrap_or(ANY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Problems;

    fn read(rpc: &str) -> Result<Grants, Problems> {
        let mut settings = Settings::default();
        settings.add_file(&format!("grants.rpc = {rpc}")).unwrap();
        let grants = Grants::read(&mut settings, Values::default());
        settings.finish().map(|_| grants)
    }

    #[test]
    fn a_method_is_granted_by_topic_and_name() {
        let grants = read(r#"["scheduler.select_destinations", "compute/*", "cell1:a.b/ping"]"#).unwrap();
        for (broker, topic, method, allowed) in [
            (None, "scheduler", "select_destinations", true),
            (None, "scheduler", "select_destination", false),
            (None, "scheduler", "update_aggregates", false),
            (None, "compute", "anything", true),
            (None, "compute.host", "anything", false),
            (None, "comput", "anything", false),
            (None, "", "", false),
            (Some("cell1"), "a.b", "ping", true),
            (None, "a.b", "ping", false),
            (Some("cell1"), "compute", "anything", false),
            (Some(""), "compute", "anything", false),
        ] {
            assert_eq!(grants.allows(broker, topic, method), allowed, "{broker:?} {topic} {method}");
        }
        let written = ["scheduler.select_destinations", "compute/*", "cell1:a.b/ping"];
        assert_eq!(grants.of("nova:rpc/client"), written);
    }

    #[test]
    fn what_is_no_grant_is_refused_by_name() {
        for (text, reason) in [
            ("scheduler", "names no method: write TOPIC.METHOD, or TOPIC/* for all"),
            ("*", "names no method: write TOPIC.METHOD, or TOPIC/* for all"),
            ("*/*", "the topic must be named; only the method may be *"),
            ("*.build", "the topic must be named; only the method may be *"),
            ("comp*/build", "the topic must be named; only the method may be *"),
            ("compute/build*", "the method must be named; only the method may be *"),
            ("a.b.c", "has two dots: write TOPIC/METHOD where the topic has one"),
            ("/build", "the topic is 1 to 255 letters, digits and _-."),
            ("compute/", "the method is 1 to 255 letters, digits and _"),
            ("compute/a/b", "the method is 1 to 255 letters, digits and _"),
            (":compute/a", "the broker is 1 to 255 letters, digits and _-."),
            ("a:b:c/d", "the topic is 1 to 255 letters, digits and _-."),
            ("com pute/a", "the topic is 1 to 255 letters, digits and _-."),
            ("comput\u{e9}/a", "the topic is 1 to 255 letters, digits and _-."),
        ] {
            let problems = read(&format!("[{text:?}]")).unwrap_err().0;
            assert_eq!(problems, [format!("grants.rpc: {text}: {reason}")]);
        }
        assert!(read(&format!("[\"{}/a\"]", "t".repeat(256))).is_err());
    }

    #[test]
    fn hosts_are_granted_by_their_origin_and_mistakes_are_named_without_passwords() {
        let mut settings = Settings::default();
        settings.add_file("grants.http = [\"https://api.example.org\", \"http://keystone:5000 private\"]").unwrap();
        let grants = Grants::read(&mut settings, Values::default());
        settings.finish().unwrap();
        for (is_secure, authority, allowed) in [
            (true, "api.example.org", Some(false)),
            (false, "keystone:5000", Some(true)),
            (false, "api.example.org", None),
            (true, "keystone:5000", None),
        ] {
            assert_eq!(grants.allows_fetch(&Origin::parse(is_secure, authority).unwrap()), allowed, "{authority}");
        }
        assert!(grants.is_anything() && grants.allows_import("wasi:http/types"));
        let written = ["https://api.example.org", "http://keystone:5000 private"];
        assert_eq!(grants.of("wasi:http/outgoing-handler"), written);
        let mut settings = Settings::default();
        settings.add_file("grants.http = [\"https://u:hunter2@a.org\", \"*\"]").unwrap();
        let _ = Grants::read(&mut settings, Values::default());
        let problems = settings.finish().unwrap_err().0;
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].starts_with("grants.http: https://***@a.org: is more than a host"), "{problems:?}");
    }

    #[test]
    fn what_is_granted_beyond_others_is_told_and_what_they_cover_is_not() {
        let grants = |text: &str| {
            let mut settings = Settings::default();
            settings.add_file(text).unwrap();
            let grants = Grants::read(&mut settings, Values::default());
            settings.finish().map(|_| grants).unwrap()
        };
        let old = grants(
            "grants.rpc = [\"compute/*\", \"scheduler.select\"]\ngrants.http = [\"https://*.example.org\", \"http://k\"]",
        );
        let narrower =
            "grants.rpc = [\"compute.build\"]\ngrants.http = [\"https://a.example.org\", \"https://*.b.example.org\"]";
        assert_eq!(grants(narrower).beyond(&old), [""; 0]);
        assert_eq!(old.beyond(&old), [""; 0]);
        let wider = grants(
            "grants.rpc = [\"scheduler/*\", \"cell1:compute/build\", \"scheduler.select\"]\ngrants.keyvalue = true\n\
             grants.http = [\"http://k private\", \"https://example.org\", \"https://*.other.org\"]\ndelivery.effects = \"immediate\"",
        );
        let expected = [
            "grants.rpc: scheduler/*",
            "grants.rpc: cell1:compute.build",
            "grants.keyvalue",
            "grants.http: http://k private",
            "grants.http: https://example.org",
            "grants.http: https://*.other.org",
            "delivery.effects: immediate",
        ];
        assert_eq!(wider.beyond(&old), expected);
    }

    #[test]
    fn without_a_grant_nothing_is_allowed() {
        let mut settings = Settings::default();
        let grants = Grants::read(&mut settings, Values::default());
        assert!(!grants.is_anything() && !grants.allows(None, "compute", "ping"));
        assert!(!grants.allows_import("nova:rpc/client") && !grants.allows_import("wasi:http/outgoing-handler"));
        assert!(read(r#"["a.b"]"#).unwrap().allows_import("nova:rpc/client"));
    }
}
