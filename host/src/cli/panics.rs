//! Panics, in the log and in its format: without this they are lines on standard error that no reader of the log expects.
//!
//! Before it: `serve` has started the log. After it: whoever waits for the task that has panicked knows only that it has.

use std::panic::{self, PanicHookInfo};

use crate::printable::printable;

/// Bytes of a panic's message. It may quote what others wrote, so there is little of it.
const MAX_MESSAGE: usize = 200;

/// From here on every panic of the process is one line of the log, wherever it happens.
pub(super) fn log() {
    panic::set_hook(Box::new(record));
}

fn record(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().map_or_else(|| "(no message)".to_owned(), |text| printable(text, MAX_MESSAGE));
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    tracing::error!(
        location = location.as_deref().unwrap_or("unknown"),
        thread = thread.name().unwrap_or("unnamed"),
        "panic, which is a fault of nova-host's own; please report it: {message}"
    );
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use super::*;

    /// Where the log goes.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_is_one_bounded_line_of_the_log() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let before = panic::take_hook();
        log();
        let long = "x".repeat(10_000);
        let panicked = tracing::subscriber::with_default(subscriber, || {
            panic::catch_unwind(|| panic!("first\nsecond \u{1b}[31m{long}")).is_err()
        });
        panic::set_hook(before);
        assert!(panicked);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let [line] = text.lines().collect::<Vec<_>>().try_into().unwrap();
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["level"], "ERROR");
        let message = event["fields"]["message"].as_str().unwrap();
        assert!(message.contains(r"first\nsecond \u{1b}[31mxxx") && message.len() < 400, "{message}");
        assert!(event["fields"]["location"].as_str().unwrap().contains("cli/panics.rs:"), "{event}");
    }
}
