//! Where it listens: a local socket, TLS, and what the service does not start with.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::json;

use super::{ALICE, BOB, Story, write_tokens};
use crate::harness::{Api, Certificates, PATIENCE, Scratch, Serve, api::is_socket, eventually, nova_host};

#[test]
fn a_local_socket_is_for_the_user_of_the_service() {
    let mut story = Story::configured("admin.listen = \"unix:SCRATCH/admin.sock\"");
    let path = story.scratch.path().join("admin.sock");
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let api = story.api();
    assert_eq!(api.get("/api/v1/session").succeeds()["role"], "operate");
    // A proxy may have been put before it.
    assert!(api.ask("DELETE", "/api/v1/handlers/a", b"").fails(403).contains("X-Nova-Host: 1"));
    api.with("X-Nova-Host", "1").ask("DELETE", "/api/v1/handlers/a", b"").succeeds();
    let audit = story.audit();
    assert!(audit[0].contains("from=\"the admin socket, user ") && audit[0].contains("role=operate"), "{audit:?}");
    // One that was killed leaves it there, and the next one takes it.
    story.host.kill();
    assert!(is_socket(&path));
    let again = Story::configured(&format!("admin.listen = \"unix:{}\"", path.display()));
    again.api().get("/api/v1/status").succeeds();
    drop(again);
    assert!(!path.exists());
}

/// A service with TLS, whose clients may have certificates, and tokens.
fn secure(certificates: &Certificates) -> Story {
    let path = certificates.path().display();
    let key = certificates.file("key.pem");
    fs::set_permissions(key, Permissions::from_mode(0o600)).expect("it is ours");
    Story::configured(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{path}/cert.pem\"\nkey = \"{path}/key.pem\"\n\
         client_ca = \"{path}/ca.pem\"\ntokens = \"SCRATCH/tokens\"\n[admin.clients]\n\"ops.example.org\" = \"operate\""
    ))
}

#[test]
fn over_tls_a_certificate_or_a_token_says_who_asks() {
    let (ops, other) = (Certificates::for_user("ops"), Certificates::for_user("ops"));
    let story = secure(&ops);
    let own = Some(["client.pem", "client-key.pem"]);
    let with_certificate = Api::secure(&story.host, &ops, own);
    let expected = json!({"name": "ops.example.org", "role": "operate"});
    assert_eq!(with_certificate.get("/api/v1/session").succeeds(), expected);
    // The browser sends it by itself.
    assert!(with_certificate.put("/api/v1/log-level", &json!({"levels": "info"})).fails(403).contains("X-Nova-Host"));
    let marked = with_certificate.with("X-Nova-Host", "1");
    marked.put("/api/v1/log-level", &json!({"levels": "info"})).succeeds();
    let origin = format!("https://{}", marked.address());
    marked.with("Origin", &origin).put("/api/v1/log-level", &json!({"levels": "info"})).succeeds();
    // Without one it takes a token, and health takes nothing.
    let without = Api::secure(&story.host, &ops, None);
    without.get("/api/v1/session").fails(401);
    assert_eq!(without.get("/livez").status, 200);
    let bob = without.token(BOB);
    assert_eq!(bob.get("/api/v1/session").succeeds()["name"], "bob");
    let cookie = bob.ask("POST", "/api/v1/session", b"");
    let cookie = cookie.header("set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("__Host-nova-host-session-") && cookie.ends_with("; SameSite=Strict; Secure"),
        "{cookie}"
    );
    // One of another CA, a server without TLS, and a client without it get no word.
    fs::copy(ops.file("ca.pem"), other.file("ca.pem")).expect("it is ours");
    assert_eq!(Api::secure(&story.host, &other, own).get("/livez").status, 0);
    assert_eq!(story.api().get("/livez").status, 0);
    assert!(!story.host.log().contains("ERROR"), "{}", story.host.log());
}

#[test]
fn where_there_are_only_certificates_nobody_is_asked_for_a_token() {
    let ops = Certificates::for_user("ops");
    let path = ops.path().display();
    fs::set_permissions(ops.file("key.pem"), Permissions::from_mode(0o600)).expect("it is ours");
    let story = Story::configured(&format!(
        "[admin]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{path}/cert.pem\"\nkey = \"{path}/key.pem\"\n\
         client_ca = \"{path}/ca.pem\"\n[admin.clients]\n\"ops.example.org\" = \"read\""
    ));
    let refused = Api::secure(&story.host, &ops, None).get("/api/v1/status");
    assert!(refused.fails(401).starts_with("send a client certificate"));
    assert_eq!(refused.header("www-authenticate"), None);
    Api::secure(&story.host, &ops, Some(["client.pem", "client-key.pem"])).get("/api/v1/status").succeeds();
}

#[test]
fn renewed_certificates_and_tokens_are_in_force_without_a_restart_and_broken_ones_are_not() {
    let (old, new) = (Certificates::for_user("ops"), Certificates::for_user("ops"));
    let mut story = secure(&old);
    let client = |certificates| Api::secure(&story.host, certificates, None).token(ALICE);
    client(&old).get("/api/v1/session").succeeds();
    // Half of a change is none.
    fs::copy(new.file("cert.pem"), old.file("cert.pem")).expect("it is ours");
    story.host.signal("HUP");
    story.host.wait_for_log("cannot be used with its key");
    let client = |certificates| Api::secure(&story.host, certificates, None).token(ALICE);
    client(&old).get("/api/v1/session").succeeds();
    fs::set_permissions(new.file("key.pem"), Permissions::from_mode(0o600)).expect("it is ours");
    fs::copy(new.file("key.pem"), old.file("key.pem")).expect("it is ours");
    story.host.signal("HUP");
    eventually("the new certificate", || (client(&new).get("/api/v1/session").status == 200).then_some(()));
    // Without a signal it takes seconds.
    write_tokens(&story.scratch, &[("bob", "read", BOB)]);
    eventually("the new tokens", || (client(&new).get("/api/v1/session").status == 401).then_some(()));
    story.scratch.write("tokens", format!("bob read {ALICE}"));
    story.host.signal("HUP");
    story.host.wait_for_log("tokens: line 1: a line is NAME ROLE sha256:HEX");
    Api::secure(&story.host, &new, None).token(BOB).get("/api/v1/session").succeeds();
    assert!(!story.host.log().contains(ALICE));
}

#[test]
fn a_service_that_anybody_could_operate_does_not_start_and_says_what_to_do() {
    let (scratch, certificates) = (Scratch::new(), Certificates::for_user("ops"));
    scratch.write("handlers/.keep", "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let taken = taken.local_addr().expect("it is bound");
    let (open, tokens) = (scratch.write("open", "# none"), write_tokens(&scratch, &[("alice", "operate", ALICE)]));
    fs::set_permissions(&open, Permissions::from_mode(0o644)).expect("it is ours");
    let pem = |name: &str, mode| {
        let path = certificates.file(name);
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
        path.display().to_string()
    };
    let (certificate, key, open_key) = (pem("cert.pem", 0o644), pem("key.pem", 0o600), pem("client-key.pem", 0o644));
    let (open, tokens) = (open.display(), tokens.display());
    let wrong = scratch.write("wrong", format!("alice {ALICE}")).display().to_string();
    fs::set_permissions(&wrong, Permissions::from_mode(0o600)).expect("it is ours");
    let socket = scratch.write("precious", "").display().to_string();
    for (section, expected) in [
        (
            format!("listen = \"0.0.0.0:0\"\ntokens = \"{tokens}\""),
            "admin.listen: others reach this address: it needs TLS",
        ),
        (
            format!("listen = \"0.0.0.0:0\"\ncertificate = \"{certificate}\"\nkey = \"{key}\""),
            "it needs admin.tokens or admin.client_ca",
        ),
        (format!("listen = \"127.0.0.1:0\"\ncertificate = \"{certificate}\""), "needs admin.key"),
        (
            format!("listen = \"127.0.0.1:0\"\ntokens = \"{open}\""),
            "its mode 644 lets others read or write it: chmod 600",
        ),
        (format!("listen = \"127.0.0.1:0\"\ncertificate = \"{certificate}\"\nkey = \"{open_key}\""), "its mode 644"),
        (format!("listen = \"127.0.0.1:0\"\ntokens = \"{tokens}.not\""), "No such file"),
        (format!("listen = \"127.0.0.1:0\"\ntokens = \"{wrong}\""), "line 1: a line is NAME ROLE"),
        (format!("listen = \"127.0.0.1:0\"\ncertificate = \"{key}\"\nkey = \"{key}\""), "holds no certificate in PEM"),
        (format!("listen = \"{taken}\""), "cannot listen on 127.0.0.1:"),
        (format!("listen = \"unix:{socket}\""), "Address already in use"),
        ("listen = \"localhost:80\"".to_owned(), "is not an address with a port"),
    ] {
        let file = scratch.write(
            "nova-host.toml",
            format!(
                "transport_url = \"memory://\"\nhandlers.directory = \"{path}/handlers\"\ncontrol.socket = \"none\"\n[admin]\n{section}\n",
                path = scratch.path().display()
            ),
        );
        let mut host = Serve::unready(["--config", &file.display().to_string()]);
        let status = host.wait(PATIENCE).unwrap_or_else(|| panic!("it goes on with\n{section}"));
        let log = host.log();
        assert_eq!((status.code(), log.contains(expected)), (Some(2), true), "{section}\n{log}");
        assert!(!log.contains(ALICE), "{log}");
        // What is wrong with the files is known before a start.
        let checked = Command::new(nova_host()).arg("check").arg("--config").arg(&file).output().expect("it runs");
        let said = String::from_utf8_lossy(&checked.stderr);
        let is_of_the_address = expected.contains("cannot listen") || expected.contains("in use");
        assert_eq!(said.contains(expected), !is_of_the_address, "{section}\n{said}");
    }
    assert!(fs::metadata(&socket).is_ok_and(|metadata| metadata.is_file()));
}
