//! Collectors that take spans, that do not, and that are not there.

use std::{
    collections::VecDeque,
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use http_body_util::{BodyExt as _, Either, Full};
use hyper::{
    Request, Response,
    body::{Body, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
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
    /// Bytes of each batch that it was sent.
    batches: Arc<Mutex<Vec<usize>>>,
    _task: AbortOnDropHandle<()>,
}

#[derive(Clone)]
enum Answer {
    Status(u16),
    Body(Vec<u8>),
    /// A head, and a body that never comes.
    Head(u16),
    Never,
}

/// A body that never comes.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

impl Fake {
    async fn start(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(VecDeque::from_iter(answers)));
        let connections = Arc::new(AtomicUsize::new(0));
        let batches = Arc::new(Mutex::new(Vec::new()));
        let (into, count, sizes) = (Arc::clone(&taken), Arc::clone(&connections), Arc::clone(&batches));
        let task = tokio::spawn(async move {
            let mut tasks = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let (into, answers, sizes) = (Arc::clone(&into), Arc::clone(&answers), Arc::clone(&sizes));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (into, answers, sizes) = (Arc::clone(&into), Arc::clone(&answers), Arc::clone(&sizes));
                    async move {
                        assert_eq!(request.uri().path(), "/v1/traces");
                        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                        assert_eq!(request.headers()["x-key"], "S3cr3t");
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        sizes.lock().unwrap().push(body.len());
                        let full = |body: Vec<u8>| Either::Left(Full::new(Bytes::from(body)));
                        let answer = answers.lock().unwrap().pop_front();
                        let answer = match answer {
                            Some(Answer::Status(status)) => Response::builder().status(status).body(full(Vec::new())),
                            Some(Answer::Head(status)) => {
                                Response::builder().status(status).body(Either::Right(Nothing))
                            }
                            Some(Answer::Body(body)) => Response::builder().body(full(body)),
                            Some(Answer::Never) => std::future::pending().await,
                            None => {
                                let export = Export::decode(body).unwrap();
                                let spans = export.resource_spans.into_iter().flat_map(|of| of.scope_spans);
                                into.lock().unwrap().extend(spans.flat_map(|of| of.spans));
                                Response::builder().body(full(Vec::new()))
                            }
                        };
                        Ok::<_, Infallible>(answer.unwrap())
                    }
                });
                tasks.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, taken, connections, batches, _task: AbortOnDropHandle::new(task) }
    }

    fn taken(&self) -> usize {
        self.taken.lock().unwrap().len()
    }
}

fn config(address: SocketAddr, more: &str) -> Config {
    let mut settings = Settings::default();
    let file = format!("[tracing]\nendpoint = \"http://{address}\"\nheaders = \"x-key=S3cr3t\"\n{more}");
    settings.add_file(&file).unwrap();
    Config::read(&mut settings, "s", &mut Vec::new()).unwrap()
}

fn request() -> envelope::Request {
    envelope::Request {
        method: envelope::Field::Text("m".into()),
        namespace: envelope::Field::Absent,
        version: envelope::Field::Absent,
        arguments: envelope::Arguments::Absent,
        context: envelope::Context::default(),
        reply_to: None,
        unique_id: None,
        hops: 0,
    }
}

fn record(tracer: &Tracer, count: usize) {
    let span = tracer.receive(&request(), &Headers::default());
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

/// An answer that says something of what was taken.
fn says(rejected_spans: i64, error_message: &str) -> Answer {
    let partial_success = Some(PartialSuccess { rejected_spans, error_message: error_message.to_owned() });
    Answer::Body(Exported { partial_success }.encode_to_vec())
}

/// Sends as many batches one after the other, and waits for the end of each.
async fn send(tracer: &Tracer, metrics: &Metrics, batches: u64) {
    let ended = || counted(metrics, "failed") + counted(metrics, "exported");
    for _ in 0..batches {
        let before = ended();
        record(tracer, BATCH);
        until(|| ended() == before + 512).await;
    }
}

struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log of this thread, as long as the guard is there.
fn logged() -> (Arc<Mutex<Vec<u8>>>, tracing::subscriber::DefaultGuard) {
    let log = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&log);
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || Log(Arc::clone(&into)));
    (log, tracing::subscriber::set_default(subscriber.finish()))
}

fn lines(log: &Mutex<Vec<u8>>, with: &str) -> Vec<String> {
    let text = String::from_utf8(log.lock().unwrap().clone()).unwrap();
    text.lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_collector_refuses_has_failed() {
    let answers = [Answer::Status(500), Answer::Status(404), Answer::Status(302), says(12, "no")];
    let (fake, metrics) = (Fake::start(answers).await, Metrics::default());
    let (tracer, _exporter) = start(&config(fake.address, ""), &metrics);
    send(&tracer, &metrics, 4).await;
    assert_eq!((counted(&metrics, "failed"), counted(&metrics, "exported")), (3 * 512 + 12, 500));
    send(&tracer, &metrics, 1).await;
    assert_eq!(fake.taken(), BATCH);
}

#[tokio::test]
async fn what_a_collector_takes_is_taken_whatever_else_it_says() {
    let answers = [
        Answer::Status(202),
        Answer::Status(204),
        Answer::Body(b"OK".to_vec()),
        Answer::Body(b"\xff\xff garbage".to_vec()),
        Answer::Body(vec![0; 1 << 20]),
        Answer::Head(200),
        says(-3, ""),
    ];
    let (fake, metrics) = (Fake::start(answers).await, Metrics::default());
    let (tracer, _exporter) = start(&config(fake.address, "timeout = \"300ms\""), &metrics);
    send(&tracer, &metrics, 7).await;
    assert_eq!((counted(&metrics, "failed"), counted(&metrics, "exported")), (0, 7 * 512));
}

#[tokio::test]
async fn nobody_waits_for_the_body_of_a_refusal() {
    let (fake, metrics) = (Fake::start([Answer::Head(404), Answer::Head(503)]).await, Metrics::default());
    let (tracer, _exporter) = start(&config(fake.address, "timeout = \"600s\""), &metrics);
    send(&tracer, &metrics, 2).await;
    assert_eq!((counted(&metrics, "failed"), fake.taken()), (512, BATCH));
}

#[tokio::test]
async fn the_log_has_what_the_collector_says_once_and_again_where_it_says_something_else() {
    let (log, _guard) = logged();
    let answers = [
        says(0, "soon full"),
        says(0, "soon full"),
        Answer::Status(500),
        Answer::Status(500),
        Answer::Status(404),
        says(12, "full\n\u{1b}[31m"),
        says(12, &"x".repeat(10_000)),
    ];
    let (fake, metrics) = (Fake::start(answers).await, Metrics::default());
    let (tracer, _exporter) = start(&config(fake.address, ""), &metrics);
    send(&tracer, &metrics, 8).await;
    assert_eq!(lines(&log, "has a warning").len(), 1);
    assert_eq!(lines(&log, "soon full").len(), 1);
    let refused = lines(&log, "does not take");
    let [first, second, third, fourth] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(first.contains("it answers 500") && second.contains("it answers 404"), "{refused:?}");
    assert!(third.contains("it refuses some of them: full") && !third.contains('\u{1b}'), "{third}");
    assert!(fourth.len() < 1000, "{fourth}");
    let again = lines(&log, "takes the spans of traces again");
    assert!(again.len() == 1 && again[0].contains(&format!("lost={}", 3 * 512 + 24)), "{again:?}");
    // Only the origin: a path may have a token in it.
    assert!(lines(&log, "/v1/traces").is_empty());
}

#[tokio::test]
async fn what_is_not_taken_at_the_end_has_failed_and_the_log_says_how_much() {
    let (log, _guard) = logged();
    let (fake, metrics) = (Fake::start([Answer::Never]).await, Metrics::default());
    let (tracer, exporter) = start(&config(fake.address, "timeout = \"600s\""), &metrics);
    record(&tracer, 700);
    exporter.finish().await;
    assert_eq!((counted(&metrics, "failed"), counted(&metrics, "exported"), fake.taken()), (700, 0, 0));
    let lost = lines(&log, "are lost");
    assert!(lost.len() == 1 && lost[0].contains("lost=700"), "{lost:?}");
}

#[tokio::test]
async fn a_batch_of_large_spans_ends_early() {
    let (fake, metrics) = (Fake::start([]).await, Metrics::default());
    let (tracer, exporter) = start(&config(fake.address, ""), &metrics);
    for _ in 0..400 {
        record(&tracer, 1);
        let span = tracer.receive(&request(), &Headers::default());
        (0..14).for_each(|number| span.attribute(&number.to_string(), crate::trace::Value::Text("v".repeat(1000))));
    }
    exporter.finish().await;
    assert_eq!((fake.taken(), counted(&metrics, "exported")), (800, 800));
    let batches = fake.batches.lock().unwrap();
    assert!(batches.len() > 2 && batches.iter().all(|bytes| *bytes < BATCH_BYTES + (32 << 10)), "{batches:?}");
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
