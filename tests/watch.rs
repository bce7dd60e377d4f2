//! `nova-host watch` beside a live Python service: what it counts, and that the service notices nothing.

mod burst;
pub(crate) mod docs;
mod refused;
mod screen;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::{Value, json};

use crate::harness::{
    Broker, OsloClient, OsloServer, PATIENCE, Scratch, Services, Vhost, eventually, handlers, nova_host, process, tie,
};

/// What the log says when it watches.
const READY: &str = "connected to RabbitMQ";

/// A running watcher. Ends with the value.
struct Watching {
    child: Child,
    scratch: Scratch,
}

impl Watching {
    /// Starts one that prints JSON, with more arguments, and waits until it watches.
    fn json(vhost: &Vhost, arguments: &[&str]) -> Self {
        Self::start(vhost, &[&["--json"], arguments].concat())
    }

    fn start(vhost: &Vhost, arguments: &[&str]) -> Self {
        let scratch = Scratch::new();
        let file = |name| File::create(scratch.path().join(name)).expect("the scratch directory is writable");
        let mut command = command(&scratch);
        let url = vhost.url();
        let at: &[&str] = if arguments.contains(&"--transport-url") { &[] } else { &["--transport-url", &url] };
        command.args(["watch", "--log", "info"]).args(at).args(arguments);
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("log"));
        let child = tie(&mut command).spawn().expect("it runs");
        let mut watching = Self { child, scratch };
        watching.wait_for_connections(1);
        watching
    }

    /// Waits until it has connected so many times.
    fn wait_for_connections(&mut self, times: usize) {
        eventually("it to watch", || {
            let ended = self.child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "it ended: {}", self.log());
            (self.log().matches(READY).count() >= times).then_some(())
        });
    }

    fn log(&self) -> String {
        fs::read_to_string(self.scratch.path().join("log")).expect("its log")
    }

    fn stdout(&self) -> String {
        fs::read_to_string(self.scratch.path().join("stdout")).expect("its output")
    }

    fn signal(&self, name: &str) {
        process::signal(self.child.id(), name);
    }

    /// Tells it to end, and waits for that.
    fn end(&mut self) -> ExitStatus {
        self.signal("INT");
        process::wait(&mut self.child, PATIENCE).expect("it ends")
    }

    /// Ends it, and reads its report.
    fn report(mut self) -> Value {
        assert!(self.end().success(), "{}", self.log());
        serde_json::from_str(&self.stdout()).unwrap_or_else(|error| panic!("{error}: {}", self.stdout()))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The program in a directory of its own.
fn command(scratch: &Scratch) -> Command {
    let mut command = Command::new(nova_host());
    command.current_dir(scratch.path()).env_remove("NOVA_HOST_SOAK").env_remove("NOVA_HOST_BENCH");
    command
}

/// What is told of a method.
fn method<'a>(report: &'a Value, namespace: Option<&str>, name: &str) -> &'a Value {
    let methods = report["methods"].as_array().expect("methods");
    let is_it = |method: &&Value| method["namespace"] == json!(namespace) && method["method"] == name;
    methods.iter().find(is_it).unwrap_or_else(|| panic!("no {name} in {report:#}"))
}

/// The queues of watchers.
fn queues_of_watchers(vhost: &Vhost) -> Vec<String> {
    vhost.queues().into_keys().filter(|name| name.contains("watch")).collect()
}

/// A service whose servers have gone: its queue is there, and fills.
fn deserted() -> Vhost {
    deserted_on(Broker::shared())
}

fn deserted_on(broker: &Broker) -> Vhost {
    let vhost = broker.vhost();
    vhost.declare_transient_exchange("nova", "topic");
    vhost.declare_transient_exchange("conductor_fanout", "fanout");
    vhost.declare_queue("conductor", &json!({}));
    vhost.bind("nova", "conductor", "conductor");
    vhost
}

fn call(method: &str, more: &Value) -> Value {
    let mut call = json!({"topic": "conductor", "method": method});
    for (key, value) in more.as_object().expect("an object") {
        call[key] = value.clone();
    }
    call
}

#[test]
fn everything_is_counted_and_the_service_gets_it_as_before() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let client = OsloClient::start(&vhost.url());
    let watching = Watching::json(&vhost, &["--topic", "conductor"]);
    let exchanges = vhost.exchanges();

    for (count, version) in [(2, "1.3"), (3, "1.0")] {
        for number in 0..count {
            let more = json!({"version": version, "args": {"n": number}, "context": {"auth_token": "gAAAA-secret"}});
            assert_eq!(client.call(call("echo", &more)).expect("an answer"), json!({"n": number}));
        }
    }
    client.call(call("echo", &json!({"server": "python-1"}))).expect("an answer");
    client.call(call("echo", &json!({"namespace": "compute_task", "version": "2.0"}))).expect("an answer");
    client.cast(call("nothing", &json!({"fanout": true}))).expect("the broker takes it");
    for _ in 0..3 {
        client.cast(call("nothing", &json!({}))).expect("the broker takes it");
    }
    client.call(call("missing", &json!({}))).expect_err("it has none");
    let other = OsloClient::start(&vhost.url());
    other.call(call("echo", &json!({}))).expect("an answer");
    vhost.eventually("conductor", |queue| queue.ready == 0 && queue.unacknowledged == 0);

    let output = watching.log();
    let report = watching.report();
    assert_eq!((&report["exchange"], &report["topics"]), (&json!("nova"), &json!(["conductor"])));
    assert_eq!((&report["requests"], &report["undecodable"], &report["replies"]), (&json!(13), &json!(0), &json!(0)));
    assert_eq!((&report["unseen"]["dropped"], &report["others"]), (&json!(0), &Value::Null));
    let echo = method(&report, None, "echo");
    assert_eq!(
        (&echo["calls"], &echo["casts"], &echo["fanout"], &echo["directed"]),
        (&json!(7), &json!(0), &json!(0), &json!(1))
    );
    assert_eq!(echo["versions"], json!({"lowest": "1.0", "highest": "1.3", "unreadable": 0}));
    assert_eq!((&echo["callers"]["distinct"], &echo["callers"]["busiest"][0]["calls"]), (&json!(2), &json!(6)));
    assert!(echo["callers"]["busiest"][0]["queue"].as_str().expect("a name").starts_with("reply_"));
    let (p50, largest) = (echo["body"]["p50"].as_u64(), echo["body"]["largest"].as_u64());
    assert!(p50 > Some(100) && p50 <= largest && largest < Some(2000), "{echo}");
    assert!(echo["calls_per_second"].as_f64() > Some(0.0) && echo["handlers"].is_null(), "{echo}");
    assert_eq!(method(&report, Some("compute_task"), "echo")["versions"]["lowest"], "2.0");
    let nothing = method(&report, None, "nothing");
    assert_eq!((&nothing["calls"], &nothing["casts"], &nothing["fanout_share"]), (&json!(0), &json!(4), &json!(0.25)));
    assert_eq!(method(&report, None, "missing")["calls"], 1);
    for secret in ["gAAAA-secret", "auth_token", "guest:guest"] {
        assert!(!report.to_string().contains(secret) && !output.contains(secret), "{secret}");
    }
    assert_eq!(vhost.exchanges(), exchanges);
    assert_eq!(queues_of_watchers(&vhost), [""; 0]);
}

#[test]
fn casts_to_one_server_and_to_all_arrive_where_they_did_and_are_counted_by_topic() {
    let vhost = Broker::shared().vhost();
    let services = Services::start(&vhost.url());
    let client = OsloClient::start(&vhost.url());
    let watching = Watching::json(&vhost, &["--topic", "compute", "--topic", "scheduler"]);
    let build = |more: Value| {
        let mut cast = json!({"topic": "compute", "method": "build_and_run_instance", "version": "6.4"});
        cast.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        client.cast(cast).expect("the broker takes it");
    };
    let next = || services.next()["service"].as_str().expect("a name").to_owned();

    build(json!({"server": "host2"}));
    assert_eq!(next(), "host2");
    build(json!({"fanout": true}));
    let mut both = [next(), next()];
    both.sort();
    assert_eq!(both, ["host1", "host2"]);
    let select = json!({"topic": "scheduler", "method": "select_destinations", "version": "4.5",
        "args": {"instance_uuids": ["u"], "return_objects": true}});
    client.call(select).expect("hosts");
    assert_eq!(next(), "scheduler");

    let report = watching.report();
    let build = method(&report, None, "build_and_run_instance");
    assert_eq!((&build["topic"], &build["casts"]), (&json!("compute"), &json!(2)));
    assert_eq!((&build["fanout"], &build["directed"]), (&json!(1), &json!(1)));
    assert_eq!(method(&report, None, "select_destinations")["topic"], "scheduler");
}

#[test]
fn our_handlers_are_asked_what_they_would_do() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let client = OsloClient::start(&vhost.url());
    let directory = Scratch::new();
    fs::copy(handlers().join("calculator.wasm"), directory.path().join("calculator.wasm")).expect("it is built");
    let watching = Watching::json(&vhost, &["--handlers", &directory.path().display().to_string()]);
    client.call(call("add", &json!({"args": {"a": 1, "b": 2}}))).expect("an answer");
    client
        .call(call("add", &json!({"version": "1.4", "args": {"a": 1, "b": 2}})))
        .expect_err("too high for Python too");
    client.call(call("sleep", &json!({"args": {"seconds": 0}}))).expect("an answer");
    let report = watching.report();
    let add = &method(&report, None, "add")["handlers"];
    assert_eq!((&add["answered"], &add["by"]), (&json!(1), &json!(["calculator"])));
    assert_eq!((&add["other_versions"], &add["versions"]), (&json!(1), &json!(["1.3", "2.0"])));
    let sleep = &method(&report, None, "sleep")["handlers"];
    assert_eq!((&sleep["lacking"], &sleep["answered"]), (&json!(1), &json!(0)));
}

#[test]
fn whole_messages_are_kept_where_that_is_asked_for_and_nowhere_else() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let client = OsloClient::start(&vhost.url());
    let mut watching =
        Watching::start(&vhost, &["--sample", "echo", "--sample-count", "2", "--sample-file", "samples"]);
    for number in 0..4 {
        let args = json!({"n": number, "admin_pass": "a-secret"});
        client
            .call(call("echo", &json!({"args": args, "context": {"auth_token": "gAAAA-secret"}})))
            .expect("an answer");
        client.call(call("add", &json!({"args": {"a": 1, "b": 2}}))).expect("an answer");
    }
    assert!(watching.end().success(), "{}", watching.log());
    let file = watching.scratch.path().join("samples");
    let text = fs::read_to_string(&file).expect("samples");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!((&lines[0]["exchange"], &lines[0]["routing_key"]), (&json!("nova"), &json!("conductor")));
    assert_eq!(lines[0]["properties"]["content_type"], "application/json");
    assert_eq!(lines[0]["properties"]["headers"], json!({}));
    assert!(lines[0]["body"].as_str().expect("a text").contains("gAAAA-secret"), "{text}");
    assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o600);
    let shown = watching.stdout() + &watching.log();
    assert!(shown.contains("echo") && !shown.contains("secret"), "{shown}");
}

#[test]
fn a_watcher_that_is_killed_leaves_nothing() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let watching = Watching::json(&vhost, &[]);
    assert_eq!(queues_of_watchers(&vhost).len(), 2);
    watching.signal("KILL");
    eventually("its queues to go", || queues_of_watchers(&vhost).is_empty().then_some(()));
    let client = OsloClient::start(&vhost.url());
    assert_eq!(client.call(call("add", &json!({"args": {"a": 1, "b": 2}}))).expect("an answer"), 3);
}

#[test]
fn a_lost_connection_is_said_and_counting_goes_on() {
    let vhost = Broker::shared().vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let mut watching = Watching::json(&vhost, &[]);
    let client = OsloClient::start(&vhost.url());
    client.call(call("add", &json!({"args": {"a": 1, "b": 2}}))).expect("an answer");
    eventually("its connection to be closed", || {
        vhost.close_connections();
        watching.log().contains("lost the connection to RabbitMQ that watches").then_some(())
    });
    watching.wait_for_connections(2);
    client.call(call("echo", &json!({}))).expect("an answer");
    let report = watching.report();
    assert_eq!(
        (&method(&report, None, "add")["calls"], &method(&report, None, "echo")["calls"]),
        (&json!(1), &json!(1))
    );
    assert!(report["unseen"]["connections_lost"].as_u64() >= Some(1), "{report}");
    assert!(report["unseen"]["seconds_away"].as_f64() > Some(0.0) && report["unseen"]["is_away"] == false, "{report}");
}

/// The exchanges do not survive it: the service declares them again, and the watcher waits for that.
#[test]
fn a_broker_that_starts_again_is_watched_as_soon_as_the_service_is_back() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let _server = OsloServer::start(&vhost.url(), "conductor", "python-1");
    let mut watching = Watching::json(&vhost, &[]);
    broker.restart();
    watching.wait_for_connections(2);
    let client = OsloClient::start(&vhost.url());
    client.call(call("echo", &json!({}))).expect("an answer");
    let report = watching.report();
    assert_eq!(method(&report, None, "echo")["calls"], 1);
    assert_eq!(report["unseen"]["is_away"], false);
}

#[test]
fn it_ends_beside_a_broker_that_is_frozen() {
    let broker = Broker::private();
    let vhost = deserted_on(&broker);
    let mut watching = Watching::json(&vhost, &[]);
    broker.pause_node(0);
    let ended = watching.end();
    broker.resume_node(0);
    assert!(ended.success(), "{}", watching.log());
    let report: Value = serde_json::from_str(&watching.stdout()).expect("JSON");
    assert_eq!(report["requests"], 0);
    let unseen = &report["unseen"];
    assert_eq!((&unseen["is_away"], &unseen["connections_lost"]), (&json!(true), &json!(0)), "{report}");
    assert!(unseen["seconds_away"].as_f64() > Some(1.0), "{report}");
}
