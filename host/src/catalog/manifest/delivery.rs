//! The section `delivery` of a manifest: when a method's requests are acknowledged.
//!
//! Before it: [`super::Manifest`]. After it: [`crate::dispatch`] asks which policy a method has.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    printable::printable,
    settings::{Problems, Setting, Settings},
};

/// What stands before the name of a method in a manifest.
const METHODS: &str = "delivery.methods.";

/// How long RabbitMQ waits for an acknowledgement, unless told otherwise (`consumer_timeout`). Then it closes the channel and
/// delivers all that is not acknowledged on it again.
pub const CONSUMER_TIMEOUT: Duration = Duration::from_secs(1800);

/// Bytes of a method's name in an error.
const MAX_METHOD: usize = 64;

/// What is promised about a request when a host or a connection ends in the middle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// Acknowledged when it is over: never lost, and run again where nobody knows how it ended.
    #[default]
    AtLeastOnce,
    /// Acknowledged when its handler starts: lost where that does not end.
    AtMostOnce,
}

impl Policy {
    /// As a manifest writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at-least-once",
            Self::AtMostOnce => "at-most-once",
        }
    }
}

impl Setting for Policy {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "at-least-once" => Ok(Self::AtLeastOnce),
            "at-most-once" => Ok(Self::AtMostOnce),
            _ => Err(format!("{text:?} is neither \"at-least-once\" nor \"at-most-once\"")),
        }
    }
}

/// The policies of one handler's methods.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policies {
    handler: Option<Policy>,
    methods: BTreeMap<String, Policy>,
}

impl Policies {
    /// Takes the section.
    pub(super) fn read(settings: &mut Settings) -> Self {
        let handler = settings.take_optional("delivery.policy");
        Self { handler, methods: settings.take_each(METHODS).into_iter().collect() }
    }

    /// The policy of a method, where the manifest says anything about it: the method's own, else the handler's.
    #[must_use]
    pub fn of(&self, method: &str) -> Option<Policy> {
        self.methods.get(method).copied().or(self.handler)
    }

    /// Sees to it that every method that is named is among those that the handler has.
    ///
    /// # Errors
    ///
    /// Every method that is not, with those that are.
    pub fn check<'a>(&self, methods: impl Iterator<Item = &'a str>) -> Result<(), Problems> {
        let offered: BTreeSet<&str> = methods.collect();
        let is_unknown = |method: &&String| !offered.contains(method.as_str());
        let shown: Vec<String> = offered.iter().map(|method| printable(method, MAX_METHOD)).collect();
        let complain = |method: &String| {
            let method = printable(method, MAX_METHOD);
            format!("{METHODS}{method}: the handler has no method {method}; it has {}", shown.join(", "))
        };
        let problems: Vec<String> = self.methods.keys().filter(is_unknown).map(complain).collect();
        if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Policies, Problems> {
        let mut settings = Settings::default();
        settings.add_file(text).unwrap();
        let policies = Policies::read(&mut settings);
        settings.finish().map(|_| policies)
    }

    #[test]
    fn a_method_has_its_own_policy_or_the_handlers_or_none() {
        let policies = read(
            "[delivery]\npolicy = \"at-most-once\"\n[delivery.methods]\nbuild = \"at-least-once\"\n\"a.b\" = \"at-least-once\"",
        )
        .unwrap();
        assert_eq!(policies.of("build"), Some(Policy::AtLeastOnce));
        assert_eq!(policies.of("a.b"), Some(Policy::AtLeastOnce));
        assert_eq!(policies.of("ping"), Some(Policy::AtMostOnce));
        assert_eq!(read("").unwrap().of("ping"), None);
    }

    #[test]
    fn mistakes_are_named() {
        let problems = read("[delivery]\npolicy = \"once\"\n[delivery.methods]\nbuild = 1").unwrap_err();
        assert_eq!(
            problems.0,
            [
                "delivery.policy: \"once\" is neither \"at-least-once\" nor \"at-most-once\"",
                "delivery.methods.build: \"1\" is neither \"at-least-once\" nor \"at-most-once\"",
            ]
        );
    }

    #[test]
    fn a_method_that_the_handler_has_not_is_named_with_those_it_has() {
        let policies = read("[delivery.methods]\nbuidl = \"at-most-once\"\nping = \"at-most-once\"").unwrap();
        assert_eq!(
            policies.check(["ping", "build"].into_iter()).unwrap_err().0,
            ["delivery.methods.buidl: the handler has no method buidl; it has build, ping"]
        );
        assert_eq!(policies.check(["ping", "buidl"].into_iter()), Ok(()));
    }
}
