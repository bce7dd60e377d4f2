//! Gates: what a new version of a handler has to show before it takes the place of the one that serves.
//!
//! Before it: a manifest's `[gate]`, or an operator. After it: [`crate::catalog`] holds both versions against what is demanded. [`demands`] is
//! what that is, [`sizes`] judges times and memory, and [`finding`] is what is said of a version that does not pass. All of it is pure: no
//! IO, no clock, no lock.

pub mod demands;
pub mod finding;
pub mod sizes;

pub use demands::{Demands, Terms, Wishes};
pub use finding::{Finding, Refusal};
pub use sizes::Sample;
