//! Tasks that take several steps over several services: building instances, and having [`images`] fetched before that.
//!
//! As in nova: to build, the scheduler is asked for a host for each instance, and each host is told to build its own. What others
//! have made (objects with versions, old dictionaries) passes through as it is; [`hosts`] reads what the scheduler
//! chose, [`filters`] keeps what nova counts in the filter properties, and [`claims`] claims a host's resources where an
//! instance is built again. The casts are held by the host until all is well: either every instance has been sent to its
//! host, or none.

mod claims;
mod filters;
mod hosts;
mod images;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use nova_guest::{Failure, Info, config, log, rpc::Target, serde_json::value::RawValue};
use serde::{Deserialize, Serialize};

use claims::Claims;
use filters::Filters;
use hosts::{Chosen, Scheduler};
pub use images::{CacheImages, cache_images};

/// JSON that is somebody else's business.
type Raw = Box<RawValue>;

/// What computes understand that take requests with a specification, and those before them.
const COMPUTE: &str = "6.0";
const OLD_COMPUTE: &str = "4.0";

/// The arguments of `build_instances`, as clients from version 1.5 to 1.19 send them. Those that are an `Option` here may
/// be null.
///
/// `Debug` is left out on purpose: the password must not be printed.
#[derive(Deserialize)]
pub struct BuildInstances {
    instances: Vec<Raw>,
    #[serde(deserialize_with = "Option::deserialize")]
    image: Option<Raw>,
    #[serde(deserialize_with = "Filters::deserialize")]
    filter_properties: Filters,
    #[serde(deserialize_with = "Option::deserialize")]
    admin_password: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    injected_files: Option<Raw>,
    #[serde(deserialize_with = "Option::deserialize")]
    requested_networks: Option<Raw>,
    #[serde(deserialize_with = "Option::deserialize")]
    security_groups: Option<Raw>,
    /// From clients below 1.7; the others leave it to the database.
    block_device_mapping: Option<Raw>,
    #[serde(default)]
    #[expect(dead_code, reason = "what was legacy to 1.5 is so to computes of that time")]
    legacy_bdm: bool,
    /// From 1.10 on.
    request_spec: Option<Raw>,
    /// From 1.18 on: what is left of the scheduler's choice where a host could not build an instance.
    host_lists: Option<Vec<Vec<Raw>>>,
}

/// An instance is an object with its data inside, or a dictionary.
#[derive(Deserialize)]
struct Instance {
    uuid: Option<String>,
    #[serde(rename = "nova_object.data")]
    data: Option<Box<Instance>>,
}

/// The arguments of `build_and_run_instance`.
#[derive(Serialize)]
struct BuildAndRun<'a> {
    instance: &'a RawValue,
    image: Option<&'a RawValue>,
    request_spec: &'a RawValue,
    filter_properties: &'a Filters,
    admin_password: Option<&'a str>,
    injected_files: Option<&'a RawValue>,
    requested_networks: Option<&'a RawValue>,
    security_groups: Option<&'a RawValue>,
    block_device_mapping: &'a RawValue,
    node: &'a str,
    limits: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    host_list: Option<&'a [Raw]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accel_uuids: Option<[(); 0]>,
}

/// `build_instances(instances, image, filter_properties, admin_password, injected_files, requested_networks,
/// security_groups, block_device_mapping=None, legacy_bdm=True, request_spec=None, host_lists=None)` has every instance
/// built on a host of the scheduler's choice; usually a cast.
///
/// # Errors
///
/// `ValueError` if there is no instance, or one has no name or that of another. `MaxRetriesExceeded` where an instance has
/// been tried as often as allowed. Whatever the scheduler says, `NoValidHost` among it; `MessagingTimeout` where it says
/// nothing. `AllocationUpdateFailed` where the resources of an instance are in disorder. Then nothing is built. Declines
/// what no host is left for where the manifest has `leave_exhausted`, and, where it has `placement`, an instance
/// that needs more than is known here: volumes, further disks, accelerators, or resources of ports.
pub fn build_instances(request: BuildInstances, info: &Info) -> Result<(), Failure> {
    let uuids = uuids(&request.instances)?;
    let mut filters = request.filter_properties;
    filters.count_attempt(uuids.first().map_or("", String::as_str)).map_err(|error| hopeless(error, &uuids))?;

    let scheduler = Scheduler { uuids: &uuids, filters: &filters };
    let (chosen, request_spec, version) = match (request.request_spec, request.host_lists) {
        (Some(spec), Some(lists)) => {
            let claims = Claims::of(&spec, info)?;
            let left = hosts::left(lists, &uuids, claims.as_ref()).map_err(|error| hopeless(error, &uuids))?;
            (left, spec, COMPUTE)
        }
        (Some(spec), None) => (scheduler.choose(&spec)?, spec, COMPUTE),
        (None, _) => {
            let spec = hosts::old_spec(&request.instances, request.image.as_deref(), &filters)?;
            (scheduler.choose_old(&spec)?, spec, OLD_COMPUTE)
        }
    };

    let no_devices = hosts::no_devices()?;
    let requested_by = info.context_entry::<String>("request_id")?.unwrap_or_else(|| "an unnamed request".to_owned());
    for (index, (instance, chosen)) in request.instances.iter().zip(&chosen).enumerate() {
        let Chosen { host, node, limits, alternates } = chosen;
        let arguments = BuildAndRun {
            instance,
            image: request.image.as_deref(),
            request_spec: &request_spec,
            filter_properties: &filters.on(host, node, limits)?,
            admin_password: request.admin_password.as_deref(),
            injected_files: request.injected_files.as_deref(),
            requested_networks: request.requested_networks.as_deref(),
            security_groups: request.security_groups.as_deref(),
            block_device_mapping: request.block_device_mapping.as_deref().unwrap_or(&no_devices),
            node,
            limits,
            host_list: alternates.as_deref(),
            accel_uuids: alternates.is_some().then_some([]),
        };
        Target::topic("compute").server(host).version(version).cast("build_and_run_instance", &arguments)?;
        let uuid = uuids.get(index).map_or("", String::as_str);
        log::info(format!("instance {uuid} goes to {host} ({} of {}) for {requested_by}", index + 1, uuids.len()));
    }
    Ok(())
}

/// What becomes of a request that no host is left for. A server that could not be built is noted as such in nova's database; where the
/// manifest says that the service behind has it (`leave_exhausted`), the request is left to that. Not where there are several
/// instances: some may have got their resources.
fn hopeless(error: Failure, uuids: &[String]) -> Failure {
    match config::get_or("leave_exhausted", false) {
        Ok(true) if uuids.len() == 1 => {
            log::warn(format!("left to the service behind: {}", error.message()));
            Failure::declined()
        }
        Ok(_) => error,
        Err(unreadable) => unreadable,
    }
}

/// The names of the instances, each there and different.
fn uuids(instances: &[Raw]) -> Result<Vec<String>, Failure> {
    if instances.is_empty() {
        return Err(Failure::value_error("argument 'instances' must have at least one instance"));
    }
    let mut uuids = Vec::with_capacity(instances.len());
    let mut seen = BTreeSet::new();
    for (index, instance) in instances.iter().enumerate() {
        let read: Option<Instance> = nova_guest::serde_json::from_str(instance.get()).ok();
        let uuid = read.and_then(|instance| instance.uuid.or_else(|| instance.data?.uuid)).unwrap_or_default();
        if uuid.is_empty() {
            return Err(Failure::value_error(format!("argument 'instances[{index}]' has no uuid")));
        }
        if !seen.insert(uuid.clone()) {
            return Err(Failure::value_error(format!("argument 'instances' has {uuid} twice")));
        }
        uuids.push(uuid);
    }
    Ok(uuids)
}
