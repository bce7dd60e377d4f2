//! The section `forward`.
//!
//! Before it: [`crate::config`]. After it: [`super::Forwarding`], and the subscription, which is another where there is a
//! fallback.

use crate::settings::Settings;

use super::{
    rule::{OnFailure, Side},
    rules::{Pattern, Rule, Rules},
};

/// What stands before the name of our queues where there is a fallback: the fallback's are named like its topic, whatever its
/// exchange.
const DEFAULT_QUEUE_PREFIX: &str = "nova_host.";

/// What stands before a method that has a rule.
const METHODS: &str = "forward.methods.";

/// What stands before a method that says what becomes of its failures.
const ON_FAILURE: &str = "forward.on_failure.";

/// What is forwarded, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where requests go on to.
    pub fallback: Fallback,
    /// The exchange that requests come by, where it is not the control exchange.
    pub front: Option<String>,
    /// What our queues' names begin with.
    pub queue_prefix: String,
    /// The rules.
    pub rules: Rules,
    /// The topics that are served.
    pub topics: Vec<String>,
}

/// Where requests go on to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fallback {
    /// The exchange, which the fallback declares.
    pub exchange: String,
    /// The topic; `None` is each request's own.
    pub topic: Option<String>,
}

impl Config {
    /// Takes the section; `None` where nothing is forwarded. `exchange` and `topics` are those of the service.
    #[must_use]
    pub fn read(settings: &mut Settings, exchange: &str, topics: &[String]) -> Option<Self> {
        let to = settings.take_optional::<String>("forward.exchange");
        let topic = settings.take_optional::<String>("forward.topic");
        let front = settings.take_optional::<String>("forward.front");
        let queue_prefix = settings.take("forward.queue_prefix", DEFAULT_QUEUE_PREFIX.to_owned());
        let mut rules = Rules::default();
        let mut wrong = Vec::new();
        let sides = settings
            .take_each::<Side>(METHODS)
            .into_iter()
            .map(|(name, side)| (METHODS, name, Rule { side: Some(side), on_failure: None }));
        let sides: Vec<_> = sides.collect();
        let failures = settings
            .take_each::<OnFailure>(ON_FAILURE)
            .into_iter()
            .map(|(name, on_failure)| (ON_FAILURE, name, Rule { side: None, on_failure: Some(on_failure) }));
        for (prefix, name, said) in sides.into_iter().chain(failures) {
            match Pattern::parse(&name) {
                Ok(pattern) => {
                    let before = rules.get(&pattern);
                    let rule =
                        Rule { side: said.side.or(before.side), on_failure: said.on_failure.or(before.on_failure) };
                    rules.set(&pattern, rule);
                }
                Err(error) => wrong.push((format!("{prefix}{name}"), error)),
            }
        }
        for (key, error) in wrong {
            settings.problem(&key, &error);
        }
        if to.is_none() && topic.is_none() {
            for (key, is_given) in [("forward.front", front.is_some()), ("forward.methods", !rules.is_empty())] {
                if is_given {
                    settings
                        .problem(key, "has no meaning without forward.exchange, the exchange of the service behind");
                }
            }
            return None;
        }
        let fallback = Fallback { exchange: to.unwrap_or_else(|| exchange.to_owned()), topic };
        let ours = front.as_deref().unwrap_or(exchange);
        if fallback.exchange == ours && topics.iter().any(|topic| fallback.key(topic) == topic) {
            let reason = "is where this service listens itself: name the exchange, or with forward.topic the topic, of the \
                          service behind it";
            settings.problem("forward.exchange", reason);
        }
        Some(Self { fallback, front, queue_prefix, rules, topics: topics.to_vec() })
    }
}

impl Fallback {
    /// The routing key of a request for one of our topics.
    #[must_use]
    pub fn key<'a>(&'a self, topic: &'a str) -> &'a str {
        self.topic.as_deref().unwrap_or(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> Result<Option<Config>, String> {
        let mut settings = Settings::default();
        settings.add_file(file).unwrap();
        let config = Config::read(&mut settings, "nova", &["conductor".to_owned()]);
        settings.finish().map(|_| config).map_err(|problems| problems.to_string())
    }

    #[test]
    fn the_documented_section_is_read() {
        let file = r#"
            [forward]
            exchange = "nova_legacy"
            front = "nova_host"
            [forward.methods]
            "compute_task.build_instances" = "serve 10%"
            object_action = "forward"
            [forward.on_failure]
            "compute_task.cache_images" = "forward"
        "#;
        let config = read(file).unwrap().unwrap();
        assert_eq!(config.fallback, Fallback { exchange: "nova_legacy".to_owned(), topic: None });
        assert_eq!((config.front.as_deref(), config.queue_prefix.as_str()), (Some("nova_host"), "nova_host."));
        let rules: Vec<String> =
            config.rules.all().into_iter().map(|(pattern, rule)| format!("{pattern}: {rule}")).collect();
        assert_eq!(
            rules,
            [
                "object_action: forward",
                "compute_task.build_instances: serve 10%",
                "compute_task.cache_images: serve where a handler has it, on failure forward"
            ]
        );
        assert_eq!(read("").unwrap(), None);
    }

    #[test]
    fn mistakes_are_named() {
        for (file, expected) in [
            ("forward.exchange = \"nova\"", "forward.exchange: is where this service listens itself"),
            ("[forward]\nexchange = \"a\"\nfront = \"a\"", "forward.exchange: is where this service listens itself"),
            ("forward.topic = \"conductor\"", "forward.exchange: is where this service listens itself"),
            ("forward.front = \"a\"", "forward.front: has no meaning without forward.exchange"),
            ("forward.methods.m = \"serve\"", "forward.methods: has no meaning without forward.exchange"),
            ("[forward]\nexchange = \"a\"\nmethods.m = \"maybe\"", "forward.methods.m: \"maybe\" is no rule"),
            ("[forward]\nexchange = \"a\"\nmethods.\".\" = \"serve\"", "forward.methods..: \".\" names no method"),
            ("[forward]\nexchange = \"a\"\non_failure.m = \"serve\"", "forward.on_failure.m: \"serve\" is neither"),
            ("[forward]\nexchange = \"a\"\nqueue_prefix = \"\"", "forward.queue_prefix: must not be empty"),
        ] {
            let problem = read(file).unwrap_err();
            assert!(problem.starts_with(expected), "{file}: {problem}");
        }
        assert!(read("forward.topic = \"conductor_legacy\"").unwrap().is_some());
    }
}
