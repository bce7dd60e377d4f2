//! A request: what a client asks for.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

use super::{
    Error, Name, ReplyTo, Style, Text,
    json::to_text,
    lenient::{self, Half},
    open, seal,
};

/// What stands before the name of a context entry in a message.
const CONTEXT_PREFIX: &str = "_context_";

/// Our own key: how many handlers have sent requests on behalf of each other before this one. The reference ignores it.
const HOPS: &str = "_nova_host_hops";

/// One request, decoded. Fields of the wrong type are kept as such: what they mean depends on the endpoint that is
/// asked, so [`crate::dispatch`] judges them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Field,
    /// The namespace; absent and `null` are the null namespace.
    pub namespace: Field,
    /// The version; absent is 1.0.
    pub version: Field,
    /// The keyword arguments.
    pub arguments: Arguments,
    /// The request context.
    pub context: Context,
    /// Where the reply goes; `None` for a cast.
    pub reply_to: Option<ReplyTo>,
    /// The sender's mark, the same when it sends the message again.
    pub unique_id: Option<String>,
    /// How many requests of handlers led to this one; 0 where it is nobody's consequence, or nobody says.
    pub hops: u32,
}

/// A field that should be a string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The key is not there.
    Absent,
    /// `null`.
    Null,
    /// A string, as it should be.
    Text(String),
    /// Something else.
    Other(Text),
}

/// The keyword arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// The key is not there: the same as none.
    Absent,
    /// A JSON object, as it should be.
    Object(Text),
    /// Something else.
    Other(Text),
}

/// The request context: entries in the order of the message. May hold an auth token, so that `Debug` shows names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Context(Vec<(String, Text)>);

impl Request {
    /// What it belongs together by with others: the request id of its context; without one, the sender's mark of the message.
    #[must_use]
    pub fn operation_id(&self) -> Option<String> {
        self.context.get_str("request_id").or_else(|| self.unique_id.clone())
    }

    /// Decodes the body of a message.
    ///
    /// # Errors
    ///
    /// [`Error`] where the bytes are not a message; there is nobody to answer then.
    pub fn decode(body: &[u8], content_type: Option<&str>, compression: Option<&str>) -> Result<Self, Error> {
        let Incoming(request) = open(body, content_type, compression)?;
        request.ok_or(Error::NotARequest)
    }

    /// Encodes the request as a client sends it: the reference's keys in its order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        seal(self)
    }
}

impl Field {
    /// The text, where it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Null | Self::Other(_) => None,
        }
    }

    /// The name that Python gives to the type of the value.
    #[must_use]
    pub fn python_type(&self) -> &'static str {
        match self {
            Self::Absent | Self::Null => "NoneType",
            Self::Text(_) => "str",
            Self::Other(text) => text.python_type(),
        }
    }
}

/// As Python's `str()` shows it, for messages.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent | Self::Null => f.write_str("None"),
            Self::Text(text) => f.write_str(text),
            Self::Other(text) => f.write_str(text.get()),
        }
    }
}

impl Context {
    /// Makes a context of the entries of a JSON object.
    ///
    /// # Errors
    ///
    /// serde_json's, where the text is not an object.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        struct Entries(Vec<(String, Text)>);
        impl<'de> Deserialize<'de> for Entries {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Each;
                impl<'de> Visitor<'de> for Each {
                    type Value = Entries;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("an object")
                    }
                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                        let mut entries = Vec::new();
                        while let Some(entry) = map.next_entry()? {
                            entries.push(entry);
                        }
                        Ok(Entries(entries))
                    }
                }
                deserializer.deserialize_map(Each)
            }
        }
        serde_json::from_str(text).map(|Entries(entries)| Self(entries))
    }

    /// The value of an entry; the last one where there are several.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Text> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text of an entry that is a string.
    #[must_use]
    pub fn get_str(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Sets an entry in its place, or behind the others; takes it away where there is no value. Where there were several, the
    /// last one's place counts, and it is the only one afterwards.
    pub fn put(&mut self, name: &str, value: Option<Text>) {
        let Some(value) = value else { return self.0.retain(|(key, _)| key != name) };
        let last = self.0.iter().rposition(|(key, _)| key == name);
        let mut places = 0..;
        self.0.retain(|(key, _)| places.next() == last || key != name);
        match self.0.iter_mut().find(|(key, _)| key == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// The entries as they came: a JSON object.
    #[must_use]
    pub fn entries(&self) -> String {
        struct Object<'a>(&'a Context);
        impl Serialize for Object<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_map(self.0.0.iter().map(|(key, value)| (key, value)))
            }
        }
        to_text(&Object(self))
    }

    /// The context as a Python endpoint gets it: a JSON object, with `client_timeout` added.
    #[must_use]
    pub fn to_json(&self, client_timeout: &Text) -> String {
        struct Object<'a>(&'a Context, &'a Text);
        impl Serialize for Object<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                // These three are overwritten by the message's own fields in the reference.
                let kept = |key: &str| !matches!(key, "msg_id" | "reply_q" | "client_timeout");
                let mut map = serializer.serialize_map(None)?;
                for (key, value) in self.0.0.iter().filter(|(key, _)| kept(key)) {
                    map.serialize_entry(key, value)?;
                }
                map.serialize_entry("client_timeout", self.1)?;
                map.end()
            }
        }
        to_text(&Object(self, client_timeout))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(key, _)| key)).finish()
    }
}

/// What a message says that may be a request; `None` where it is a reply. One that came into a service's own queue and
/// was taken for a request would be answered with a failure, that one too, and so on for ever.
#[derive(Debug)]
struct Incoming(Option<Request>);

impl<'de> Deserialize<'de> for Incoming {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys).map(Self)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Option<Request>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    /// The last of duplicate keys wins, as in Python.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Request>, A::Error> {
        let (mut method, mut namespace, mut version) = (None, None, None);
        let (mut arguments, mut message_id, mut queue) = (None, None, None);
        let (mut monitor, mut unique_id, mut hops) = (None, None, None);
        let (mut context, mut is_reply) = (Vec::new(), false);
        while let Some(Name(key)) = map.next_key()? {
            let value: &'de RawValue = map.next_value()?;
            match &*key {
                "method" => method = Some(value),
                "namespace" => namespace = Some(value),
                "version" => version = Some(value),
                "args" => arguments = Some(value),
                "_msg_id" => message_id = Some(value),
                "_reply_q" => queue = Some(value),
                "_timeout" => monitor = Some(value),
                "_unique_id" => unique_id = Some(value),
                HOPS => hops = Some(value),
                "result" | "failure" | "ending" => is_reply = true,
                key => {
                    if let Some(name) = key.strip_prefix(CONTEXT_PREFIX) {
                        context.push((name.to_owned(), value.into()));
                    }
                }
            }
        }
        if is_reply && method.is_none() {
            return Ok(None);
        }
        let named = |text| string(text).filter(|name| !name.is_empty());
        // Both, or there is nobody to answer. (Folsom's clients, of 2012, named no queue.)
        let reply_to = named(message_id).zip(named(queue)).map(|(message_id, queue)| ReplyTo {
            queue,
            message_id,
            style: monitor.map_or(Style::TwoMessages, |monitor| Style::OneMessage { monitor: monitor.into() }),
        });
        Ok(Some(Request {
            method: field(method),
            namespace: field(namespace),
            version: field(version),
            arguments: match arguments {
                None => Arguments::Absent,
                Some(text) if text.get().starts_with('{') => Arguments::Object(text.into()),
                Some(text) => Arguments::Other(text.into()),
            },
            context: Context(context),
            reply_to,
            unique_id: string(unique_id).filter(|id| !id.is_empty()),
            hops: hops.map_or(0, count),
        }))
    }
}

/// A string, if it is one of ours: an id with half a surrogate pair cannot be sent back as it was.
fn string(text: Option<&RawValue>) -> Option<String> {
    serde_json::from_str(text?.get()).ok()
}

/// A count, if it is one. One that is too large to be counted on is the largest.
fn count(text: &RawValue) -> u32 {
    let counted = serde_json::from_str::<u64>(text.get()).ok();
    counted.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
}

fn field(text: Option<&RawValue>) -> Field {
    match text {
        None => Field::Absent,
        Some(text) if text.get() == "null" => Field::Null,
        Some(text) => match lenient::string(text.get(), Half::Replaced) {
            Some(string) => Field::Text(string.into_owned()),
            None => Field::Other(text.into()),
        },
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let put = |map: &mut S::SerializeMap, key: &str, field: &Field| match field {
            Field::Absent => Ok(()),
            Field::Null => map.serialize_entry(key, &()),
            Field::Text(text) => map.serialize_entry(key, text),
            Field::Other(text) => map.serialize_entry(key, text),
        };
        put(&mut map, "method", &self.method)?;
        match &self.arguments {
            Arguments::Absent => {}
            Arguments::Object(text) | Arguments::Other(text) => map.serialize_entry("args", text)?,
        }
        put(&mut map, "namespace", &self.namespace)?;
        put(&mut map, "version", &self.version)?;
        if let Some(reply_to) = &self.reply_to {
            map.serialize_entry("_msg_id", &reply_to.message_id)?;
            map.serialize_entry("_reply_q", &reply_to.queue)?;
            if let Style::OneMessage { monitor } = &reply_to.style {
                map.serialize_entry("_timeout", monitor)?;
            }
        }
        if let Some(id) = &self.unique_id {
            map.serialize_entry("_unique_id", id)?;
        }
        if self.hops > 0 {
            map.serialize_entry(HOPS, &self.hops)?;
        }
        for (name, value) in &self.context.0 {
            map.serialize_entry(&format!("{CONTEXT_PREFIX}{name}"), value)?;
        }
        map.end()
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
