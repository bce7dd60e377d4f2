//! What a recording is: one document, of one version of the format.
//!
//! Before it: [`crate::sandbox`] has taped what a guest asked and was told. After it: [`super::file`] writes and reads it,
//! [`crate::replay`] runs it again.

use serde::{Deserialize, Deserializer, Serialize};

use crate::envelope::{Failure, Text};

/// The version of the format. Another one is not read.
pub const FORMAT: u32 = 1;

/// One request, with all that its handler was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the host that has written it.
    pub host: String,
    /// What it is called.
    pub id: String,
    /// When the request began: milliseconds since 1970.
    pub at_ms: u64,
    /// Who answered.
    pub handler: Component,
    /// Requests that the instance had answered before this one: 0 is a fresh instance.
    pub served: u32,
    /// What was asked.
    pub request: Asked,
    /// The delivery policy, as the manifest writes it.
    pub policy: String,
    /// What it might use.
    pub limits: Bounds,
    /// What the manifest gave the handler. A secret's value is a placeholder of the same length.
    pub config: Vec<Given>,
    /// Each call of an import, in its order.
    pub calls: Vec<Call>,
    /// What the guest did in the end.
    pub ended: Ended,
    /// What became of the request, in a word.
    pub outcome: String,
    /// What it cost.
    pub cost: Cost,
    /// Places where something stands for what was there: 0 where nothing is redacted.
    pub redacted: u32,
}

/// A handler's code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The handler's name.
    pub name: String,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
    /// Counts the loads of the process that has written it.
    pub generation: u64,
    /// The module of the exceptions that a typed handler's errors name; `None` is Python's own.
    pub errors_module: Option<String>,
}

/// A request as the guest gets it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The endpoint: its position in what the component offers.
    pub endpoint: u32,
    /// The method.
    pub method: String,
    /// The namespace, as the caller wrote it.
    pub namespace: Option<String>,
    /// The version, as the caller wrote it.
    pub version: String,
    /// A JSON object.
    pub arguments: Text,
    /// A JSON object.
    pub context: Text,
    /// What stands as `client_timeout` in the context of a Python endpoint.
    pub client_timeout: Text,
    /// Whether the caller waits for the result.
    pub reply_wanted: bool,
}

/// The limits that a replay keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Milliseconds.
    pub timeout_ms: u64,
    /// Microseconds that it may compute; not there without a limit, and in what was written before there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_us: Option<u64>,
    /// Bytes of linear memory.
    pub memory: u64,
    /// Elements of tables.
    pub tables: u32,
    /// Core instances.
    pub instances: u32,
    /// Bytes of the call stack.
    pub stack: u64,
    /// Bytes of the arguments.
    pub arguments: u64,
    /// Bytes of the result.
    pub result: u64,
    /// Bytes of log.
    pub log: u64,
}

/// A value of the manifest's `[config]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its name.
    pub name: String,
    /// Its value, or what stands for it.
    pub value: String,
    /// Whether it is a secret.
    pub secret: bool,
}

/// One call of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The interface and the function: `nova:rpc/client.call`.
    pub import: String,
    /// What the guest asked.
    pub asked: Text,
    /// What it was told; not there where it was ended before there was an answer. `null` is an answer.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "there")]
    pub answer: Option<Text>,
    /// When: microseconds from the beginning.
    pub at_us: u64,
    /// How long the answer took, in microseconds.
    pub took_us: u64,
}

/// What a guest did in the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ended {
    /// It returned a result.
    Replied(Text),
    /// It raised an exception.
    Failed(Failure),
    /// It left the request to others.
    Declined,
    /// It did not answer.
    Faulted {
        /// The kind of fault, in a word.
        kind: String,
        /// The line for the caller.
        message: String,
        /// The guest's frames, outermost first.
        frames: Vec<String>,
    },
}

/// What a request cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Microseconds from the beginning of the handler's run to its outcome, effects included.
    pub took_us: u64,
    /// Bytes of linear memory at the end.
    pub memory: u64,
}

fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Text>, D::Error> {
    Text::deserialize(deserializer).map(Some)
}

impl Call {
    /// Bytes that it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.import.len() + self.asked.get().len() + self.answer.as_ref().map_or(0, |answer| answer.get().len()) + 64
    }
}

impl Ended {
    /// In a word.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Replied(_) => "replied",
            Self::Failed(_) => "failed",
            Self::Declined => "declined",
            Self::Faulted { kind, .. } => kind,
        }
    }

    /// As JSON, without what no replay can repeat: where a guest was stopped is chance.
    #[must_use]
    pub fn comparable(&self) -> String {
        match self {
            Self::Replied(result) => result.get().to_owned(),
            Self::Failed(failure) => failure.encode(),
            Self::Declined => "declined".to_owned(),
            Self::Faulted { kind, message, .. } => format!("{kind}: {message}"),
        }
    }
}

/// A recording, for tests.
#[cfg(test)]
pub(crate) fn sample() -> Recording {
    let text = |text: &str| Text::parse(text.to_owned()).unwrap();
    Recording {
        format: FORMAT,
        host: "0".to_owned(),
        id: "0000000000001-abc".to_owned(),
        at_ms: 1,
        handler: Component { name: "h".to_owned(), digest: "0".repeat(64), generation: 1, errors_module: None },
        served: 0,
        request: Asked {
            endpoint: 0,
            method: "m".to_owned(),
            namespace: None,
            version: "1.0".to_owned(),
            arguments: text("{}"),
            context: text("{}"),
            client_timeout: Text::null(),
            reply_wanted: true,
        },
        policy: "at-least-once".to_owned(),
        limits: Bounds {
            timeout_ms: 60_000,
            cpu_us: Some(2_000_000),
            memory: 64 << 20,
            tables: 20_000,
            instances: 32,
            stack: 512 << 10,
            arguments: 1 << 20,
            result: 1 << 20,
            log: 1 << 16,
        },
        config: Vec::new(),
        calls: vec![Call {
            import: "nova:rpc/log.write".to_owned(),
            asked: text(r#"["info", "hello"]"#),
            answer: Some(Text::null()),
            at_us: 1,
            took_us: 0,
        }],
        ended: Ended::Replied(text("{}")),
        outcome: "replied".to_owned(),
        cost: Cost::default(),
        redacted: 0,
    }
}
