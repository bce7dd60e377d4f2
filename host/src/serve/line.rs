//! Who stands in line, and the room that there is for their messages.
//!
//! Before it: [`super::serve`] knows how many may run. After it: [`super::seat`] lets requests wait.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{
    envelope::Request,
    fair::{Entry, Gate, Key},
    transport::Message,
};

/// Memory of all messages that wait in line without a permit: 64 MiB.
const MAX_KIB: usize = 64 << 10;

/// What a message takes: its bytes, and the request that was made of them.
const COPIES: usize = 2;

/// Who runs and who waits.
#[derive(Debug)]
pub(super) struct Line {
    gate: Gate,
    /// The entry of the context that tells callers apart.
    by: Option<String>,
    /// In KiB.
    room: Arc<Semaphore>,
}

impl Line {
    pub(super) fn new(gate: Gate, by: Option<String>) -> Self {
        Self { gate, by, room: Arc::new(Semaphore::new(MAX_KIB)) }
    }

    /// Asks for a seat for a request of a handler.
    pub(super) fn enter(&self, handler: Arc<str>, request: &Request) -> Entry {
        let caller = match &self.by {
            Some(by) => self.gate.caller(request.context.get_str(by).as_deref()),
            None => self.gate.caller(request.reply_to.as_ref().map(|to| to.queue.as_str())),
        };
        self.gate.enter(Key { handler, caller })
    }

    /// Room for a message; `None` where there is none left.
    pub(super) fn room(&self, message: &Message) -> Option<OwnedSemaphorePermit> {
        let kib = u32::try_from((message.body.len().saturating_mul(COPIES) >> 10) + 1).ok()?;
        Arc::clone(&self.room).try_acquire_many_owned(kib).ok()
    }
}
