//! A handler with every kind of value and of failure, for tests and for reading.
//!
//! | namespace | version | methods |
//! | --- | --- | --- |
//! | null | 1.3 | everything below |
//! | null | 2.0 | `add` of a list, `served_by` |
//! | `statistics` | 2.1 | `mean`, `served_by` |
//!
//! [`arithmetic`] computes, [`values`] shows what JSON can carry, [`request`] what a handler knows about its request,
//! [`misbehaviour`] what the host must survive.

pub mod arithmetic;
pub mod misbehaviour;
pub mod request;
pub mod values;

use arithmetic::{add, add_all, divide, mean, sum, total};
use misbehaviour::{allocate, fail, loop_forever, not_found, panic, recurse};
use nova_guest::{Endpoint, Handler, methods};
use request::{calls, context, info, log, mark, object_action, record, served_by_1, served_by_2, served_by_statistics};
use values::{blob, concat, describe_types, echo};

/// The handler.
#[derive(Debug)]
pub struct Calculator;

impl Handler for Calculator {
    const ENDPOINTS: &'static [Endpoint] = &[
        Endpoint {
            namespace: None,
            version: "1.3",
            methods: methods![
                add,
                divide,
                sum,
                total,
                echo,
                concat,
                describe_types,
                blob,
                fail,
                not_found,
                panic,
                loop_forever,
                recurse,
                allocate,
                log,
                record,
                context,
                info,
                calls,
                object_action,
                mark,
                served_by_1 as "served_by",
            ],
        },
        Endpoint { namespace: None, version: "2.0", methods: methods![add_all as "add", served_by_2 as "served_by"] },
        Endpoint {
            namespace: Some("statistics"),
            version: "2.1",
            methods: methods![mean, served_by_statistics as "served_by"],
        },
    ];
}

nova_guest::export!(Calculator);
