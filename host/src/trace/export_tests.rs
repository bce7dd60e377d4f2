//! Collectors that take spans, that do not, and that are not there.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::{
    envelope,
    settings::Settings,
    trace::{
        Kind,
        otlp::{Exported, PartialSuccess},
    },
    transport::Headers,
};

/// A collector that answers as it is told, and then takes everything.
struct Fake {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Span>>>,
    connections: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Clone)]
enum Answer {
    Status(u16),
    Body(Vec<u8>),
    Never,
}

impl Fake {
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::from_iter(answers)));
        let connections = Arc::new(AtomicUsize::new(0));
        let (into, count) = (Arc::clone(&taken), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let (into, answers) = (Arc::clone(&into), Arc::clone(&answers));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (into, answers) = (Arc::clone(&into), Arc::clone(&answers));
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                        assert_eq!(request.headers()["x-key"], "S3cr3t");
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        let answer = answers.lock().unwrap().pop_front();
                        let answer = match answer {
                            Some(Answer::Status(status)) => Response::builder().status(status).body(Full::default()),
                            Some(Answer::Body(body)) => Response::builder().body(Full::new(Bytes::from(body))),
                            Some(Answer::Never) => std::future::pending().await,
                            None => {
                                let export = Export::decode(body).unwrap();
                                let spans = export.resource_spans.into_iter().flat_map(|of| of.scope_spans);
                                into.lock().unwrap().extend(spans.flat_map(|of| of.spans));
                                Response::builder().body(Full::default())
                            }
                        };
                        Ok::<_, Infallible>(answer.unwrap())
                    }
                });
                tasks.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, taken, connections, _task: AbortOnDropHandle::new(task) }
    }

    fn taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

fn config(address: SocketAddr, more: &str) -> Config {
    let mut settings = Settings::default();
    let file = format!("[tracing]\nendpoint = \"http://{address}\"\nheaders = \"x-key=S3cr3t\"\n{more}");
    settings.add_file(&file).unwrap();
    Config::read(&mut settings, "s").unwrap()
}

fn record(tracer: &Tracer, count: usize) {
    let request = envelope::Request {
        method: envelope::Field::Text("m".into()),
        namespace: envelope::Field::Absent,
        version: envelope::Field::Absent,
        arguments: envelope::Arguments::Absent,
        context: envelope::Context::default(),
        reply_to: None,
        unique_id: None,
        hops: 0,
    };
    let span = tracer.receive(&request, &Headers::default());
    for _ in 1..count {
        drop(span.child(|| "child", Kind::Internal));
    }
}

fn counted(metrics: &Metrics, fate: &str) -> u64 {
    let series = format!("nova_host_spans_total{{fate=\"{fate}\"}} ");
    metrics.encode().lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap()
}

/// Waits until a condition holds.
async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(60), waiting).await.expect("it comes to that");
}

#[tokio::test]
async fn the_last_spans_are_sent_when_the_service_ends() {
    let (fake, metrics) = (Fake::start([]).await, Metrics::default());
    let (tracer, exporter) = start(&config(fake.address, ""), &metrics);
    record(&tracer, 700);
    exporter.finish().await;
    assert_eq!((fake.taken(), counted(&metrics, "exported")), (700, 700));
    // What comes after that is counted, too.
    record(&tracer, 1);
    assert_eq!(counted(&metrics, "dropped"), 1);
}

#[tokio::test]
async fn full_batches_are_sent_at_once_over_one_connection() {
    let (fake, metrics) = (Fake::start([]).await, Metrics::default());
    let (tracer, _exporter) = start(&config(fake.address, ""), &metrics);
    for batches in 1..=3 {
        record(&tracer, BATCH);
        until(|| counted(&metrics, "exported") == batches * 512).await;
    }
    assert_eq!(fake.taken(), 3 * BATCH);
    assert_eq!(fake.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again() {
    let (fake, metrics) = (Fake::start([Answer::Status(503), Answer::Status(429)]).await, Metrics::default());
    let (tracer, _exporter) = start(&config(fake.address, ""), &metrics);
    record(&tracer, BATCH);
    until(|| counted(&metrics, "exported") == 512).await;
    assert_eq!((fake.taken(), counted(&metrics, "failed")), (BATCH, 0));
}

#[tokio::test]
async fn what_a_collector_refuses_or_answers_nonsense_to_has_failed() {
    let partial = Exported { partial_success: Some(PartialSuccess { rejected_spans: 12, error_message: "no".into() }) };
    let answers = [
        Answer::Status(500),
        Answer::Status(404),
        Answer::Body(b"\xff\xff garbage".to_vec()),
        Answer::Body(vec![0; 1 << 20]),
        Answer::Body(partial.encode_to_vec()),
    ];
    let (fake, metrics) = (Fake::start(answers).await, Metrics::default());
    let (tracer, _exporter) = start(&config(fake.address, ""), &metrics);
    for batches in 1..=5u64 {
        record(&tracer, BATCH);
        until(|| counted(&metrics, "failed") + counted(&metrics, "exported") == batches * 512).await;
    }
    assert_eq!((counted(&metrics, "failed"), counted(&metrics, "exported")), (4 * 512 + 12, 500));
    record(&tracer, BATCH);
    until(|| fake.taken() == BATCH).await;
}

#[tokio::test]
async fn a_collector_that_is_slow_or_gone_costs_spans_and_no_time() {
    let (fake, metrics) = (Fake::start([Answer::Never]).await, Metrics::default());
    let (tracer, exporter) = start(&config(fake.address, "queue = 100\ntimeout = \"600s\""), &metrics);
    record(&tracer, BATCH);
    until(|| counted(&metrics, "dropped") > 0).await;
    let before = counted(&metrics, "dropped");
    record(&tracer, 1000);
    assert!(counted(&metrics, "dropped") >= before + 900);
    // And does not hold up the end.
    exporter.finish().await;

    let metrics = Metrics::default();
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (tracer, exporter) = start(&config(nobody, ""), &metrics);
    record(&tracer, 10);
    exporter.finish().await;
    assert_eq!((counted(&metrics, "failed"), counted(&metrics, "exported")), (10, 0));
}
