//! A handler that uses all that a manifest grants, for tests and for reading: the methods that the calculators of
//! `handlers/languages/` have beside their own, in Rust.
//!
//! [`requests`] asks and tells others, [`state`] keeps what outlives a request, and knows the configuration, [`web`] asks
//! over HTTP, [`chance`] draws.

pub mod chance;
pub mod requests;
pub mod state;
pub mod web;

use chance::fresh;
use nova_guest::{Endpoint, Handler, methods};
use requests::{ask, ask_all, ask_kindly, divide, not_found, tell};
use state::{count, exchange, fill, forget, recall, remember, setting};
use web::{fetch, fetch_json, fetch_kindly};

/// The handler.
#[derive(Debug)]
pub struct Courier;

impl Handler for Courier {
    const ENDPOINTS: &'static [Endpoint] = &[Endpoint {
        namespace: None,
        version: "1.3",
        methods: methods![
            ask,
            ask_kindly,
            ask_all,
            tell,
            divide,
            not_found,
            setting,
            remember,
            recall,
            fill,
            forget,
            count,
            exchange,
            fetch,
            fetch_json,
            fetch_kindly,
            fresh,
        ],
    }];
}

nova_guest::export!(Courier);
