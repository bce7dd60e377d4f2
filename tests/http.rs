//! Handlers that ask others over HTTP: what they are granted, what they are refused, and what their callers see.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{
    Broker, Certificates, OsloClient, OsloError, PATIENCE, Scratch, Serve, Vhost, Web, guests, nova_host,
};

/// A service with the handler that fetches, and its caller.
struct Story {
    host: Serve,
    client: OsloClient,
    _vhost: Vhost,
    _scratch: Scratch,
}

impl Story {
    fn begin(manifest: &str, config: &str) -> Self {
        let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
        lay(&scratch, manifest);
        let host = Serve::with_config(&format!(
            "transport_url = \"{}\"\nhandlers.directory = \"{path}/handlers\"\ncontrol.socket = \"{path}/control.sock\"\n\
             log = \"debug,lapin=off\"\n{config}",
            vhost.url(),
            path = scratch.path().display(),
        ));
        Self { host, client: OsloClient::start(&vhost.url()), _vhost: vhost, _scratch: scratch }
    }

    fn fetch(&self, arguments: Value) -> Result<Value, Box<OsloError>> {
        self.client.call(json!({"topic": "conductor", "namespace": "web", "method": "fetch", "args": arguments,
                                "timeout": PATIENCE.as_secs()}))
    }

    /// The class and the first line of what the caller is told.
    fn failure(&self, url: &str) -> (String, String) {
        let error = self.fetch(json!({"url": url})).expect_err("it fails");
        let (class, text) = match &error.remote {
            Some(remote) => (remote.exc_type.clone(), remote.value.as_str().unwrap_or_default().to_owned()),
            // A builtin of Python's is raised as it is, with the traceback behind its text.
            None => (error.class.clone(), error.text.clone()),
        };
        (class, text.lines().next().unwrap_or_default().to_owned())
    }
}

/// Lays the handler out with a manifest.
fn lay(scratch: &Scratch, manifest: &str) {
    let component = std::fs::read(guests().join("fetcher.wasm")).expect("it was built");
    scratch.write("handlers/fetcher.wasm", component);
    scratch.write("handlers/fetcher.toml", manifest);
}

fn answer(request: &str) -> String {
    let body = request.split("\r\n\r\n").nth(1).unwrap_or_default();
    format!("HTTP/1.1 201 Made\r\nContent-Type: text/plain\r\ncontent-length: {}\r\n\r\ngot {body}", 4 + body.len())
}

#[test]
fn a_handler_asks_over_http_and_https_what_it_is_granted() {
    let certificates = Certificates::for_user("nova");
    let (plain, secure) = (Web::start(answer), Web::secure(&certificates, answer));
    let mut urls = vec![format!("http://127.0.0.1:{}", plain.port())];
    urls.push(format!("https://127.0.0.1:{}", secure.port()));
    let config = format!("http.ca_file = {:?}", certificates.file("ca.pem").display().to_string());
    let story = Story::begin(&format!("grants.http = {urls:?}"), &config);
    for (server, url) in [(&plain, &urls[0]), (&secure, &urls[1])] {
        let arguments = json!({"url": format!("{url}/v2?token=hunter2"), "verb": "POST", "body": "all of it",
                               "headers": [["Authorization", "hunter2"]]});
        let got = story.fetch(arguments).expect("a response");
        assert_eq!(got, json!({"status": 201, "type": "text/plain", "body": "got all of it", "length": 13}));
        let expected = format!(
            "POST /v2?token=hunter2 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\nAuthorization: hunter2\r\n\
             content-length: 9\r\n\r\nall of it",
            server.port()
        );
        assert_eq!(server.next(), expected);
    }
    let log = story.host.log();
    assert!(log.contains("a handler fetches") && log.contains(&urls[0]), "{log}");
    assert!(!log.contains("hunter2") && !log.contains("/v2"), "{log}");
}

#[test]
fn what_is_not_granted_or_not_everybodys_is_refused() {
    let server = Web::start(answer);
    let origin = format!("http://localhost:{}", server.port());
    let story = Story::begin(&format!("grants.http = [\"{origin}\", \"https://*.example.org\"]"), "");
    let denied = ("PermissionError".to_owned(), "it is not granted (grants.http in the manifest)".to_owned());
    for url in [
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/".to_owned(),
        format!("http://127.0.0.1:{}/", server.port()),
        "https://example.org/".to_owned(),
        "http://a.example.org/".to_owned(),
    ] {
        assert_eq!(story.failure(&url), denied, "{url}");
    }
    // The name is granted, and leads to this machine.
    let (class, text) = story.failure(&origin);
    assert_eq!(
        (class.as_str(), text.contains("an address that is not everybody's")),
        ("PermissionError", true),
        "{text}"
    );
    let split = json!({"url": format!("{origin}/"), "headers": [["a", "b\r\nhost: c"]]});
    assert_eq!(story.fetch(split).expect_err("two lines").class, "ValueError");
    assert!(server.is_idle());
    assert!(story.host.log().contains("a handler wants more than it is granted (grants.http in the manifest)"));
}

#[test]
fn a_server_that_says_nothing_takes_no_longer_than_the_handler_may() {
    let (silent, large) =
        (Web::start(|_| String::new()), Web::start(|_| format!("HTTP/1.0 200 x\r\n\r\n{}", "x".repeat(99_999))));
    let urls = [&silent, &large].map(|server| format!("http://localhost:{} private", server.port()));
    let manifest = format!("grants.http = {urls:?}\n[limits]\ntimeout = \"3s\"\nhttp_bytes = \"90 KB\"");
    let story = Story::begin(&manifest.replace("90 KB", "90 KiB"), "");
    assert_eq!(story.failure(urls[0].trim_end_matches(" private")).0, "HandlerTimedOut");
    silent.wait_for_close();
    let (class, text) = story.failure(urls[1].trim_end_matches(" private"));
    assert_eq!((class.as_str(), text.contains("limits.http_bytes")), ("RuntimeError", true), "{text}");
}

#[test]
fn a_component_that_asks_over_http_is_refused_until_it_is_granted() {
    let scratch = Scratch::new();
    let inspect = || {
        let output =
            Command::new(nova_host()).arg("inspect").arg(scratch.path().join("handlers/fetcher.wasm")).output();
        let output = output.expect("the host runs");
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
        )
    };
    lay(&scratch, "");
    let (code, text) = inspect();
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("wasi:http/outgoing-handler@0.2.0, which is not granted (grants.http)"), "{text}");
    lay(&scratch, "grants.http = [\"https://api.example.org\", \"http://keystone:5000 private\"]");
    let (code, text) = inspect();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("https://api.example.org, http://keystone:5000 private"), "{text}");
    lay(&scratch, "grants.http = [\"https://*\"]");
    let (code, text) = inspect();
    assert_eq!((code, text.contains("grants.http: https://*: a pattern is *.DOMAIN")), (Some(3), true), "{text}");
}
