//! A tape that is written, within a bound: beyond it, all of it is given up.

use std::time::{Duration, Instant};

use crate::{
    envelope::Text,
    recording::{Call, Ended},
};

/// What is taped of one request.
#[derive(Debug)]
pub(super) struct Recorder {
    started: Instant,
    is_chosen: bool,
    calls: Vec<Call>,
    left: Option<usize>,
    served: u32,
    memory: usize,
    ended: Option<Ended>,
}

/// What was taped of a request that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taped {
    /// Each call of an import.
    pub calls: Vec<Call>,
    /// Requests that the instance had served before.
    pub served: u32,
    /// Bytes of memory at the end.
    pub memory: usize,
    /// What the guest did in the end; `None` where it was never run to its end.
    pub ended: Option<Ended>,
}

impl Recorder {
    pub(super) fn new(most: usize, is_chosen: bool) -> Self {
        Self {
            started: Instant::now(),
            is_chosen,
            calls: Vec::new(),
            left: Some(most),
            served: 0,
            memory: 0,
            ended: None,
        }
    }

    pub(super) fn wants_fresh(&self) -> bool {
        self.is_chosen
    }

    pub(super) fn begins(&mut self, served: u32) {
        self.served = served;
    }

    pub(super) fn used(&mut self, memory: usize) {
        self.memory = memory;
    }

    /// Takes down the end, where there is room for it.
    pub(super) fn ends(&mut self, bytes: usize, ended: impl FnOnce() -> Ended) {
        if self.takes(bytes).is_some() {
            self.ended = Some(ended());
        }
    }

    /// Whether it was not given up.
    pub(super) fn has_room(&self) -> bool {
        self.left.is_some()
    }

    pub(super) fn says(&mut self, import: &'static str, line: Text) {
        let number = self.asks(import, || line);
        if let Some(number) = number {
            self.answered(number, Text::null);
        }
    }

    /// Takes down what is asked; `None` where there is no room any more.
    pub(super) fn asks(&mut self, import: &'static str, asked: impl FnOnce() -> Text) -> Option<usize> {
        self.left?;
        let at_us = micros(self.started.elapsed());
        let call = Call { import: import.to_owned(), asked: asked(), answer: None, at_us, took_us: 0 };
        self.takes(call.size())?;
        self.calls.push(call);
        Some(self.calls.len() - 1)
    }

    /// Takes down the answer.
    pub(super) fn answered(&mut self, number: usize, answer: impl FnOnce() -> Text) {
        if self.left.is_none() {
            return;
        }
        let answer = answer();
        let now = micros(self.started.elapsed());
        if self.takes(answer.get().len()).is_some()
            && let Some(call) = self.calls.get_mut(number)
        {
            call.took_us = now.saturating_sub(call.at_us);
            call.answer = Some(answer);
        }
    }

    pub(super) fn take(&mut self) -> Option<Taped> {
        self.left?;
        Some(Taped {
            calls: std::mem::take(&mut self.calls),
            served: self.served,
            memory: self.memory,
            ended: self.ended.take(),
        })
    }

    pub(super) fn copied(&self) -> Option<Taped> {
        self.left?;
        let Self { calls, served, memory, ended, .. } = self;
        Some(Taped { calls: calls.clone(), served: *served, memory: *memory, ended: ended.clone() })
    }

    pub(super) fn takes(&mut self, bytes: usize) -> Option<()> {
        self.left = self.left.and_then(|left| left.checked_sub(bytes));
        if self.left.is_none() {
            self.calls = Vec::new();
        }
        self.left.map(drop)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
