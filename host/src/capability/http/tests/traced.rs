//! What the trace says of a fetch, and what the other side is told of the trace.

use super::*;
use crate::capability::{Cause, Spans};

/// Fetches from a server that says this, and that, once its head has come. Gives the span.
async fn fetched(world: &World, head: &'static str, rest: String) -> String {
    let (go, may_go) = channel();
    let may_go = std::sync::Mutex::new(may_go);
    let server = Server::start(move |stream| {
        stream.write_all(head.as_bytes()).unwrap();
        may_go.lock().unwrap().recv().unwrap();
        stream.write_all(rest.as_bytes()).ok();
    });
    let (run, mut ended) = crate::trace::recorded();
    let cause = Cause { spans: Spans { run, ..Spans::default() }, ..cause() };
    let session = world.session(&server.granted("limits.http_bytes = \"9000 B\""), cause);
    let woken = Arc::new(Notify::new());
    let fetch = session.fetch(server.request(), body(b""), Timeouts::default(), Arc::clone(&woken)).unwrap();
    until(&fetch, &woken, Exchange::is_answered).await;
    go.send(()).unwrap();
    until(&fetch, &woken, Exchange::is_over).await;
    loop {
        match ended().pop() {
            Some(ended) => break ended,
            None => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_ends_early_or_is_too_large_marks_its_span() {
    let world = World::new().await;
    for (head, rest, expected) in [
        ("HTTP/1.1 200 x\r\ncontent-length: 9\r\n\r\n", "short".to_owned(), "unavailable"),
        ("HTTP/1.1 200 x\r\n\r\n", "x".repeat(20_000), "limited"),
    ] {
        let ended = fetched(&world, head, rest).await;
        assert!(ended.contains("Integer(200)") && ended.contains("code: 2") && ended.contains(expected), "{ended}");
    }
    let ended = fetched(&world, "HTTP/1.1 200 x\r\ncontent-length: 4\r\n\r\n", "good".to_owned()).await;
    assert!(ended.contains("Integer(200)") && ended.contains("status: None"), "{ended}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_names_a_trace_or_its_state_itself_gets_neither_from_the_host() {
    let world = World::new().await;
    let server = Server::saying("HTTP/1.1 200 x\r\n\r\n");
    for (own, count) in [(None, 1), (Some("Traceparent"), 1), (Some("TraceState"), 0)] {
        let (run, _ended) = crate::trace::recorded();
        let cause = Cause { spans: Spans { run, ..Spans::default() }, ..cause() };
        let session = world.session(&server.granted(""), cause);
        let mut request = server.request();
        request.headers.extend(own.map(|name| (name.to_owned(), b"a=1".to_vec())));
        whole(&session, request, Timeouts::default()).await.unwrap();
        let asked = server.next().to_ascii_lowercase();
        assert_eq!(asked.matches("traceparent: ").count(), count, "{asked}");
    }
}
