//! The import `client`: requests to other services, as far as they are granted.
//!
//! Before it: the guest. After it: the [`Session`] of the request, which judges and sends. The guest is suspended while
//! it waits: it holds neither a thread nor a turn.

use std::time::Duration;

use super::{
    bindings::{
        client::{self, Host},
        types,
    },
    request_info::Asked,
};
use crate::{
    capability::{Error, Outgoing, Recipient},
    envelope::{Failure, Text},
};

/// What is said where there is no session.
const NOBODY: &str = "there is no request: describe and self-tests ask nobody";

impl Host for Asked {
    async fn call(&mut self, request: client::Request) -> Result<String, client::Error> {
        match self.session() {
            Some(session) => result(session.call(outgoing(request)).await),
            None => Err(nobody()),
        }
    }

    async fn call_many(&mut self, requests: Vec<client::Request>) -> Vec<Result<String, client::Error>> {
        match self.session() {
            Some(session) => {
                let results = session.call_many(requests.into_iter().map(outgoing).collect()).await;
                results.into_iter().map(result).collect()
            }
            None => (0..requests.len()).map(|_| Err(Error::Denied(NOBODY.to_owned()))).map(result).collect(),
        }
    }

    async fn cast(&mut self, request: client::Request) -> Result<(), client::Error> {
        match self.session() {
            Some(session) => session.cast(outgoing(request), false).await.map_err(error),
            None => Err(nobody()),
        }
    }

    async fn fanout(&mut self, request: client::Request) -> Result<(), client::Error> {
        match self.session() {
            Some(session) => session.cast(outgoing(request), true).await.map_err(error),
            None => Err(nobody()),
        }
    }
}

/// Where there is no session.
fn nobody() -> client::Error {
    client::Error::Denied(NOBODY.to_owned())
}

fn outgoing(request: client::Request) -> Outgoing {
    let client::Request { target, method, arguments, timeout_ms, monitor_ms } = request;
    let client::Target { broker, topic, server, namespace, version } = target;
    Outgoing {
        recipient: Recipient { broker, topic, server, namespace, version },
        method,
        arguments,
        timeout: timeout_ms.map(Duration::from_millis),
        monitor: monitor_ms.map(Duration::from_millis),
    }
}

#[expect(clippy::result_large_err, reason = "the type is generated")]
fn result(result: Result<Text, Error>) -> Result<String, client::Error> {
    result.map(|text| text.get().to_owned()).map_err(error)
}

fn error(error: Error) -> client::Error {
    match error {
        Error::Remote(failure) => client::Error::Remote(remote(*failure)),
        Error::TimedOut(text) => client::Error::TimedOut(text),
        Error::Unavailable(text) => client::Error::Unavailable(text),
        Error::Denied(text) => client::Error::Denied(text),
        Error::Limited(text) => client::Error::Limited(text),
        Error::Invalid(text) => client::Error::Invalid(text),
    }
}

fn remote(failure: Failure) -> types::Failure {
    let Failure { class, module, message, traceback, args, kwargs } = failure;
    let (args, kwargs) = (args.get().to_owned(), kwargs.get().to_owned());
    types::Failure { class, module, message, args, kwargs, traceback }
}
