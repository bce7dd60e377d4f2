//! The wire, row by row, through a real broker: what the service does with a message that no client would send, and the
//! bytes that it answers with.
//!
//! [`json`] needs no broker: it holds our reading of messages against the reference's. The other modules put messages
//! into the topic's queue by hand. `docs/conformance.md` says which row of the protocol each test stands for.

mod compression;
mod dispatch;
mod json;
mod replies;
mod requests;

use serde_json::{Value, json};

use crate::harness::{Broker, Message, Serve, Vhost, eventually};
use crate::oslo::serve;

/// A service on topic `conductor`, a queue for what it rejects, and one for its replies.
struct Wire {
    vhost: Vhost,
    host: Serve,
}

/// Where replies to messages of these tests go.
const REPLIES: &str = "reply_00000000000000000000000000000001";

/// Where rejected messages go.
const REJECTED: &str = "rejected";

impl Wire {
    fn begin() -> Self {
        Self::begin_with("", "")
    }

    /// With options of the transport URL (`?…`) and more configuration.
    fn begin_with(query: &str, more: &str) -> Self {
        let vhost = Broker::shared().vhost();
        vhost.declare_queue(REJECTED, &json!({}));
        vhost.declare_queue(REPLIES, &json!({}));
        let dead_letters = json!({"dead-letter-exchange": "", "dead-letter-routing-key": REJECTED});
        vhost.set_policy("rejected", "^conductor$", &dead_letters);
        let host = match query {
            "" => serve(&vhost, "host-1", more),
            query => {
                let with_query = crate::oslo::configuration(&vhost, "host-1", more).replacen(
                    &vhost.url(),
                    &format!("{}{query}", vhost.url()),
                    1,
                );
                Serve::with_config(&with_query)
            }
        };
        Self { vhost, host }
    }

    /// Puts bytes into the topic's queue.
    fn put(&self, body: &[u8], properties: &Value) {
        assert!(self.vhost.publish("nova", "conductor", properties, body), "no queue took it");
    }

    /// Puts a message as its inner object into the topic's queue, in an envelope.
    fn send(&self, message: &Value) {
        self.put(enveloped(&message.to_string()).as_bytes(), &json_type());
    }

    /// The next message on a queue.
    fn next_on(&self, queue: &str) -> Message {
        eventually(&format!("a message on {queue}\n{}", self.host.log()), || self.vhost.take(queue, 1).pop())
    }

    /// The inner object of the next reply.
    fn reply(&self) -> Value {
        inner(&self.next_on(REPLIES).body)
    }

    /// The answer to a call: its result, or its failure.
    fn call(&self, mut message: Value) -> Result<Value, Value> {
        message["_msg_id"] = json!("i");
        message["_reply_q"] = json!(REPLIES);
        message["_timeout"] = json!(null);
        self.send(&message);
        let mut reply = self.reply();
        match reply["failure"].as_str() {
            None => Ok(reply["result"].take()),
            Some(failure) => Err(serde_json::from_str(failure).expect("a failure is JSON")),
        }
    }

    /// Waits until everything that was put has been settled.
    fn settled(&self) {
        self.vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == 0);
    }
}

fn json_type() -> Value {
    json!({"content_type": "application/json", "content_encoding": "utf-8", "headers": {}})
}

fn enveloped(message: &str) -> String {
    json!({"oslo.version": "2.0", "oslo.message": message}).to_string()
}

fn inner(body: &[u8]) -> Value {
    let outer: Value = serde_json::from_slice(body).expect("JSON");
    assert_eq!(outer["oslo.version"], "2.0");
    serde_json::from_str(outer["oslo.message"].as_str().expect("text")).expect("JSON")
}
