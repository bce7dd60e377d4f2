//! Where settings come from: flags over environment over file over defaults, with every mistake reported at once.
//!
//! Before it: the command line. After it: each stage takes its own settings by their names, and [`Settings::finish`]
//! says what nobody took. A setting is text until the stage that owns it parses it, so that `timeout = "60s"` in the
//! file, `NOVA_HOST_LIMITS_TIMEOUT=60s` and `--set limits.timeout=60s` are one thing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    time::Duration,
};

/// What stands before the name of a setting in the environment.
pub const ENVIRONMENT_PREFIX: &str = "NOVA_HOST_";

/// The names after the prefix that are not settings: they are read before there is a file.
const NOT_SETTINGS: [&str; 1] = ["CONFIG"];

/// Settings that are being read.
#[derive(Debug, Default)]
pub struct Settings {
    file: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    overrides: BTreeMap<String, String>,
    known: BTreeSet<String>,
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

    /// Adds the variables that begin with [`ENVIRONMENT_PREFIX`].
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in variables {
            if let Some(name) = name.strip_prefix(ENVIRONMENT_PREFIX)
                && !NOT_SETTINGS.contains(&name)
            {
                self.environment.insert(name.to_owned(), value);
            }
        }
    }

    /// Sets a value that wins over file and environment.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.overrides.insert(key.to_owned(), value.into());
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
            Ok(value) => Some(value),
            Err(reason) => {
                self.problem(key, &reason);
                None
            }
        }
    }

    /// Takes all settings of the file whose names begin with `prefix`, for names that others choose. The rest of the
    /// name comes with the value.
    pub fn take_each<T: Setting>(&mut self, prefix: &str) -> Vec<(String, T)> {
        let keys: Vec<String> = self.file.keys().filter(|key| key.starts_with(prefix)).cloned().collect();
        let mut take = |key: String| Some((key.strip_prefix(prefix)?.to_owned(), self.take_optional(&key)?));
        keys.into_iter().filter_map(&mut take).collect()
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
            unknown.push(format!("{key}: no such setting{}", suggestion(key, self.known.iter().cloned())));
        }
        let variables: BTreeSet<String> = self.known.iter().map(|key| variable(key)).collect();
        for name in self.environment.keys().filter(|name| !variables.contains(*name)) {
            let name = format!("{ENVIRONMENT_PREFIX}{name}");
            let known = variables.iter().map(|variable| format!("{ENVIRONMENT_PREFIX}{variable}"));
            unknown.push(format!("{name}: no such setting{}", suggestion(&name, known)));
        }
        self.problems.extend(unknown);
        if self.problems.is_empty() { Ok(self.known) } else { Err(Problems(self.problems)) }
    }
}

/// Reads TOML.
///
/// # Errors
///
/// TOML's own, with line and column.
pub fn table(text: &str) -> Result<toml::Table, Problems> {
    text.parse().map_err(|error: toml::de::Error| Problems(vec![error.to_string().trim_end().to_owned()]))
}

/// `limits.timeout` → `LIMITS_TIMEOUT`.
fn variable(key: &str) -> String {
    key.to_uppercase().replace('.', "_")
}

/// The nearest known name, as a hint.
fn suggestion(wrong: &str, known: impl Iterator<Item = String>) -> String {
    known
        .map(|name| (strsim::damerau_levenshtein(wrong, &name), name))
        .min()
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"))
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

/// A type that a setting can have.
pub trait Setting: Sized {
    /// Reads the text.
    ///
    /// # Errors
    ///
    /// What is expected, for the operator.
    fn parse(text: &str) -> Result<Self, String>;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Setting for $number {
            fn parse(text: &str) -> Result<Self, String> {
                <$number>::from_str(text.trim())
                    .map_err(|_| format!("{text:?} is not a whole number from {} to {}", <$number>::MIN, <$number>::MAX))
            }
        }
    )*};
}

numbers!(u16, u32, u64, i64, usize);

impl Setting for bool {
    fn parse(text: &str) -> Result<Self, String> {
        // As oslo.config reads them, in any case.
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" => Ok(true),
            "false" | "0" | "off" | "no" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }
}

impl Setting for String {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
    }
}

impl Setting for std::path::PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        String::parse(text).map(Self::from)
    }
}

impl Setting for std::net::SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| format!("{text:?} is not an address with a port, such as \"127.0.0.1:9464\""))
    }
}

impl Setting for Vec<String> {
    fn parse(text: &str) -> Result<Self, String> {
        let items: Self = text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect();
        if items.is_empty() { Err("must name at least one".to_owned()) } else { Ok(items) }
    }
}

impl Setting for Duration {
    /// A number and its unit: `ms`, `s`, `m` or `h`.
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not a duration, such as \"500ms\", \"30s\", \"5m\" or \"1h\"");
        let (number, unit) = split_unit(text).ok_or_else(expected)?;
        let scale: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(expected()),
        };
        number.checked_mul(scale).map(Self::from_millis).ok_or_else(expected)
    }
}

/// A number of bytes, written `"64 MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub usize);

impl Setting for Bytes {
    fn parse(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not a size, such as \"512 KiB\", \"64 MiB\" or \"1 GiB\"");
        let (number, unit) = split_unit(text).ok_or_else(expected)?;
        let shift = match unit {
            "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            _ => return Err(expected()),
        };
        let bytes = number.checked_mul(1 << shift).and_then(|bytes| usize::try_from(bytes).ok());
        bytes.map(Self).ok_or_else(expected)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.iter().find(|(shift, _)| self.0 > 0 && self.0.trailing_zeros() >= *shift) {
            Some((shift, unit)) => write!(f, "{} {unit}", self.0 >> shift),
            None => write!(f, "{} B", self.0),
        }
    }
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    Some((number.parse().ok()?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
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
    fn bounds_are_said() {
        let mut wrong = settings("n = 0");
        assert_eq!(wrong.take_within("n", 64u16, 1..=100), 64);
        assert_eq!(wrong.finish().unwrap_err().0, ["n: must be from 1 to 100"]);
    }

    #[test]
    fn units_are_read() {
        assert_eq!(Duration::parse("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(Duration::parse("2 h"), Ok(Duration::from_secs(7200)));
        assert!(["", "5", "5 years", "-1s", "99999999999999999999s"].iter().all(|text| Duration::parse(text).is_err()));
        assert_eq!(Bytes::parse("64 MiB"), Ok(Bytes(64 << 20)));
        assert_eq!(Bytes::parse("1KiB"), Ok(Bytes(1024)));
        assert!(["64", "64 MB", "99999999999 GiB"].iter().all(|text| Bytes::parse(text).is_err()));
        assert_eq!(Bytes(64 << 20).to_string(), "64 MiB");
        assert_eq!(Bytes(1500).to_string(), "1500 B");
    }

    #[test]
    fn lists_may_be_toml_lists_or_commas() {
        assert_eq!(settings("t = [\"a\", \"b\"]").take_optional("t"), Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(settings("t = \"a, b\"").take_optional("t"), Some(vec!["a".to_owned(), "b".to_owned()]));
    }
}
