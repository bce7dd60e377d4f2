//! What is behind a guest's handles of `wasi:http`, and of the streams and errors that come of it.
//!
//! Before it: [`super`] makes and takes what is here. All of it ends with the instance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::super::{Wasi, misuse};
use crate::capability::http::{Error, Exchange, Fetch, Fields, Timeouts};

/// The first handle: those below are the console's streams.
pub(in crate::sandbox::wasi) const FIRST: u32 = 2;

/// Bytes of headers and paths that a guest holds at once, in all of its handles.
const MAX_HELD: usize = 256 << 10;

/// Bytes that an entry takes beside its letters.
const ENTRY: usize = 48;

/// One for each handle.
#[derive(Debug, Default)]
pub(in crate::sandbox::wasi) struct Table {
    slots: Vec<Option<Slot>>,
    /// Bytes of headers and paths.
    held: usize,
    /// Told when something of a response has come.
    pub(in crate::sandbox::wasi) woken: Arc<Notify>,
}

/// What is behind a handle.
#[derive(Debug)]
pub(in crate::sandbox::wasi) enum Slot {
    Fields { entries: Fields, is_fixed: bool },
    Request(Outgoing),
    Options(Timeouts),
    Body(Draft),
    Output(Arc<Mutex<Written>>),
    Future(Arc<Fetch>),
    Response { status: u16, headers: Fields, fetch: Option<Arc<Fetch>> },
    Incoming { fetch: Arc<Fetch>, is_streamed: bool },
    Input { fetch: Arc<Fetch>, has_failed: bool },
    Trailers { fetch: Arc<Fetch>, is_taken: bool },
    Error(Error),
}

/// A request that is being made.
#[derive(Debug)]
pub(in crate::sandbox::wasi) struct Outgoing {
    pub(super) method: String,
    /// Whether TLS is wanted; `None` is HTTPS.
    pub(super) is_secure: Option<bool>,
    pub(super) authority: Option<String>,
    pub(super) path: Option<String>,
    pub(super) headers: Fields,
    /// Where its body comes from, once the guest has asked for it.
    pub(super) body: Option<oneshot::Receiver<Vec<u8>>>,
}

/// A body that is being written.
#[derive(Debug)]
pub(in crate::sandbox::wasi) struct Draft {
    pub(super) written: Arc<Mutex<Written>>,
    pub(super) is_streamed: bool,
    /// Where it goes when it is finished; dropped, it never is.
    pub(super) done: oneshot::Sender<Vec<u8>>,
    /// What the request's headers say of its length.
    pub(super) announced: Option<Vec<u8>>,
}

/// As far as it is written.
#[derive(Debug, Default)]
pub(in crate::sandbox::wasi) struct Written {
    pub(super) bytes: Vec<u8>,
    pub(super) is_over: bool,
}

/// What of a response is waited for.
#[derive(Clone, Debug)]
pub(in crate::sandbox::wasi) enum Awaited {
    Head(Arc<Exchange>),
    Data(Arc<Exchange>),
    End(Arc<Exchange>),
}

impl Awaited {
    pub(in crate::sandbox::wasi) fn is_here(&self) -> bool {
        match self {
            Self::Head(exchange) => exchange.is_answered(),
            Self::Data(exchange) => exchange.is_readable(),
            Self::End(exchange) => exchange.is_over(),
        }
    }
}

impl Slot {
    fn size(&self) -> usize {
        let of = |fields: &Fields| fields.iter().map(entry).sum::<usize>();
        match self {
            Self::Fields { entries, .. } => of(entries),
            Self::Response { headers, .. } => of(headers),
            Self::Request(Outgoing { method, authority, path, headers, .. }) => {
                let texts = [authority, path].into_iter().flatten().map(String::len).sum::<usize>();
                of(headers) + texts + method.len()
            }
            _ => 0,
        }
    }
}

impl Wasi {
    /// Puts something behind a new handle.
    pub(super) fn insert(&mut self, slot: Slot) -> wasmtime::Result<u32> {
        self.hold()?;
        let table = &mut self.http;
        table.held += slot.size();
        table.check()?;
        let free = table.slots.iter().position(Option::is_none).unwrap_or(table.slots.len());
        match table.slots.get_mut(free) {
            Some(place) => *place = Some(slot),
            None => table.slots.push(Some(slot)),
        }
        Ok(u32::try_from(free)?.saturating_add(FIRST))
    }

    /// Takes away what is behind a handle.
    pub(super) fn remove(&mut self, handle: u32) -> wasmtime::Result<Slot> {
        let slot = self.http.place(handle).and_then(Option::take).ok_or_else(|| misuse(NOTHING))?;
        self.http.held = self.http.held.saturating_sub(slot.size());
        self.release();
        Ok(slot)
    }

    /// Looks at what is behind a handle, and may change it.
    pub(super) fn with<T>(
        &mut self,
        handle: u32,
        look: impl FnOnce(&mut Slot) -> wasmtime::Result<T>,
    ) -> wasmtime::Result<T> {
        let table = &mut self.http;
        let slot = table.place(handle).and_then(Option::as_mut).ok_or_else(|| misuse(NOTHING))?;
        let before = slot.size();
        let seen = look(slot)?;
        let after = slot.size();
        table.held = table.held.saturating_sub(before) + after;
        table.check()?;
        Ok(seen)
    }
}

fn entry((name, value): &(String, Vec<u8>)) -> usize {
    name.len() + value.len() + ENTRY
}

/// What a forged handle finds.
const NOTHING: &str = "it used a handle of wasi:http that is not there";

impl Table {
    /// Whether the guest keeps more than half of the headers that it may.
    pub(in crate::sandbox::wasi) fn is_worn(&self) -> bool {
        self.held > MAX_HELD / 2
    }

    /// Ends the bodies of a request that has ended. Its session has given up what was under way; kept bytes would be
    /// counted as nobody's.
    pub(in crate::sandbox::wasi) fn end(&mut self) {
        for slot in self.slots.iter_mut().flatten() {
            match slot {
                Slot::Body(Draft { written, .. }) | Slot::Output(written) => {
                    *lock(written) = Written { bytes: Vec::new(), is_over: true };
                }
                Slot::Future(fetch)
                | Slot::Incoming { fetch, .. }
                | Slot::Input { fetch, .. }
                | Slot::Trailers { fetch, .. } => fetch.forget(),
                Slot::Response { headers, fetch, .. } => {
                    let size = headers.iter().map(entry).sum::<usize>();
                    self.held = self.held.saturating_sub(size);
                    *headers = Fields::new();
                    if let Some(fetch) = fetch {
                        fetch.forget();
                    }
                }
                Slot::Fields { .. } | Slot::Request(_) | Slot::Options(_) | Slot::Error(_) => {}
            }
        }
    }

    fn place(&mut self, handle: u32) -> Option<&mut Option<Slot>> {
        self.slots.get_mut(usize::try_from(handle.checked_sub(FIRST)?).ok()?)
    }

    fn check(&self) -> wasmtime::Result<()> {
        check_size(self.held)
    }
}

/// Whether a guest may hold so many bytes of headers.
pub(super) fn check_size(bytes: usize) -> wasmtime::Result<()> {
    if bytes <= MAX_HELD {
        return Ok(());
    }
    Err(misuse(format!("it holds more than {} KiB of HTTP headers", MAX_HELD >> 10)))
}

/// What is written, to change it.
pub(super) fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    // A panic while the lock was held cannot leave more than a piece of a body behind.
    written.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_ends_with_its_request_and_headers_wear_an_instance_out() {
        let mut wasi = Wasi::new(None);
        let written = Arc::new(Mutex::new(Written { bytes: vec![7; 1000], is_over: false }));
        let stream = wasi.insert(Slot::Output(Arc::clone(&written))).unwrap();
        wasi.end();
        assert!(lock(&written).bytes.is_empty());
        assert!(lock(&written).is_over);
        // The handle is the guest's to drop.
        assert!(matches!(wasi.remove(stream), Ok(Slot::Output(_))) && wasi.remove(stream).is_err());

        let headers = vec![("a".to_owned(), vec![b'b'; 1000])];
        let response = wasi.insert(Slot::Response { status: 200, headers, fetch: None }).unwrap();
        let held = wasi.http.held;
        wasi.end();
        assert!(held > 1000 && wasi.http.held == 0, "{held}");
        assert!(matches!(wasi.remove(response), Ok(Slot::Response { headers, .. }) if headers.is_empty()));

        let fields = |length| Slot::Fields { entries: vec![("a".to_owned(), vec![b'b'; length])], is_fixed: false };
        wasi.insert(fields(MAX_HELD / 4)).unwrap();
        assert!(!wasi.is_worn());
        let second = wasi.insert(fields(MAX_HELD / 4)).unwrap();
        assert!(wasi.is_worn());
        assert!(wasi.insert(fields(MAX_HELD / 2)).is_err());
        wasi.remove(second).unwrap();
    }
}
