//! Spans that wait for the exporter: so many, and no more.
//!
//! Before it: a [`super::span`] has ended. After it: [`super::export`] takes them. Nobody who ends a span waits for anything.

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::otlp;
use crate::metrics::{Metrics, SpanFate};

/// Where spans go when they have ended.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<otlp::Span>,
    metrics: Metrics,
}

impl Queue {
    /// A queue for so many spans, and its end.
    pub(super) fn new(most: usize, metrics: Metrics) -> (Self, Receiver<otlp::Span>) {
        let (sender, receiver) = channel(most);
        (Self { sender, metrics }, receiver)
    }

    /// Takes a span where there is room.
    pub(super) fn put(&self, span: otlp::Span) {
        if self.sender.try_send(span).is_err() {
            self.left_out();
        }
    }

    /// Counts a span that is not sent.
    pub(super) fn left_out(&self) {
        self.metrics.spans(SpanFate::Dropped, 1);
    }
}
