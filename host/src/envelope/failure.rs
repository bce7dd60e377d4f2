//! A failure: an exception on its way to the caller.

use serde::{Deserialize, Serialize};

use super::{Text, json::to_text};

/// Module of Python's built-in exceptions, which every client rebuilds.
pub const BUILTINS: &str = "builtins";

/// A remote exception, with the reference's keys in its order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Exception class.
    pub class: String,
    /// Module of the class.
    #[serde(default)]
    pub module: String,
    /// `str(exception)`.
    #[serde(default)]
    pub message: String,
    /// The traceback, formatted as Python does: each entry ends with a line feed.
    #[serde(rename = "tb", default)]
    pub traceback: Vec<String>,
    /// Positional arguments: a JSON array.
    #[serde(default = "no_args")]
    pub args: Text,
    /// Keyword arguments: a JSON object.
    #[serde(default = "no_kwargs")]
    pub kwargs: Text,
}

fn no_args() -> Text {
    Text::of(&[(); 0])
}

fn no_kwargs() -> Text {
    Text::of(&serde_json::Map::new())
}

impl Failure {
    /// Bytes of its parts.
    #[must_use]
    pub fn length(&self) -> usize {
        let Self { class, module, message, traceback, args, kwargs } = self;
        let texts = [class, module, message].into_iter().chain(traceback).map(String::len);
        texts.sum::<usize>() + args.get().len() + kwargs.get().len()
    }

    /// A failure whose only argument is its message.
    #[must_use]
    pub fn new(module: &str, class: &str, message: impl Into<String>) -> Self {
        let message = message.into();
        let args = Text::of(&[&message]);
        Self::with(module, class, message, args, no_kwargs())
    }

    /// A failure with arguments of its own: `args` a JSON array, `kwargs` a JSON object.
    #[must_use]
    pub fn with(module: &str, class: &str, message: String, args: Text, kwargs: Text) -> Self {
        // An error that was relayed has the suffix twice by now; the reference cuts both or none.
        let (module, class) = match (module.strip_suffix("_Remote"), class.strip_suffix("_Remote")) {
            (Some(module), Some(class)) => (module, class),
            _ => (module, class),
        };
        // Python's tracebacks leave these two modules out.
        let plain = module == BUILTINS || module == "__main__";
        let full_name = if plain { class.to_owned() } else { format!("{module}.{class}") };
        let traceback = vec!["Traceback (most recent call last):\n".to_owned(), format!("{full_name}: {message}\n")];
        Self { class: class.to_owned(), module: module.to_owned(), message, traceback, args, kwargs }
    }

    /// Adds where it happened, outermost first, a line a frame.
    pub fn add_frames(&mut self, frames: &[String]) {
        let lines = frames.iter().map(|frame| format!("  {}\n", frame.trim_end()));
        let first = self.traceback.len().min(1);
        self.traceback.splice(first..first, lines);
    }

    /// A Python built-in exception.
    #[must_use]
    pub fn builtin(class: &str, message: impl Into<String>) -> Self {
        Self::new(BUILTINS, class, message)
    }

    /// The JSON document that goes into a reply, itself as a string.
    #[must_use]
    pub fn encode(&self) -> String {
        to_text(self)
    }
}

/// `module.Class: message`, without the module for built-in exceptions.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.module != BUILTINS {
            write!(f, "{}.", self.module)?;
        }
        write!(f, "{}: {}", self.class, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_looks_like_pythons() {
        let failure = Failure::builtin("ValueError", "bad value");
        assert_eq!(
            failure.encode(),
            concat!(
                r#"{"class": "ValueError", "module": "builtins", "message": "bad value", "#,
                r#""tb": ["Traceback (most recent call last):\n", "ValueError: bad value\n"], "#,
                r#""args": ["bad value"], "kwargs": {}}"#
            )
        );
        assert_eq!(serde_json::from_str::<Failure>(&failure.encode()).unwrap(), failure);
    }

    #[test]
    fn a_relayed_error_loses_its_suffix() {
        let relayed = |module, class| Failure::new(module, class, "m");
        assert_eq!(relayed("nova.exception_Remote", "NotFound_Remote"), relayed("nova.exception", "NotFound"));
        assert_eq!(relayed("nova.exception", "NotFound_Remote").class, "NotFound_Remote");
    }

    #[test]
    fn frames_stand_between_first_and_last_line() {
        let mut failure = Failure::with("m", "C", "x".into(), no_args(), no_kwargs());
        failure.add_frames(&["at add\n".into(), "at inner".into()]);
        assert_eq!(
            failure.traceback,
            ["Traceback (most recent call last):\n", "  at add\n", "  at inner\n", "m.C: x\n"]
        );
    }
}
