//! The conductor of a compute service, as its clients of the Havana release know it.
//!
//! | namespace | version | methods |
//! | --- | --- | --- |
//! | null | 1.58 | `ping` |
//! | `baseapi` | 1.1 | `ping`, `get_backdoor_port` |
//! | `compute_task` | 1.5 | `build_instances` |
//!
//! The versions are those of the nova 2013.2 conductor. Every other service calls `baseapi` `ping` when it starts and
//! waits until it is answered ([`base`]). [`compute_task`] takes the requests that build instances.

pub mod base;
pub mod compute_task;

use base::{get_backdoor_port, ping};
use compute_task::build_instances;
use nova_guest::{Endpoint, Handler, methods};

/// The handler.
#[derive(Debug)]
pub struct Conductor;

impl Handler for Conductor {
    const ENDPOINTS: &'static [Endpoint] = &[
        Endpoint { namespace: Some("compute_task"), version: "1.5", methods: methods![build_instances] },
        // Where `ping` was before `baseapi`; kept there for clients of that time.
        Endpoint { namespace: None, version: "1.58", methods: methods![ping] },
        Endpoint { namespace: Some("baseapi"), version: "1.1", methods: methods![ping, get_backdoor_port] },
    ];
}

nova_guest::export!(Conductor);
