//! What cannot be watched, and messages that nobody should send.

use std::fs;

use serde_json::{Value, json};

use super::{Watching, command, deserted, method, queues_of_watchers};
use crate::harness::{Broker, Scratch, Vhost};

/// Runs a watcher that does not come to watch; its exit code and what it says.
fn complaint(scratch: &Scratch, url: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let ran = command(scratch).args(["watch", "--transport-url", url]).args(arguments).output().expect("it runs");
    assert!(ran.stdout.is_empty(), "{ran:?}");
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

fn publish(vhost: &Vhost, request: &Value) {
    assert!(vhost.publish(
        "nova",
        "conductor",
        &json!({"content_type": "application/json"}),
        request.to_string().as_bytes()
    ));
}

#[test]
fn what_cannot_be_watched_is_said_with_what_to_do_and_nothing_is_made() {
    let vhost = Broker::shared().vhost();
    let scratch = Scratch::new();
    let taken = scratch.write("taken", "mine");
    let say = |arguments: &[&str]| complaint(&scratch, &vhost.url(), arguments);
    let (code, said) = say(&[]);
    assert!(
        code == Some(4) && said.contains("no exchange 'nova'") && said.contains("check the exchange's name"),
        "{said}"
    );
    vhost.declare_exchange("nova", "topic");
    let (code, said) = say(&[]);
    assert!(
        code == Some(4) && said.contains("no exchange 'conductor_fanout'") && said.contains("start one first"),
        "{said}"
    );
    assert_eq!((vhost.exchanges(), queues_of_watchers(&vhost)), (vec!["nova".to_owned()], Vec::new()));

    let (code, _) = say(&["--sample", "m", "--sample-file", "f"]);
    assert!(code == Some(4) && !scratch.path().join("f").exists(), "no empty file is left");
    vhost.declare_transient_exchange("conductor_fanout", "fanout");
    let (code, said) = say(&["--sample", "m", "--sample-file", &taken.display().to_string()]);
    assert!(code == Some(2) && said.contains("File exists"), "{said}");
    assert_eq!(fs::read_to_string(taken).expect("it is there"), "mine");
    for (arguments, expected) in [
        (&["--sample", "m"][..], "--sample-file"),
        (&["--sample-file", "f"], "--sample"),
        (&["--for", "0s"], "more than 0"),
        (&["--for", "soon"], "not a duration"),
    ] {
        let (code, said) = say(arguments);
        assert!(code == Some(2) && said.contains(expected), "{said}");
    }
    assert!(!scratch.path().join("f").exists());

    let (code, said) = complaint(&scratch, "memory://", &[]);
    assert!(code == Some(2) && said.contains("nobody to watch"), "{said}");
    // A port that was free a moment ago.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one");
    let (code, said) = complaint(&scratch, &format!("rabbit://nova:s3cret@{nobody}/"), &[]);
    assert!(code == Some(4) && said.contains("cannot reach") && !said.contains("s3cret"), "{said}");
    let (code, said) = say(&["--handlers", "nowhere"]);
    assert!(code == Some(3) && said.contains("nowhere"), "{said}");
    scratch.write("handlers/broken.wasm", "no component");
    let (code, said) = say(&["--handlers", "handlers"]);
    assert!(code == Some(3) && said.contains("broken.wasm"), "{said}");
}

/// As docs/takeover.md says which.
#[test]
fn a_user_with_few_permissions_may_watch_and_one_without_is_told_so() {
    let vhost = deserted();
    let user = format!("watcher-{}", std::process::id());
    vhost.add_user(&user, Some("s3cret"));
    let own = "nova_host_watch_.*";
    vhost.set_permissions(
        &user,
        &json!({
            "configure": format!("^{own}$"), "write": format!("^({own}|amq\\.default)$"), "read": format!("^({own}|nova|.*_fanout)$"),
        }),
    );
    let url = vhost.url().replace("guest:guest", &format!("{user}:s3cret"));
    let watching = Watching::json(&vhost, &["--transport-url", &url]);
    publish(&vhost, &json!({"method": "m"}));
    assert_eq!(method(&watching.report(), None, "m")["casts"], 1);

    vhost.set_permissions(&user, &json!({"configure": "^$", "write": ".*", "read": ".*"}));
    let (code, said) = complaint(&Scratch::new(), &url, &[]);
    vhost.delete_user(&user);
    assert!(code == Some(4) && said.contains("give the user permission") && !said.contains("s3cret"), "{said}");
}

#[test]
fn names_and_bodies_of_others_do_no_harm() {
    let vhost = deserted();
    let (json, table) = (Watching::json(&vhost, &[]), Watching::start(&vhost, &[]));
    let long = "m".repeat(1 << 20);
    for name in ["<img src=x onerror=alert(1)>", "\u{1b}[2J\u{1b}]0;title\u{7}", "\u{202e}tac\r\n", &long] {
        let version = name;
        publish(
            &vhost,
            &json!({"method": name, "namespace": name, "version": version, "_msg_id": "1", "_reply_q": name}),
        );
    }
    publish(&vhost, &json!({"method": ["list"], "namespace": {}, "version": 7}));
    publish(&vhost, &json!({"result": 1, "failure": null, "_msg_id": "1"}));
    let json_type = json!({"content_type": "application/json"});
    for (body, properties) in
        [(&b"\xff\xfe"[..], &json_type), (b"[1]", &json_type), (b"{}", &json!({"content_type": "text/plain"}))]
    {
        assert!(vhost.publish("nova", "conductor", properties, body));
    }

    let report = json.report();
    assert_eq!((&report["requests"], &report["replies"], &report["undecodable"]), (&json!(5), &json!(1), &json!(3)));
    assert_eq!(method(&report, Some("(dict)"), "(list)")["versions"]["unreadable"], 1);
    assert!(report.to_string().len() < 20_000);
    let mut table = table;
    assert!(table.end().success());
    let shown = table.stdout();
    assert!(shown.contains("<img src=x onerror=alert(1)>") && shown.contains(r"\u{1b}[2J"), "{shown}");
    assert!(shown.len() < 20_000 && !shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    assert!(!shown.contains('\u{202e}'), "{shown:?}");
}
