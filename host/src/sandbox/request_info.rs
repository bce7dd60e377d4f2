//! The import `request-info`: what else is known about the request.

use std::sync::Arc;

use super::{bindings::request_info::Host, state::State};
use crate::{
    capability::Session,
    envelope::{Context, Text},
};

/// What a guest can ask about its request.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// The request context.
    pub context: Context,
    /// What stands as `client_timeout` in the context of a Python endpoint.
    pub client_timeout: Text,
    /// Whether the caller waits for the result.
    pub reply_wanted: bool,
    /// What may be done for it; `None` where nothing is granted, and in a self-test.
    pub session: Option<Arc<Session>>,
}

impl RequestInfo {
    /// Of a call that nobody has sent: a self-test.
    #[must_use]
    pub fn bare() -> Self {
        Self { context: Context::default(), client_timeout: Text::null(), reply_wanted: true, session: None }
    }
}

impl Host for State {
    fn context(&mut self) -> String {
        self.request
            .as_ref()
            .map_or_else(|| "{}".to_owned(), |request| request.context.to_json(&request.client_timeout))
    }

    fn context_entry(&mut self, name: String) -> Option<String> {
        let request = self.request.as_ref()?;
        match name.as_str() {
            "client_timeout" => Some(request.client_timeout.get().to_owned()),
            name => request.context.get(name).map(|value| value.get().to_owned()),
        }
    }

    fn reply_wanted(&mut self) -> bool {
        self.request.as_ref().is_some_and(|request| request.reply_wanted)
    }

    fn time_left_ms(&mut self) -> u64 {
        let left = self.deadline.saturating_duration_since(std::time::Instant::now());
        if self.request.is_some() { u64::try_from(left.as_millis()).unwrap_or(u64::MAX) } else { 0 }
    }
}
