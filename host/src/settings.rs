//! Where settings come from: flags over environment over file over defaults, with every mistake reported at once.
//!
//! Before it: the command line. After it: each stage takes its own settings by their names, and [`Settings::finish`]
//! says what nobody took. A setting is text until the stage that owns it parses it, so that `timeout = "60s"` in the
//! file, `NOVA_HOST_LIMITS_TIMEOUT=60s` and `--set limits.timeout=60s` are one thing.

mod environment;
mod values;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::PathBuf,
};

use environment::{Unknown, judge, nearest};
pub use values::{Bytes, Setting, patience};

/// What stands before the name of a setting in the environment.
pub const ENVIRONMENT_PREFIX: &str = "NOVA_HOST_";

/// What stands before the names of OpenTelemetry's variables, which are for all programs of a machine.
const FOREIGN_PREFIX: &str = "OTEL_";

/// The names after the prefix that are not settings: they are read before there is a file.
const NOT_SETTINGS: [&str; 1] = ["CONFIG"];

/// Settings that are being read.
#[derive(Debug, Default)]
pub struct Settings {
    file: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    overrides: BTreeMap<String, String>,
    /// Where an override stands whose name must not be shown.
    places: BTreeMap<String, String>,
    /// Variables that are not ours alone, by their whole names.
    foreign: BTreeMap<String, String>,
    known: BTreeSet<String>,
    /// Every path that was given.
    paths: Vec<PathBuf>,
    problems: Vec<String>,
}

/// Everything that is wrong with the settings, a line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl Settings {
    /// Adds the content of a TOML file.
    ///
    /// # Errors
    ///
    /// TOML's own, with line and column, where the text is not TOML.
    pub fn add_file(&mut self, text: &str) -> Result<(), Problems> {
        self.add_table(table(text)?);
        Ok(())
    }

    /// Adds what was read from a TOML file.
    pub fn add_table(&mut self, table: toml::Table) {
        flatten("", table, &mut self.file);
    }

    /// Adds the variables that begin with [`ENVIRONMENT_PREFIX`], and keeps those of OpenTelemetry.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in variables {
            if let Some(name) = name.strip_prefix(ENVIRONMENT_PREFIX)
                && !NOT_SETTINGS.contains(&name)
            {
                self.environment.insert(name.to_owned(), value);
            } else if name.starts_with(FOREIGN_PREFIX) {
                self.foreign.insert(name, value);
            }
        }
    }

    /// Sets a value that wins over file and environment.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.overrides.insert(key.to_owned(), value.into());
    }

    /// The same for a name that may be a piece of a password, which was cut off in a wrong place: where there is no such
    /// setting, `place` is shown instead.
    pub fn set_unshown(&mut self, key: &str, value: impl Into<String>, place: String) {
        self.places.insert(key.to_owned(), place);
        self.set(key, value);
    }

    /// Whether a setting is given over file and environment.
    #[must_use]
    pub fn is_overridden(&self, key: &str) -> bool {
        self.overrides.contains_key(key)
    }

    /// Takes a setting, `default` where it is not given. A value that does not parse is reported by
    /// [`Settings::finish`].
    pub fn take<T: Setting>(&mut self, key: &str, default: T) -> T {
        self.take_optional(key).unwrap_or(default)
    }

    /// Takes a setting that must lie within bounds.
    pub fn take_within<T>(&mut self, key: &str, default: T, bounds: std::ops::RangeInclusive<T>) -> T
    where
        T: Setting + PartialOrd + fmt::Debug,
    {
        match self.take_optional(key) {
            Some(value) if !bounds.contains(&value) => {
                self.problem(key, &format!("must be from {:?} to {:?}", bounds.start(), bounds.end()));
                default
            }
            Some(value) => value,
            None => default,
        }
    }

    /// Takes a setting that may be left out.
    pub fn take_optional<T: Setting>(&mut self, key: &str) -> Option<T> {
        self.known.insert(key.to_owned());
        let text =
            self.overrides.get(key).or_else(|| self.environment.get(&variable(key))).or_else(|| self.file.get(key))?;
        match T::parse(text) {
            Ok(value) => {
                self.paths.extend(value.path().map(PathBuf::from));
                Some(value)
            }
            Err(reason) => {
                let reason = without_secrets(text, reason);
                self.problem(key, &reason);
                None
            }
        }
    }

    /// A variable that is not ours alone: what nobody asks for is nobody's mistake.
    #[must_use]
    pub fn foreign(&self, name: &str) -> Option<&str> {
        self.foreign.get(name).map(String::as_str)
    }

    /// Takes all settings of the file whose names begin with `prefix`, for names that others choose. The rest of the
    /// name comes with the value.
    pub fn take_each<T: Setting>(&mut self, prefix: &str) -> Vec<(String, T)> {
        let keys: Vec<String> = self.file.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        let mut take = |key: String| Some((key.strip_prefix(prefix)?.to_owned(), self.take_optional(&key)?));
        keys.into_iter().filter_map(&mut take).collect()
    }

    /// Every path that a setting has named so far.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Reports a setting that exists elsewhere and not here, where it is given.
    pub fn refuse(&mut self, key: &str, reason: &str) {
        if self.overrides.remove(key).is_some()
            | self.environment.remove(&variable(key)).is_some()
            | self.file.remove(key).is_some()
        {
            self.problems.push(format!("{key}: {reason}"));
        }
    }

    /// Reports a mistake in a setting.
    pub fn problem(&mut self, key: &str, reason: &str) {
        let name = if self.overrides.contains_key(key) {
            key.to_owned()
        } else if self.environment.contains_key(&variable(key)) {
            format!("{ENVIRONMENT_PREFIX}{}", variable(key))
        } else {
            key.to_owned()
        };
        self.problems.push(format!("{name}: {reason}"));
    }

    /// Ends the reading. Gives the names of all settings.
    ///
    /// # Errors
    ///
    /// [`Problems`]: values that did not parse, and names that nobody took.
    pub fn finish(mut self) -> Result<BTreeSet<String>, Problems> {
        let mut unknown = Vec::new();
        for key in self.file.keys().chain(self.overrides.keys()).filter(|key| !self.known.contains(*key)) {
            let meant = nearest(key, self.known.iter());
            let hint = meant.map_or_else(String::new, |name| format!("; did you mean {name}?"));
            let shown = if self.file.contains_key(key) { key } else { self.places.get(key).unwrap_or(key) };
            unknown.push(format!("{shown}: no such setting{hint}"));
        }
        for (name, judged) in self.unknown_variables() {
            if let Unknown::Mistyped(meant) = judged {
                unknown.push(format!("{name}: no such setting; did you mean {ENVIRONMENT_PREFIX}{meant}?"));
            }
        }
        self.problems.extend(unknown);
        if self.problems.is_empty() { Ok(self.known) } else { Err(Problems(self.problems)) }
    }

    /// The variables that begin as settings do and resemble none, sorted; those of Kubernetes are not among them. To be
    /// asked once every setting is taken.
    #[must_use]
    pub fn strangers(&self) -> Vec<String> {
        let strangers = self.unknown_variables().into_iter().filter(|(_, judged)| *judged == Unknown::Stranger);
        strangers.map(|(name, _)| name).collect()
    }

    /// The variables that are no settings, by their whole names.
    fn unknown_variables(&self) -> Vec<(String, Unknown)> {
        let settings: BTreeSet<String> = self.known.iter().map(|key| variable(key)).collect();
        let unknown = self.environment.iter().filter(|(name, _)| !settings.contains(*name));
        unknown.map(|(name, value)| (format!("{ENVIRONMENT_PREFIX}{name}"), judge(name, value, &settings))).collect()
    }
}

/// Reads TOML.
///
/// # Errors
///
/// TOML's own, with line and column.
pub fn table(text: &str) -> Result<toml::Table, Problems> {
    text.parse().map_err(|error: toml::de::Error| {
        // Its own words have the whole line, and a URL without quotes is a mistake that is easily made.
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Problems(vec![format!(
            "not TOML at line {line}, column {column}: {}",
            error.message().trim_end().replace('\n', " ")
        )])
    })
}

/// What is wrong with a value, without the value where it may be a URL in a wrong place: that may have a password.
fn without_secrets(text: &str, reason: String) -> String {
    if !text.contains("://") && !text.contains('@') {
        return reason;
    }
    let reason = reason.replace(&format!("{text:?}"), "what is given").replace(text, "what is given");
    if text.split(['/', '@', ':']).any(|part| part.len() > 3 && reason.contains(part)) {
        return "what is given makes no sense here".to_owned();
    }
    reason
}

/// `limits.timeout` → `LIMITS_TIMEOUT`.
fn variable(key: &str) -> String {
    key.to_uppercase().replace('.', "_")
}

/// Turns nested tables into dotted names, and values into text; a list becomes its items with commas.
fn flatten(prefix: &str, table: toml::Table, into: &mut BTreeMap<String, String>) {
    fn text(value: toml::Value) -> String {
        match value {
            toml::Value::String(text) => text,
            toml::Value::Array(items) => items.into_iter().map(text).collect::<Vec<_>>().join(","),
            other => other.to_string(),
        }
    }
    for (key, value) in table {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&name, inner, into),
            value => {
                into.insert(name, text(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings(file: &str) -> Settings {
        let mut settings = Settings::default();
        settings.add_file(file).unwrap();
        settings
    }

    #[test]
    fn flags_win_over_environment_over_file_over_default() {
        let mut all = settings("a.b = 1\na.c = 1\na.d = 1");
        all.add_environment([("NOVA_HOST_A_B".into(), "2".into()), ("NOVA_HOST_A_C".into(), "2".into())]);
        all.set("a.b", "3");
        assert_eq!([all.take("a.b", 0), all.take("a.c", 0), all.take("a.d", 0), all.take("a.e", 9u64)], [3, 2, 1, 9]);
        assert!(all.finish().is_ok());
    }

    #[test]
    fn every_mistake_is_reported_at_once_by_its_name() {
        let mut wrong = settings("n = \"x\"\n[limits]\ntimeuot = \"1s\"\nmemory = \"64\"");
        wrong.add_environment([("NOVA_HOST_LIMIT_MEMORY".into(), "1 MiB".into())]);
        wrong.take("n", 1u16);
        wrong.take("limits.timeout", Duration::ZERO);
        wrong.take("limits.memory", Bytes(0));
        assert_eq!(
            wrong.finish().unwrap_err().0,
            [
                "n: \"x\" is not a whole number from 0 to 65535",
                "limits.memory: \"64\" is not a size, such as \"512 KiB\", \"64 MiB\" or \"1 GiB\"",
                "limits.timeuot: no such setting; did you mean limits.timeout?",
                "NOVA_HOST_LIMIT_MEMORY: no such setting; did you mean NOVA_HOST_LIMITS_MEMORY?",
            ]
        );
    }

    #[test]
    fn what_kubernetes_adds_is_ignored_and_a_stranger_is_named() {
        let mut all = Settings::default();
        all.add_environment(
            [
                ("NOVA_HOST_SERVICE_HOST", "10.96.0.17"),
                ("NOVA_HOST_METRICS_PORT_9464_TCP", "tcp://10.96.0.17:9464"),
                ("NOVA_HOST_IMAGE", "registry/nova-host:1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        all.take("limits.timeout", Duration::ZERO);
        assert_eq!(all.strangers(), ["NOVA_HOST_IMAGE"]);
        assert!(all.finish().is_ok());
    }

    #[test]
    fn a_password_in_a_wrong_place_is_shown_nowhere() {
        let url = "rabbit://nova:S3cr3t@h/";
        for file in [format!("transport_url = {url}"), format!("a = 1\n{url}"), format!("a = [\"{url}\"\nb = 1")] {
            let text = Settings::default().add_file(&file).unwrap_err().to_string();
            assert!(text.starts_with("not TOML at line ") && !text.contains("S3cr3t"), "{text}");
        }
        let mut wrong =
            settings(&format!("n = \"{url}\"\nd = \"{url}\"\nf = \"{url}\"\nl = \"{url}\"\nb = \"u:S3cr3t@h\""));
        wrong.take("n", 1u16);
        wrong.take("d", Duration::ZERO);
        wrong.take("f", std::path::PathBuf::new());
        wrong.take_optional::<std::net::SocketAddr>("l");
        wrong.take("b", Bytes(0));
        wrong.set_unshown("rabbit.S3cr3t", "", "transport_url: option 1".to_owned());
        wrong.take("rabbit.ssl", false);
        let problems = wrong.finish().unwrap_err();
        assert!(!problems.to_string().contains("S3cr3t"), "{problems}");
        assert_eq!(
            problems.0,
            [
                "n: what is given is not a whole number from 0 to 65535",
                "d: what is given is not a duration, such as \"500ms\", \"30s\", \"5m\" or \"1h\"",
                "f: is a URL, and must be a path",
                "l: what is given is not an address with a port, such as \"127.0.0.1:9464\"",
                "b: what is given is not a size, such as \"512 KiB\", \"64 MiB\" or \"1 GiB\"",
                "transport_url: option 1: no such setting",
            ]
        );
    }

    #[test]
    fn bounds_are_said() {
        let mut wrong = settings("n = 0");
        assert_eq!(wrong.take_within("n", 64u16, 1..=100), 64);
        assert_eq!(wrong.finish().unwrap_err().0, ["n: must be from 1 to 100"]);
    }

    #[test]
    fn lists_may_be_toml_lists_or_commas() {
        assert_eq!(settings("t = [\"a\", \"b\"]").take_optional("t"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(settings("t = \"a, b\"").take_optional("t"), Some(vec!["a".to_owned(), "b".to_owned()]));
    }
}
