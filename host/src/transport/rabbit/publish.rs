//! What is published, until the broker has confirmed or refused it, or has been silent for too long.
//!
//! Before it: [`super::Client::publish`]. After it: the broker.

pub(crate) mod attempts;
mod blame;
mod doubts;
mod exchanges;
mod flight;
mod flights;
mod illness;
mod lanes;
mod outbox;
pub(crate) mod parcel;
pub(crate) mod publisher;
mod returned;
mod underway;
mod window;
