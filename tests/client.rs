//! Nova Host's own client against a real broker: lost connections, a broker that is not there, servers that fall silent.
//!
//! What it makes of each kind of reply is told in `host/src/client`, in memory; who answers it, in [`crate::interop`].

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use nova_host::{
    client::{CallOptions, Client, Error, Invocation, Provenance, Target},
    envelope::{Context, Text},
    transport::{Retry, Transport, Url, rabbit},
};
use serde_json::{Value, json};

use crate::{
    harness::{Broker, PATIENCE, Proxy, Vhost, Way, eventually, nova_host},
    oslo::serve,
};

fn client(url: &str) -> Client {
    Client::new(Transport::new(Url::parse(url).expect("a URL"), rabbit::Config::default()))
}

/// A virtual host with a topic that nobody consumes, so that the test answers.
fn unserved() -> Vhost {
    let vhost = Broker::shared().vhost();
    vhost.declare_transient_exchange("nova", "topic");
    vhost.declare_queue("conductor", &json!({}));
    vhost.bind("nova", "conductor", "conductor");
    vhost
}

fn invocation(n: usize) -> Invocation {
    Invocation {
        target: Target::new("nova", "conductor"),
        method: "m".into(),
        arguments: Text::of(&json!({"n": n})),
        context: Context::default(),
        origin: Provenance::default(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("threads")
}

fn open(body: &[u8]) -> Value {
    let outer: Value = serde_json::from_slice(body).expect("JSON");
    serde_json::from_str(outer["oslo.message"].as_str().expect("text")).expect("JSON")
}

#[test]
fn more_casts_at_once_than_may_be_unconfirmed_are_all_sent() {
    /// What the transport lets wait for confirmations at once, of one exchange: half of what its channel may.
    const UNCONFIRMED: u64 = 96;
    let vhost = unserved();
    let proxy = Proxy::start(&vhost.addresses()[0]);
    let client = Arc::new(client(&vhost.url_by(&[proxy.address().to_owned()])));
    let runtime = runtime();
    runtime.block_on(client.cast(invocation(0), CallOptions::from(PATIENCE))).expect("the broker has it");
    // Nothing is confirmed until as many as possible are on their way.
    proxy.hold(Way::Back);
    let casting = |n| {
        let client = Arc::clone(&client);
        runtime.spawn(async move { client.cast(invocation(n), CallOptions::from(PATIENCE)).await })
    };
    let casts: Vec<_> = (1..1500).map(casting).collect();
    vhost.eventually("conductor", |queue| queue.ready > UNCONFIRMED);
    proxy.go_on();
    for cast in casts {
        runtime.block_on(cast).expect("nothing panics").expect("the broker has it");
    }
}

/// Takes messages until there are so many.
fn take(vhost: &Vhost, count: usize) -> Vec<Value> {
    let mut taken = Vec::new();
    eventually("the requests", || {
        for message in vhost.take("conductor", count) {
            assert_eq!(message.properties["content_type"], "application/json");
            assert_eq!((&message.properties["delivery_mode"], &message.properties["priority"]), (&json!(2), &json!(0)));
            taken.push(open(&message.body));
        }
        (taken.len() >= count).then_some(())
    });
    taken
}

#[test]
fn calls_outlive_all_connections() {
    const CALLS: usize = 100;
    let vhost = unserved();
    let runtime = runtime();
    let client = Arc::new(client(&vhost.url()));
    let calls: Vec<_> = (0..CALLS)
        .map(|n| {
            let client = Arc::clone(&client);
            runtime.spawn(async move { client.call(invocation(n), CallOptions::default()).await })
        })
        .collect();
    let requests = take(&vhost, CALLS);
    let queue = requests[0]["_reply_q"].as_str().expect("a reply queue").to_owned();
    assert!(requests.iter().all(|request| request["_reply_q"] == *queue), "one queue for all");
    vhost.wait_for_consumer(&queue);
    // One listens, one publishes.
    let before = eventually("both connections", || Some(vhost.connections()).filter(|names| names.len() >= 2));

    vhost.close_connections();
    eventually("the connections to go", || vhost.connections().iter().all(|name| !before.contains(name)).then_some(()));
    // Whether it listens again or not yet: the queue is there.
    for request in &requests {
        let reply = json!({
            "result": request["args"]["n"], "failure": null, "ending": true, "_msg_id": request["_msg_id"],
        });
        let body = json!({"oslo.version": "2.0", "oslo.message": reply.to_string()}).to_string();
        assert!(vhost.publish("", &queue, &json!({"content_type": "application/json"}), body.as_bytes()));
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(runtime.block_on(call).expect("no panic").expect("a result"), Text::of(&n));
    }
}

#[test]
fn a_request_whose_confirmation_is_lost_is_sent_again_as_the_same() {
    let vhost = unserved();
    let relay = Relay::start(vhost.addresses().remove(0));
    let client = Arc::new(client(&vhost.url().replace(&vhost.addresses()[0], &relay.address)));
    let runtime = runtime();
    let cast = runtime.spawn({
        let client = Arc::clone(&client);
        async move { client.cast(invocation(1), CallOptions::default()).await }
    });
    // The broker has it, and cannot say so.
    vhost.eventually("conductor", |queue| queue.ready == 1);
    relay.cut();
    runtime.block_on(cast).expect("no panic").expect("it is sent");
    let [first, second] = <[Value; 2]>::try_from(take(&vhost, 2)).expect("two");
    assert_eq!(first, second);
    assert!(first["_unique_id"].as_str().is_some_and(|id| id.len() == 32), "{first}");
}

/// Passes bytes between a client and the broker. From the moment a request passes, the first connection's client hears
/// nothing any more, until it is cut.
struct Relay {
    address: String,
    first: std::sync::mpsc::Receiver<TcpStream>,
}

impl Relay {
    fn start(broker: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (announce, first) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for (n, client) in listener.incoming().enumerate() {
                let (Ok(client), Ok(broker)) = (client, TcpStream::connect(&broker)) else { return };
                let is_deaf = Arc::new(AtomicBool::new(false));
                let pair = |stream: &TcpStream| stream.try_clone().expect("a handle");
                announce.send(pair(&client)).ok();
                let (from, to, hears) = (pair(&client), pair(&broker), Arc::clone(&is_deaf));
                std::thread::spawn(move || {
                    pass(from, to, |bytes| {
                        if n == 0 && bytes.windows(10).any(|window| window == b"_unique_id") {
                            hears.store(true, Ordering::SeqCst);
                        }
                        true
                    });
                });
                std::thread::spawn(move || pass(broker, client, |_| !is_deaf.load(Ordering::SeqCst)));
            }
        });
        Self { address, first }
    }

    /// Ends the first connection.
    fn cut(&self) {
        self.first.recv().expect("a connection").shutdown(Shutdown::Both).ok();
    }
}

/// Passes what is to pass, one way, until an end.
fn pass(mut from: TcpStream, mut to: TcpStream, passes: impl Fn(&[u8]) -> bool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if passes(&buffer[..length]) && to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}

/// A port that takes connections and closes them at once; its URL, and how many there were.
fn closing_port() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("rabbit://nova:secret@{}/", listener.local_addr().expect("bound"));
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    std::thread::spawn(move || {
        listener.incoming().for_each(|_| {
            count.fetch_add(1, Ordering::SeqCst);
        })
    });
    (url, connections)
}

fn is_given_up<T: std::fmt::Debug>(outcome: Result<T, Error>, url: &str, attempts: u64) {
    match outcome {
        Err(Error::NotDelivered { attempts: made, source, .. }) => {
            assert_eq!(made, attempts);
            let (reason, address) = (source.to_string(), url.rsplit('@').next().unwrap_or_default());
            assert!(reason.contains(address.trim_end_matches('/')) && !reason.contains("secret"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_broker_that_is_not_there_is_given_up_after_the_attempts_that_were_allowed() {
    let runtime = runtime();
    for (times, attempts) in [(0, 1), (2, 3)] {
        let options = CallOptions { retry: Retry::Times(times), ..CallOptions::default() };
        // The first thing that a call does is to listen.
        let (url, connections) = closing_port();
        is_given_up(runtime.block_on(client(&url).call(invocation(0), options)), &url, attempts);
        assert_eq!(connections.load(Ordering::SeqCst) as u64, attempts);
        let (url, connections) = closing_port();
        is_given_up(runtime.block_on(client(&url).cast(invocation(0), options)), &url, attempts);
        // The connection is everybody's, and may be tried for once more before the client has gone.
        assert!((attempts..=attempts + 1).contains(&(connections.load(Ordering::SeqCst) as u64)));
    }
}

#[test]
fn a_lost_broker_is_given_up_by_those_who_have_no_patience() {
    let broker = Broker::private();
    let vhost = broker.vhost();
    let runtime = runtime();
    let client = client(&vhost.url());
    let fanout = || {
        let mut fanout = invocation(0);
        fanout.target.fanout = true;
        fanout
    };
    runtime.block_on(client.cast(fanout(), CallOptions::default())).expect("it is sent");
    broker.kill();
    let options = CallOptions { retry: Retry::Times(1), ..CallOptions::default() };
    let outcome = runtime.block_on(client.cast(fanout(), options));
    assert!(matches!(outcome, Err(Error::NotDelivered { attempts: 2, .. })), "{outcome:?}");
    let outcome = runtime.block_on(client.cast(fanout(), Duration::from_millis(100)));
    assert!(matches!(outcome, Err(Error::NotSent { .. })), "{outcome:?}");
    broker.start();
    runtime.block_on(client.cast(fanout(), Duration::from_secs(60))).expect("it is sent");
}

fn run(vhost: &Vhost, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(nova_host());
    let ran = command.args(arguments).args(["--transport-url", &vhost.url()]).output().expect("it runs");
    (ran.status.code(), String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned())
}

#[test]
fn a_server_that_lives_is_waited_for_and_one_that_is_silent_is_not() {
    let vhost = Broker::shared().vhost();
    let _host = serve(&vhost, "host-1", "limits.timeout = \"18s\"");
    let monitored =
        |monitor: &str| run(&vhost, &["call", "loop_forever", "--call-monitor-timeout", monitor, "--timeout", "90s"]);
    // A heartbeat may be six seconds late.
    let (code, text) = monitored("12s");
    assert!(code == Some(1) && text.contains("HandlerTimedOut"), "{code:?} {text}");

    let vhost = unserved();
    let monitored = ["call", "loop_forever", "--call-monitor-timeout", "2s", "--timeout", "90s"];
    let silent = "nova-host: no heartbeat for loop_forever within 2s: its server has died, or it sends none\n";
    assert_eq!(run(&vhost, &monitored), (Some(5), silent.into()));
    assert_eq!(take(&vhost, 1)[0]["_timeout"], 2);
}

#[test]
fn an_exchange_of_its_own_is_asked_and_a_cap_is_kept() {
    let vhost = Broker::shared().vhost();
    let _host = serve(&vhost, "host-1", "control_exchange = \"other\"");
    let add = ["call", "add", r#"{"a": 1, "b": 2}"#, "--version", "1.3"];
    let (code, text) = run(&vhost, &add);
    assert!(code == Some(4) && text.contains("nobody serves topic conductor on nova"), "{code:?} {text}");
    assert_eq!(run(&vhost, &[&add[..], &["--exchange", "other"]].concat()), (Some(0), "3\n".into()));
    let capped = [&add[..], &["--exchange", "other", "--version-cap", "1.2"]].concat();
    let (code, text) = run(&vhost, &capped);
    assert!(code == Some(2) && text.contains("Requested message version, 1.3 is incompatible."), "{code:?} {text}");
    assert_eq!(run(&vhost, &[&add[..], &["--exchange", "other", "--version-cap", "1.4"]].concat()).0, Some(0));
}
