//! Write handlers for Nova Host in Rust.
//!
//! A handler is a type with a table of endpoints. A method is a plain function from typed arguments to a typed result;
//! serde reads the one and writes the other. [`export!`] makes a WebAssembly component of it.
//!
//! ```
//! use nova_guest::{Endpoint, Failure, Handler, Info, methods};
//! use serde::Deserialize;
//!
//! pub struct Calculator;
//!
//! impl Handler for Calculator {
//!     const ENDPOINTS: &'static [Endpoint] =
//!         &[Endpoint { namespace: None, version: "1.3", methods: methods![divide, served_by as "who"] }];
//! }
//!
//! #[derive(Deserialize)]
//! struct Divide {
//!     a: f64,
//!     #[serde(default = "one")]
//!     b: f64,
//! }
//!
//! fn one() -> f64 {
//!     1.0
//! }
//!
//! fn divide(Divide { a, b }: Divide, _info: &Info) -> Result<f64, Failure> {
//!     if b == 0.0 {
//!         return Err(Failure::builtin("ZeroDivisionError", "division by zero"));
//!     }
//!     Ok(a / b)
//! }
//!
//! // No arguments: `()`.
//! fn served_by(_: (), info: &Info) -> Result<String, Failure> {
//!     Ok(format!("asked for {}", info.version()))
//! }
//!
//! nova_guest::export!(Calculator);
//!
//! // In a test, natively:
//! use nova_guest::{serde_json::json, testing};
//!
//! assert_eq!(testing::call::<Calculator>("divide", json!({"a": 3, "b": 2})), Ok(json!(1.5)));
//! assert_eq!(testing::call::<Calculator>("who", json!({})), Ok(json!("asked for 1.0")));
//! let failure = testing::call::<Calculator>("divide", json!({"a": 1, "c": 2})).unwrap_err();
//! assert_eq!(failure.message(), "Calculator.divide() got an unexpected keyword argument 'c'");
//! ```
//!
//! The crate needs `crate-type = ["cdylib", "rlib"]`, this crate and serde. Build it for `wasm32-unknown-unknown` with
//! `wasm-component-ld` as the linker and it is a component that imports nothing but the host's own interfaces.
//!
//! # Arguments
//!
//! A function's first parameter is any type that serde can read from an object; its fields are the keyword arguments.
//! Python's rules hold. Unknown arguments are refused, with or without `deny_unknown_fields`. A field that is an
//! `Option` or has a `#[serde(default)]` may be left out; an argument that must be given but may be null is an `Option`
//! with `#[serde(deserialize_with = "Option::deserialize")]`. A map takes whatever comes, like `**kwargs`. The caller
//! meets mistakes as Python's own `TypeError`, and no message of this crate repeats an argument's value.
//!
//! Integers beyond 64 bits need `i128`, `u128` or [`RawValue`](serde_json::value::RawValue), which is also the way to
//! pass a value through untouched. `&str` and `Cow<str>` borrow from the request.
//!
//! # Results
//!
//! Any type that serde can write. As in JSON, and unlike in Python, `NaN` and the infinities become null. What JSON
//! cannot express at all, such as a map whose keys are lists, reaches the caller as the failure `InvalidResult`.
//!
//! # Requests for others
//!
//! [`Failure::declined`] leaves a request to others, as if there were no such handler. In native tests
//! [`testing::Answer::is_declined`] sees it.
//!
//! # Other services
//!
//! [`rpc`] calls and casts, as far as the manifest grants it. In native tests
//! [`testing::Request::answering`] stands for the other services.
//!
//! # HTTP
//!
//! [`http`] asks servers that the manifest grants; in native tests [`testing::Request::fetching`] stands for them.
//!
//! # Configuration
//!
//! [`config::get`] has the values that the manifest gives in its section `config`, secrets among them; in native tests
//! [`testing::Request::config`] gives them.
//!
//! # State
//!
//! [`keyvalue`] keeps bytes by keys, where the manifest grants it. An instance ends without notice: there is no other
//! way to remember anything.
//!
//! # Tracing
//!
//! [`trace`] adds attributes and events to the span in which the handler runs. In native tests [`testing::Answer`] has them.
//!
//! # Memory
//!
//! The allocator is the standard library's, with a head start. A handler with a `#[global_allocator]` of its own switches
//! off the crate's default feature `allocator`.
//!
//! # Panics
//!
//! A panic ends the instance, never the host. The caller is told what it said, so keep secrets out of it.

/// The first handler of the README, which is a test here.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// And what the guide says.
#[cfg(doctest)]
#[doc = include_str!("../../docs/handlers.md")]
struct Guide;

/// And what it says of capabilities.
#[cfg(doctest)]
#[doc = include_str!("../../docs/capabilities.md")]
struct Capabilities;

mod handler;

mod call;

mod arguments;
pub mod config;
mod failure;
pub mod http;
mod info;
pub mod keyvalue;
pub mod log;
pub mod random;
pub mod rpc;
pub mod trace;

mod imports;

#[cfg(target_family = "wasm")]
#[doc(hidden)]
pub mod bindings;
#[cfg(target_family = "wasm")]
mod component;
#[cfg(all(target_family = "wasm", feature = "allocator"))]
mod memory;

#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use call::{Call, Reply};
pub use failure::Failure;
pub use handler::{Endpoint, Handler, Method};
pub use info::Info;
pub use serde_json;
