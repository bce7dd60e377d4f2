//! Tests of [`super`] against what oslo.messaging 18.3.1 declared, recorded frame by frame in `tests/golden`.

use serde_json::{Map, Value, json};

use super::{
    super::{Destination, Subscription},
    Argument, Binding, Declaration, Exchange, ExchangeKind, Options, Queue, Topology, Transient, replies, route,
    subscription,
};

/// The recording of one variant, and what made it.
struct Golden {
    variant: &'static str,
    options: Options,
    frames: Vec<Value>,
}

fn golden() -> Vec<Golden> {
    let default = Options::default;
    let quorum = Options { rabbit_quorum_queue: true, ..default() };
    [
        ("default", default()),
        ("durable", Options { amqp_durable_queues: true, ..default() }),
        ("autodelete", Options { amqp_auto_delete: true, ..default() }),
        ("ha", Options { rabbit_ha_queues: true, ..default() }),
        (
            "quorum-all",
            Options {
                rabbit_transient_quorum_queue: true,
                rabbit_quorum_delivery_limit: 5,
                rabbit_quorum_max_memory_length: 1000,
                ..quorum.clone()
            },
        ),
        ("queue-manager", Options { use_queue_manager: true, ..default() }),
        (
            "stream-fanout",
            Options {
                rabbit_stream_fanout: true,
                rabbit_transient_quorum_queue: true,
                use_queue_manager: true,
                ..quorum.clone()
            },
        ),
        ("quorum", quorum),
    ]
    .into_iter()
    .map(|(variant, options)| {
        let path = format!("{}/../tests/golden/{variant}/declares.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let frames = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Golden { variant, options, frames }
    })
    .collect()
}

impl Golden {
    /// The declaring frames of one party in one step: all but the handshake.
    fn frames(&self, step: &str, who: &str) -> Vec<(String, Map<String, Value>)> {
        self.frames
            .iter()
            .filter(|frame| frame["step"] == step && frame["who"] == who)
            .map(|frame| (frame["frame"].as_str().unwrap().to_owned(), frame["args"].as_object().unwrap().clone()))
            .filter(|(frame, _)| !["Connection.TuneOk", "Basic.Qos", "Confirm.Select"].contains(&frame.as_str()))
            .collect()
    }
}

fn served() -> Subscription {
    Subscription {
        exchange: "openstack".into(),
        topics: vec!["golden".into()],
        server: "host1".into(),
        prefetch: 64,
        queue_prefix: String::new(),
    }
}

/// The frames that a topology becomes.
fn frames(topology: &Topology) -> Vec<(String, Map<String, Value>)> {
    let declarations = topology.declarations.iter().map(declaration_frame);
    let consumers = topology.queues.iter().enumerate().map(|(index, queue)| {
        let tag = (index + 1).to_string();
        let mut arguments: Map<String, Value> =
            topology.consumer_arguments.iter().map(|(name, value)| ((*name).to_owned(), argument(value))).collect();
        // What a session adds that has read nothing yet.
        if topology.streams.contains(queue) {
            arguments.insert("x-stream-offset".into(), json!("last"));
        }
        frame(
            "Basic.Consume",
            json!({"ticket": 0, "queue": queue, "consumer_tag": tag, "no_local": false,
            "no_ack": false, "exclusive": false, "nowait": false, "arguments": arguments}),
        )
    });
    declarations.chain(consumers).collect()
}

fn declaration_frame(declaration: &Declaration) -> (String, Map<String, Value>) {
    match declaration {
        Declaration::Exchange(exchange) => exchange_frame(exchange),
        Declaration::Queue(Queue { name, durable, auto_delete, exclusive, arguments }) => {
            let arguments: Map<String, Value> =
                arguments.iter().map(|(name, value)| ((*name).to_owned(), argument(value))).collect();
            frame(
                "Queue.Declare",
                json!({"ticket": 0, "queue": name, "passive": false, "durable": durable,
                "exclusive": exclusive, "auto_delete": auto_delete, "nowait": false, "arguments": arguments}),
            )
        }
        Declaration::Binding(Binding { queue, exchange, key }) => frame(
            "Queue.Bind",
            json!({"ticket": 0,
            "queue": queue, "exchange": exchange, "routing_key": key, "nowait": false, "arguments": {}}),
        ),
    }
}

fn argument(value: &Argument) -> Value {
    match value {
        Argument::Text(text) => json!(text),
        Argument::Number(number) => json!(number),
        Argument::Switch(on) => json!(on),
    }
}

fn exchange_frame(Exchange { name, kind, durable, auto_delete }: &Exchange) -> (String, Map<String, Value>) {
    let kind = match kind {
        ExchangeKind::Topic => "topic",
        ExchangeKind::Fanout => "fanout",
        ExchangeKind::Direct => "direct",
        ExchangeKind::Others => unreachable!("nobody declares it"),
    };
    frame(
        "Exchange.Declare",
        json!({"ticket": 0, "exchange": name, "type": kind, "passive": false, "durable": durable,
        "auto_delete": auto_delete, "internal": false, "nowait": false, "arguments": {}}),
    )
}

fn frame(name: &str, arguments: Value) -> (String, Map<String, Value>) {
    (name.to_owned(), arguments.as_object().unwrap().clone())
}

#[test]
fn a_server_declares_and_consumes_what_the_reference_does_in_its_order() {
    for golden in golden() {
        let expected = golden.frames("server-start", "server");
        let (_, fanout) = &expected[7];
        let suffix = fanout["queue"].as_str().unwrap().strip_prefix("golden_fanout_").unwrap_or_default();
        let topology = subscription(&served(), suffix, &golden.options);
        assert_eq!(frames(&topology), expected, "{}", golden.variant);
        let own = if golden.options.use_queue_manager { vec![] } else { vec![format!("golden_fanout_{suffix}")] };
        assert_eq!(topology.own_queues, own, "{}", golden.variant);
        assert_eq!(golden.options.conflict(), None);
    }
}

#[test]
fn a_caller_declares_its_reply_queue_and_the_exchange_like_the_reference() {
    for golden in golden() {
        let expected = golden.frames("first-call-opens-connections", "client");
        let queue = expected[0].1["queue"].as_str().unwrap();
        let mut actual = frames(&replies(queue, &golden.options));
        // What old servers need comes between the queue and its consumer.
        let for_old_servers: Vec<_> = actual.drain(1..3).collect();
        let exchange =
            Exchange { name: queue.to_owned(), kind: ExchangeKind::Direct, durable: false, auto_delete: true };
        let binding = Binding { queue: queue.to_owned(), exchange: queue.to_owned(), key: queue.to_owned() };
        let expected_for_old = [exchange_frame(&exchange), declaration_frame(&Declaration::Binding(binding))];
        assert_eq!(for_old_servers, expected_for_old, "{}", golden.variant);
        let topic = Destination::Topic { exchange: "openstack".into(), topic: "golden".into() };
        actual.extend(route(&topic, &golden.options).exchange.iter().map(exchange_frame));
        assert_eq!(actual, expected, "{}", golden.variant);

        let fanout = route(&Destination::Fanout { topic: "golden".into() }, &golden.options);
        let declared: Vec<_> = fanout.exchange.iter().map(exchange_frame).collect();
        assert_eq!(declared, golden.frames("cast-fanout", "client"), "{}", golden.variant);
    }
}

#[test]
fn messages_go_where_the_queues_are_bound() {
    let options = Options::default();
    let to = |destination: Destination| {
        let route = route(&destination, &options);
        (route.exchange_name().to_owned(), route.key)
    };
    let (exchange, topic) = (|| "nova".to_owned(), || "conductor".to_owned());
    let server = Destination::Server { exchange: exchange(), topic: topic(), server: "node.example".into() };
    assert_eq!(to(Destination::Topic { exchange: exchange(), topic: topic() }), (exchange(), topic()));
    assert_eq!(to(server), (exchange(), "conductor.node.example".into()));
    assert_eq!(to(Destination::Fanout { topic: topic() }), ("conductor_fanout".into(), String::new()));
    assert_eq!(to(Destination::Queue("reply_1".into())), (String::new(), "reply_1".into()));
}

#[test]
fn every_topic_of_a_subscription_has_its_three_queues() {
    let served = Subscription { topics: vec!["a".into(), "b".into()], ..served() };
    let topology = subscription(&served, "0f", &Options::default());
    assert_eq!(topology.queues, ["a", "a.host1", "a_fanout_0f", "b", "b.host1", "b_fanout_0f"]);
    assert_eq!(topology.own_queues, ["a_fanout_0f", "b_fanout_0f"]);
    assert_eq!(topology.declarations.len(), 18);
}

#[test]
fn a_ttl_of_zero_is_no_ttl_and_limits_belong_to_quorum_queues() {
    let options = Options {
        rabbit_transient_queues_ttl: std::time::Duration::ZERO,
        rabbit_quorum_delivery_limit: 3,
        rabbit_quorum_max_memory_bytes: 7,
        ..Options::default()
    };
    let Declaration::Queue(queue) = &replies("r", &options).declarations[0] else { panic!() };
    assert_eq!(queue.arguments, []);
    let options = Options { rabbit_transient_quorum_queue: true, ..options };
    let Declaration::Queue(queue) = &replies("r", &options).declarations[0] else { panic!() };
    let expected = [
        ("x-queue-type", Argument::Text("quorum".into())),
        ("x-delivery-limit", Argument::Number(3)),
        ("x-max-in-memory-bytes", Argument::Number(7)),
    ];
    assert_eq!(queue.arguments, expected);
}

#[test]
fn options_that_the_broker_would_refuse_are_a_conflict() {
    let default = Options::default;
    for options in [
        Options { rabbit_ha_queues: true, rabbit_quorum_queue: true, ..default() },
        Options { rabbit_ha_queues: true, rabbit_transient_quorum_queue: true, ..default() },
        Options { amqp_auto_delete: true, rabbit_quorum_queue: true, ..default() },
    ] {
        assert!(options.conflict().unwrap().contains("exclude each other"));
    }
    assert_eq!(Options { amqp_auto_delete: true, rabbit_transient_quorum_queue: true, ..default() }.conflict(), None);
}

#[test]
fn every_consumer_is_told_of_a_failover_where_that_is_asked_for() {
    let options = Options { enable_cancel_on_failover: true, ..Options::default() };
    for (_, consume) in frames(&subscription(&served(), "0f", &options)).iter().skip(9) {
        assert_eq!(consume["arguments"], json!({"x-cancel-on-ha-failover": true}));
    }
    assert_eq!(replies("r", &options).consumer_arguments.len(), 1);
}

#[test]
fn queues_with_names_that_come_again_are_kept_and_a_stream_is_everybodys() {
    let kept = Options { use_queue_manager: true, ..Options::default() };
    assert!(replies("r", &kept).own_queues.is_empty() && subscription(&served(), "h:p:1", &kept).own_queues.is_empty());
    let stream = Options {
        rabbit_stream_fanout: true,
        rabbit_transient_queues_ttl: std::time::Duration::ZERO,
        ..Options::default()
    };
    let topology = subscription(&served(), "0f", &stream);
    assert!(topology.own_queues.is_empty());
    assert_eq!(topology.streams, ["golden_fanout"]);
    let Declaration::Queue(queue) = &topology.declarations[7] else { panic!() };
    assert_eq!(queue.arguments, [("x-queue-type", Argument::Text("stream".into()))]);
    assert_eq!(replies("r", &stream).own_queues, ["r"]);
}

#[test]
fn durability_is_given_up_for_an_exchange_and_what_is_bound_to_it() {
    let options = Options { amqp_durable_queues: true, rabbit_transient_quorum_queue: true, ..Options::default() };
    let mut topology = subscription(&served(), "0f", &options);
    assert!(!topology.give_up_durability("other", Transient::Permitted));
    assert!(topology.give_up_durability("openstack", Transient::Permitted));
    assert!(!topology.give_up_durability("openstack", Transient::Permitted));
    let default = Options { rabbit_transient_quorum_queue: true, ..Options::default() };
    assert_eq!(topology, subscription(&served(), "0f", &default));
    // A quorum queue cannot be without durability, and may be bound to an exchange that is.
    assert!(topology.give_up_durability("golden_fanout", Transient::Permitted));
    let Declaration::Queue(fanout) = &topology.declarations[7] else { panic!() };
    assert!(fanout.durable);
    assert!(topology.has_transient_queues());
}

#[test]
fn where_the_broker_denies_transient_queues_only_the_exchange_gives_up_durability() {
    let options = Options { amqp_durable_queues: true, rabbit_transient_quorum_queue: true, ..Options::default() };
    let durable = subscription(&served(), "0f", &options);
    let mut topology = durable.clone();
    assert!(topology.give_up_durability("openstack", Transient::Denied) && !topology.has_transient_queues());
    assert_ne!(topology, durable);
    assert!(subscription(&served(), "0f", &Options::default()).has_transient_queues());
}
