//! What a trap says, to the caller and in the log.

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, eventually};
use crate::oslo::serve;

#[test]
fn a_trap_tells_the_caller_where_it_was_and_the_log_which_handler_and_request() {
    let vhost = Broker::shared().vhost();
    let host = serve(&vhost, "host-1", "");
    let client = OsloClient::start(&vhost.url());
    let call = json!({
        "topic": "conductor", "method": "panic", "version": "1.0", "args": {"message": "the disk is on fire"},
        "context": {"request_id": "req-0815", "auth_token": "secret-token"},
    });

    let remote = client.call(call).expect_err("it traps").remote.expect("a RemoteError");

    assert_eq!(remote.exc_type, "HandlerTrapped");
    let message = remote.value.as_str().expect("a message");
    assert!(message.contains("the disk is on fire"), "{message}");
    let traceback = remote.traceback.to_string();
    // From the outermost, by name; what the optimiser has made one function has one name.
    for name in
        ["  at nova:rpc/handler@0.1.0#handle", "  at nova_guest::call::Call::run", "  at __rustc::rust_begin_unwind"]
    {
        assert!(traceback.contains(name), "no {name} in {traceback}");
    }

    let line = eventually("the line about it", || {
        host.log().lines().find(|line| line.contains("outcome=\"trapped\"")).map(str::to_owned)
    });
    let plain = line.replace('"', "");
    for field in ["handler=calculator", "version=1.0", "generation=", "request_id=req-0815", "method=panic"] {
        assert!(plain.contains(field), "no {field} in {line}");
    }
    let digest = plain.split("digest=").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_hexdigit).count());
    assert_eq!(digest, Some(12), "{line}");
    assert!(plain.contains("the disk is on fire") && !plain.contains("secret-token"), "{line}");
}

#[test]
fn every_limit_is_named_by_its_setting() {
    let vhost = Broker::shared().vhost();
    let limits =
        "limits.timeout = \"3s\"\nlimits.arguments = \"1 MiB\"\nlimits.result = \"64 KiB\"\nlimits.concurrency = 4";
    let _host = serve(&vhost, "host-1", limits);
    let client = OsloClient::start(&vhost.url());
    for (method, args, class, setting) in [
        ("loop_forever", json!({}), "HandlerTimedOut", "3s (limits.timeout)"),
        ("allocate", json!({"mib": 1000}), "HandlerOutOfMemory", "64 MiB of memory (limits.memory)"),
        ("recurse", json!({}), "HandlerOutOfStack", "512 KiB of stack (limits.stack)"),
        ("echo", json!({"value": "x".repeat(2 << 20)}), "ArgumentsTooLarge", "1 MiB (limits.arguments)"),
        ("echo", json!({"value": "x".repeat(100_000)}), "InvalidResult", "64 KiB at once (limits.result)"),
    ] {
        let call = json!({"topic": "conductor", "method": method, "args": args});
        let remote = client.call(call).expect_err("it fails").remote.expect("a RemoteError");
        assert_eq!(remote.exc_type, class);
        if method == "recurse" {
            assert!(remote.traceback.to_string().contains("at calculator::misbehaviour::deeper"), "the guest's own");
        }
        let Value::String(message) = remote.value else { panic!("{:?}", remote.value) };
        assert!(message.contains(setting), "{message}");
    }
}

#[test]
fn a_handler_that_loops_is_told_of_its_cpu_time_long_before_its_time_is_over() {
    let vhost = Broker::shared().vhost();
    let host =
        serve(&vhost, "host-1", "limits.timeout = \"600s\"\nlimits.cpu = \"100ms\"\nmetrics.listen = \"127.0.0.1:0\"");
    let client = OsloClient::start(&vhost.url());
    let call = json!({"topic": "conductor", "method": "loop_forever"});
    let remote = client.call(call).expect_err("it fails").remote.expect("a RemoteError");
    assert_eq!(remote.exc_type, "HandlerOutOfCpu");
    assert_eq!(remote.value, "the handler used more than 100ms of CPU time (limits.cpu)");
    let told = host.metrics();
    for line in [
        "nova_host_limit_hits_total{handler=\"calculator\",limit=\"cpu\"} 1",
        "nova_host_requests_total{handler=\"calculator\",outcome=\"out_of_cpu\"} 1",
    ] {
        assert!(told.lines().any(|told| told == line), "no {line} in {told}");
    }
}
