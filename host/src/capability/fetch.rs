//! What one request does over HTTP.
//!
//! Before it: the guest. After it: [`super::http`], where the grants and the limits of the request allow it. It happens at
//! once: nobody can hold back a request whose response is needed.

use std::{
    mem,
    sync::{Arc, atomic::Ordering},
};

use tokio::sync::{Notify, oneshot};

use super::{
    Session,
    http::{Error, Fetch, Meter, Request, Timeouts, Work},
};
use crate::{
    metrics::{Limit, Sending},
    printable::printable,
};

/// Bytes of an origin in the log.
const MAX_SHOWN: usize = 300;

impl Session {
    /// Starts a request. `woken` is told whenever something of its response has come; the body is sent when it is given.
    ///
    /// # Errors
    ///
    /// What is wrong with the request, its grants and its limits; everything else comes in place of the response.
    pub fn fetch(
        &self,
        mut request: Request,
        body: oneshot::Receiver<Vec<u8>>,
        timeouts: Timeouts,
        woken: Arc<Notify>,
    ) -> Result<Fetch, Error> {
        let is_private = self.admit_fetch(&request).inspect_err(|error| {
            self.metrics.sent(Sending::Http, error.ending());
            let to = printable(&request.origin.to_string(), MAX_SHOWN);
            tracing::debug!(to, %error, outcome = error.ending().as_str(), "a handler fetches");
        })?;
        let span = self.fetches(&mut request);
        let work = Work {
            request,
            span,
            is_private,
            body,
            timeouts,
            deadline: self.cause.deadline.into(),
            places: Arc::clone(&self.fetching),
            meter: Arc::clone(&self.meter),
            trust: Arc::clone(self.capabilities.trust()),
        };
        let fetch = work.start(woken);
        let mut used = self.used();
        used.fetches.retain(|fetch| !fetch.is_finished());
        used.fetches.push(fetch.abort_handle());
        Ok(fetch)
    }

    /// What counts the bytes that are sent and received.
    #[must_use]
    pub fn meter(&self) -> &Arc<Meter> {
        &self.meter
    }

    /// Holds a request against grants and limits, and counts it. Says whether it may lead to a private address.
    fn admit_fetch(&self, request: &Request) -> Result<bool, Error> {
        let most = self.allowance.http_requests;
        // It asks again and again, for as long as it may run: the count stays where it has no more.
        let add = |count: u32| (count < most).then_some(count + 1);
        if self.fetched.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).is_err() {
            self.metrics.hit(Limit::HttpRequests);
            return Err(Error::Requests(most));
        }
        request.check()?;
        let Some(is_private) = self.grants.allows_fetch(&request.origin) else {
            if !mem::replace(&mut self.used().told, true) {
                let to = printable(&request.origin.to_string(), MAX_SHOWN);
                tracing::warn!(to, "a handler wants more than it is granted (grants.http in the manifest)");
            }
            return Err(Error::Denied);
        };
        let head =
            request.path.len() + request.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        self.meter.send(head)?;
        Ok(is_private)
    }
}
