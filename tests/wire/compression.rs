//! Compressed messages between real clients, real servers, and ours: each reads what the other wrote.

use serde_json::json;

use super::{REPLIES, Wire, enveloped, json_type};
use crate::harness::{Broker, OsloClient, OsloServer, nova_host};

/// oslo.messaging's choices, and the header of each.
const CHOICES: [(&str, &str); 4] = [
    ("gzip", "application/x-gzip"),
    ("bzip2", "application/x-bz2"),
    ("lzma", "application/x-lzma"),
    ("xz", "application/x-lzma"),
];

#[test]
fn a_compressing_client_and_a_compressing_service_understand_each_other() {
    let text = "x\u{1F600}".repeat(20_000);
    for (choice, header) in CHOICES {
        let query = format!("?kombu_compression={choice}");
        let wire = Wire::begin_with(&query, "");
        let client = OsloClient::start(&format!("{}{query}", wire.vhost.url()));
        for value in [json!(1), json!(text)] {
            let call = json!({"topic": "conductor", "method": "echo", "args": {"value": value}});
            assert_eq!(client.call(call).expect("a result"), value, "{choice}");
        }
        let call = json!({"topic": "conductor", "method": "fail", "args": {"class": "KeyError", "message": "k"}});
        assert_eq!(client.call(call).expect_err("it fails").class, "KeyError");
        // What is on the wire is compressed indeed, and says so as the reference does.
        let message = json!({
            "method": "echo", "args": {"value": text}, "_msg_id": "i", "_reply_q": REPLIES, "_timeout": null,
        });
        wire.send(&message);
        let reply = wire.next_on(REPLIES);
        assert!(reply.body.len() < 10_000, "{choice}: {} bytes", reply.body.len());
        let mut expected = json_type();
        expected["headers"] = json!({"compression": header});
        expected["delivery_mode"] = json!(2);
        expected["priority"] = json!(0);
        assert_eq!(reply.properties, expected, "{choice}");
    }
}

#[test]
fn a_service_that_does_not_compress_reads_what_is_compressed() {
    let wire = Wire::begin();
    for (choice, _) in CHOICES {
        let client = OsloClient::start(&format!("{}?kombu_compression={choice}", wire.vhost.url()));
        let call = json!({"topic": "conductor", "method": "add", "args": {"a": 1, "b": 2}});
        assert_eq!(client.call(call).expect("a result"), 3, "{choice}");
    }
}

#[test]
fn our_client_compresses_for_a_python_server_and_reads_its_compressed_replies() {
    let vhost = Broker::shared().vhost();
    for (choice, _) in CHOICES {
        let url = format!("{}?kombu_compression={choice}", vhost.url());
        let _server = OsloServer::start(&url, choice, "python-1");
        // `bz2` is what the option's help says, and no oslo.messaging takes.
        let ours = url.replace("bzip2", "bz2");
        let mut command = std::process::Command::new(nova_host());
        command.args(["call", "add", r#"{"a": 1, "b": 2}"#, "--topic", choice, "--transport-url", &ours]);
        let ran = command.output().expect("it runs");
        assert_eq!(String::from_utf8_lossy(&ran.stdout), "3\n", "{choice}: {ran:?}");
    }
}

#[test]
fn a_reply_to_nowhere_is_noticed_compressed_or_not() {
    // The broker gives an undeliverable reply back; it must be known again, compressed as it is.
    let mut wire = Wire::begin_with("?kombu_compression=gzip", "");
    let message = json!({
        "method": "add", "args": {"a": 1, "b": 2}, "_msg_id": "i", "_reply_q": "reply_gone", "_timeout": null,
    });
    wire.put(enveloped(&message.to_string()).as_bytes(), &json_type());
    wire.host.wait_for_log("it is missing");
    wire.vhost.declare_queue("reply_gone", &json!({}));
    assert_eq!(wire.next_on("reply_gone").properties["headers"]["compression"], "application/x-gzip");
}
