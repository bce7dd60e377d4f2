//! What the host must survive, and what the caller must be told about it.

use std::hint::black_box;

use nova_guest::{
    Failure, Info,
    serde_json::{Map, Value},
};
use serde::Deserialize;

/// Bytes of a mebibyte.
const MIB: usize = 1 << 20;

/// Bytes of a page of linear memory.
const PAGE: usize = 1 << 16;

/// An exception to raise.
#[derive(Debug, Deserialize)]
pub struct Exception {
    class: String,
    #[serde(default = "builtins")]
    module: String,
    message: String,
    args: Option<Vec<Value>>,
    #[serde(default)]
    kwargs: Map<String, Value>,
}

fn builtins() -> String {
    "builtins".to_owned()
}

/// The instance that is not there.
#[derive(Debug, Deserialize)]
pub struct NotFound {
    instance_id: String,
}

/// Last words.
#[derive(Debug, Deserialize)]
pub struct Panic {
    message: String,
}

/// How much.
#[derive(Debug, Deserialize)]
pub struct Allocate {
    mib: usize,
}

/// `fail(class, message, module="builtins", args=[message], kwargs={})` raises any exception.
///
/// # Errors
///
/// Always.
pub fn fail(exception: Exception, _: &Info) -> Result<(), Failure> {
    let mut failure = Failure::new(exception.module, exception.class, exception.message);
    if let Some(args) = exception.args {
        failure = failure.with_args(args);
    }
    Err(exception.kwargs.into_iter().fold(failure, |failure, (name, value)| failure.kwarg(name, value)))
}

/// `not_found(instance_id)` raises what nova raises for an instance that does not exist.
///
/// # Errors
///
/// Always.
pub fn not_found(NotFound { instance_id }: NotFound, _: &Info) -> Result<(), Failure> {
    let message = format!("Instance {instance_id} could not be found.");
    Err(Failure::new("nova.exception", "InstanceNotFound", message)
        .kwarg("instance_id", instance_id)
        .kwarg("code", 404))
}

/// `panic(message)` panics.
///
/// It does not return.
///
/// # Panics
///
/// Always.
#[expect(clippy::panic, reason = "that is what it is for")]
pub fn panic(Panic { message }: Panic, _: &Info) -> Result<(), Failure> {
    panic!("{message}")
}

/// `loop_forever()` computes until it is stopped.
///
/// It does not return.
pub fn loop_forever(_: (), _: &Info) -> Result<(), Failure> {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

/// `recurse()` calls itself until the stack ends.
///
/// It does not return.
pub fn recurse(_: (), _: &Info) -> Result<u64, Failure> {
    Ok(deeper(0))
}

// The optimiser must see neither a loop nor that it never ends.
fn deeper(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX { depth } else { black_box(deeper(depth + 1)).wrapping_add(1) }
}

/// `allocate(mib)` takes that much memory, writes to every page of it, and returns the number of bytes.
///
/// # Errors
///
/// `MemoryError` if the host refuses the memory without stopping the handler.
pub fn allocate(Allocate { mib }: Allocate, _: &Info) -> Result<usize, Failure> {
    let refused = |_| Failure::builtin("MemoryError", format!("cannot allocate {mib} MiB"));
    let bytes = mib.saturating_mul(MIB);
    let mut memory: Vec<u8> = Vec::new();
    memory.try_reserve_exact(bytes).map_err(refused)?;
    memory.resize(bytes, 0);
    for page in memory.chunks_mut(PAGE) {
        page.fill(1);
    }
    Ok(black_box(memory).len())
}

#[cfg(test)]
mod tests {
    use nova_guest::{serde_json::json, testing::call};

    use crate::Calculator;

    #[test]
    fn any_exception_can_be_raised() {
        let failure = call::<Calculator>("fail", json!({"class": "KeyError", "message": "k"})).unwrap_err();
        assert_eq!((failure.module(), failure.class(), failure.args()), ("builtins", "KeyError", &[json!("k")][..]));
        let all = json!({"module": "a.b", "class": "C", "message": "m", "args": [1, null], "kwargs": {"k": [true]}});
        let failure = call::<Calculator>("fail", all).unwrap_err();
        assert_eq!((failure.module(), failure.args()), ("a.b", &[json!(1), json!(null)][..]));
        assert_eq!(json!(failure.kwargs()), json!({"k": [true]}));
    }

    #[test]
    fn an_instance_that_is_missing_is_the_exception_of_nova() {
        let failure = call::<Calculator>("not_found", json!({"instance_id": "i-7"})).unwrap_err();
        assert_eq!(failure.to_string(), "nova.exception.InstanceNotFound: Instance i-7 could not be found.");
        assert_eq!(json!(failure.kwargs()), json!({"instance_id": "i-7", "code": 404}));
    }

    #[test]
    #[should_panic(expected = "oh no")]
    fn a_panic_says_why() {
        let _ = call::<Calculator>("panic", json!({"message": "oh no"}));
    }

    #[test]
    fn memory_is_taken_or_refused() {
        assert_eq!(call::<Calculator>("allocate", json!({"mib": 2})), Ok(json!(2 << 20)));
        let failure = call::<Calculator>("allocate", json!({"mib": u64::MAX})).unwrap_err();
        assert_eq!(failure.class(), "MemoryError");
    }
}
