//! State that outlives a request, and the configuration.

use std::time::Duration;

use nova_guest::{Failure, Info, config, keyvalue, trace};
use serde::Deserialize;

/// A name.
#[derive(Debug, Deserialize)]
pub struct Name {
    name: String,
}

/// A key.
#[derive(Debug, Deserialize)]
pub struct Key {
    key: String,
}

/// Arguments of [`remember`]; times are in seconds.
#[derive(Debug, Deserialize)]
pub struct Remember {
    key: String,
    value: String,
    ttl: Option<f64>,
    #[serde(default)]
    then_fail: bool,
}

/// Arguments of [`fill`].
#[derive(Debug, Deserialize)]
pub struct Fill {
    number: u32,
}

/// Arguments of [`count`].
#[derive(Debug, Deserialize)]
pub struct Count {
    key: String,
    delta: i64,
}

/// Arguments of [`exchange`].
#[derive(Debug, Deserialize)]
pub struct Exchange {
    key: String,
    current: Option<String>,
    next: Option<String>,
}

/// A value of the manifest's, and the names of all.
pub fn setting(Name { name }: Name, _: &Info) -> Result<(Option<String>, Vec<String>), Failure> {
    Ok((config::get(&name), config::all().into_keys().collect()))
}

/// Sets a value, and says whether it is there.
pub fn remember(Remember { key, value, ttl, then_fail }: Remember, _: &Info) -> Result<bool, Failure> {
    match ttl {
        Some(seconds) => keyvalue::set_for(&key, value, Duration::from_secs_f64(seconds))?,
        None => keyvalue::set(&key, value)?,
    }
    if then_fail { Err(Failure::value_error("remembered, and failed")) } else { keyvalue::exists(&key) }
}

/// A value as text, whether it is there, and all keys.
pub fn recall(Key { key }: Key, _: &Info) -> Result<(Option<String>, bool, Vec<String>), Failure> {
    let value = keyvalue::get(&key)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    Ok((value, keyvalue::exists(&key)?, keyvalue::keys()?))
}

/// Sets many keys.
pub fn fill(Fill { number }: Fill, _: &Info) -> Result<(), Failure> {
    (0..number).try_for_each(|at| keyvalue::set(&format!("{at:05}"), ""))
}

/// Takes a value away.
pub fn forget(Key { key }: Key, _: &Info) -> Result<(), Failure> {
    keyvalue::delete(&key)
}

/// Adds to a number.
pub fn count(Count { key, delta }: Count, _: &Info) -> Result<i64, Failure> {
    let sum = keyvalue::increment(&key, delta)?;
    trace::attribute("courier.delta", delta);
    let span = trace::span_context().map(|span| span.to_string()).unwrap_or_default();
    trace::event("counted", [("courier.sum", sum.into()), ("courier.span", span.into())]);
    Ok(sum)
}

/// Puts one value in place of another.
pub fn exchange(Exchange { key, current, next }: Exchange, _: &Info) -> Result<bool, Failure> {
    let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    keyvalue::swap(&key, bytes(&current).as_deref(), bytes(&next).as_deref())
}
