//! What a handler knows about its request, and what it can tell the host.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use nova_guest::{
    Failure, Info,
    log::{self, Level},
    serde_json::value::RawValue,
    trace,
};
use serde::{Deserialize, Serialize};

/// A line for the log.
#[derive(Debug, Deserialize)]
pub struct Line {
    level: Level,
    message: String,
    #[serde(default = "once")]
    times: u64,
}

const fn once() -> u64 {
    1
}

/// A method of an object.
#[derive(Debug, Deserialize)]
pub struct Action {
    objmethod: String,
}

/// A part of the work.
#[derive(Debug, Deserialize)]
pub struct Step {
    step: String,
}

/// Everything but the arguments and the context.
#[derive(Debug, Serialize)]
pub struct Known {
    method: String,
    namespace: Option<String>,
    version: String,
    reply_wanted: bool,
    time_left_ms: u64,
}

/// `log(level, message, times=1)` writes to the service's log: "trace", "debug", "info", "warn" or "error".
pub fn log(Line { level, message, times }: Line, _: &Info) -> Result<(), Failure> {
    for _ in 0..times {
        log::write(level, &message);
    }
    Ok(())
}

/// A number.
#[derive(Debug, Deserialize)]
pub struct Number {
    n: u64,
}

/// `record(n)` writes `recorded n` to the service's log and returns `n`: the lines say what ran, and how often.
pub fn record(Number { n }: Number, _: &Info) -> Result<u64, Failure> {
    log::write(Level::Info, format!("recorded {n}"));
    Ok(n)
}

/// `context()` returns the caller's context, to the letter.
pub fn context(_: (), info: &Info) -> Result<Box<RawValue>, Failure> {
    info.context()
}

/// `info()` returns everything else that is known about the request.
pub fn info(_: (), info: &Info) -> Result<Known, Failure> {
    let time_left: Duration = info.time_left();
    Ok(Known {
        method: info.method().to_owned(),
        namespace: info.namespace().map(str::to_owned),
        version: info.version().to_owned(),
        reply_wanted: info.reply_wanted(),
        time_left_ms: u64::try_from(time_left.as_millis())?,
    })
}

/// `calls()` counts its calls in this instance: always 1, unless the host uses an instance again.
pub fn calls(_: (), _: &Info) -> Result<u64, Failure> {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    Ok(CALLS.fetch_add(1, Ordering::Relaxed) + 1)
}

/// `object_action(objmethod)` does `save`, and leaves every other method to others.
///
/// # Errors
///
/// None that the caller meets as this handler's.
pub fn object_action(Action { objmethod }: Action, _: &Info) -> Result<&'static str, Failure> {
    if objmethod == "save" { Ok("saved") } else { Err(Failure::declined()) }
}

/// `mark(step)` adds attributes and an event to the trace, and says whether anybody sees them.
///
/// # Errors
///
/// None.
pub fn mark(Step { step }: Step, _: &Info) -> Result<bool, Failure> {
    trace::attribute("calc.step", &step);
    trace::attribute("calc.count", 3);
    trace::attribute("calc.share", 0.5);
    trace::attribute("calc.done", true);
    trace::event("step done", [("calc.count", 3.into()), ("calc.step", step.into())]);
    Ok(trace::is_recording())
}

/// `served_by()` names the endpoint: "1.3".
pub fn served_by_1(_: (), _: &Info) -> Result<&'static str, Failure> {
    Ok("1.3")
}

/// `served_by()` names the endpoint: "2.0".
pub fn served_by_2(_: (), _: &Info) -> Result<&'static str, Failure> {
    Ok("2.0")
}

/// `served_by()` names the endpoint: "statistics 2.1".
pub fn served_by_statistics(_: (), _: &Info) -> Result<&'static str, Failure> {
    Ok("statistics 2.1")
}

#[cfg(test)]
mod tests {
    use nova_guest::{
        log::Level,
        serde_json::json,
        testing::{Request, call},
    };

    use crate::Calculator;

    #[test]
    fn lines_go_to_the_log_at_their_level() {
        let log =
            |level| Request::new("log", json!({"level": level, "message": "hello", "times": 2})).send::<Calculator>();
        let answer = log("warn");
        assert_eq!(answer.reply.unwrap(), "null");
        assert_eq!(answer.log, vec![(Level::Warn, "hello".to_owned()); 2]);
        assert_eq!(
            log("loud").value().unwrap_err().message(),
            "Calculator.log() argument 'level' must be one of 'trace', 'debug', 'info', 'warn', 'error'"
        );
    }

    #[test]
    fn what_ran_is_on_record() {
        let answer = Request::new("record", json!({"n": 7})).send::<Calculator>();
        assert_eq!((answer.reply.unwrap().as_str(), answer.log), ("7", vec![(Level::Info, "recorded 7".to_owned())]));
    }

    #[test]
    fn the_context_is_the_callers() {
        let context = json!({"user_id": "u", "roles": ["admin"], "client_timeout": null});
        let answer = Request::new("context", json!({})).context(context.clone()).send::<Calculator>();
        assert_eq!(answer.value(), Ok(context));
    }

    #[test]
    fn info_is_what_the_caller_asked_for() {
        let known = Request::new("info", json!({})).version("1.2").cast().send::<Calculator>().value().unwrap();
        assert_eq!(
            known,
            json!({
                "method": "info", "namespace": null, "version": "1.2", "reply_wanted": false, "time_left_ms": 60_000
            })
        );
    }

    #[test]
    fn every_endpoint_says_which_it_is() {
        let at = |version| Request::new("served_by", json!({})).version(version);
        assert_eq!(at("1.0").send::<Calculator>().value(), Ok(json!("1.3")));
        assert_eq!(at("2.0").send::<Calculator>().value(), Ok(json!("2.0")));
        assert_eq!(at("2.1").namespace("statistics").send::<Calculator>().value(), Ok(json!("statistics 2.1")));
        assert_eq!(at("1.4").send::<Calculator>().value().unwrap_err().class(), "UnsupportedVersion");
        assert_eq!(call::<Calculator>("mean", json!({})).unwrap_err().class(), "NoSuchMethod");
    }

    #[test]
    fn what_it_does_not_do_is_left_to_others() {
        let ask = |method: &str| Request::new("object_action", json!({"objmethod": method})).send::<Calculator>();
        assert_eq!(ask("save").value(), Ok(json!("saved")));
        assert!(ask("create").is_declined());
    }

    #[test]
    fn the_trace_has_what_was_done() {
        let answer = Request::new("mark", json!({"step": "first"})).send::<Calculator>();
        assert_eq!((&answer.attributes["calc.step"], answer.attributes.len()), (&"first".into(), 4));
        assert_eq!(answer.events[0].0, "step done");
        assert_eq!(answer.value(), Ok(json!(true)));
    }

    #[test]
    fn an_instance_that_is_used_again_counts_on() {
        assert_eq!(call::<Calculator>("calls", json!({})), Ok(json!(1)));
        assert_eq!(call::<Calculator>("calls", json!({})), Ok(json!(2)));
    }
}
