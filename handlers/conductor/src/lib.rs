//! The conductor of a compute service, as nova's clients know it, from Havana's to today's.
//!
//! | namespace | version | methods |
//! | --- | --- | --- |
//! | null | 1.58 | `ping` |
//! | null | 3.0 | `object_class_action_versions` |
//! | `baseapi` | 1.1 | `ping`, `get_backdoor_port` |
//! | `compute_task` | 1.19 | `build_instances` |
//! | `compute_task` | 1.21 | `cache_images` |
//!
//! A client may ask for any lower version: that of nova 2013.2 was 1.5, today's asks for 1.19. Every other service calls
//! `baseapi` `ping` when it starts and waits until it is answered ([`base`]). [`compute_task`] takes the requests that build
//! instances or fetch images for them: it asks the scheduler and placement, and tells the compute services. `conductor.toml`
//! grants it that. [`objects`] answers one of the questions that computes have for the database, and declines the others.

pub mod base;
pub mod compute_task;
pub mod objects;

use base::{get_backdoor_port, ping};
use compute_task::{build_instances, cache_images};
use nova_guest::{Endpoint, Handler, methods};
use objects::object_class_action_versions;

/// The handler.
#[derive(Debug)]
pub struct Conductor;

impl Handler for Conductor {
    const ENDPOINTS: &'static [Endpoint] = &[
        Endpoint { namespace: Some("compute_task"), version: "1.19", methods: methods![build_instances] },
        Endpoint { namespace: Some("compute_task"), version: "1.21", methods: methods![cache_images] },
        // Where `ping` was before `baseapi`; kept there for clients of that time.
        Endpoint { namespace: None, version: "1.58", methods: methods![ping] },
        Endpoint { namespace: None, version: "3.0", methods: methods![object_class_action_versions] },
        Endpoint { namespace: Some("baseapi"), version: "1.1", methods: methods![ping, get_backdoor_port] },
    ];
}

nova_guest::export!(Conductor);
