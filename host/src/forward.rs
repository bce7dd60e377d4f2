//! Which requests go on to the service behind this one, the *fallback*: how a live service is taken over, method by
//! method.
//!
//! Before it: the section `forward` of the configuration, and `nova-host forward` while the service runs. After it:
//! [`crate::serve`] asks about each request and sends it on. What goes on is answered by the fallback, directly.

mod config;
mod rule;
mod rules;
mod seen;

use std::sync::{Arc, PoisonError, RwLock};

pub use config::{Config, Fallback};
pub use rule::{OnFailure, Side};
pub use rules::{Pattern, Rule, Rules};
pub use seen::{MethodState, OTHERS};

use crate::{
    catalog::describe,
    envelope::Request,
    metrics::Went,
    share::By,
    transport::{Origin, topology},
};
use seen::Seen;

/// What is forwarded, and what was. Clones are the same.
#[derive(Clone, Debug)]
pub struct Forwarding(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    /// Replaced while the service runs.
    rules: RwLock<Rules>,
    seen: Seen,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is a handler's.
    Serve {
        /// Whether it stays here where no handler has it: a rule says `serve`.
        always: bool,
        /// Whether it goes on where its handler fails.
        on_failure: bool,
    },
    /// It goes on.
    Forward(Why),
}

/// Why a request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No handler has it.
    Unserved,
    /// A rule says so.
    Rule,
    /// A rule keeps a part of the requests, and it is not in that.
    Share,
    /// Its handler has declined it.
    Declined,
    /// Its handler has failed, and a rule says that it may run twice.
    Failed,
}

impl Why {
    /// The reason in a word, for the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unserved => "unserved",
            Self::Rule => "rule",
            Self::Share => "share",
            Self::Declined => "declined",
            Self::Failed => "failed",
        }
    }
}

impl Forwarding {
    /// Begins with the rules of the configuration; `None` where nothing is forwarded.
    #[must_use]
    pub fn new(config: Option<&Config>) -> Option<Self> {
        let config = config?.clone();
        let rules = RwLock::new(config.rules.clone());
        Some(Self(Arc::new(Inner { config, rules, seen: Seen::default() })))
    }

    /// Where requests go on to.
    #[must_use]
    pub fn fallback(&self) -> &Fallback {
        &self.0.config.fallback
    }

    /// Whether requests come by way of the control exchange's alternate.
    #[must_use]
    pub fn has_front(&self) -> bool {
        self.0.config.front.is_some()
    }

    /// Where a message goes that came from there: the exchange and the routing key.
    #[must_use]
    pub fn route(&self, origin: &Origin) -> (&str, &str) {
        let Config { fallback, topics, .. } = &self.0.config;
        let is_of = |topic: &&String| {
            let rest = origin.routing_key.strip_prefix(topic.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        // Of `a` and `a.b`, the one that says more.
        let topic = topics.iter().filter(is_of).max_by_key(|topic| topic.len());
        let topic = topic.or(topics.first()).map_or("", String::as_str);
        (&fallback.exchange, fallback.key(topic))
    }

    /// Whether a message was for all servers of a topic: those of the fallback have copies of their own.
    #[must_use]
    pub fn is_fanout(&self, origin: &Origin) -> bool {
        self.0.config.topics.iter().any(|topic| topology::fanout_name(topic) == origin.exchange)
    }

    /// Says what to do with a request.
    #[must_use]
    pub fn decide(&self, request: &Request) -> Decision {
        let namespace = request.namespace.text();
        let own = Decision::Serve { always: false, on_failure: false };
        if namespace == Some(describe::NAMESPACE) {
            return own;
        }
        let rules = self.0.rules.read().unwrap_or_else(PoisonError::into_inner);
        let Rule { side, on_failure } = rules.of(namespace, request.method.text().unwrap_or_default());
        let on_failure = on_failure == Some(OnFailure::Forward);
        match side {
            None => Decision::Serve { always: false, on_failure },
            Some(Side::Forward) => Decision::Forward(Why::Rule),
            // By its request id, so that all requests of one operation of a user go to the same side.
            Some(Side::Serve { share }) if share.has(request, &By::RequestId, "") => {
                Decision::Serve { always: true, on_failure }
            }
            Some(Side::Serve { .. }) => Decision::Forward(Why::Share),
        }
    }

    /// Puts a rule into force for some methods; without one, that of the configuration is again. Gives the rule.
    pub fn set(&self, pattern: &Pattern, rule: Option<Rule>) -> Rule {
        let rule = rule.unwrap_or_else(|| self.0.config.rules.get(pattern));
        self.0.rules.write().unwrap_or_else(PoisonError::into_inner).set(pattern, rule);
        rule
    }

    /// The rules in force, in their order.
    #[must_use]
    pub fn rules(&self) -> Rules {
        self.0.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes where a request went. Gives the name under which it is counted: that of its method, or [`OTHERS`].
    pub fn note(&self, request: &Named, went: Went) -> Arc<str> {
        self.0.seen.note(&request.0, went)
    }

    /// What went where, by method.
    #[must_use]
    pub fn seen(&self) -> Vec<MethodState> {
        self.0.seen.all()
    }
}

/// The method of a request as the operator names it.
#[derive(Clone, Debug)]
pub struct Named(Pattern);

impl Named {
    /// Of a request. What is no text is named as Python shows it.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        Self(Pattern::Method(request.namespace.text().map(str::to_owned), request.method.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarding(rules: &[(&str, &str)]) -> Forwarding {
        let mut config =
            Config { fallback: Fallback { exchange: "legacy".to_owned(), topic: None }, ..Config::default() };
        for (pattern, rule) in rules {
            let side = Some(rule.parse().unwrap());
            config.rules.set(&Pattern::parse(pattern).unwrap(), Rule { side, on_failure: None });
        }
        Forwarding::new(Some(&config)).unwrap()
    }

    fn request(method: &str, namespace: Option<&str>, id: &str) -> Request {
        let namespace = namespace.map_or(String::new(), |namespace| format!(r#""namespace": "{namespace}", "#));
        let text = format!(r#"{{"method": "{method}", {namespace}"_context_request_id": "{id}"}}"#);
        Request::decode(text.as_bytes(), Some("application/json"), None).unwrap()
    }

    #[test]
    fn without_a_rule_a_request_is_a_handlers_where_one_has_it() {
        let free = Decision::Serve { always: false, on_failure: false };
        assert_eq!(forwarding(&[]).decide(&request("m", None, "r")), free);
        assert_eq!(forwarding(&[("*", "forward")]).decide(&request("describe", Some("nova_host"), "r")), free);
    }

    #[test]
    fn a_rule_is_for_a_method_or_a_namespace_or_all_and_the_narrowest_counts() {
        let forwarding = forwarding(&[("*", "forward"), ("ns.*", "serve"), ("ns.m", "forward"), ("m", "serve")]);
        let serve = Decision::Serve { always: true, on_failure: false };
        let forward = Decision::Forward(Why::Rule);
        for (method, namespace, expected) in [
            ("m", Some("ns"), forward),
            ("n", Some("ns"), serve),
            ("m", None, serve),
            ("n", None, forward),
            ("m", Some("other"), forward),
        ] {
            assert_eq!(forwarding.decide(&request(method, namespace, "r")), expected, "{namespace:?} {method}");
        }
    }

    #[test]
    fn a_share_is_the_same_for_one_request_id_and_of_its_size() {
        let forwarding = forwarding(&[("*", "serve 10%")]);
        let mut served = 0;
        for number in 0..2000 {
            let id = format!("req-{number}");
            let decision = forwarding.decide(&request("m", None, &id));
            assert_eq!(forwarding.decide(&request("n", Some("ns"), &id)), decision, "another method of the operation");
            match decision {
                Decision::Serve { always: true, .. } => served += 1,
                decision => assert_eq!(decision, Decision::Forward(Why::Share)),
            }
        }
        assert!((140..260).contains(&served), "{served} of 2000");
    }

    #[test]
    fn a_rule_that_is_set_counts_from_then_on_and_one_taken_back_leaves_the_configurations() {
        let forwarding = forwarding(&[("m", "forward")]);
        let m = || Pattern::parse("m").unwrap();
        let serve = Rule { side: Some("serve".parse().unwrap()), on_failure: Some(OnFailure::Forward) };
        forwarding.set(&m(), Some(serve));
        assert_eq!(forwarding.decide(&request("m", None, "r")), Decision::Serve { always: true, on_failure: true });
        forwarding.set(&m(), None);
        assert_eq!(forwarding.decide(&request("m", None, "r")), Decision::Forward(Why::Rule));
    }
}
