//! Who may do what, how they say who they are, and what other pages in their browser cannot do.

use serde_json::json;

use super::{ALICE, BOB, Story, write_tokens};
use crate::harness::eventually;

#[test]
fn who_may_look_may_not_change_and_who_has_no_token_may_neither() {
    let story = Story::begin();
    let (anybody, bob) = (story.api(), story.bob());
    for path in ["/livez", "/readyz", "/", "/api/v1/openapi.json"] {
        assert_eq!(anybody.get(path).status, 200, "{path}");
    }
    for path in
        ["/api/v1/status", "/api/v1/handlers", "/api/v1/log-level", "/api/v1/metrics", "/metrics", "/api/v1/session"]
    {
        let refused = anybody.get(path);
        assert!(refused.fails(401).contains("send a token"), "{path}");
        assert_eq!(refused.header("www-authenticate"), Some("Bearer realm=\"nova-host\""));
        assert_eq!(bob.get(path).status, 200, "{path}");
    }
    assert_eq!(bob.get("/api/v1/session").succeeds(), json!({"name": "bob", "role": "read"}));
    for (method, path) in [
        ("POST", "/api/v1/handlers?name=a"),
        ("DELETE", "/api/v1/handlers/a"),
        ("POST", "/api/v1/handlers/a/rollback"),
        ("PUT", "/api/v1/log-level"),
        ("PUT", "/api/v1/forward/*"),
    ] {
        // Whatever the body is: it is not read.
        anybody.with("X-Nova-Host", "1").ask(method, path, b"{}").fails(401);
        let reason = bob.with("X-Nova-Host", "1").ask(method, path, b"{}").fails(403);
        assert_eq!(reason, "bob has the role read, and this takes operate", "{method} {path}");
    }
    let audit = story.audit();
    assert_eq!(audit.len(), 5, "{audit:?}");
    assert!(audit.iter().all(|line| line.contains("who=\"bob\" role=read") && line.contains("refused: ")), "{audit:?}");
}

#[test]
fn a_wrong_token_is_refused_said_and_soon_not_looked_at() {
    let story = Story::begin();
    let api = story.api();
    for wrong in [
        "",
        "Bearer",
        "Bearer x",
        &format!("Basic {ALICE}"),
        &format!("Bearer {ALICE}0"),
        &format!("Bearer {BOB}, {ALICE}"),
    ] {
        let reason = api.with("Authorization", wrong).get("/api/v1/status").fails(401);
        assert!(reason.contains("this token is not valid"), "{wrong}: {reason}");
    }
    let limited = (0..20).map(|_| api.token("0123456789abcdef0123456789abcdef").get("/api/v1/status"));
    let limited = limited.into_iter().find(|answered| answered.status == 429).expect("a limit");
    assert!(limited.fails(429).contains("too many log-ins have failed"));
    let wait: u64 = limited.header("retry-after").expect("a time").parse().expect("seconds");
    assert!((1..=6).contains(&wait), "{wait}");
    // Not even one that is right: it might have been guessed.
    story.alice().get("/api/v1/status").fails(429);
    let audit = story.audit();
    let refused =
        audit.iter().filter(|line| line.contains("somebody was not let in") && line.contains("from=\"127.0.0.1:"));
    assert!((6..=20).contains(&refused.count()), "{audit:?}");
    assert!(!story.host.log().contains("0123456789abcdef") && !story.host.log().contains(ALICE));
    assert_eq!(api.get("/livez").status, 200);
}

#[test]
fn a_browser_has_a_session_until_it_ends_it_or_its_token_goes() {
    let story = Story::begin();
    let api = story.api();
    let log_in = || {
        let answered = story.alice().ask("POST", "/api/v1/session", b"");
        assert_eq!(answered.succeeds(), json!({"name": "alice", "role": "operate"}));
        let cookie = answered.header("set-cookie").expect("a cookie").to_owned();
        assert!(cookie.ends_with("; Path=/; Max-Age=28800; HttpOnly; SameSite=Strict"), "{cookie}");
        cookie.split(';').next().expect("its value").to_owned()
    };
    let cookie = log_in();
    assert!(!cookie.contains(ALICE));
    let browser = api.with("Cookie", &format!("a=b; {cookie}"));
    assert_eq!(browser.get("/api/v1/session").succeeds()["name"], "alice");
    // A change takes what no other page can send.
    let change = |api: &crate::harness::Api| api.put("/api/v1/log-level", &json!({"levels": "info"}));
    assert!(change(&browser).fails(403).contains("X-Nova-Host: 1"));
    let ours = format!("http://{}", api.address());
    let marked = browser.with("X-Nova-Host", "1");
    change(&marked).succeeds();
    change(&marked.with("Origin", &ours).with("Sec-Fetch-Site", "same-origin")).succeeds();
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "https://127.0.0.1"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        assert!(change(&marked.with(name, value)).fails(403).contains("another page"), "{name}: {value}");
        assert!(change(&story.alice().with(name, value)).fails(403).contains("another page"), "{name}: {value}");
        marked.with(name, value).get("/api/v1/handlers").fails(403);
    }
    let ended = marked.ask("DELETE", "/api/v1/session", b"");
    ended.succeeds();
    assert!(ended.header("set-cookie").expect("it goes").contains("; Max-Age=0;"));
    browser.get("/api/v1/session").fails(401);

    let again = api.with("Cookie", &log_in());
    again.get("/api/v1/session").succeeds();
    write_tokens(&story.scratch, &[("bob", "read", BOB)]);
    story.host.signal("HUP");
    eventually("the end of the session", || (again.get("/api/v1/session").status == 401).then_some(()));
    story.alice().get("/api/v1/session").fails(401);
    story.bob().get("/api/v1/session").succeeds();
}

#[test]
fn without_tokens_everybody_on_this_machine_may_look_and_nobody_change() {
    let story = Story::configured("admin.listen = \"127.0.0.1:0\"");
    let api = story.api();
    api.get("/api/v1/handlers").succeeds();
    assert_eq!(api.get("/api/v1/session").succeeds(), json!({"name": "anybody on this machine", "role": "read"}));
    let reason = api.with("X-Nova-Host", "1").ask("DELETE", "/api/v1/handlers/a", b"").fails(403);
    assert!(reason.contains("and this takes operate"), "{reason}");
    // What is shown is judged, even where nothing needs to be.
    story.alice().get("/api/v1/handlers").fails(401);
    api.ask("POST", "/api/v1/session", b"").fails(401);
}

#[test]
fn names_that_others_have_for_this_machine_lead_nowhere() {
    let story = Story::configured("[admin]\nlisten = \"127.0.0.1:0\"\nnames = [\"ops.example.org\"]");
    let api = story.api();
    for host in
        ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:80", "ops.example.org:443", "Ops.Example.Org", "192.0.2.1"]
    {
        api.with("Host", host).get("/api/v1/handlers").succeeds();
    }
    for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:1", "a.ops.example.org"] {
        let reason = api.with("Host", host).get("/api/v1/handlers").fails(421);
        assert!(reason.contains("admin.names"), "{host}: {reason}");
        api.with("Host", host).get("/").fails(421);
        // Probes call us as they please.
        assert_eq!(api.with("Host", host).get("/livez").status, 200);
    }
    for head in [
        "GET /api/v1/handlers HTTP/1.0\r\n\r\n",
        "GET /api/v1/handlers HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "GET /api/v1/handlers HTTP/1.1\r\nHost: a b\r\n\r\n",
    ] {
        assert_eq!(api.say(head.as_bytes()).status, 400, "{head}");
    }
    let absolute = "GET http://evil.example/api/v1/handlers HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(api.say(absolute.as_bytes()).status, 421);
}

#[test]
fn no_answer_lets_another_page_read_it_or_a_browser_guess() {
    let story = Story::begin();
    let alice = story.alice().with("Origin", "http://evil.example");
    let page = story.api().get("/").head.to_lowercase();
    for header in [
        "cache-control: no-cache",
        "default-src 'none'; script-src 'self'",
        "frame-ancestors 'none'",
        "x-frame-options: deny",
    ] {
        assert!(page.contains(header) && !page.contains("access-control"), "no {header} in {page}");
    }
    for answered in [
        story.alice().get("/api/v1/handlers"),
        story.api().get("/nowhere"),
        story.api().get("/api/v1/handlers"),
        alice.get("/api/v1/handlers"),
        alice.with("Access-Control-Request-Method", "PUT").ask("OPTIONS", "/api/v1/log-level", b""),
    ] {
        let head = answered.head.to_lowercase();
        assert!(!head.contains("access-control"), "{head}");
        for header in [
            "cache-control: no-store",
            "content-security-policy: default-src 'none'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "referrer-policy: no-referrer",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(header), "no {header} in {head}");
        }
    }
    assert_eq!(alice.ask("OPTIONS", "/api/v1/log-level", b"").status, 405);
}

/// A stream of events, of which the head has been read; gives it, and what was answered first.
fn stream(address: &str, token: &str) -> (std::net::TcpStream, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(crate::harness::PATIENCE)).expect("a time");
    let request = format!("GET /api/v1/events HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it is taken");
    let mut head = [0; 4096];
    let read = stream.read(&mut head).expect("an answer");
    (stream, String::from_utf8_lossy(&head[..read]).into_owned())
}

#[test]
fn nobody_has_more_than_eight_streams_and_one_ends_when_its_token_is_taken_back() {
    use std::io::Read;
    let story = Story::begin();
    let api = story.api();
    let open: Vec<_> = (0..8).map(|_| stream(api.address(), ALICE)).collect();
    assert!(open.iter().all(|(_, head)| head.starts_with("HTTP/1.0 200 ")), "{:?}", open[7].1);
    let (_, refused) = stream(api.address(), ALICE);
    assert!(refused.starts_with("HTTP/1.0 503 ") && refused.contains("retry-after: 10"), "{refused}");
    let (mut other, head) = stream(api.address(), BOB);
    assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
    write_tokens(&story.scratch, &[("bob", "read", BOB)]);
    story.host.signal("HUP");
    for (mut stream, _) in open {
        stream.read_to_end(&mut Vec::new()).expect("it ends");
    }
    assert_ne!(other.read(&mut [0; 4096]).expect("it goes on"), 0);
    // Nobody has tried anything.
    assert_eq!(story.audit(), Vec::<String>::new());
}
