//! The import `request-info`: what else is known about the request.

use std::{sync::Arc, time::Instant};

use super::{
    bindings::request_info::Host,
    tape::{Tape, nothing},
    trace::Marks,
};
use crate::{
    capability::Session,
    envelope::{Context, Text},
};

/// The time that is left where a recording does not say: that of the default limit.
const PLENTY_MS: u64 = 60_000;

/// What a guest can ask about its request.
#[derive(Debug)]
pub struct RequestInfo {
    /// The request context.
    pub context: Context,
    /// What stands as `client_timeout` in the context of a Python endpoint.
    pub client_timeout: Text,
    /// Whether the caller waits for the result.
    pub reply_wanted: bool,
    /// What may be done for it; `None` where nothing is granted, and in a self-test.
    pub session: Option<Arc<Session>>,
    /// Where what the handler adds to its span goes; `None` where nobody traces.
    pub marks: Option<Box<dyn Marks>>,
    /// What passes at its imports is taped here, or told from here.
    pub tape: Tape,
}

impl RequestInfo {
    /// Of a call that nobody has sent: a self-test.
    #[must_use]
    pub fn bare() -> Self {
        let (context, client_timeout) = (Context::default(), Text::null());
        Self { context, client_timeout, reply_wanted: true, session: None, marks: None, tape: Tape::default() }
    }
}

/// What is kept of the request that an instance runs.
#[derive(Debug)]
pub(super) struct Asked {
    info: Option<RequestInfo>,
    deadline: Instant,
    is_declined: bool,
}

impl Asked {
    /// Without a request, the instance is asked by the host: `describe`.
    pub(super) const fn new(info: Option<RequestInfo>, deadline: Instant) -> Self {
        Self { info, deadline, is_declined: false }
    }

    /// Forgets the request: its context holds a token.
    pub(super) fn end(&mut self) {
        self.info = None;
    }

    /// When the guest is stopped.
    pub(super) const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether there is a request.
    pub(super) const fn is_request(&self) -> bool {
        self.info.is_some()
    }

    /// Whether the guest leaves the request to others.
    pub(super) const fn is_declined(&self) -> bool {
        self.is_declined
    }

    /// Where what it asks is taped, or told from.
    pub(super) fn tape(&self) -> Tape {
        self.info.as_ref().map(|info| info.tape.clone()).unwrap_or_default()
    }

    /// What may be done for the request, where anything may.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.info.as_ref()?.session.clone()
    }
}

impl Host for Asked {
    fn context(&mut self) -> String {
        self.info.as_ref().map_or_else(|| "{}".to_owned(), |info| info.context.to_json(&info.client_timeout))
    }

    fn context_entry(&mut self, name: String) -> Option<String> {
        let info = self.info.as_ref()?;
        match name.as_str() {
            "client_timeout" => Some(info.client_timeout.get().to_owned()),
            name => info.context.get(name).map(|value| value.get().to_owned()),
        }
    }

    fn reply_wanted(&mut self) -> bool {
        self.info.as_ref().is_some_and(|info| info.reply_wanted)
    }

    fn time_left_ms(&mut self) -> u64 {
        let left = || {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if self.is_request() { u64::try_from(left.as_millis()).unwrap_or(u64::MAX) } else { 0 }
        };
        self.tape().notices("nova:rpc/request-info.time-left-ms", nothing, left, |_, last| last.unwrap_or(PLENTY_MS))
    }

    fn decline(&mut self) {
        self.is_declined = self.is_request();
    }
}
