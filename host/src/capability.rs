//! What handlers may do beyond computing, each as far as its manifest grants it.
//!
//! Before it: [`crate::catalog`] has read the [`Grants`]; [`crate::dispatch`] opens a [`Session`] for each request of a
//! handler that has any. After it: [`crate::sandbox`] offers the guest what its session can do, and [`crate::client`]
//! sends. Effects of a request are held in its session until the handler has succeeded; see docs/capabilities.md.

mod allowance;
mod brokers;
mod config;
mod error;
mod fetch;
mod grants;
pub mod http;
pub mod keyvalue;
mod outgoing;
mod session;
mod state;
mod traced;

pub use allowance::Allowance;
pub use brokers::{Capabilities, Config};
pub use config::Values;
pub use error::{Error, Unreleased};
pub use grants::{Effects, GRANTABLE, Grants};
pub use outgoing::{Outgoing, Recipient};
pub use session::{Cause, Session, Spans};

#[cfg(test)]
pub(crate) mod tests;
