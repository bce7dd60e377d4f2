//! One virtual host: what a test sees of its broker, and what it does to it.
//!
//! Made by [`super::broker`]; everything goes through the management API, so that it does not depend on the AMQP code
//! under test.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{base64, broker::Ports, eventually, http};

/// A virtual host of a test's own, deleted (and its connections closed) with the value.
#[derive(Debug)]
pub(crate) struct Vhost {
    ports: Ports,
    name: String,
}

/// What the broker says about a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    /// Messages that wait, at this moment.
    pub(crate) ready: u64,
    /// Messages that were delivered and not settled, at this moment.
    pub(crate) unacknowledged: u64,
    /// Consumers, up to a second ago.
    pub(crate) consumers: u64,
}

/// A message taken from a queue.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// The bytes.
    pub(crate) body: Vec<u8>,
    /// The AMQP properties, by their names in AMQP: `content_type`, `headers`, ….
    pub(crate) properties: Value,
    /// The exchange it was published to.
    pub(crate) exchange: String,
    /// The key it was published with.
    pub(crate) routing_key: String,
    /// Whether it has been delivered before.
    pub(crate) redelivered: bool,
}

impl Vhost {
    pub(super) fn new(ports: Ports, name: String) -> Self {
        Self { ports, name }
    }

    pub(super) fn create(&self) {
        self.act("PUT", &format!("vhosts/{}", self.path()), &Value::Null);
    }

    /// The transport URL, with all nodes.
    pub(crate) fn url(&self) -> String {
        self.url_by(&self.addresses())
    }

    /// The transport URL by way of other addresses, such as those of proxies.
    pub(crate) fn url_by(&self, addresses: &[String]) -> String {
        let hosts: Vec<String> = addresses.iter().map(|address| format!("guest:guest@{address}")).collect();
        format!("rabbit://{}/{}", hosts.join(","), self.path())
    }

    /// The addresses of the nodes, `127.0.0.1:PORT` each.
    pub(crate) fn addresses(&self) -> Vec<String> {
        self.ports.amqp.iter().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// All queues by name.
    pub(crate) fn queues(&self) -> BTreeMap<String, Queue> {
        // The totals are of this moment, but come without consumers; the statistics have those, with a delay.
        let totals = self.get_json(&format!("queues/{}?disable_stats=true&enable_queue_totals=true", self.path()));
        let statistics = self.get_json(&format!("queues/{}", self.path()));
        let mut queues = BTreeMap::<String, Queue>::new();
        for total in list(&totals) {
            let queue = queues.entry(text(total, "name")).or_default();
            queue.ready = number(total, "messages_ready");
            queue.unacknowledged = number(total, "messages_unacknowledged");
        }
        for statistic in list(&statistics) {
            if let Some(queue) = queues.get_mut(&text(statistic, "name")) {
                queue.consumers = number(statistic, "consumers");
            }
        }
        queues
    }

    /// One queue; `None` where there is none of that name.
    pub(crate) fn queue(&self, name: &str) -> Option<Queue> {
        self.queues().remove(name)
    }

    /// The names of all exchanges but the broker's own.
    pub(crate) fn exchanges(&self) -> Vec<String> {
        let exchanges = self.get_json(&format!("exchanges/{}", self.name));
        let names = list(&exchanges).iter().map(|exchange| text(exchange, "name"));
        names.filter(|name| !name.is_empty() && !name.starts_with("amq.")).collect()
    }

    /// The number of the node, from 0, that leads a replicated queue; `None` while nobody does.
    pub(crate) fn leader_of(&self, queue: &str) -> Option<usize> {
        let answer = self.get_json(&format!("queues/{}/{}", self.path(), http::segment(queue)));
        // `tests/broker.sh` calls nodes `…-NUMBER@127.0.0.1`.
        let number = text(&answer, "leader").split('@').next()?.rsplit('-').next()?.parse::<usize>().ok()?;
        number.checked_sub(1)
    }

    /// Waits until a queue is as the condition wants it, and returns it.
    pub(crate) fn eventually(&self, name: &str, condition: impl Fn(&Queue) -> bool) -> Queue {
        eventually(&format!("queue {name} in {:?}", self.queues()), || self.queue(name).filter(&condition))
    }

    /// Waits until a queue exists and somebody consumes it.
    pub(crate) fn wait_for_consumer(&self, name: &str) {
        self.eventually(name, |queue| queue.consumers > 0);
    }

    /// Declares a durable queue with arguments such as `{"x-queue-type": "quorum"}`.
    pub(crate) fn declare_queue(&self, name: &str, arguments: &Value) {
        self.act("PUT", &format!("queues/{}/{}", self.path(), http::segment(name)), &{
            json!({"durable": true, "arguments": arguments})
        });
    }

    /// Declares a durable queue by way of a node, counted from 0: where its first member is.
    pub(crate) fn declare_queue_at(&self, node: usize, name: &str, arguments: &Value) {
        let path = format!("queues/{}/{}", self.path(), http::segment(name));
        let how = json!({"durable": true, "arguments": arguments});
        let answer = http::request(self.ports.management[node], "PUT", &path, Some(&how));
        let (status, answer) = answer.expect("the node is there");
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
    }

    /// Declares a durable exchange of a type such as `topic`.
    pub(crate) fn declare_exchange(&self, name: &str, kind: &str) {
        let path = format!("exchanges/{}/{}", self.path(), http::segment(name));
        self.act("PUT", &path, &json!({"type": kind, "durable": true}));
    }

    /// Declares an exchange that does not survive a restart of the broker.
    pub(crate) fn declare_transient_exchange(&self, name: &str, kind: &str) {
        let path = format!("exchanges/{}/{}", self.path(), http::segment(name));
        self.act("PUT", &path, &json!({"type": kind, "durable": false}));
    }

    /// Declares a durable exchange that goes with its last binding.
    pub(crate) fn declare_auto_delete_exchange(&self, name: &str, kind: &str) {
        let path = format!("exchanges/{}/{}", self.path(), http::segment(name));
        self.act("PUT", &path, &json!({"type": kind, "durable": true, "auto_delete": true}));
    }

    /// Whether an exchange or a queue (`exchanges`, `queues`) survives a restart of the broker.
    pub(crate) fn is_durable(&self, what: &str, name: &str) -> bool {
        self.get_json(&format!("{what}/{}/{}", self.path(), http::segment(name)))["durable"] == true
    }

    /// Makes a user who may do everything in this virtual host; without a password, who cannot log in by one.
    pub(crate) fn add_user(&self, name: &str, password: Option<&str>) {
        let how = password.map_or(json!({"password_hash": ""}), |password| json!({"password": password}));
        let mut user = how;
        user["tags"] = json!("");
        self.act("PUT", &format!("users/{}", http::segment(name)), &user);
        let everything = json!({"configure": ".*", "write": ".*", "read": ".*"});
        self.act("PUT", &format!("permissions/{}/{}", self.path(), http::segment(name)), &everything);
    }

    /// Says what a user may do in this virtual host: `configure`, `write` and `read`, a pattern each.
    pub(crate) fn set_permissions(&self, user: &str, permissions: &Value) {
        self.act("PUT", &format!("permissions/{}/{}", self.path(), http::segment(user)), permissions);
    }

    /// Removes a user, who outlives the virtual host otherwise.
    pub(crate) fn delete_user(&self, name: &str) {
        self.act("DELETE", &format!("users/{}", http::segment(name)), &Value::Null);
    }

    /// What the broker says about the connections that are open, up to a second ago: `user`, `client_properties`, ….
    pub(crate) fn connection_details(&self) -> Vec<Value> {
        list(&self.get_json(&format!("vhosts/{}/connections", self.path()))).to_vec()
    }

    /// Binds a queue to an exchange.
    pub(crate) fn bind(&self, exchange: &str, queue: &str, routing_key: &str) {
        let path = format!("bindings/{}/e/{}/q/{}", self.path(), http::segment(exchange), http::segment(queue));
        self.act("POST", &path, &json!({"routing_key": routing_key}));
    }

    /// Takes a binding away.
    pub(crate) fn unbind(&self, exchange: &str, queue: &str, routing_key: &str) {
        let (exchange, queue, key) = (http::segment(exchange), http::segment(queue), http::segment(routing_key));
        self.act("DELETE", &format!("bindings/{}/e/{exchange}/q/{queue}/{key}", self.path()), &Value::Null);
    }

    /// Deletes a queue, whoever uses it.
    pub(crate) fn delete_queue(&self, name: &str) {
        self.act("DELETE", &format!("queues/{}/{}", self.path(), http::segment(name)), &Value::Null);
    }

    /// Deletes an exchange, whoever uses it.
    pub(crate) fn delete_exchange(&self, name: &str) {
        self.act("DELETE", &format!("exchanges/{}/{}", self.name, http::segment(name)), &Value::Null);
    }

    /// Sets a policy, such as a dead-letter exchange, for all queues whose name matches a pattern.
    pub(crate) fn set_policy(&self, name: &str, pattern: &str, definition: &Value) {
        let policy = json!({"pattern": pattern, "definition": definition, "apply-to": "queues"});
        self.act("PUT", &format!("policies/{}/{}", self.path(), http::segment(name)), &policy);
    }

    /// Gives an exchange another one for what no queue takes: by a policy, as an operator does.
    pub(crate) fn set_alternate_exchange(&self, exchange: &str, alternate: &str) {
        let definition = json!({"alternate-exchange": alternate});
        let policy = json!({"pattern": format!("^{exchange}$"), "definition": definition, "apply-to": "exchanges"});
        self.act("PUT", &format!("policies/{}/{exchange}-alternate", self.path()), &policy);
    }

    /// Whether the broker is short of memory or disk.
    pub(crate) fn broker_is_short(&self) -> bool {
        self.send("GET", "health/checks/alarms", None).0 == 503
    }

    /// The names of the connections that are open, up to a second ago.
    pub(crate) fn connections(&self) -> Vec<String> {
        let connections = self.get_json(&format!("vhosts/{}/connections", self.path()));
        list(&connections).iter().map(|connection| text(connection, "name")).collect()
    }

    /// Closes all connections, as an administrator does; returns how many.
    pub(crate) fn close_connections(&self) -> usize {
        let names = self.connections();
        for name in &names {
            // One that has closed meanwhile is as good.
            self.send("DELETE", &format!("connections/{}", http::segment(name)), None);
        }
        names.len()
    }

    /// Publishes bytes with AMQP properties (`{}` for none), `""` being the default exchange; whether a queue took it.
    pub(crate) fn publish(&self, exchange: &str, routing_key: &str, properties: &Value, body: &[u8]) -> bool {
        let exchange = if exchange.is_empty() { "amq.default" } else { exchange };
        let message = json!({
            "routing_key": routing_key, "properties": properties,
            "payload": base64::encode(body), "payload_encoding": "base64",
        });
        let answer =
            self.act("POST", &format!("exchanges/{}/{}/publish", self.path(), http::segment(exchange)), &message);
        answer["routed"] == true
    }

    /// Takes up to `most` messages from a queue; they are gone from it.
    pub(crate) fn take(&self, queue: &str, most: usize) -> Vec<Message> {
        let how = json!({"count": most, "ackmode": "ack_requeue_false", "encoding": "base64"});
        let answer = self.act("POST", &format!("queues/{}/{}/get", self.path(), http::segment(queue)), &how);
        list(&answer).iter().map(Message::from_json).collect()
    }

    /// The name in paths and URLs.
    fn path(&self) -> String {
        http::segment(&self.name)
    }

    fn get_json(&self, path: &str) -> Value {
        self.act("GET", path, &Value::Null)
    }

    /// Sends a request that must succeed.
    fn act(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.send(method, path, Some(body).filter(|body| !body.is_null()));
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        // Any node that runs knows all.
        let answer = self.ports.management.iter().find_map(|port| http::request(*port, method, path, body).ok());
        answer.expect("the broker is there")
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        // The broker may be stopped, or this test failing.
        for port in &self.ports.management {
            if http::request(*port, "DELETE", &format!("vhosts/{}", self.path()), None).is_ok() {
                return;
            }
        }
    }
}

impl Message {
    fn from_json(message: &Value) -> Self {
        Self {
            body: base64::decode(&text(message, "payload")).expect("the API sends base64"),
            properties: message["properties"].clone(),
            exchange: text(message, "exchange"),
            routing_key: text(message, "routing_key"),
            redelivered: message["redelivered"] == true,
        }
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_default()
}
