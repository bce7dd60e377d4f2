//! What is logged, from which level on, by target: a choice that can be changed while the service runs.
//!
//! Before it: the configuration, or an operator ([`crate::control`]). After it: the log, which [`crate::cli`] starts.

use std::{
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};

use tracing::{Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    layer::{Context, Layer},
};

use crate::{operate::AUDIT, printable::printable, transport::rabbit};

/// Bytes of a choice: some hundred targets.
const MAX_TEXT: usize = 4096;

/// Bytes of a choice that is shown where it is wrong.
const MAX_SHOWN: usize = 128;

/// The levels that are in force. Clones are the same.
#[derive(Clone, Debug)]
pub struct Levels(Arc<RwLock<Chosen>>);

#[derive(Debug)]
struct Chosen {
    text: String,
    targets: Targets,
}

/// What is no choice of levels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("log: {0}: it takes a level, such as info, or several: warn,handler=debug")]
pub struct Malformed(String);

/// Lets through what the levels in force let through.
#[derive(Debug)]
pub(crate) struct Filter(Levels);

impl Levels {
    /// `info`, or `info,handler=debug` by target.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn new(text: &str) -> Result<Self, Malformed> {
        Ok(Self(Arc::new(RwLock::new(Chosen::parse(text)?))))
    }

    /// The levels in force, as somebody has written them.
    #[must_use]
    pub fn now(&self) -> String {
        self.0.read().unwrap_or_else(PoisonError::into_inner).text.clone()
    }

    /// Puts others into force, until the service ends. Gives those before.
    ///
    /// # Errors
    ///
    /// [`Malformed`]; nothing has changed then.
    pub fn change(&self, text: &str) -> Result<String, Malformed> {
        let chosen = Chosen::parse(text)?;
        let before = std::mem::replace(&mut *self.0.write().unwrap_or_else(PoisonError::into_inner), chosen);
        // Each place that logs remembers whether anybody listens.
        tracing::callsite::rebuild_interest_cache();
        Ok(before.text)
    }

    pub(crate) fn filter(&self) -> Filter {
        Filter(self.clone())
    }
}

impl Chosen {
    fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > MAX_TEXT {
            return Err(Malformed(format!("{} bytes are more than {MAX_TEXT}", text.len())));
        }
        // A lone word would be taken for a target, and a misspelt level with it.
        if let Some(word) = text.split(',').find(|part| !part.contains('=') && LevelFilter::from_str(part).is_err()) {
            return Err(Malformed(format!("\"{}\" is no level", printable(word, MAX_SHOWN))));
        }
        let targets = Targets::from_str(text).map_err(|error| Malformed(error.to_string()))?;
        // Whatever was asked for: there are secrets in what it would say, and the transport says what matters.
        let targets = targets.with_target(rabbit::LIBRARY, LevelFilter::OFF);
        // And who changes something cannot have it hidden that they do.
        Ok(Self { text: text.to_owned(), targets: targets.with_target(AUDIT, LevelFilter::INFO) })
    }
}

impl Filter {
    fn with<T>(&self, ask: impl FnOnce(&Targets) -> T) -> T {
        ask(&self.0.0.read().unwrap_or_else(PoisonError::into_inner).targets)
    }
}

impl<S: Subscriber> Layer<S> for Filter {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.with(|targets| Layer::<S>::register_callsite(targets, metadata))
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.with(|targets| Layer::<S>::enabled(targets, metadata, context))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.with(Layer::<S>::max_level_hint)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Mutex, MutexGuard},
    };

    use tracing_subscriber::{fmt::MakeWriter, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    struct Writer<'a>(MutexGuard<'a, Vec<u8>>);

    impl io::Write for Writer<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Writer<'a>;

        fn make_writer(&'a self) -> Writer<'a> {
            Writer(self.0.lock().unwrap())
        }
    }

    #[test]
    fn levels_change_while_something_is_logged_and_the_broker_library_stays_silent() {
        let (levels, log) = (Levels::new("warn").unwrap(), Log::default());
        let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(log.clone());
        let subscriber = tracing_subscriber::registry().with(levels.filter()).with(lines);
        tracing::subscriber::with_default(subscriber, || {
            let say = |number: u32| {
                tracing::debug!(target: "handler", "debug {number}");
                tracing::info!("info {number}");
                tracing::error!(target: rabbit::LIBRARY, "secret {number}");
            };
            say(1);
            assert_eq!(levels.change("info,handler=debug"), Ok("warn".to_owned()));
            say(2);
            assert!(levels.change("info,loud").is_err());
            assert_eq!(levels.now(), "info,handler=debug");
            levels.change(&format!("{}=trace", rabbit::LIBRARY)).unwrap();
            say(3);
            levels.change("off").unwrap();
            say(4);
        });
        let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        let said: Vec<&str> = said.lines().filter_map(|line| line.split(": ").last()).collect();
        assert_eq!(said, ["debug 2", "info 2"]);
    }

    #[test]
    fn what_is_no_choice_is_refused_with_what_is_one() {
        for wrong in ["loud", "info,loud", "handler=loud", &"handler=info,".repeat(1000)] {
            let said = Levels::new(wrong).map(drop).unwrap_err().to_string();
            assert!(said.contains("it takes a level, such as info"), "{said}");
        }
    }
}
