//! What a guest did instead of answering.

use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};

use super::{
    chain,
    cpu::Spent,
    limits::{Exceeded, Limits},
    log::clean,
    wasi::Ended,
};
use crate::{envelope::Answer, metrics::Ending, printable::written, recording, settings::Bytes};

/// A frame's text is cut beyond this many bytes.
const MAX_FRAME: usize = 300;

/// Of the text of wasmtime's error, which has no public type, for a guest that hands over more than
/// [`super::state::store`] allows.
const OUT_OF_HOSTCALL_FUEL: &str = "fuel allocated for hostcalls";

/// The beginning of wasmtime's error, which has no type, where [`wasmtime::ResourceLimiter::instances`] is exceeded.
const TOO_MANY_INSTANCES: &str = "resource limit exceeded: instance count";

/// How a handler failed to answer. `Display` is for the caller: one line, nothing of the host's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It trapped: a panic, an uncaught exception, a wrong memory access.
    #[error("the handler trapped: {message}")]
    Trapped {
        /// The guest's own words, else the kind of trap.
        message: String,
        /// The guest's frames, outermost first.
        frames: Vec<String>,
    },
    /// It ran past its deadline.
    #[error("the handler did not finish within {limit:?} (limits.timeout)")]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// Where it was, outermost first.
        frames: Vec<String>,
    },
    /// It computed for longer than it may.
    #[error("the handler used more than {limit:?} of CPU time (limits.cpu)")]
    OutOfCpu {
        /// The limit.
        limit: Duration,
        /// Where it was, outermost first.
        frames: Vec<String>,
    },
    /// It wanted more memory than it may have.
    #[error("the handler wanted more than {limit} of memory (limits.memory)")]
    OutOfMemory {
        /// The limit.
        limit: Bytes,
        /// Where it was, outermost first.
        frames: Vec<String>,
    },
    /// It recursed too deep.
    #[error("the handler recursed deeper than {limit} of stack (limits.stack)")]
    OutOfStack {
        /// The limit.
        limit: Bytes,
        /// Where it was, outermost first.
        frames: Vec<String>,
    },
    /// It wanted larger tables than it may have.
    #[error("the handler wanted more than {limit} elements of tables (limits.tables)")]
    OutOfTables {
        /// The limit.
        limit: u32,
        /// Where it was, outermost first.
        frames: Vec<String>,
    },
    /// It is made of more instances than it may be.
    #[error("the handler is made of more than {limit} core instances (limits.instances)")]
    OutOfInstances {
        /// The limit.
        limit: u32,
    },
    /// It returned what is not an answer.
    #[error("the handler's answer is not valid: {reason}")]
    InvalidResult {
        /// What is wrong.
        reason: String,
    },
    /// It returned, or gave to a function of the host, more than it may.
    #[error("the handler handed over more than {limit} at once (limits.result)")]
    ResultTooLarge {
        /// The limit.
        limit: Bytes,
    },
    /// It leaves the request to others.
    #[error("the handler declines the request")]
    Declined,
    /// It could not be started.
    #[error("the handler could not be started: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
}

/// The epoch callback's word for a passed deadline.
#[derive(Debug, thiserror::Error)]
#[error("deadline passed")]
pub(super) struct DeadlinePassed;

impl Fault {
    /// The guest's frames, outermost first.
    #[must_use]
    pub fn frames(&self) -> &[String] {
        match self {
            Self::Trapped { frames, .. }
            | Self::TimedOut { frames, .. }
            | Self::OutOfCpu { frames, .. }
            | Self::OutOfMemory { frames, .. }
            | Self::OutOfTables { frames, .. }
            | Self::OutOfStack { frames, .. } => frames,
            Self::OutOfInstances { .. }
            | Self::InvalidResult { .. }
            | Self::ResultTooLarge { .. }
            | Self::Declined
            | Self::Unavailable { .. } => &[],
        }
    }

    /// The same in a word, for log, metrics and recordings.
    #[must_use]
    pub const fn ending(&self) -> Ending {
        match self {
            Self::Trapped { .. } => Ending::Trapped,
            Self::Declined => Ending::Declined,
            Self::TimedOut { .. } => Ending::TimedOut,
            Self::OutOfCpu { .. } => Ending::OutOfCpu,
            Self::OutOfMemory { .. } => Ending::OutOfMemory,
            Self::OutOfStack { .. } => Ending::OutOfStack,
            Self::OutOfTables { .. } => Ending::OutOfTables,
            Self::InvalidResult { .. } | Self::ResultTooLarge { .. } => Ending::InvalidResult,
            Self::OutOfInstances { .. } | Self::Unavailable { .. } => Ending::Unavailable,
        }
    }

    /// Says what an error of wasmtime means. `panic` are the guest's last words.
    pub(super) fn classify(error: &wasmtime::Error, panic: Option<String>, limits: &Limits) -> Self {
        let frames = frames(error);
        if error.downcast_ref::<DeadlinePassed>().is_some() {
            return Self::TimedOut { limit: limits.timeout, frames };
        }
        if let Some(Spent(limit)) = error.downcast_ref() {
            return Self::OutOfCpu { limit: *limit, frames };
        }
        match error.downcast_ref() {
            Some(Exceeded::Memory(limit)) => return Self::OutOfMemory { limit: *limit, frames },
            Some(Exceeded::Tables(limit)) => return Self::OutOfTables { limit: *limit, frames },
            None => {}
        }
        if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
            return Self::Unavailable { reason: "too many instances at once".to_owned() };
        }
        if let Some(ended) = error.downcast_ref::<Ended>() {
            let words = panic.map_or_else(|| ended.to_string(), |panic| format!("{panic} ({ended})"));
            return Self::Trapped { message: clean(&words), frames };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Self::OutOfStack { limit: limits.stack, frames },
            Some(trap) => Self::Trapped { message: panic.unwrap_or_else(|| trap.to_string()), frames },
            // Not a trap of the guest's code: it returned what the canonical ABI does not allow.
            None => match root(error) {
                text if text.starts_with(TOO_MANY_INSTANCES) => Self::OutOfInstances { limit: limits.instances },
                text if text.contains(OUT_OF_HOSTCALL_FUEL) => Self::ResultTooLarge { limit: limits.result },
                text => Self::InvalidResult { reason: clean(&text) },
            },
        }
    }

    /// Says why a component could not be instantiated.
    pub(super) fn classify_start(error: &wasmtime::Error, panic: Option<String>, limits: &Limits) -> Self {
        match Self::classify(error, panic, limits) {
            Self::InvalidResult { .. } => Self::Unavailable { reason: clean(&chain(error)) },
            fault => fault,
        }
    }
}

/// What a guest did in the end, as a recording has it.
#[must_use]
pub fn ended(answer: &Result<Answer, Fault>) -> recording::Ended {
    let fault = match answer {
        Ok(Answer::Result(result)) => return recording::Ended::Replied(result.clone()),
        Ok(Answer::Failure(failure)) => return recording::Ended::Failed(failure.clone()),
        Err(Fault::Declined) => return recording::Ended::Declined,
        Err(fault) => fault,
    };
    let kind = fault.ending().as_str();
    recording::Ended::Faulted { kind: kind.to_owned(), message: fault.to_string(), frames: fault.frames().to_vec() }
}

/// The last cause: wasmtime's contexts around it hold the backtrace.
fn root(error: &wasmtime::Error) -> String {
    error.chain().last().map_or_else(String::new, ToString::to_string)
}

/// The guest's frames, outermost first, as a person reads them.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let frames = backtrace.frames().iter().rev();
    let mut frames: Vec<String> = frames
        .map(|frame| match frame.func_name() {
            // A name can stand for one that is a thousand times as long.
            Some(name) => written(&format_args!("at {:#}", rustc_demangle::demangle(name)), MAX_FRAME),
            None => format!("at function {}", frame.func_index()),
        })
        .collect();
    for frame in &mut frames {
        if frame.len() > MAX_FRAME {
            let cut = (0..=MAX_FRAME).rev().find(|at| frame.is_char_boundary(*at)).unwrap_or_default();
            frame.truncate(cut);
        }
    }
    frames
}
