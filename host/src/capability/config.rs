//! Values and secrets that a manifest gives its handler: the section `config`.
//!
//! Before it: [`crate::catalog`] reads the manifest. After it: the guest asks for them. Values are literal, or come from
//! the environment or a file, and are read once, when the handler is loaded. Those that do not stand in the manifest are
//! secrets unless it says otherwise.

use std::{
    collections::BTreeMap,
    fmt,
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::confine::explained;

/// Bytes of one value: a certificate chain has some ten thousand.
const MAX_VALUE: usize = 64 << 10;

/// Bytes of a secret below which it is not looked for in what a guest writes: a shorter one is in every other word.
const MIN_SCRUBBED: usize = 4;

/// Bytes of a line of a secret that is taken out alone: shorter ones, such as a brace, say nothing.
const MIN_LINE: usize = 16;

/// What stands in place of a secret.
const STARS: &str = "***";

/// The values of one handler, by name.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Values {
    by_name: BTreeMap<String, Value>,
    /// What is looked for in texts, the longest first: each secret, each longer line of one, and both as JSON writes them.
    hidden: Vec<String>,
}

/// One value. `Debug` and `Display` show no secret.
#[derive(Clone, PartialEq, Eq)]
struct Value {
    text: String,
    is_secret: bool,
}

/// A value that is more than its text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    value: Option<toml::Value>,
    env: Option<String>,
    file: Option<PathBuf>,
    secret: Option<bool>,
}

impl Values {
    /// Takes the section out of a manifest, and reads what it names. `variable` is the environment.
    pub fn take(
        table: &mut toml::Table,
        variable: impl Fn(&str) -> Option<String>,
        problems: &mut Vec<String>,
    ) -> Self {
        let section = match table.remove("config") {
            None => return Self::default(),
            Some(toml::Value::Table(section)) => section,
            Some(_) => {
                problems.push("config: is a section: write [config]".to_owned());
                return Self::default();
            }
        };
        let mut values = BTreeMap::new();
        for (name, value) in section {
            match Value::read(value, &variable) {
                Ok(value) => drop(values.insert(name, value)),
                Err(reason) => problems.push(format!("config.{name}: {reason}")),
            }
        }
        let hidden = hidden(&values);
        Self { by_name: values, hidden }
    }

    /// One value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.by_name.get(name).map(|value| value.text.as_str())
    }

    /// All names with their values.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_name.iter().map(|(name, value)| (name.as_str(), value.text.as_str()))
    }

    /// All names with their values, and whether each is a secret.
    pub fn given(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.by_name.iter().map(|(name, value)| (name.as_str(), value.text.as_str(), value.is_secret))
    }

    /// Values that a recording has.
    pub fn told(given: impl IntoIterator<Item = (String, String, bool)>) -> Self {
        let given = given.into_iter().map(|(name, text, is_secret)| (name, Value { text, is_secret }));
        let by_name = given.collect();
        let hidden = hidden(&by_name);
        Self { by_name, hidden }
    }

    /// All names with what may be shown of their values.
    #[must_use]
    pub fn shown(&self) -> Vec<(String, String)> {
        self.by_name.iter().map(|(name, value)| (name.clone(), value.to_string())).collect()
    }

    /// A text without the secrets in it, as they are or as JSON writes them, nor any line of one: what is printed comes line
    /// by line.
    #[must_use]
    pub fn scrub(&self, text: String) -> String {
        let scrub =
            |text: String, secret: &String| if text.contains(secret) { text.replace(secret, STARS) } else { text };
        self.hidden.iter().fold(text, scrub)
    }

    /// The beginning of such a text: at most so many bytes, and a mark where there was more. It costs as much as what is
    /// returned, and the longest secret.
    #[must_use]
    pub fn scrub_start(&self, mut text: String, most: usize) -> String {
        let longest = self.hidden.first().map_or(0, String::len);
        let room = most.saturating_add(longest);
        let is_long = text.len() > room;
        if is_long {
            text.truncate(text.floor_char_boundary(room));
            text.shrink_to_fit();
        }
        let mut text = self.scrub(text);
        // Of a long text, the last bytes may be the beginning of a secret.
        let whole = if is_long { text.len().saturating_sub(longest) } else { text.len() };
        if is_long || whole > most {
            text.truncate(text.floor_char_boundary(whole.min(most)));
            text.push('…');
        }
        text
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.by_name).finish()
    }
}

/// What is looked for in texts.
fn hidden(values: &BTreeMap<String, Value>) -> Vec<String> {
    let secrets = values.values().filter(|value| value.is_secret && value.text.len() >= MIN_SCRUBBED);
    let pieces = secrets.flat_map(|Value { text, .. }| {
        let lines = text.lines().map(str::trim).filter(|line| line.len() >= MIN_LINE && line.len() < text.len());
        std::iter::once(text.as_str()).chain(lines)
    });
    let mut hidden: Vec<String> = pieces
        .flat_map(|piece| {
            let quoted = crate::envelope::to_text(&piece);
            let quoted = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
            [piece.to_owned(), quoted.to_owned()]
        })
        .filter(|piece| !piece.is_empty())
        .collect();
    hidden.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    hidden.dedup();
    hidden
}

impl Value {
    fn read(value: toml::Value, variable: &impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let toml::Value::Table(table) = value else {
            return Ok(Self { text: literal(value)?, is_secret: false });
        };
        let described: Described = table.try_into().map_err(|error: toml::de::Error| {
            // Its first line says what is wrong; the rest may show the value.
            format!("{}; it takes one of value, env and file, and secret", error.message())
        })?;
        let (text, is_secret) = match described {
            Described { value: Some(value), env: None, file: None, .. } => (literal(value)?, false),
            Described { value: None, env: Some(name), file: None, .. } => {
                let missing = || format!("the environment has no {name} that is text");
                (variable(&name).ok_or_else(missing)?, true)
            }
            Described { value: None, env: None, file: Some(path), .. } => (from_file(&path)?, true),
            Described { .. } => return Err("takes exactly one of value, env and file".to_owned()),
        };
        if text.len() > MAX_VALUE {
            return Err(format!("has {} bytes, more than {MAX_VALUE}", text.len()));
        }
        Ok(Self { text, is_secret: described.secret.unwrap_or(is_secret) })
    }
}

fn literal(value: toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => Ok(value.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
            Err("is text, a number, or true or false".to_owned())
        }
    }
}

/// A file's text, without the line end that editors leave.
fn from_file(path: &Path) -> Result<String, String> {
    if !path.is_absolute() {
        return Err(format!("the path {} is not absolute", path.display()));
    }
    let wrong = |error: std::io::Error| format!("{}: {}", path.display(), explained(error));
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_VALUE).unwrap_or(u64::MAX) + 1;
    std::fs::File::open(path).map_err(wrong)?.take(limit).read_to_end(&mut bytes).map_err(wrong)?;
    let mut text = String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secret { STARS } else { &self.text })
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Values, Vec<String>) {
        let (mut table, mut problems) = (text.parse().unwrap(), Vec::new());
        let environment = |name: &str| (name == "TOKEN").then(|| "from \"env\"".to_owned());
        let values = Values::take(&mut table, environment, &mut problems);
        assert!(table.is_empty());
        (values, problems)
    }

    #[test]
    fn values_are_literal_or_from_the_environment_or_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from file\n").unwrap();
        let (values, problems) = read(&format!(
            "[config]\ntext = \"a\"\nnumber = 3\n\"dotted.name\" = true\ntoken = {{ env = \"TOKEN\" }}\n\
             plain = {{ env = \"TOKEN\", secret = false }}\nfile = {{ file = \"{}\" }}\n\
             hidden = {{ value = \"hush\", secret = true }}",
            file.path().display()
        ));
        assert_eq!(problems, [""; 0]);
        let expected = [
            ("dotted.name", "true", "true"),
            ("file", "from file", STARS),
            ("hidden", "hush", STARS),
            ("number", "3", "3"),
            ("plain", "from \"env\"", "from \"env\""),
            ("text", "a", "a"),
            ("token", "from \"env\"", STARS),
        ];
        assert_eq!(values.all().collect::<Vec<_>>(), expected.map(|(name, value, _)| (name, value)));
        let shown: Vec<_> = expected.iter().map(|(name, _, shown)| ((*name).to_owned(), (*shown).to_owned())).collect();
        assert_eq!(values.shown(), shown);
        assert_eq!((values.get("text"), values.get("other")), (Some("a"), None));
        assert!(!format!("{values:?}").contains("hush"));
    }

    #[test]
    fn mistakes_are_named_without_values() {
        for (text, reason) in [
            ("config = 3", "config: is a section: write [config]"),
            ("config.a = [1]", "config.a: is text, a number, or true or false"),
            ("config.a = { env = \"NONE\" }", "config.a: the environment has no NONE that is text"),
            ("config.a = { env = \"TOKEN\", file = \"/x\" }", "config.a: takes exactly one of value, env and file"),
            ("config.a = { secret = true }", "config.a: takes exactly one of value, env and file"),
            ("config.a = { file = \"x\" }", "config.a: the path x is not absolute"),
            ("config.a = { file = \"/no/such\" }", "config.a: /no/such: No such file or directory (os error 2)"),
            ("config.a = { file = \"/dev/zero\" }", "config.a: has 65537 bytes, more than 65536"),
        ] {
            assert_eq!(read(text).1, [reason]);
        }
        let (_, problems) = read("config.a = { value = \"hush\", secrte = true }");
        assert!(problems[0].starts_with("config.a: unknown field `secrte`") && !problems[0].contains("hush"));
        let (_, problems) = read("config.a = { value = \"x\", secret = \"hush\" }");
        assert!(problems.len() == 1 && problems[0].starts_with("config.a: "), "{problems:?}");
    }

    #[test]
    fn secrets_are_taken_out_of_texts() {
        let (values, _) =
            read("config.a = { env = \"TOKEN\" }\nconfig.b = { value = \"abc\", secret = true }\nconfig.c = \"open\"");
        assert_eq!(values.scrub("it is from \"env\", open abc".into()), "it is ***, open abc");
        assert_eq!(values.scrub(r#"["from \"env\""]"#.into()), r#"["***"]"#);
    }

    #[test]
    fn a_secret_of_several_lines_is_taken_out_of_each() {
        let key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n}\n-----END PRIVATE KEY-----";
        let (values, _) = read(&format!("config.key = {{ value = '''{key}''', secret = true }}"));
        assert_eq!(values.get("key"), Some(key));
        // As a handler prints it: a line at a time.
        let printed: Vec<String> = key.lines().map(|line| values.scrub(format!("> {line}"))).collect();
        assert_eq!(printed, ["> ***", "> ***", "> }", "> ***"]);
        assert_eq!(values.scrub(format!("all: {key}")), "all: ***");
    }
}
