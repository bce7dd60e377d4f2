//! W3C trace context (<https://www.w3.org/TR/trace-context/>): whose trace a request belongs to, as others write it.
//!
//! Before it: a message, whose sender writes whatever it likes. oslo.messaging has it in the request's context, others in AMQP
//! headers. After it: [`super::tracer`] begins a span below it. What is not exactly as it should be is as if it were not there.

use std::{fmt::Write as _, sync::Arc};

use crate::{
    envelope,
    transport::{Header, Headers},
};

/// The name of the entry and of the header that say whose trace it is.
pub(super) const PARENT: &str = "traceparent";

/// The name of those that hold what tracing systems add to it.
pub(super) const STATE: &str = "tracestate";

/// The names of both.
pub const HEADERS: [&str; 2] = [PARENT, STATE];

/// Bytes of a `traceparent` of version 00.
const PARENT_LENGTH: usize = 55;

/// Bytes of a `traceparent` of a later version, which may have more behind it.
const MAX_PARENT: usize = 256;

/// Bytes of a `tracestate`: what everybody must pass on (3.3.1.5).
const MAX_STATE: usize = 512;

/// Members of a `tracestate` (3.3.1.1).
const MAX_MEMBERS: usize = 32;

/// Bytes of a member's key, and of its value.
const MAX_MEMBER: usize = 256;

/// Flag: somebody records it.
const SAMPLED: u8 = 1;

/// The flags that are passed on: that one, and that the trace's id is random.
const KNOWN_FLAGS: u8 = 0b11;

/// Headers of a message, by their names.
pub(super) type Carried = Vec<(&'static str, String)>;

/// One span of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    flags: u8,
    state: Option<Arc<str>>,
}

/// What a message says of its trace.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Incoming {
    /// The span that it is a consequence of: the context's where that is one, else the headers'.
    pub(super) parent: Option<TraceContext>,
    /// The headers' span, where the context names another.
    pub(super) other: Option<TraceContext>,
    /// What stands in the headers, where it makes sense.
    pub(super) headers: Carried,
}

impl Incoming {
    /// Reads a request's context and headers.
    pub(super) fn read(context: &envelope::Context, headers: &Headers) -> Self {
        let inside = context.get(PARENT).and_then(|json| text(json.get(), MAX_PARENT)).and_then(|parent| {
            let state = context.get(STATE).and_then(|json| text(json.get(), MAX_STATE));
            TraceContext::parse(&parent, state.as_deref())
        });
        let header = |name| match headers.get(name) {
            Some(Header::Text(text)) => Some(text.as_str()),
            Some(Header::Number(_)) | None => None,
        };
        let outside = header(PARENT).and_then(|parent| TraceContext::parse(parent, header(STATE)));
        let headers = outside.as_ref().map(TraceContext::carried).unwrap_or_default();
        match (inside, outside) {
            (Some(inside), outside) => {
                let other = outside.filter(|outside| (outside.trace, outside.span) != (inside.trace, inside.span));
                Self { parent: Some(inside), other, headers }
            }
            (None, outside) => Self { parent: outside, other: None, headers },
        }
    }
}

impl TraceContext {
    /// The first span of a new trace, with random ids; `None` where the system has none.
    pub(super) fn fresh() -> Option<Self> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).ok()?;
        let (trace, span) = random.split_first_chunk()?;
        let context = Self { trace: *trace, span: *span.first_chunk()?, flags: 0, state: None };
        context.is_valid().then_some(context)
    }

    /// Another span of the same trace; `None` where the system has no random number.
    pub(super) fn below(&self) -> Option<Self> {
        let mut span = [0; 8];
        getrandom::fill(&mut span).ok()?;
        let context = Self { span, ..self.clone() };
        context.is_valid().then_some(context)
    }

    /// The same, recorded or not.
    pub(super) fn sampled(self, is_sampled: bool) -> Self {
        let flags = if is_sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        Self { flags, ..self }
    }

    /// Reads what others have written. A state that makes no sense is left out (3.3.1.1), and the rest counts.
    pub(super) fn parse(parent: &str, state: Option<&str>) -> Option<Self> {
        if parent.len() > MAX_PARENT {
            return None;
        }
        let bytes = parent.as_bytes();
        let (head, rest) = bytes.split_at_checked(PARENT_LENGTH)?;
        let mut parts = head.split(|byte| *byte == b'-');
        let [version] = hex(parts.next()?)?;
        let context = Self {
            trace: hex(parts.next()?)?,
            span: hex(parts.next()?)?,
            flags: hex::<1>(parts.next()?)?.first()? & KNOWN_FLAGS,
            state: state.and_then(state_of),
        };
        let ends_well = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.is_empty() || rest.first() == Some(&b'-'),
        };
        (ends_well && parts.next().is_none() && context.is_valid()).then_some(context)
    }

    fn is_valid(&self) -> bool {
        self.trace != [0; 16] && self.span != [0; 8]
    }

    pub(super) fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub(super) fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Its flags, as OTLP has them.
    pub(super) fn flags(&self) -> u32 {
        self.flags.into()
    }

    /// The trace's id, in hexadecimal.
    pub(super) fn trace_id(&self) -> String {
        hexadecimal(&self.trace)
    }

    /// The span's id, in hexadecimal.
    pub(super) fn span_id(&self) -> String {
        hexadecimal(&self.span)
    }

    /// As it is written.
    pub(super) fn carried(&self) -> Carried {
        let parent = format!("00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags);
        let mut carried = vec![(PARENT, parent)];
        carried.extend(self.state().map(|state| (STATE, state.to_owned())));
        carried
    }
}

/// Writes it into a request's context, in place of what is there.
pub(super) fn write(carried: &Carried, context: &mut envelope::Context) {
    for name in [PARENT, STATE] {
        let value = carried.iter().find(|(known, _)| *known == name);
        context.put(name, value.map(|(_, text)| envelope::Text::of(text)));
    }
}

/// A JSON string of at most so many bytes; each may be written as six.
fn text(json: &str, most: usize) -> Option<String> {
    if json.len() > 6 * most + 2 {
        return None;
    }
    serde_json::from_str::<String>(json).ok()
}

/// Bytes in hexadecimal, in small letters.
fn hex<const LENGTH: usize>(text: &[u8]) -> Option<[u8; LENGTH]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * LENGTH {
        return None;
    }
    let mut bytes = [0; LENGTH];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Only writing can fail, and to a string it does not.
        write!(text, "{byte:02x}").ok();
        text
    })
}

/// A state of which every member makes sense.
fn state_of(text: &str) -> Option<Arc<str>> {
    let text = text.trim_matches([' ', '\t']);
    let mut keys = Vec::new();
    for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()) {
        let (key, value) = member.split_once('=')?;
        let is_key = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
        let is_value = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'=';
        let fits = (1..=MAX_MEMBER).contains(&key.len())
            && key.bytes().all(is_key)
            && (1..=MAX_MEMBER).contains(&value.len())
            && value.bytes().all(is_value);
        if !fits || keys.contains(&key) || keys.len() == MAX_MEMBERS {
            return None;
        }
        keys.push(key);
    }
    (!keys.is_empty() && text.len() <= MAX_STATE).then(|| text.into())
}

#[cfg(test)]
#[path = "propagation_tests.rs"]
mod tests;
