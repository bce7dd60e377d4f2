//! What arrives, on its way to lapin's parser: names that are not UTF-8 are made harmless.
//!
//! Before it: [`super::stream`] reads from the socket. After it: lapin. AMQP's short strings may hold any bytes, and
//! RabbitMQ passes them on; lapin takes one that is not UTF-8 for a broken connection. The broker would deliver the
//! message that holds it again, and lose the next connection by it. So the bytes that are not UTF-8 become `?`, in the
//! properties of messages and in the names of `basic.deliver` and `basic.return`, which repeat what a sender wrote; and
//! a table too deep in others becomes a byte array. Nothing changes its length, everything else passes as it is, and so
//! does what is not understood.

use std::io;

/// A frame before its payload: type, channel, size.
const HEAD_LENGTH: usize = 7;

/// The largest frame that is gathered to be looked at, in bytes: eight times RabbitMQ's default `frame_max`. Larger
/// ones pass unseen.
const MAX_GATHERED: usize = 1 << 20;

/// How deep tables in the headers may lie in one another. lapin's parser calls itself for each: a frame has room for
/// enough of them to overflow its thread's stack, which would end the process.
const MAX_DEPTH: usize = 32;

/// How a TLS record begins that says what is wrong with the one before.
const TLS_ALERT: u8 = 0x15;

const METHOD: u8 = 1;
const HEADER: u8 = 2;

/// AMQP's class `basic`, as its frames have it.
const BASIC: [u8; 2] = [0, 60];

/// What answers an AMQP client on a listener for TLS.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the broker speaks TLS on this port")]
pub(crate) struct SpeaksTls;

/// The broker's half of a connection, byte by byte.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// What may be read.
    ready: Vec<u8>,
    /// How much of it has been.
    taken: usize,
    /// The beginning of a frame whose end has not arrived.
    gathered: Vec<u8>,
    /// How much is left of a frame that passes as it comes.
    passing: usize,
    /// Whether anything has arrived.
    begun: bool,
}

impl Filter {
    /// Takes what has arrived.
    ///
    /// # Errors
    ///
    /// [`SpeaksTls`] where the first byte is TLS's instead of AMQP's.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if let (false, Some(first)) = (self.begun, bytes.first()) {
            self.begun = true;
            match *first {
                TLS_ALERT => return Err(io::Error::new(io::ErrorKind::InvalidData, SpeaksTls)),
                METHOD => {}
                // "AMQP" and a version, from a broker that speaks another one: lapin knows.
                _ => self.passing = usize::MAX,
            }
        }
        while !bytes.is_empty() {
            bytes = if self.passing > 0 { self.pass(bytes) } else { self.gather(bytes) };
        }
        Ok(())
    }

    /// Moves what is ready into `buffer`; says how much.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let ready = self.ready.get(self.taken..).unwrap_or_default();
        let length = ready.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..length), ready.get(..length)) {
            to.copy_from_slice(from);
        }
        self.taken += length;
        if self.taken == self.ready.len() {
            self.ready.clear();
            self.taken = 0;
        }
        length
    }

    /// Lets bytes of the current frame through; gives the rest.
    fn pass<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let (through, rest) = bytes.split_at(self.passing.min(bytes.len()));
        self.ready.extend_from_slice(through);
        self.passing -= through.len();
        rest
    }

    /// Keeps bytes of the current frame until it is whole; gives the rest.
    fn gather<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let wanted = self.frame_length().unwrap_or(HEAD_LENGTH) - self.gathered.len();
        let (kept, rest) = bytes.split_at(wanted.min(bytes.len()));
        self.gathered.extend_from_slice(kept);
        let Some(length) = self.frame_length() else { return rest };
        let kind = self.gathered.first().copied();
        if !matches!(kind, Some(METHOD | HEADER)) || length > MAX_GATHERED {
            self.passing = length - self.gathered.len();
            self.ready.append(&mut self.gathered);
        } else if self.gathered.len() == length {
            if let Some(payload) = self.gathered.get_mut(HEAD_LENGTH..length - 1) {
                // What is not understood is left to lapin.
                if kind == Some(HEADER) {
                    header(payload)
                } else {
                    method(payload)
                };
            }
            self.ready.append(&mut self.gathered);
        }
        rest
    }

    /// How long the gathered frame is with its head and its end, where its head is whole.
    fn frame_length(&self) -> Option<usize> {
        let size = self.gathered.get(3..HEAD_LENGTH)?.try_into().ok()?;
        usize::try_from(u32::from_be_bytes(size)).ok()?.checked_add(HEAD_LENGTH + 1)
    }
}

/// A content header: class, weight, body's size, which properties, the properties.
fn header(payload: &mut [u8]) -> Option<()> {
    let mut rest = Cursor(payload);
    if rest.take(2)? != BASIC {
        return None;
    }
    rest.take(10)?;
    let properties = rest.number(2)?;
    // From content-type, the highest bit, to cluster-id; the lowest says that there are more, which never is.
    for bit in (2..16).rev().filter(|bit| properties & (1 << bit) != 0) {
        match bit {
            13 => rest.table(0)?,
            12 | 11 => drop(rest.take(1)?),
            6 => drop(rest.take(8)?),
            _ => rest.short()?,
        }
    }
    Some(())
}

/// A method: class, method, arguments.
fn method(payload: &mut [u8]) -> Option<()> {
    let mut rest = Cursor(payload);
    if rest.take(2)? != BASIC {
        return None;
    }
    match rest.number(2)? {
        // basic.return: code, text, exchange, key
        50 => drop(rest.take(2)?),
        // basic.deliver: consumer, delivery tag, redelivered, exchange, key
        60 => {
            rest.short()?;
            rest.take(9)?;
        }
        _ => return None,
    }
    while !rest.0.is_empty() {
        rest.short()?;
    }
    Some(())
}

/// What is left of a payload.
struct Cursor<'a>(&'a mut [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a mut [u8]> {
        if length > self.0.len() {
            return None;
        }
        let (head, rest) = std::mem::take(&mut self.0).split_at_mut(length);
        self.0 = rest;
        Some(head)
    }

    /// An unsigned number of so many bytes, at most four.
    fn number(&mut self, length: usize) -> Option<usize> {
        Some(self.take(length)?.iter().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// A short string; this is where the bytes change.
    fn short(&mut self) -> Option<()> {
        let length = self.number(1)?;
        scrub(self.take(length)?);
        Some(())
    }

    fn long(&mut self) -> Option<Cursor<'a>> {
        let length = self.number(4)?;
        self.take(length).map(Cursor)
    }

    fn table(&mut self, depth: usize) -> Option<()> {
        let mut entries = self.long()?;
        while !entries.0.is_empty() {
            entries.short()?;
            entries.value(depth)?;
        }
        Some(())
    }

    /// A value with its type before it. The types are RabbitMQ's, as lapin reads them.
    fn value(&mut self, depth: usize) -> Option<()> {
        let kind = self.take(1)?;
        if depth >= MAX_DEPTH && matches!(kind, [b'F' | b'A']) {
            // As long, and as many bytes.
            kind.fill(b'x');
        }
        match kind {
            [b'V'] => {}
            [b't' | b'b' | b'B'] => drop(self.take(1)?),
            [b's' | b'U' | b'u'] => drop(self.take(2)?),
            [b'I' | b'i' | b'f'] => drop(self.take(4)?),
            [b'D'] => drop(self.take(5)?),
            [b'L' | b'l' | b'd' | b'T'] => drop(self.take(8)?),
            // Bytes for lapin.
            [b'S' | b'x'] => {
                self.long()?;
            }
            [b'F'] => self.table(depth + 1)?,
            [b'A'] => {
                let mut items = self.long()?;
                while !items.0.is_empty() {
                    items.value(depth + 1)?;
                }
            }
            _ => return None,
        }
        Some(())
    }
}

/// Writes `?` over every byte that is not part of UTF-8.
fn scrub(mut text: &mut [u8]) {
    while let Err(error) = std::str::from_utf8(text) {
        let (_, rest) = std::mem::take(&mut text).split_at_mut(error.valid_up_to());
        let wrong = error.error_len().unwrap_or(rest.len());
        let (wrong, rest) = rest.split_at_mut(wrong.min(rest.len()));
        wrong.fill(b'?');
        text = rest;
    }
}

#[cfg(test)]
#[path = "frames/tests.rs"]
mod tests;
