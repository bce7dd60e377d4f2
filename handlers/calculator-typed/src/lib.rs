//! The calculator that every language has, typed, in Rust: the functions of `wit/calculator.wit`.
//!
//! `handlers/languages/` has it in the other languages.

#[cfg(target_family = "wasm")]
mod component;
