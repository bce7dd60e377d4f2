//! A client: calls and casts over any transport.
//!
//! Before it: `nova-host call` and `cast`. After it: [`crate::transport`]. One reply queue serves all calls of a
//! client; a call's time covers connecting, publishing and waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OnceCell, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    envelope::{Answer, Arguments, Context, Failure, Field, Reply, ReplyTo, Request, Style, Text},
    serve::fresh_id,
    transport::{self, Destination, Disposition, Publication, Published, Routing, Transport},
};

/// Calls that wait, by message id.
type Waiting = Arc<Mutex<HashMap<String, oneshot::Sender<Answer>>>>;

/// A client of one transport.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    replies: OnceCell<Replies>,
}

#[derive(Debug)]
struct Replies {
    queue: String,
    waiting: Waiting,
    _reader: AbortOnDropHandle<()>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Who is asked.
    pub destination: Destination,
    /// `None` leaves the namespace out.
    pub namespace: Option<String>,
    /// `None` leaves the version out, which is then 1.0.
    pub version: Option<String>,
    /// The method.
    pub method: String,
    /// The keyword arguments: a JSON object.
    pub arguments: Text,
    /// The request context.
    pub context: Context,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The remote side says so.
    #[error("{0}")]
    Remote(Box<Failure>),
    /// Nobody answered in time.
    #[error("no reply to {method} within {timeout:?}")]
    TimedOut {
        /// The method.
        method: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The broker did not take the request in time.
    #[error("the broker did not take {method} within {timeout:?}: it cannot be reached, or accepts no messages now")]
    NotSent {
        /// The method.
        method: String,
        /// How long it was tried.
        timeout: Duration,
    },
    /// The broker has no queue for it.
    #[error("nobody serves {0}: is the service running, and on this exchange, topic and server name?")]
    Undeliverable(String),
    /// The transport.
    #[error(transparent)]
    Transport(#[from] transport::Error),
}

impl Client {
    /// Makes a client. Nothing is connected until it is used.
    #[must_use]
    pub fn new(transport: Transport) -> Self {
        Self { transport, replies: OnceCell::new() }
    }

    /// Calls and waits for the result.
    ///
    /// # Errors
    ///
    /// [`Error`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the request may be handled or not; its reply is dropped.
    pub async fn call(&self, invocation: Invocation, timeout: Duration) -> Result<Text, Error> {
        let deadline = Instant::now() + timeout;
        let method = invocation.method.clone();
        let not_sent = || Error::NotSent { method: method.clone(), timeout };
        let listening = self.replies.get_or_try_init(|| Replies::listen(&self.transport));
        let replies = timeout_at(deadline, listening).await.map_err(|_| not_sent())??;
        let message_id = fresh_id();
        let (sender, receiver) = oneshot::channel();
        let call = Call { waiting: &replies.waiting, message_id: &message_id };
        call.register(sender);
        let reply_to = ReplyTo {
            queue: replies.queue.clone(),
            message_id: message_id.clone(),
            style: Style::OneMessage { monitor: Text::null() },
        };
        let sending = self.send(invocation, Some(reply_to), Some(timeout));
        timeout_at(deadline, sending).await.map_err(|_| not_sent())??;
        match timeout_at(deadline, receiver).await {
            Ok(Ok(Answer::Result(result))) => Ok(result),
            Ok(Ok(Answer::Failure(failure))) => Err(Error::Remote(Box::new(failure))),
            // The reader lives as long as we do, and so does the sender.
            Ok(Err(_)) => Err(Error::Transport(transport::Error::Lost)),
            Err(_) => Err(Error::TimedOut { method, timeout }),
        }
    }

    /// Casts: returns when the broker has the message, within `timeout`.
    ///
    /// # Errors
    ///
    /// [`Error`]. A fanout that no server listens to is not an error.
    pub async fn cast(&self, invocation: Invocation, timeout: Duration) -> Result<(), Error> {
        let method = invocation.method.clone();
        let sent = tokio::time::timeout(timeout, self.send(invocation, None, None)).await;
        sent.unwrap_or(Err(Error::NotSent { method, timeout }))
    }

    async fn send(
        &self,
        invocation: Invocation,
        reply_to: Option<ReplyTo>,
        expiration: Option<Duration>,
    ) -> Result<(), Error> {
        let Invocation { destination, namespace, version, method, arguments, context } = invocation;
        let field = |text: Option<String>| text.map_or(Field::Absent, Field::Text);
        let request = Request {
            method: Field::Text(method),
            namespace: field(namespace),
            version: field(version),
            arguments: Arguments::Object(arguments),
            context,
            reply_to,
            unique_id: Some(fresh_id()),
        };
        let (routing, who) = match &destination {
            Destination::Topic { exchange, topic } => (Routing::Mandatory, format!("topic {topic} on {exchange}")),
            Destination::Server { exchange, topic, server } => {
                (Routing::Mandatory, format!("server {server} of topic {topic} on {exchange}"))
            }
            Destination::Queue(queue) => (Routing::Mandatory, format!("queue {queue}")),
            Destination::Fanout { topic } => (Routing::BestEffort, format!("topic {topic}")),
        };
        let publication = Publication { destination, routing, expiration, body: request.encode() };
        match self.transport.publish(&publication).await? {
            Published::Confirmed => Ok(()),
            Published::Unroutable => Err(Error::Undeliverable(who)),
        }
    }
}

/// A call that waits, for as long as this lives.
struct Call<'a> {
    waiting: &'a Waiting,
    message_id: &'a str,
}

impl Call<'_> {
    fn register(&self, sender: oneshot::Sender<Answer>) {
        lock(self.waiting).insert(self.message_id.to_owned(), sender);
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        lock(self.waiting).remove(self.message_id);
    }
}

impl Replies {
    async fn listen(transport: &Transport) -> Result<Self, transport::Error> {
        let queue = transport.reply_queue()?;
        let mut deliveries = transport.listen_for_replies(&queue).await?;
        let waiting = Waiting::default();
        let calls = Arc::clone(&waiting);
        let reader = tokio::spawn(async move {
            // Values of old servers, which say in a second message that the first was all.
            let mut values: HashMap<String, Answer> = HashMap::new();
            while let Some(delivery) = deliveries.next().await {
                let message = &delivery.message;
                match Reply::decode(&message.body, message.content_type.as_deref()) {
                    Ok(reply) => take(reply, &calls, &mut values),
                    Err(error) => tracing::warn!(%error, "reply cannot be decoded, dropped"),
                }
                delivery.settlement.settle(Disposition::Ack).await.ok();
            }
        });
        Ok(Self { queue, waiting, _reader: AbortOnDropHandle::new(reader) })
    }
}

/// Gives a reply to its call.
fn take(reply: Reply, calls: &Waiting, values: &mut HashMap<String, Answer>) {
    let Reply { message_id, answer, ending } = reply;
    if !lock(calls).contains_key(&message_id) {
        values.remove(&message_id);
        tracing::info!(message_id, "nobody waits for this reply, dropped");
        return;
    }
    match (answer, ending) {
        (Some(answer), true) => {
            // An ending without a value ends with the value before it.
            let empty = answer == Answer::Result(Text::null());
            let answer = values.remove(&message_id).filter(|_| empty).unwrap_or(answer);
            if let Some(call) = lock(calls).remove(&message_id) {
                // The call may just have given up.
                call.send(answer).ok();
            }
        }
        (Some(answer), false) => {
            values.insert(message_id, answer);
        }
        (None, _) => {}
    }
}

fn lock(waiting: &Waiting) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Answer>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &str) -> Reply {
        Reply::decode(text.as_bytes(), Some("application/json")).unwrap()
    }

    #[tokio::test]
    async fn a_value_and_then_an_ending_is_one_answer() {
        let (calls, mut values) = (Waiting::default(), HashMap::new());
        let (sender, receiver) = oneshot::channel();
        lock(&calls).insert("i".into(), sender);
        take(reply(r#"{"result": null, "failure": null, "ending": false, "_msg_id": "i"}"#), &calls, &mut values);
        take(reply(r#"{"result": 3, "failure": null, "_msg_id": "i"}"#), &calls, &mut values);
        take(reply(r#"{"result": null, "failure": null, "ending": true, "_msg_id": "i"}"#), &calls, &mut values);
        assert_eq!(receiver.await.unwrap(), Answer::Result(Text::of(&3)));
        assert!(values.is_empty() && lock(&calls).is_empty());
    }

    #[tokio::test]
    async fn a_reply_that_nobody_waits_for_leaves_nothing_behind() {
        let (calls, mut values) = (Waiting::default(), HashMap::new());
        take(reply(r#"{"result": 3, "failure": null, "_msg_id": "late"}"#), &calls, &mut values);
        assert!(values.is_empty());
    }
}
