//! The operator's page, as an operator sees it: in Chromium, against a service that serves.

use std::net::TcpListener;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::guest::{LOOP, answering, guest, guest_with};
use crate::harness::{Api, Broker, DESK, OsloClient, Page, Scratch, Screen, Serve, Vhost};

/// All that a browser loads before it shows anything.
const MAX_PAGE: u64 = 150_000;

/// A method that would be an image, and run something, where a page takes it for markup.
const EVIL: &str = "<img src=x onerror=alert(document.domain)>";

/// Tokens of somebody who may change something, and of somebody who may not.
const OPERATE: &str = "an-operators-token-0123456789abcdef";
const READ: &str = "an-onlookers-token-0123456789abcdef";

/// Screens that people have.
const SCREENS: [Screen; 5] = [
    Screen { width: 400, height: 900, scheme: "light" },
    Screen { width: 400, height: 900, scheme: "dark" },
    DESK,
    Screen { width: 1280, height: 900, scheme: "dark" },
    Screen { width: 3840, height: 2160, scheme: "light" },
];

/// A service with the admin API, and a caller of it.
struct Story {
    host: Serve,
    client: OsloClient,
    configuration: String,
    url: String,
    scratch: Scratch,
    _vhost: Vhost,
}

impl Story {
    /// Starts with these files in the directory of handlers.
    fn begin(files: &[(&str, Vec<u8>)]) -> Self {
        let (vhost, scratch) = (Broker::shared().vhost(), Scratch::new());
        scratch.write("handlers/.keep", "");
        for (name, content) in files {
            scratch.write(&format!("handlers/{name}"), content);
        }
        let hash = |token: &str| Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let tokens = format!("alice operate sha256:{}\nbob read sha256:{}\n", hash(OPERATE), hash(READ));
        private(&scratch.write("tokens", tokens));
        // A port of its own, which stays the same when the host starts again.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
        let configuration = format!(
            "transport_url = \"{}\"\nserver = \"host-1\"\nhandlers.directory = \"{path}/handlers\"\n\
             control.socket = \"{path}/control.sock\"\nlog = \"info,handler=debug\"\n\
             [admin]\nlisten = \"127.0.0.1:{port}\"\ntokens = \"{path}/tokens\"\n",
            vhost.url(),
            path = scratch.path().display(),
        );
        let host = Serve::with_config(&configuration);
        let client = OsloClient::start(&vhost.url());
        Self { host, client, configuration, url: format!("http://127.0.0.1:{port}/"), scratch, _vhost: vhost }
    }

    /// Opens the page and logs in.
    fn page(&self, token: &str) -> Page {
        let page = Page::open(&self.url);
        log_in(&page, token);
        page
    }

    fn call(&self, namespace: Option<&str>, method: &str) -> Result<Value, String> {
        let request = json!({"topic": "conductor", "namespace": namespace, "method": method, "args": {}});
        self.client.call(request).map_err(|error| error.class)
    }
}

/// Only its owner may read it.
fn private(path: &PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
}

fn log_in(page: &Page, token: &str) {
    page.shows("dialog h2", "Log in");
    page.ask("fill", json!(["#ask-token", token]));
    page.press("Enter");
    page.shows("#phase", "serving");
    page.hides("dialog h2", "Log in");
}

/// A component whose only method has this name.
fn named(method: &str) -> Vec<u8> {
    let name: String = method.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let length: String =
        u32::try_from(method.len()).expect("a name").to_le_bytes().map(|byte| format!("\\{byte:02x}")).concat();
    // The list of methods at 300 is one text, which lies at 2500.
    let fields = format!(r#"(data (i32.const 300) "\c4\09\00\00{length}") (data (i32.const 2500) "{name}")"#);
    guest_with(crate::harness::guest::DESCRIBE, "(i32.const 400) (unreachable)", &fields)
}

/// A manifest that has a handler answer in a namespace of its own.
fn in_namespace(name: &str) -> Vec<u8> {
    format!("[[endpoint]]\nnamespace = \"{name}\"\n").into_bytes()
}

#[test]
fn a_handler_shows_with_its_rates_a_failure_with_its_frames_and_markup_as_the_text_that_it_is() {
    let story = Story::begin(&[
        ("calculator.wasm", answering("7")),
        ("broken.wasm", guest("(unreachable)")),
        ("broken.toml", in_namespace("broken")),
        ("evil.wasm", named(EVIL)),
        ("evil.toml", in_namespace("evil")),
    ]);
    let page = story.page(READ);
    page.shows("#handlers tbody", "calculator");
    page.hides("#handlers tbody tr .number", "1 / min");
    assert_eq!(story.call(None, "m"), Ok(json!(7)));
    page.shows("#handlers tbody tr .number", "1 / min");
    story.call(Some("broken"), "m").expect_err("it traps");
    page.shows("#failures summary", "HandlerTrapped");
    page.ask("click", json!(["#failures summary"]));
    page.shows("#failures .frames li", "at ");
    page.ask("title", json!(["1 failing"]));
    page.shows("#handlers .chip", "HandlerTrapped 1");
    page.shows("#log li", "broken");
    // A name that a handler has, in the methods, in a failure, and in the log.
    story.call(Some("evil"), EVIL).expect_err("it traps");
    page.shows("#failures .method", EVIL);
    page.ask("click", json!(["[aria-label='1 method of evil']"]));
    page.shows("#handlers .methods th", EVIL);
    // One that nobody has.
    story.call(Some("evil"), "<script>alert(1)</script>").expect_err("nobody answers");
    assert_eq!(page.evaluate("document.querySelectorAll('img, body script').length"), 0);
    page.is_for_everybody("with failures");
    page.shot("failures");
}

#[test]
fn a_request_in_flight_shows_with_its_age_until_it_ends_at_a_limit_and_the_log_is_told_apart_by_handler() {
    let slow = [&in_namespace("slow")[..], b"[limits]\ntimeout = \"6s\"\n"].concat();
    let files = [("calculator.wasm", answering("7")), ("slow.wasm", guest(LOOP)), ("slow.toml", slow)];
    let story = Story::begin(&files);
    let page = story.page(READ);
    let request = json!({"topic": "conductor", "namespace": "slow", "method": "m", "args": {}});
    let outstanding = story.client.start_call(request);
    page.shows("#requests td", "slow.m");
    page.shows("#requests .state", "running");
    page.shows("#requests .number", " s");
    page.shows("#facts div", "In flight\n1");
    outstanding.wait().outcome.expect_err("it runs out of time");
    page.shows("#requests .empty", "No request is in flight");
    page.shows("#failures summary", "HandlerTimedOut");
    page.shows("#handlers .chip.warn", "timeout 1");
    page.shows("#log li", "timed_out");
    page.shows("#log li .of", "calculator");
    page.ask("choose_option", json!(["#log-of", "slow"]));
    page.hides("#log li .of", "calculator");
    page.shows("#log li", "timed_out");
}

#[test]
fn who_has_only_a_keyboard_logs_in_rolls_back_and_removes_after_being_asked_once_more() {
    let story = Story::begin(&[("calculator.wasm", answering("1"))]);
    let page = story.page(OPERATE);
    page.shows("#who", "alice: operate");
    page.shows("#handlers tbody", "generation 1");
    // A new version, from the page.
    let second = story.scratch.write("second.wasm", answering("2"));
    page.tab_to("Swap calculator");
    page.press("Enter");
    page.shows("dialog h2", "Swap calculator");
    page.is_for_everybody("asked for a file");
    page.ask("choose", json!(["#ask-file", second.display().to_string()]));
    page.press("Enter");
    page.tab_to("Swap");
    page.press("Enter");
    page.shows("#says", "calculator is replaced: generation 2 instead of 1.");
    page.shows("#handlers tbody", "generation 2");
    assert_eq!(story.call(None, "m"), Ok(json!(2)));
    // Back. The first Enter asks, the second is on what changes nothing.
    page.tab_to("Roll back calculator");
    page.press("Enter");
    page.shows("dialog p", "generation 1 (");
    page.is_for_everybody("asked once more");
    assert_eq!(page.ask("focused", json!([])), "Cancel");
    page.press("Enter");
    assert_eq!(page.ask("focused", json!([])), "Roll back calculator");
    assert_eq!(story.call(None, "m"), Ok(json!(2)));
    page.press("Enter");
    page.tab_to("Roll back");
    page.press("Enter");
    page.shows("#says", "calculator is rolled back: generation 1 instead of 2.");
    page.shows("#handlers tbody", "generation 1");
    assert_eq!(story.call(None, "m"), Ok(json!(1)));
    // What is refused is said where it was asked for, and nothing has changed.
    let broken = story.scratch.write("broken.wasm", "no component");
    page.tab_to("Swap calculator");
    page.press("Enter");
    page.ask("choose", json!(["#ask-file", broken.display().to_string()]));
    page.tab_to("Swap");
    page.press("Enter");
    page.shows("#ask-error", "not WebAssembly");
    page.press("Escape");
    page.shows("#handlers .note", "Refused");
    page.tab_to("Remove calculator");
    page.press("Enter");
    page.tab_to("Remove");
    page.press("Enter");
    page.shows("#says", "calculator is removed.");
    page.shows("#handlers .empty", "No handler yet");
    page.ask("title", json!(["no handler is served"]));
    let log = story.host.log();
    assert!(
        log.lines().any(|line| line.contains("audit") && line.contains("alice") && line.contains("remove")),
        "{log}"
    );
    assert!(!log.contains(OPERATE), "{log}");
}

#[test]
fn a_canary_shows_below_its_handler_and_who_has_only_a_keyboard_pauses_resumes_aborts_and_promotes_it() {
    let story = Story::begin(&[("calculator.wasm", answering("1"))]);
    let page = story.page(OPERATE);
    page.shows("#handlers tbody", "generation 1");
    let begin = |result: &str| {
        let api = Api::of(&story.host).token(OPERATE).with("Content-Type", "application/wasm");
        let path = "/api/v1/handlers/calculator/canary?steps=25%25,50%25&every=1h";
        assert_eq!(api.ask("POST", path, &answering(result)).succeeds()["answer"], "on-trial");
    };
    let change = |verb: &str| {
        page.tab_to(&format!("{verb} the canary of calculator"));
        page.press("Enter");
        page.shows("dialog h2", &format!("{verb} the canary of calculator?"));
        page.tab_to(verb);
        page.press("Enter");
    };
    begin("2");
    page.shows("#says", "calculator: canary running");
    page.shows("#handlers .under", "Canary running: generation 2 (");
    page.shows("#handlers .under", "gets 25% of the requests, step 1 of 2");
    for _ in 0..8 {
        story.call(None, "m").expect("one of both answers");
    }
    page.shows("#handlers .under", "0 failed beside it on generation 1");
    page.is_for_everybody("with a canary");
    page.shot("canary");
    change("Pause");
    page.shows("#handlers .note", "Canary paused: generation 2 (");
    change("Resume");
    page.shows("#handlers .under", "Canary running: generation 2 (");
    change("Abort");
    page.shows("#handlers .under", "Canary rolled back");
    page.hides("#handlers .under button", "Abort");
    assert_eq!(story.call(None, "m"), Ok(json!(1)));
    begin("3");
    page.shows("#handlers .under", "Canary running: generation 3 (");
    change("Promote");
    page.shows("#handlers tbody", "generation 3");
    page.shows("#handlers .under", "Canary promoted");
    assert_eq!(story.call(None, "m"), Ok(json!(3)));
}

#[test]
fn who_may_only_look_is_told_why_nothing_can_be_changed() {
    let story = Story::begin(&[("calculator.wasm", answering("1"))]);
    let page = story.page(READ);
    page.shows("#who", "bob: read");
    page.shows("#may-not", "that takes the role operate");
    page.tab_to("Remove calculator");
    page.press("Enter");
    page.shows("#says", "that takes the role operate");
    assert_eq!(page.evaluate("document.querySelector('dialog').open"), false);
    assert_eq!(page.evaluate("document.querySelectorAll('.change:not([aria-disabled=true])').length"), 0);
    // Also where somebody asks without the page.
    let status = page.evaluate(
        "fetch('api/v1/handlers/calculator', {method: 'DELETE', headers: {'X-Nova-Host': '1'}}).then((answer) => answer.status)",
    );
    assert_eq!(status, 403);
    // Who logs out sees nothing more.
    page.ask("click", json!(["#log-out"]));
    page.shows("dialog h2", "Log in");
    page.ask("fill", json!(["#ask-token", "not-a-token-0123456789abcdef0123"]));
    page.press("Enter");
    page.shows("#ask-error", "not valid");
    page.ask("fill", json!(["#ask-token", OPERATE]));
    page.press("Enter");
    page.shows("#who", "alice: operate");
    page.hides("#may-not", "operate");
}

#[test]
fn the_page_says_that_the_host_has_gone_and_is_right_once_it_is_there_again() {
    let mut story = Story::begin(&[("calculator.wasm", answering("1"))]);
    let page = story.page(OPERATE);
    page.shows("#handlers tbody", "calculator");
    page.shows("#facts", &story.host.pid().to_string());
    // The page looks while the host ends, and does not hold it up.
    assert!(story.host.stop().success());
    let log = story.host.log();
    assert!(!log.contains("has not ended within"), "{log}");
    page.shows("#lost", "The connection to the host is lost");
    page.shows("#lost", "What you see is from");
    page.ask("title", json!(["connection lost"]));
    story.scratch.write("handlers/second.wasm", guest(LOOP));
    story.scratch.write("handlers/second.toml", in_namespace("second"));
    story.host = Serve::with_config(&story.configuration);
    // Sessions are known to the process that began them.
    log_in(&page, OPERATE);
    page.hides("#lost", "lost");
    page.shows("#handlers tbody", "second");
    page.shows("#facts", &story.host.pid().to_string());
}

#[test]
fn the_page_is_for_everybody_on_every_screen_and_small() {
    let long = "a_name_that_is_as_long_as_somebody_could_make_it_without_thinking_of_those_who_read_it";
    let story = Story::begin(&[
        ("calculator.wasm", answering("7")),
        (&format!("{long}.wasm"), named(&long.repeat(2))),
        (&format!("{long}.toml"), in_namespace(long)),
        ("refused.wasm", b"no component".to_vec()),
        ("refused.toml", in_namespace("refused")),
    ]);
    let page = Page::start();
    for (screen, number) in SCREENS.into_iter().zip(0..) {
        page.go(&story.url, screen);
        log_in(&page, READ);
        page.shows("#handlers tbody", "refused");
        if number == 0 {
            story.call(Some(long), &long.repeat(2)).expect_err("it traps");
        }
        page.shows("#failures summary", long);
        page.evaluate(
            "document.querySelectorAll('#handlers button[aria-expanded=false]').forEach((one) => one.click())",
        );
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })");
        page.is_for_everybody(&format!("{screen:?}"));
        let wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        assert_eq!(wider, 0, "{screen:?}");
        page.shot(&format!("screen-{}-{}", screen.width, screen.scheme));
    }
    let bytes = page.evaluate(
        "performance.getEntriesByType('resource').filter((one) => !one.name.includes('/api/')).map((one) => one.decodedBodySize)
         .concat(performance.getEntriesByType('navigation').map((one) => one.decodedBodySize)).reduce((a, b) => a + b)",
    );
    assert!(bytes.as_u64().is_some_and(|bytes| (20_000..MAX_PAGE).contains(&bytes)), "{bytes}");
    page.go(&story.url, DESK);
    page.shows("dialog h2", "Log in");
    let paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime");
    eprintln!("the page has {bytes} bytes; first paint after {paint} ms");
}
