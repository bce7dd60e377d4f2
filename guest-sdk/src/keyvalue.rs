//! State that outlives a request: keys with bytes, of this handler alone.
//!
//! The manifest says `grants.keyvalue = true`. What is set or deleted takes place when the handler has succeeded, and is
//! seen by itself before; [`increment`] and [`swap`] happen at once, whatever becomes of the handler.

use std::time::Duration;

use crate::{Failure, imports};

/// The value of a key; `None` where there is none, or its time is over.
///
/// # Errors
///
/// A `RuntimeError` where the store says no; so for all others.
pub fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
    imports::state_get(key).map_err(failure)
}

/// Whether there is a value.
///
/// # Errors
///
/// As [`get`].
pub fn exists(key: &str) -> Result<bool, Failure> {
    imports::state_exists(key).map_err(failure)
}

/// Sets a value.
///
/// # Errors
///
/// Also where the handler would keep more than `limits.keyvalue`.
pub fn set(key: &str, value: impl AsRef<[u8]>) -> Result<(), Failure> {
    imports::state_set(key, Some(value.as_ref()), None).map_err(failure)
}

/// Sets a value for a time.
///
/// # Errors
///
/// As [`set`].
pub fn set_for(key: &str, value: impl AsRef<[u8]>, time: Duration) -> Result<(), Failure> {
    imports::state_set(key, Some(value.as_ref()), Some(time)).map_err(failure)
}

/// Takes a value away, if there is one.
///
/// # Errors
///
/// As [`get`].
pub fn delete(key: &str) -> Result<(), Failure> {
    imports::state_set(key, None, None).map_err(failure)
}

/// Adds to a number, and returns the sum. No number is 0.
///
/// # Errors
///
/// Also where the value is no number, or the sum too large for one.
pub fn increment(key: &str, delta: i64) -> Result<i64, Failure> {
    imports::state_increment(key, delta).map_err(failure)
}

/// Puts one value in place of another, if that is the value there; `None` is no value. Says whether it was.
///
/// # Errors
///
/// As [`set`].
pub fn swap(key: &str, current: Option<&[u8]>, next: Option<&[u8]>) -> Result<bool, Failure> {
    imports::state_swap(key, current, next).map_err(failure)
}

/// All keys, in the order of their bytes, without what this request has set.
///
/// # Errors
///
/// As [`get`].
pub fn keys() -> Result<Vec<String>, Failure> {
    let (mut keys, mut cursor) = (Vec::new(), None);
    loop {
        let (page, next) = imports::state_keys(cursor).map_err(failure)?;
        keys.extend(page);
        match next {
            Some(_) => cursor = next,
            None => return Ok(keys),
        }
    }
}

#[track_caller]
fn failure(text: String) -> Failure {
    Failure::builtin("RuntimeError", text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Endpoint, Handler, Info, methods, testing::Request};

    struct Counter;

    impl Handler for Counter {
        const ENDPOINTS: &'static [Endpoint] =
            &[Endpoint { namespace: None, version: "1.0", methods: methods![count, fail] }];
    }

    fn count(_: (), _: &Info) -> Result<(i64, bool, Vec<String>), Failure> {
        set("last", "now")?;
        set_for("soon", "gone", Duration::from_secs(1))?;
        delete("old")?;
        assert_eq!((get("last")?.as_deref(), get("old")?), (Some(&b"now"[..]), None));
        assert_eq!((exists("last")?, exists("old")?), (true, false));
        Ok((increment("n", 2)?, swap("n", Some(b"7"), None)?, keys()?))
    }

    fn fail(_: (), _: &Info) -> Result<(), Failure> {
        set("last", "never")?;
        increment("n", 1)?;
        Err(Failure::value_error("no"))
    }

    #[test]
    fn state_is_given_and_seen_by_the_test() {
        let answer = Request::new("count", json!({})).state("n", "5").state("old", "x").send::<Counter>();
        let kept: Vec<_> = answer.state.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
        assert_eq!(kept, [("last", &b"now"[..]), ("soon", b"gone")]);
        assert_eq!(answer.value(), Ok(json!([7, true, ["old"]])));
        let failed = Request::new("fail", json!({})).send::<Counter>();
        let kept: Vec<_> = failed.state.keys().map(String::as_str).collect();
        assert_eq!(kept, ["n"], "only what happened at once");
    }
}
