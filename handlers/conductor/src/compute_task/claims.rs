//! Claims of a host's resources in placement, before an instance is sent there for another try.
//!
//! The scheduler has claimed those of the first host, and the compute that failed has given them back; for the others it
//! has left what to ask for. So it is asked for, host by host, until one has the resources. As in nova, a host is passed over
//! where placement refuses the claim or is not reached; a consumer that somebody else changes meanwhile ends the request.

#[cfg(test)]
mod tests;

use std::time::Duration;

use nova_guest::{
    Failure, Info, config,
    http::{Error, Request, Response},
    log,
    serde_json::{self, Map, Value, json, value::RawValue},
};
use serde::Deserialize;

/// The microversion of placement from which a consumer has a generation.
const CONSUMER_GENERATION: &str = "1.28";

/// How often a claim is made that placement has to refuse because of another that came at once; nova's report client has
/// the same.
const ATTEMPTS: usize = 4;

/// How long placement may take for a step of its answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Placement, and for whom resources are claimed.
pub(super) struct Claims {
    /// The URL of placement, without a slash at its end.
    url: String,
    project: Value,
    user: Value,
    request_id: Option<String>,
}

/// What a consumer holds.
#[derive(Deserialize)]
struct Held {
    allocations: Map<String, Value>,
}

/// Why placement refuses.
#[derive(Deserialize)]
struct Refusal {
    errors: Vec<Reason>,
}

#[derive(Default, Deserialize)]
struct Reason {
    code: Option<String>,
    #[serde(default)]
    detail: String,
}

/// An object with a version: what is in it.
#[derive(Deserialize)]
struct Object<T> {
    #[serde(rename = "nova_object.data")]
    data: T,
}

/// What is needed of a request's specification.
#[derive(Deserialize)]
struct Spec {
    project_id: Value,
    user_id: Option<Value>,
    flavor: Option<Object<Flavor>>,
    /// Whether the server boots from a volume.
    is_bfv: Option<bool>,
    /// Those of ports and of accelerators, beside those of the flavor.
    requested_resources: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Flavor {
    /// In MiB.
    swap: Option<u64>,
    ephemeral_gb: Option<u64>,
    extra_specs: Option<Map<String, Value>>,
}

impl Spec {
    /// Whether a build that is tried again needs only what is known here. What is a block device beside the image's, or an accelerator,
    /// stands in databases; and which of a host's providers has which resources of a port is to be found out for each host.
    fn is_plain(&self) -> bool {
        let flavor = self.flavor.as_ref().map(|flavor| &flavor.data);
        let has_disks =
            flavor.is_some_and(|flavor| flavor.swap.unwrap_or(0) > 0 || flavor.ephemeral_gb.unwrap_or(0) > 0);
        let extra_specs = flavor.and_then(|flavor| flavor.extra_specs.as_ref());
        let has_devices = extra_specs.is_some_and(|specs| specs.contains_key("accel:device_profile"));
        let has_more = self.requested_resources.as_ref().is_some_and(|resources| !resources.is_empty());
        !(self.is_bfv == Some(true) || has_disks || has_devices || has_more)
    }
}

impl Claims {
    /// Reads for whom; `None` where the manifest has no `placement`, and nothing is claimed.
    ///
    /// # Errors
    ///
    /// Declines a server that needs more than is known here. A `RuntimeError` where the specification is none.
    pub(super) fn of(spec: &RawValue, info: &Info) -> Result<Option<Self>, Failure> {
        let Some(url) = config::get("placement") else { return Ok(None) };
        let Object { data: spec } = serde_json::from_str::<Object<Spec>>(spec.get())
            .map_err(|error| nonsense("argument 'request_spec'", &error))?;
        if !spec.is_plain() {
            return Err(Failure::declined());
        }
        let user = match spec.user_id {
            Some(user) => user,
            // Specifications of before Rocky have none.
            None => info.context_entry("user_id")?.unwrap_or_default(),
        };
        let request_id = match info.context_entry("global_request_id")? {
            Some(id) => Some(id),
            None => info.context_entry("request_id")?,
        };
        Ok(Some(Self { url: url.trim_end_matches('/').to_owned(), project: spec.project_id, user, request_id }))
    }

    /// Claims what an instance needs of a host: the body of the request to placement as the scheduler has left it, and its
    /// microversion. Says whether the instance has it now.
    ///
    /// # Errors
    ///
    /// `ValueError` for a name that is none. `AllocationUpdateFailed` where the instance holds other resources, or somebody else changes what it holds. What [`Error`]
    /// becomes, where placement answers with nonsense, or the manifest does not grant it.
    pub(super) fn claim(&self, uuid: &str, wanted: &str, version: Option<&str>) -> Result<bool, Failure> {
        // It becomes a part of a URL.
        if !uuid.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
            return Err(Failure::value_error("argument 'instances' has a uuid that is none"));
        }
        let mut body: Map<String, Value> =
            serde_json::from_str(wanted).map_err(|error| nonsense("the scheduler's allocation request", &error))?;
        let version = version.unwrap_or(CONSUMER_GENERATION);
        body.insert("project_id".to_owned(), self.project.clone());
        body.insert("user_id".to_owned(), self.user.clone());
        if parsed(version) >= parsed(CONSUMER_GENERATION) {
            body.insert("consumer_generation".to_owned(), Value::Null);
        }
        for _ in 0..ATTEMPTS {
            let Some(held) = reached(self.ask("GET", uuid, CONSUMER_GENERATION, None))? else { return Ok(false) };
            if held.status == 200 {
                let Held { allocations } = held.json()?;
                if !allocations.is_empty() {
                    return held_already(uuid, &allocations, body.get("allocations"));
                }
            }
            let Some(answer) = reached(self.ask("PUT", uuid, version, Some(&body)))? else { return Ok(false) };
            if answer.status == 204 {
                return Ok(true);
            }
            let reason = answer.json::<Refusal>()?.errors.into_iter().next().unwrap_or_default();
            if reason.code.as_deref() != Some("placement.concurrent_update") {
                log::info(format!("placement refuses the resources of instance {uuid} with {}", answer.status));
                return Ok(false);
            }
            if reason.detail.contains("consumer generation conflict") {
                return Err(conflict(uuid, "another process changed the consumer while it was claimed for"));
            }
            // Somebody else got resources of the same provider meanwhile; there may be some left.
        }
        Ok(false)
    }

    fn ask(
        &self,
        method: &str,
        uuid: &str,
        version: &str,
        body: Option<&Map<String, Value>>,
    ) -> Result<Response, Error> {
        let mut request = Request::new(method, &format!("{}/allocations/{uuid}", self.url))
            .header("accept", "application/json")
            .header("openstack-api-version", &format!("placement {version}"))
            .timeout(PATIENCE);
        if let Some(token) = config::get("placement_token") {
            request = request.header("x-auth-token", &token);
        }
        if let Some(id) = &self.request_id {
            request = request.header("x-openstack-request-id", id);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(json!(body).to_string());
        }
        request.send()
    }
}

/// A response, or none where placement is not reached: then the next host is tried.
fn reached(answer: Result<Response, Error>) -> Result<Option<Response>, Error> {
    match answer {
        Ok(response) => Ok(Some(response)),
        Err(error @ (Error::Unavailable(_) | Error::TimedOut(_))) => {
            log::warn(format!("placement is not reached: {error}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// An instance that holds something: what was to be claimed, where this request runs again after its host was killed;
/// or something else, which no build that is tried again does.
fn held_already(uuid: &str, held: &Map<String, Value>, wanted: Option<&Value>) -> Result<bool, Failure> {
    let wanted = wanted.and_then(Value::as_object);
    let is_same = wanted.is_some_and(|wanted| {
        let resources = |of: &Map<String, Value>, provider: &str| of.get(provider)?.get("resources").cloned();
        wanted.len() == held.len() && wanted.keys().all(|name| resources(wanted, name) == resources(held, name))
    });
    if is_same { Ok(true) } else { Err(conflict(uuid, "it holds other resources")) }
}

/// nova's exception for an instance whose resources are in disorder.
#[track_caller]
fn conflict(uuid: &str, reason: &str) -> Failure {
    let message = format!("Failed to update allocations for consumer {uuid}. Error: {reason}");
    Failure::new("nova.exception", "AllocationUpdateFailed", message)
        .kwarg("consumer_uuid", uuid)
        .kwarg("error", reason)
        .kwarg("code", 500)
}

/// For what cannot be read, without what it is.
#[track_caller]
fn nonsense(what: &str, error: &serde_json::Error) -> Failure {
    let place = format!("line {} column {}", error.line(), error.column());
    Failure::builtin("RuntimeError", format!("{what} is not what was expected, at {place}"))
}

/// A microversion as numbers.
fn parsed(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
