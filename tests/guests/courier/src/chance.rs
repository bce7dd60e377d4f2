//! What differs between two instances, and what is alike in all of them.

use std::hash::{BuildHasher as _, RandomState};

use nova_guest::{
    Failure, Info, random,
    serde_json::{Value, json},
};

/// `fresh()` draws in every way that there is.
///
/// # Errors
///
/// None.
pub fn fresh(_: (), _: &Info) -> Result<Value, Failure> {
    Ok(json!({"random": random::number(), "hash": RandomState::new().hash_one("x")}))
}
