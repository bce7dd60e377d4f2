//! Where instances go: what the scheduler is asked, and what it answers.
//!
//! Requests that bring a specification are scheduled as nova does today, with a selection object and its alternates for
//! each instance. Older ones are scheduled as then: dictionaries in, dictionaries out. Today's schedulers answer both.

use std::{collections::BTreeMap, time::Duration};

use nova_guest::{
    Failure, config,
    rpc::{Error, Target},
    serde_json::{self, json, value::RawValue, value::to_raw_value},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Raw,
    claims::Claims,
    filters::{Filters, exhausted},
};

/// nova's `long_rpc_timeout`, in seconds: how long who is asked may take.
pub(super) const LONG_RPC_TIMEOUT: u64 = 1800;

/// nova's `rpc_response_timeout`, in seconds: how long they may be silent.
pub(super) const RPC_RESPONSE_TIMEOUT: u64 = 60;

/// The scheduler, and what it is asked about.
pub(super) struct Scheduler<'a> {
    pub(super) uuids: &'a [String],
    pub(super) filters: &'a Filters,
}

/// What was chosen for one instance.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) host: String,
    pub(super) node: String,
    /// As a dictionary.
    pub(super) limits: Raw,
    /// Where else it could go; `None` from schedulers that do not say.
    pub(super) alternates: Option<Vec<Raw>>,
}

/// An object with a version: what is in it.
#[derive(Deserialize)]
struct Object<T> {
    #[serde(rename = "nova_object.data")]
    data: T,
}

/// What is needed of a `Selection`.
#[derive(Deserialize)]
struct Selection {
    service_host: String,
    nodename: String,
    limits: Option<Object<BTreeMap<String, Raw>>>,
    allocation_request: Option<String>,
    allocation_request_version: Option<String>,
}

/// What schedulers answer who are asked the old way.
#[derive(Deserialize)]
struct Host {
    host: String,
    nodename: String,
    limits: Option<Raw>,
}

impl Scheduler<'_> {
    /// Asks as clients do today.
    pub(super) fn choose(&self, spec: &RawValue) -> Result<Vec<Chosen>, Failure> {
        #[derive(Serialize)]
        struct Arguments<'a> {
            instance_uuids: &'a [String],
            spec_obj: &'a RawValue,
            return_objects: bool,
            return_alternates: bool,
        }
        let arguments =
            Arguments { instance_uuids: self.uuids, spec_obj: spec, return_objects: true, return_alternates: true };
        let lists: Vec<Vec<Raw>> = select("4.5", &arguments)?;
        self.complete(lists.into_iter().filter_map(first).collect::<Result<_, _>>()?)
    }

    /// Asks as clients did that had no specification.
    pub(super) fn choose_old(&self, spec: &RawValue) -> Result<Vec<Chosen>, Failure> {
        let arguments = json!({"request_spec": spec, "filter_properties": self.filters});
        let hosts: Vec<Host> = select("4.0", &arguments)?;
        let chosen = |Host { host, nodename, limits }| {
            let limits = limits.map_or_else(|| to_raw_value(&json!({})), Ok)?;
            Ok(Chosen { host, node: nodename, limits, alternates: None })
        };
        self.complete(hosts.into_iter().map(chosen).collect::<Result<_, Failure>>()?)
    }

    /// Sees to it that every instance has a host.
    fn complete(&self, chosen: Vec<Chosen>) -> Result<Vec<Chosen>, Failure> {
        let (found, wanted) = (chosen.len(), self.uuids.len());
        if found == wanted {
            return Ok(chosen);
        }
        let reason = format!("The scheduler chose hosts for {found} of {wanted} instances.");
        let message = format!("No valid host was found. {reason}");
        Err(Failure::new("nova.exception", "NoValidHost", message).kwarg("reason", reason).kwarg("code", 500))
    }
}

/// What is left of an earlier choice, after a host could not build an instance: for each the first host that has its
/// resources, which are claimed.
///
/// # Errors
///
/// `MaxRetriesExceeded` where none has. What [`Claims::claim`] says.
pub(super) fn left(lists: Vec<Vec<Raw>>, uuids: &[String], claims: Option<&Claims>) -> Result<Vec<Chosen>, Failure> {
    let mut lists = lists.into_iter();
    let each = uuids.iter().map(|uuid| {
        let mut list = lists.next().unwrap_or_default();
        while !list.is_empty() {
            let selection = selection(&list.remove(0))?;
            let Selection { allocation_request: wanted, allocation_request_version: version, .. } = &selection;
            let has = match (claims, wanted) {
                (Some(claims), Some(wanted)) => claims.claim(uuid, wanted, version.as_deref())?,
                // Without placement, or from a scheduler without it: the host is as good as it was.
                _ => true,
            };
            if has {
                return chosen(selection, list);
            }
        }
        Err(exhausted(&format!("Exhausted all hosts available for retrying build failures for instance {uuid}.")))
    });
    each.collect()
}

/// The first of a list of selections, with the others as alternates.
fn first(mut list: Vec<Raw>) -> Option<Result<Chosen, Failure>> {
    if list.is_empty() {
        return None;
    }
    let first = selection(&list.remove(0));
    Some(first.and_then(|first| chosen(first, list)))
}

fn selection(raw: &RawValue) -> Result<Selection, Failure> {
    parse::<Object<Selection>>("selection", raw).map(|selection| selection.data)
}

fn chosen(selection: Selection, alternates: Vec<Raw>) -> Result<Chosen, Failure> {
    let mut limits = selection.limits.map(|limits| limits.data).unwrap_or_default();
    limits.retain(|_, limit| limit.get() != "null");
    let limits = to_raw_value(&limits)?;
    Ok(Chosen { host: selection.service_host, node: selection.nodename, limits, alternates: Some(alternates) })
}

/// The specification of a request that brings none, as conductors made it then.
pub(super) fn old_spec(instances: &[Raw], image: Option<&RawValue>, filters: &Filters) -> Result<Raw, Failure> {
    Ok(to_raw_value(&json!({
        "image": image,
        "instance_properties": instances.first(),
        "instance_type": filters.flavor(),
        "num_instances": instances.len(),
    }))?)
}

/// An empty list of block devices: which ones there are stands in a database that this conductor does not have.
pub(super) fn no_devices() -> Result<Raw, Failure> {
    Ok(to_raw_value(&json!({
        "nova_object.name": "BlockDeviceMappingList",
        "nova_object.namespace": "nova",
        "nova_object.version": "1.18",
        "nova_object.data": {"objects": []},
        "nova_object.changes": ["objects"],
    }))?)
}

fn select<R: DeserializeOwned>(version: &str, arguments: &impl Serialize) -> Result<R, Error> {
    let seconds = |name, default| config::get_or(name, default).map(Duration::from_secs).map_err(Error::Remote);
    Target::topic("scheduler")
        .version(version)
        .timeout(seconds("long_rpc_timeout", LONG_RPC_TIMEOUT)?)
        .monitor(seconds("rpc_response_timeout", RPC_RESPONSE_TIMEOUT)?)
        .call("select_destinations", arguments)
}

fn parse<T: DeserializeOwned>(what: &str, raw: &RawValue) -> Result<T, Failure> {
    serde_json::from_str(raw.get())
        .map_err(|error| Failure::builtin("RuntimeError", format!("the scheduler's {what} is none: {error}")))
}
