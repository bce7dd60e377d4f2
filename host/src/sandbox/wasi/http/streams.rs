//! The streams of bodies: what [`super::super::io`] does with those that are not the console's.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::{
    super::{
        Wasi,
        handles::{Count, Done, IoError, Read, StreamError, Wake},
        misuse,
    },
    Awaited, Slot,
    table::{FIRST, lock},
};
use crate::{capability::http::Error, recording::Blob, sandbox::tape::text};

/// Bytes that `check-write` invites to write at once.
pub(in crate::sandbox::wasi) const WRITE: u64 = 64 << 10;

/// Bytes that are read or copied at once.
const READ: u64 = 64 << 10;

/// Bytes of all bodies that a request writes: the most that `limits.http_bytes` may be. Where no meter counts, as in a replay, this
/// is all that bounds them.
const MAX_SENT: usize = 1 << 30;

/// Whether a stream is one of these.
pub(in crate::sandbox::wasi) fn is(handle: u32) -> bool {
    handle >= FIRST
}

impl Wasi {
    /// Reads what has come of a body, which may be nothing yet.
    pub(in crate::sandbox::wasi) fn read_body(&mut self, handle: u32, most: u64) -> wasmtime::Result<Read> {
        let most = usize::try_from(most.min(READ))?;
        let tape = self.tape.clone();
        let read: Result<Blob, Option<Error>> = self.with(handle, |slot| match slot {
            Slot::Input { has_failed: true, .. } => Ok(Err(None)),
            Slot::Input { fetch, has_failed } => {
                let read = || fetch.read(most).map(Blob);
                let read = tape.asks("wasi:http/types.incoming-body.read", || text(&most), read)?;
                *has_failed = read.is_err();
                Ok(read)
            }
            _ => Err(misuse("it read from a stream that is none")),
        })?;
        match read {
            Ok(Blob(bytes)) => Ok(Ok(bytes)),
            Err(None) => Ok(Err(StreamError::Closed)),
            Err(Some(error)) => Ok(Err(StreamError::Failed(self.io_error(error)?))),
        }
    }

    /// What a reader waits for.
    pub(in crate::sandbox::wasi) fn body_wake(&mut self, handle: u32) -> wasmtime::Result<Wake> {
        self.with(handle, |slot| match slot {
            Slot::Input { fetch, .. } => Ok(Wake::Http(Awaited::Data(Arc::clone(fetch.exchange())))),
            Slot::Output(_) => Ok(Wake::Now),
            _ => Err(misuse("it waited for a stream that is none")),
        })
    }

    /// Writes to a body. It is kept until the guest has finished it, within what the request may send.
    pub(in crate::sandbox::wasi) fn write_body(&mut self, handle: u32, bytes: &[u8]) -> wasmtime::Result<Done> {
        self.write_with(handle, bytes.len(), |body| body.extend_from_slice(bytes))
    }

    /// Writes zeroes to a body.
    pub(in crate::sandbox::wasi) fn write_zeroes(&mut self, handle: u32, count: u64) -> wasmtime::Result<Done> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.write_with(handle, count, |body| body.resize(body.len().saturating_add(count), 0))
    }

    fn write_with(&mut self, handle: u32, length: usize, write: impl FnOnce(&mut Vec<u8>)) -> wasmtime::Result<Done> {
        let written = self.with(handle, |slot| match slot {
            Slot::Output(written) => Ok(Arc::clone(written)),
            _ => Err(misuse("it wrote to a stream that is none")),
        })?;
        let mut written = lock(&written);
        if written.is_over {
            return Ok(Err(StreamError::Closed));
        }
        // Counted before anything is kept.
        let count = || self.session.as_ref().map_or(Err(Error::Denied), |session| session.meter().send(length));
        let counted = self.tape.asks("wasi:http/types.outgoing-body.write", || text(&length), count)?;
        match counted {
            Ok(()) => {
                // A tape may have been edited, and say of every length that it was written.
                self.sent = self.sent.saturating_add(length);
                if self.sent > MAX_SENT {
                    return Err(misuse("it wrote more to bodies than any request may send"));
                }
                write(&mut written.bytes);
                Ok(Ok(()))
            }
            Err(error) => {
                (written.bytes, written.is_over) = (Vec::new(), true);
                drop(written);
                Ok(Err(StreamError::Failed(self.io_error(error)?)))
            }
        }
    }

    /// Copies what has come of one body to another.
    pub(in crate::sandbox::wasi) fn splice(&mut self, to: u32, from: u32, most: u64) -> wasmtime::Result<Count> {
        let bytes = match self.read_body(from, most)? {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        let length = u64::try_from(bytes.len())?;
        Ok(self.write_body(to, &bytes)?.map(|()| length))
    }

    fn io_error(&mut self, error: Error) -> wasmtime::Result<Resource<IoError>> {
        Ok(Resource::new_own(self.insert(Slot::Error(error))?))
    }

    /// What a handle on an error says.
    pub(in crate::sandbox::wasi) fn error_behind(&mut self, handle: u32) -> wasmtime::Result<Error> {
        self.with(handle, |slot| match slot {
            Slot::Error(error) => Ok(error.clone()),
            _ => Err(misuse("it used an error that is none")),
        })
    }

    /// Drops a stream or an error.
    pub(in crate::sandbox::wasi) fn drop_slot(&mut self, handle: u32) -> wasmtime::Result<()> {
        self.remove(handle).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capability::tests::{World, cause},
        recording::Call,
        sandbox::tape::{Rule, Tape},
        testing::memory::peak,
    };

    /// Attacks the host's memory: bodies that are written and never sent, and lengths that a count would lose.
    #[tokio::test]
    async fn bodies_of_one_request_take_what_it_may_send_all_together() {
        let world = World::new().await;
        let session = Arc::new(world.session("limits.http_bytes = \"4 MiB\"", cause()));
        let mut wasi = Wasi::new(Some(session));
        let (kept, most) = peak(async {
            let piece = vec![7; 1 << 20];
            (0..500)
                .map(|at| {
                    let body = wasi.insert(Slot::Output(Arc::default())).unwrap();
                    let written = match at % 3 {
                        0 => wasi.write_body(body, &piece),
                        1 => wasi.write_zeroes(body, 1 << 20),
                        // All that is missing to 2^64.
                        _ => wasi.write_zeroes(body, u64::MAX - (2 << 20) + 1),
                    };
                    written.unwrap().is_ok()
                })
                .filter(|is_kept| *is_kept)
                .count()
        })
        .await;
        assert_eq!(kept, 2, "what was too long is the end of all of it");
        assert!(most < 2 * (4 << 20), "{most}");
    }

    /// Attacks the host's memory with a recording that somebody has edited: it says of every length that it was written.
    #[tokio::test]
    async fn a_tape_lets_no_body_grow_beyond_what_any_request_may_send() {
        let call = Call {
            import: "wasi:http/types.outgoing-body.write".to_owned(),
            asked: text(&usize::MAX),
            answer: Some(text(&Ok::<(), Error>(()))),
            at_us: 0,
            took_us: 0,
        };
        let of = |length: usize| Call { asked: text(&length), ..call.clone() };
        for calls in [vec![call.clone()], vec![of(7), of(MAX_SENT)]] {
            let mut wasi = Wasi::new(None).taped(Tape::replaying(calls.clone(), Rule::Exact, false));
            let last = calls.len() - 1;
            for (at, call) in calls.iter().enumerate() {
                // Each to a body of its own.
                let body = wasi.insert(Slot::Output(Arc::default())).unwrap();
                let length = call.asked.get().parse().unwrap();
                assert_eq!(wasi.write_zeroes(body, length).is_err(), at == last, "call {at}");
            }
        }
    }
}
