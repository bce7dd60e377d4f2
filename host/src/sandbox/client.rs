//! The import `client`: requests to other services, as far as they are granted.
//!
//! Before it: the guest. After it: the [`Session`] of the request, which judges and sends. The guest is suspended while
//! it waits: it holds neither a thread nor a turn.

use std::time::Duration;

use serde_json::json;

use super::{
    bindings::{
        client::{self, Host},
        types,
    },
    request_info::Asked,
    tape::{Tape, nothing, text},
};
use crate::{
    capability::{Error, Outgoing, Recipient},
    envelope::{Failure, Text},
};

/// What is said where there is no session.
const NOBODY: &str = "there is no request: describe and self-tests ask nobody";

impl Host for Asked {
    async fn call(&mut self, request: client::Request) -> Result<String, client::Error> {
        let (session, tape) = (self.session(), self.tape());
        let asked = asked(&tape, std::slice::from_ref(&request));
        let called = tape.asks_in_time("nova:rpc/client.call", asked, async {
            match session {
                Some(session) => session.call(outgoing(request)).await,
                None => Err(nobody()),
            }
        });
        result(called.await)
    }

    async fn call_many(&mut self, requests: Vec<client::Request>) -> Vec<Result<String, client::Error>> {
        let (session, tape) = (self.session(), self.tape());
        let asked = asked(&tape, &requests);
        let called = tape.asks_in_time("nova:rpc/client.call-many", asked, async {
            match session {
                Some(session) => session.call_many(requests.into_iter().map(outgoing).collect()).await,
                None => requests.iter().map(|_| Err(nobody())).collect(),
            }
        });
        called.await.into_iter().map(result).collect()
    }

    async fn cast(&mut self, request: client::Request) -> Result<(), client::Error> {
        self.send("nova:rpc/client.cast", request, false).await
    }

    async fn fanout(&mut self, request: client::Request) -> Result<(), client::Error> {
        self.send("nova:rpc/client.fanout", request, true).await
    }
}

impl Asked {
    async fn send(
        &mut self,
        import: &'static str,
        request: client::Request,
        fanout: bool,
    ) -> Result<(), client::Error> {
        let (session, tape) = (self.session(), self.tape());
        let asked = asked(&tape, std::slice::from_ref(&request));
        let sent = tape.asks_in_time(import, asked, async {
            match session {
                Some(session) => session.cast(outgoing(request), fanout).await,
                None => Err(nobody()),
            }
        });
        sent.await.map_err(error)
    }
}

/// What a tape has of requests. Made before they are sent, which takes them.
fn asked(tape: &Tape, requests: &[client::Request]) -> impl FnOnce() -> Text + use<> {
    let of = |request: &client::Request| {
        let client::Request { target, method, arguments, timeout_ms, monitor_ms } = request;
        let client::Target { broker, topic, server, namespace, version } = target;
        json!({
            "broker": broker, "topic": topic, "server": server, "namespace": namespace, "version": version,
            "method": method, "arguments": arguments, "timeout_ms": timeout_ms, "monitor_ms": monitor_ms,
        })
    };
    let requests = tape.listens().then(|| text(&requests.iter().map(of).collect::<Vec<_>>()));
    move || requests.unwrap_or_else(nothing)
}

/// Where there is no session.
fn nobody() -> Error {
    Error::Denied(NOBODY.to_owned())
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
