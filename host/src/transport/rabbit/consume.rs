//! What the broker delivers, until it is settled.
//!
//! Before it: [`super::Client::listen`]. After it: [`crate::transport::Deliveries`].

mod acks;
pub(crate) mod consumer;
mod consuming;
mod offsets;
mod session;
pub(crate) mod settle;
pub(crate) mod tap;
mod tapping;
mod waiting;
