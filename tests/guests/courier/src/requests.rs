//! Requests to other services, and to the handler's own: `divide` and `not_found` are there to be asked.

use std::time::Duration;

use nova_guest::{
    Failure, Info,
    rpc::{self, Error},
    serde_json::{Value, json, value::RawValue},
};
use serde::Deserialize;

/// Who is asked, in JSON; times are in seconds.
#[derive(Debug, Deserialize)]
pub struct Target {
    topic: String,
    server: Option<String>,
    namespace: Option<String>,
    version: Option<String>,
    timeout: Option<f64>,
    monitor: Option<f64>,
}

/// A request.
#[derive(Debug, Deserialize)]
pub struct Ask {
    target: Target,
    name: String,
    arguments: Box<RawValue>,
}

/// Arguments of [`ask_all`].
#[derive(Debug, Deserialize)]
pub struct AskAll {
    name: String,
    calls: Vec<(Target, Box<RawValue>)>,
}

/// Arguments of [`tell`].
#[derive(Debug, Deserialize)]
pub struct Tell {
    target: Target,
    name: String,
    arguments: Box<RawValue>,
    #[serde(default)]
    everybody: bool,
    #[serde(default)]
    then_fail: bool,
}

/// Arguments of [`divide`].
#[derive(Debug, Deserialize)]
pub struct Divide {
    a: f64,
    b: f64,
}

/// Arguments of [`not_found`].
#[derive(Debug, Deserialize)]
pub struct NotFound {
    instance_id: String,
}

impl From<Target> for rpc::Target {
    fn from(target: Target) -> Self {
        let Target { topic, server, namespace, version, timeout, monitor } = target;
        let timeout = timeout.map(Duration::from_secs_f64);
        let monitor = monitor.map(Duration::from_secs_f64);
        Self { broker: None, topic, server, namespace, version, timeout, monitor }
    }
}

/// Passes on what another says, whatever it is.
pub fn ask(Ask { target, name, arguments }: Ask, _: &Info) -> Result<Value, Failure> {
    Ok(rpc::Target::from(target).call(&name, &arguments)?)
}

/// Says which exception another has raised.
pub fn ask_kindly(Ask { target, name, arguments }: Ask, _: &Info) -> Result<Value, Failure> {
    match rpc::Target::from(target).call(&name, &arguments) {
        Err(Error::Remote(failure)) => Ok(json!(["remote", failure.module(), failure.class(), failure.message()])),
        Err(Error::TimedOut(text)) => Ok(json!(["timed out", text])),
        other => Ok(other?),
    }
}

/// Asks many at once: their results, or the classes of their exceptions.
pub fn ask_all(AskAll { name, calls }: AskAll, _: &Info) -> Result<Vec<Value>, Failure> {
    let calls: Vec<(rpc::Target, _)> =
        calls.into_iter().map(|(target, arguments)| (target.into(), arguments)).collect();
    let answers = rpc::Target::call_many(&name, calls.iter().map(|(target, arguments)| (target, arguments)))?;
    Ok(answers.into_iter().map(|answer| answer.unwrap_or_else(|error| json!(Failure::from(error).class()))).collect())
}

/// Casts.
pub fn tell(Tell { target, name, arguments, everybody, then_fail }: Tell, _: &Info) -> Result<(), Failure> {
    let target = rpc::Target::from(target);
    if everybody { target.fanout(&name, &arguments) } else { target.cast(&name, &arguments) }?;
    if then_fail { Err(Failure::value_error("told, and failed")) } else { Ok(()) }
}

/// Has a result, or none.
pub fn divide(Divide { a, b }: Divide, _: &Info) -> Result<f64, Failure> {
    if b == 0.0 { Err(Failure::new("builtins", "ZeroDivisionError", "division by zero")) } else { Ok(a / b) }
}

/// Has none.
pub fn not_found(NotFound { instance_id }: NotFound, _: &Info) -> Result<(), Failure> {
    let message = format!("Instance {instance_id} could not be found.");
    let failure = Failure::new("nova.exception", "InstanceNotFound", message);
    Err(failure.kwarg("instance_id", instance_id).kwarg("code", 404))
}
