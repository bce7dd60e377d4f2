//! One connection: one request, its answer, and the end.
//!
//! Before it: [`super::server`] has accepted it. After it: nothing. hyper reads and writes; what it says nothing about (a head
//! that does not end, another protocol, a place that is lost) is answered here, so that every client hears why.

use std::{convert::Infallible, time::Duration};

use hyper::{Response, StatusCode, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};

use super::{Answer, MAX_HEAD, PATIENCE, Question, client::Client, impatient::Impatient};

/// Headers of a request.
const MAX_HEADERS: usize = 64;

/// What hyper may hold of a connection's bytes, each way; the least that it allows is 8 KiB.
const MAX_BUFFER: usize = 16 << 10;

/// How a version of HTTP begins that is not spoken here.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0";

/// When an answer without an end has to be taken: what bounds it is how long a write may stand still.
const NEVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// What is read and thrown away after the answer, in bytes and time: a connection that is closed with bytes unread is reset,
/// and the client may never see the answer.
const MAX_LEFT: u64 = 256 << 10;
const LEFT_FOR: Duration = Duration::from_secs(1);

/// Answers one request, and closes. `work` is the time between its head and the answer.
pub(super) async fn talk<I, S, A>(stream: I, client: Client, work: Duration, service: S)
where
    I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    S: Fn(Question) -> A,
    A: Future<Output = Answer> + Send + 'static,
{
    let place = &*client.place;
    let (until, mut deadline) = watch::channel(Instant::now() + 2 * PATIENCE);
    let answering = service_fn(|mut question: Question| {
        place.asks();
        until.send_replace(Instant::now() + work);
        question.extensions_mut().insert(client.clone());
        let answer = service(question);
        let until = &until;
        Box::pin(async move {
            let mut answer = answer.await;
            if answer.body().is_endless() && !place.keep() {
                answer = Response::new("too many clients are told as things happen: try again later\n".into());
                *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
            }
            until.send_replace(Instant::now() + if answer.body().is_endless() { NEVER } else { 2 * PATIENCE });
            Ok::<_, Infallible>(answer)
        })
    });
    let mut connection = http1::Builder::new()
        // Prometheus and probes ask every few seconds at most, and a place is worth more than a handshake.
        .keep_alive(false)
        .header_read_timeout(PATIENCE)
        .max_headers(MAX_HEADERS)
        .max_header_size(MAX_HEAD)
        .max_buf_size(MAX_BUFFER)
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(Impatient::new(stream, PATIENCE)), answering);
    let served = {
        let served = std::future::poll_fn(|context| connection.poll_without_shutdown(context));
        tokio::select! {
            served = served => Some(served),
            // It is not made in time, or not taken.
            () = passed(&mut deadline) => None,
            () = place.lost() => None,
        }
    };
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    let last_word = match served {
        // What went wrong with the rest of it, hyper has said.
        Some(Err(error)) if error.is_timeout() => Some(StatusCode::REQUEST_TIMEOUT),
        Some(Err(_)) if parts.read_buf.starts_with(HTTP_2) => Some(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
        // Where it has asked, a part of the answer is on its way.
        None if !place.has_asked() => Some(StatusCode::SERVICE_UNAVAILABLE),
        Some(_) | None => None,
    };
    let end = async {
        if let Some(status) = last_word {
            stream.write_all(line(status).as_bytes()).await?;
        }
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(MAX_LEFT), &mut tokio::io::sink()).await
    };
    // A client that has gone, or reads nothing, is not our concern.
    tokio::select! {
        // Who has lost the place is told so, and not waited for.
        biased;
        _ = timeout(LEFT_FOR, end) => {}
        () = place.lost() => {}
    }
}

/// Waits until the deadline that is in force has passed.
async fn passed(deadline: &mut watch::Receiver<Instant>) {
    loop {
        let at = *deadline.borrow_and_update();
        tokio::select! {
            () = sleep_until(at) => return,
            changed = deadline.changed() => if changed.is_err() { return },
        }
    }
}

/// An answer that is a status and nothing more.
fn line(status: StatusCode) -> String {
    let length = status.to_string().len() + 1;
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n\
         {status}\n"
    )
}
