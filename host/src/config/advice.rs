//! What is no mistake in the configuration, and may still surprise its operator.
//!
//! Before it: [`super::Config`] is read. After it: `serve` logs it, `check` prints it.

use crate::{
    catalog::{CONSUMER_TIMEOUT, load::Cache},
    serve,
    transport::rabbit,
};

/// After so many deliveries RabbitMQ 4 drops a message of a quorum queue that has no limit of its own.
const DEFAULT_DELIVERY_LIMIT: u32 = 20;

/// All of it, a line each.
pub(super) fn advice(rabbit: &rabbit::Config, serve: &serve::Config, cache: &Cache) -> Vec<String> {
    [impatient_queues(rabbit, serve), long_grace(serve), no_cache(cache)].into_iter().flatten().collect()
}

/// The broker drops a message before we would answer its caller: after more deliveries than its limit.
fn impatient_queues(rabbit: &rabbit::Config, serve: &serve::Config) -> Option<String> {
    let (limit, attempts) = (rabbit.declare.rabbit_quorum_delivery_limit, serve.max_attempts);
    let (in_force, whose) = match limit {
        0 => (DEFAULT_DELIVERY_LIMIT, "the delivery limit that RabbitMQ 4 gives quorum queues"),
        limit => (limit, "rabbit.rabbit_quorum_delivery_limit"),
    };
    let is_less = rabbit.declare.rabbit_quorum_queue && (attempts == 0 || attempts > in_force);
    is_less.then(|| {
        let attempts = if attempts == 0 { "0, without bound".to_owned() } else { attempts.to_string() };
        format!(
            "{whose} is {in_force}, and delivery.max_attempts is {attempts}: the broker drops a request before its caller \
             is told; set delivery.max_attempts from 1 to {in_force}"
        )
    })
}

/// The broker takes back what is in flight before we have waited for it.
fn long_grace(serve: &serve::Config) -> Option<String> {
    let grace = serve.grace_period;
    (grace > CONSUMER_TIMEOUT).then(|| {
        format!(
            "grace_period is {grace:?}, and RabbitMQ takes a request back that is not acknowledged within \
             {CONSUMER_TIMEOUT:?}, unless its consumer_timeout is set to more: another server would run it again"
        )
    })
}

/// Nothing that is compiled is there after a restart.
fn no_cache(cache: &Cache) -> Option<String> {
    (*cache == Cache::Nowhere).then(|| {
        "handlers are compiled at every start: there is no place to keep compiled code, for neither XDG_CACHE_HOME nor HOME is \
         set; set handlers.cache to a directory that outlasts the process"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, settings::Settings};

    fn warnings(file: &str) -> Vec<String> {
        let mut settings = Settings::default();
        settings.add_file(file).unwrap();
        settings.set("handlers.cache", "cache");
        Config::read(settings).unwrap().0.warnings
    }

    #[test]
    fn a_quorum_queue_that_drops_requests_before_their_callers_are_told_is_warned_of() {
        for (limit, attempts, expected) in [
            (0, 0, Some("RabbitMQ 4 gives quorum queues is 20, and delivery.max_attempts is 0, without bound")),
            (0, 50, Some("RabbitMQ 4 gives quorum queues is 20, and delivery.max_attempts is 50")),
            (0, 20, None),
            (5, 10, Some("rabbit_quorum_delivery_limit is 5, and delivery.max_attempts is 10")),
            (5, 0, Some("set delivery.max_attempts from 1 to 5")),
            (30, 30, None),
        ] {
            let file = format!("delivery.max_attempts = {attempts}\n[rabbit]\nrabbit_quorum_delivery_limit = {limit}");
            assert!(warnings(&file).is_empty(), "a classic queue has no such limit: {file}");
            let found = warnings(&format!("{file}\nrabbit_quorum_queue = true"));
            match expected {
                Some(expected) => assert!(found.len() == 1 && found[0].contains(expected), "{file}: {found:?}"),
                None => assert!(found.is_empty(), "{file}: {found:?}"),
            }
        }
    }

    #[test]
    fn a_grace_period_beyond_the_brokers_patience_is_warned_of() {
        assert!(warnings("grace_period = \"30m\"").is_empty());
        let found = warnings("grace_period = \"31m\"");
        assert!(found.len() == 1 && found[0].contains("consumer_timeout"), "{found:?}");
    }

    #[test]
    fn a_service_without_a_place_for_compiled_code_is_warned_of() {
        let mut config = Config::read(Settings::default()).unwrap().0;
        config.handlers.cache = Cache::Nowhere;
        assert!(no_cache(&config.handlers.cache).unwrap().contains("set handlers.cache"));
        config.handlers.cache = Cache::Default("cache".into());
        assert_eq!(no_cache(&config.handlers.cache), None);
    }
}
