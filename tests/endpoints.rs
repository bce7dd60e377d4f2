//! Endpoint classes of oslo.messaging in the sandbox, as they are: `nova-host new --lang python --from`, what stands in for
//! oslo's packages, and the classes of real projects with their callers' own clients.
//!
//! `endpoints/shop/` is written as OpenStack's services are; `endpoints/carried/` has classes of some.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::harness::{Broker, OsloClient, OsloError, Scratch, Serve, Services, Vhost, nova_host, repository};

/// Runs a script to its end, and returns what it prints.
fn python(venv: &str, script: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(repository().join("target").join(venv).join("bin/python"));
    command.arg(repository().join("tests/endpoints").join(script)).args(arguments);
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("tests/setup.sh has installed it");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{script}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn what_stands_in_for_oslos_packages_does_as_they_do() {
    let (theirs, ours) = (python("venv", "behaviour.py", &["theirs"]), python("venv", "behaviour.py", &["ours"]));
    assert!(theirs.lines().count() > 300, "{theirs}");
    let different: Vec<_> = theirs.lines().zip(ours.lines()).filter(|(theirs, ours)| theirs != ours).collect();
    assert!(different.is_empty(), "theirs and ours: {different:#?}");
    assert_eq!(theirs.lines().count(), ours.lines().count());
}

/// Runs the program in a folder, with the tools of Python.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(nova_host());
    command.args(arguments).current_dir(folder);
    command.env("PATH", format!("{}/bin:{path}", repository().join("target/tools").display()));
    command.output().expect("the program runs")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What a manifest has to say of the classes of all projects.
const MANIFEST: &str = r#"
grants.rpc = ["compute/*", "scheduler/*"]
limits.timeout = "2m"
[config]
articles = "chair, table"
"shop.open" = "yes"
[[selftest]]
method = "is_alive"
expect = true
"#;

/// A folder with the component of all classes, and the code of it: `handlers/` and `cache/`.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = repository().join("target/endpoints");
        // What an earlier run has made; its cache is of use.
        std::fs::remove_dir_all(folder.join("shop")).ok();
        std::fs::create_dir_all(&folder).expect("target/ is writable");
        let from = |venv: &str, file: &str| {
            let packages = repository().join("target").join(venv).join("lib");
            let python = std::fs::read_dir(&packages).expect("it is there").flatten().next().expect("Python's folder");
            format!("{}/site-packages/{file}", python.path().display())
        };
        let here = |file: &str| format!("{}/tests/endpoints/{file}", repository().display());
        let classes = [
            here("shop/manager.py:OrderManager,OrderManagerV2,LaterOrders,First,Second"),
            from("venv-nova", "nova/baserpc.py:BaseRPCAPI"),
            from("venv", "oslo_messaging/tests/functional/utils.py:TestServerEndpoint"),
            here("carried/magnum/conductor/handlers/conductor_listener.py:Handler"),
            here("carried/solum/worker/handlers/noop.py:Handler"),
            here("carried/vitrage/api_handler/apis/operational.py:OperationalApis"),
        ];
        let mut new = vec!["new", "--lang", "python", "shop"];
        new.extend(classes.iter().flat_map(|class| ["--from", class]));
        let made = run(&folder, &new);
        assert!(made.status.success(), "{}", said(&made));
        // All that a sandbox cannot have has been left out.
        assert!(!said(&made).contains("what a sandbox cannot have"), "{}", said(&made));
        let read = |file: &str| std::fs::read_to_string(folder.join(file)).expect("new writes it");
        let app = read("shop/app.py");
        let given = app
            .replace("service_name=None, backdoor_port=None", "service_name=\"shop\", backdoor_port=4444")
            .replace("graph=None", "graph=__import__(\"types\").SimpleNamespace(ready=True)");
        assert_eq!((app.matches("None").count(), given.matches("None").count()), (3, 0), "{app}");
        std::fs::write(folder.join("shop/app.py"), given).expect("it is writable");
        let manifest = read("shop/shop.toml");
        assert!(manifest.contains("# grants.rpc = [\"compute/*\", \"scheduler/*\"]"), "{manifest}");
        assert!(manifest.contains("# Options that they read: articles, max_orders, open."), "{manifest}");
        std::fs::write(folder.join("shop/shop.toml"), MANIFEST).expect("it is writable");
        let cache = format!("handlers.cache={}/cache", folder.display());
        let build = [
            "build",
            "shop",
            "--output",
            "handlers/shop.wasm",
            "--set",
            &cache,
            "--set",
            "handlers.compile_timeout=1h",
        ];
        let made = run(&folder, &build);
        assert!(made.status.success() && said(&made).contains("1 passed"), "{}", said(&made));
        folder
    })
}

/// The component on a broker, and a client that knows nova's exceptions.
struct Story {
    client: OsloClient,
    host: Serve,
    vhost: Vhost,
}

impl Story {
    fn begin() -> Self {
        let vhost = Broker::shared().vhost();
        let folder = built().display();
        let host = Serve::with_config(&format!(
            "transport_url = \"{}\"\nserver = \"host-1\"\nlog = \"debug,lapin=off\"\n\
             handlers.directory = \"{folder}/handlers\"\nhandlers.cache = \"{folder}/cache\"",
            vhost.url(),
        ));
        let client = OsloClient::allowing(&vhost.url(), &["nova.exception"]);
        Self { client, host, vhost }
    }

    fn call(&self, namespace: Option<&str>, version: &str, method: &str, args: Value) -> Result<Value, Box<OsloError>> {
        let mut request = json!({
            "topic": "conductor", "version": version, "method": method, "args": args, "timeout": 120,
            "context": {"user_id": "u-1"},
        });
        if let Some(namespace) = namespace {
            request["namespace"] = json!(namespace);
        }
        self.client.call(request)
    }

    /// What it raises, where the client knows nothing of the class: class and first line.
    fn raised(&self, namespace: Option<&str>, version: &str, method: &str, args: Value) -> (String, String) {
        let error = self.call(namespace, version, method, args).expect_err("it raises");
        let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        match &error.remote {
            Some(remote) => (remote.exc_type.clone(), first(remote.value.as_str().unwrap_or_default())),
            None => (error.class.clone(), first(&error.text)),
        }
    }

    fn ok(&self, namespace: Option<&str>, version: &str, method: &str, args: Value) -> Value {
        self.call(namespace, version, method, args).unwrap_or_else(|error| panic!("{method}: {error:?}"))
    }
}

#[test]
fn endpoint_classes_are_chosen_and_answer_as_oslos_dispatcher_has_it() {
    let mut story = Story::begin();
    let orders = Some("orders");
    let chair = json!({"article": "chair"});
    // Arguments, options, the context, and values that JSON has no words for.
    let order = story.ok(orders, "1.3", "order", chair.clone());
    let expected = json!({
        "id": "00000000-0000-0000-0000-000000000007", "at": "2026-01-02T03:04:05.000000", "user": "u-1", "open": true,
        "words": "password = ***",
    });
    assert_eq!(order, expected);
    // Namespaces that it has had before, and versions: of those that fit, the first.
    assert_eq!(story.ok(Some("old_orders"), "1.0", "order", chair.clone()), expected);
    assert_eq!(story.ok(orders, "1.0", "order", chair.clone()), expected);
    assert_eq!(story.ok(orders, "1.4", "order", chair.clone()), "1.5 of chair");
    assert_eq!(story.ok(orders, "1.2", "cancel", json!({})), "canceled");
    assert_eq!(story.ok(orders, "2.0", "order", chair.clone()), "2.0 of chair");
    assert_eq!(story.raised(orders, "3.0", "order", chair.clone()).0, "UnsupportedVersion");
    assert_eq!(story.raised(Some("others"), "1.0", "order", chair).0, "UnsupportedVersion");
    assert_eq!(story.raised(orders, "1.0", "_private", json!({})).0, "NoSuchMethod");
    assert_eq!(story.raised(orders, "1.0", "attribute", json!({})).0, "NoSuchMethod");
    assert_eq!(story.raised(orders, "1.0", "target", json!({})).0, "NoSuchMethod");
    // Of two with one namespace and version, the first has what both have.
    let both = ["both", "only_first", "only_second"].map(|method| story.ok(None, "1.0", method, json!({})));
    assert_eq!(both, [json!("first"), json!(1), json!(2)]);
    // Exceptions that are expected, and others; of the endpoint's own modules and of Python's.
    let stock = story.raised(orders, "1.0", "order", json!({"article": "sofa"}));
    assert_eq!(stock, ("OutOfStock".to_owned(), "There is no sofa left.".to_owned()));
    let many = story.raised(orders, "1.0", "order", json!({"article": "chair", "count": 9}));
    assert_eq!(many, ("ValueError".to_owned(), "9 is more than 3".to_owned()));
    assert_eq!(story.raised(orders, "1.0", "fail_twice", json!({})).0, "KeyError");
    for line in ["shop.manager: [order] ordered 1 of chair", "shop.manager: it goes on"] {
        story.host.wait_for_log(line);
    }
}

#[test]
fn endpoint_classes_ask_others_through_their_rpc_api_classes() {
    let story = Story::begin();
    let services = Services::start(&story.vhost.url());
    assert_eq!(story.ok(Some("orders"), "1.0", "deliver", json!({"count": 2})), json!(["host1", "host2"]));
    let asked = services.next();
    assert_eq!((&asked["service"], &asked["method"]), (&json!("scheduler"), &json!("select_destinations")));
    assert_eq!(
        (&asked["args"]["request_spec"], &asked["context"]["user_id"]),
        (&json!({"num_instances": 2}), &json!("u-1"))
    );
    let mut told =
        [services.next(), services.next()].map(|told| (told["service"].to_string(), told["args"]["number"].clone()));
    told.sort_by_key(|(service, _)| service.clone());
    assert_eq!(told, [("\"host1\"".to_owned(), json!(0)), ("\"host2\"".to_owned(), json!(1))]);
    // An exception of a module that the handler does not allow is a RemoteError in it; uncaught, it reaches the caller.
    services.behave("none");
    let caught = story.ok(Some("orders"), "1.0", "try_to_deliver", json!({}));
    assert_eq!(caught, json!(["NoValidHost", "No valid host was found. all full"]));
}

#[test]
fn endpoint_classes_of_real_projects_answer_their_own_clients() {
    let mut story = Story::begin();
    // nova's, asked by nova's own client of it.
    let base: Value = serde_json::from_str(python("venv-nova", "baseapi.py", &[&story.vhost.url(), "host-1"]).trim())
        .expect("it prints JSON");
    assert_eq!(base["ping"], json!({"service": "shop", "arg": {"a": [1, null]}}));
    assert_eq!(base["port"], 4444);
    let newer = base["newer"].as_str().unwrap_or_default();
    assert!(newer.starts_with("RemoteError: Remote error: UnsupportedVersion"), "{base}");
    // oslo.messaging's. What an endpoint keeps in itself is gone with the request.
    for _ in 0..2 {
        assert_eq!(story.ok(None, "1.0", "add", json!({"increment": 3})), 3);
    }
    let negative = story.raised(None, "1.0", "subtract", json!({"increment": 3}));
    assert_eq!(negative, ("ValueError".to_owned(), "ival can't go negative!".to_owned()));
    assert_eq!(story.ok(None, "1.0", "append", json!({"text": "stack"})), "stack");
    assert_eq!(story.ok(None, "1.0", "long_running_task", json!({"seconds": 0})), Value::Null);
    // Those of magnum, solum and vitrage.
    assert_eq!(story.ok(None, "1.0", "ping_conductor", json!({})), true);
    let echo = json!({"topic": "conductor", "method": "echo", "args": {"message": "from solum"}});
    story.client.cast(echo).expect("the broker has it");
    story.host.wait_for_log("solum.worker.handlers.noop: from solum");
    assert_eq!(story.ok(None, "1.0", "is_alive", json!({})), true);
}

/// A module that nobody may run.
const MODULE: &str = r#"
import socket
import threading

import eventlet
import oslo_messaging
from oslo_utils import netutils, timeutils
import pureone
from missing import nothing

open("was-run", "w").close()


class Endpoint(object):
    def where(self, ctxt):
        import json
        return json.dumps([socket.gethostname(), netutils.get_my_ipv4(), pureone.one, nothing])

    def tell(self, ctxt):
        eventlet.spawn(oslo_messaging.Notifier, timeutils.utcnow())


class Other:
    def run(self, ctxt, threads=threading):
        return threads
"#;

#[test]
fn what_a_sandbox_cannot_have_is_listed_with_file_and_line_and_nothing_is_run() {
    let folder = Scratch::new();
    folder.write("endpoints.py", MODULE);
    let made = run(folder.path(), &["new", "--lang", "python", "listed", "--from", "endpoints.py:Endpoint"]);
    let report = said(&made);
    assert!(made.status.success(), "{report}");
    for (line, words) in [
        (2, "socket: the sandbox has no sockets"),
        (5, "eventlet: the sandbox has one thread"),
        (7, "oslo_utils.netutils: the sandbox's oslo_utils does not have it"),
        (8, "pureone: bring it along, if it is Python alone: pip install --no-deps --target PROJECT pureone"),
        (9, "missing: bring it along"),
        (20, "oslo_messaging.Notifier: the sandbox's oslo_messaging does not have it"),
    ] {
        let expected = format!("endpoints.py:{line}: {words}");
        assert!(report.contains(&expected), "no {expected:?} in {report}");
    }
    assert!(report.contains("left out, for no class needs it: threading (3), line 11, Other (23)"), "{report}");
    assert!(!folder.path().join("was-run").exists(), "the module was run");
    let brought = std::fs::read_to_string(folder.path().join("listed/endpoints.py")).expect("it is there");
    assert!(!brought.contains("threading") && brought.contains("eventlet.spawn"), "{brought}");
}

#[test]
fn what_cannot_be_brought_is_refused_and_leaves_nothing_behind() {
    let folder = Scratch::new();
    folder.write("endpoints.py", MODULE);
    folder.write("broken.py", "def :\n");
    folder.write("app.py", "class A: pass\n");
    folder.write("latin.py", b"# \xff\n");
    for (from, words) in [
        ("endpoints.py:Missing", "no class Missing at its top; there is Endpoint, Other"),
        ("nowhere.py:A", "nowhere.py: No such file or directory"),
        ("broken.py:A", "broken.py:1: Python cannot read it"),
        ("app.py:A", "app is the name of a module of the project's own"),
        ("latin.py:A", "not UTF-8"),
        ("endpoints.txt:A", "a file that ends in .py"),
        ("endpoints.py", "it takes a file and a class in it"),
        ("endpoints.py:A;B", "it takes a file and a class in it"),
    ] {
        let made = run(folder.path(), &["new", "--lang", "python", "refused", "--from", from]);
        assert!(!made.status.success() && said(&made).contains(words), "{from}: {}", said(&made));
        assert!(!folder.path().join("refused").exists(), "{from}");
    }
    let other = run(folder.path(), &["new", "--lang", "go", "refused", "--from", "endpoints.py:Endpoint"]);
    assert!(said(&other).contains("say --lang python"), "{}", said(&other));
    let mut command = Command::new(nova_host());
    command.args(["new", "--lang", "python", "refused", "--from", "endpoints.py:Endpoint"]);
    let without = command.current_dir(folder.path()).env("PATH", "/nowhere").output().expect("the program runs");
    assert!(said(&without).contains("python3 is not installed"), "{}", said(&without));
}
