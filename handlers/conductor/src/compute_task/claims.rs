//! Claims of a host's resources in placement, before an instance is sent there for another try.
//!
//! The scheduler has claimed those of the first host, and the compute that failed has given them back; for the others it
//! has left what to ask for. So it is asked for, host by host, until one has the resources. As in nova, a host is passed over
//! where placement refuses the claim or is not reached; a consumer that somebody else changes meanwhile ends the request.

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

/// What is needed of a request's specification.
#[derive(Deserialize)]
struct Spec {
    #[serde(rename = "nova_object.data")]
    data: Owner,
}

#[derive(Deserialize)]
struct Owner {
    project_id: Value,
    user_id: Option<Value>,
    /// Those of ports and of accelerators, beside those of the flavor.
    requested_resources: Option<Vec<Value>>,
}

impl Claims {
    /// Reads for whom; `None` where the manifest has no `placement`, and nothing is claimed.
    ///
    /// # Errors
    ///
    /// Declines a request with resources beside those of its flavor: which of a host's providers has which of them is to be found
    /// out again for each host, which is not done here. A `RuntimeError` where the specification is none.
    pub(super) fn of(spec: &RawValue, info: &Info) -> Result<Option<Self>, Failure> {
        let Some(url) = config::get("placement") else { return Ok(None) };
        let Spec { data } = serde_json::from_str(spec.get()).map_err(|error| {
            Failure::builtin("RuntimeError", format!("argument 'request_spec' is no specification: {error}"))
        })?;
        if data.requested_resources.is_some_and(|resources| !resources.is_empty()) {
            return Err(Failure::declined());
        }
        let user = match data.user_id {
            Some(user) => user,
            // Specifications of before Rocky have none.
            None => info.context_entry("user_id")?.unwrap_or_default(),
        };
        let request_id = match info.context_entry("global_request_id")? {
            Some(id) => Some(id),
            None => info.context_entry("request_id")?,
        };
        Ok(Some(Self { url: url.trim_end_matches('/').to_owned(), project: data.project_id, user, request_id }))
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
        let mut body: Map<String, Value> = serde_json::from_str(wanted).map_err(|error| {
            Failure::builtin("RuntimeError", format!("the scheduler's allocation request is none: {error}"))
        })?;
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

/// A microversion as numbers.
fn parsed(version: &str) -> Option<(u32, u32)> {
    let (major, minor) = version.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use nova_guest::{http, testing};

    use super::{super::tests, *};
    use crate::Conductor;

    const INSTANCE: &str = "00000000-0000-0000-0000-000000000011";

    /// What was asked of placement: method, URL, headers and body.
    type Asked = Rc<RefCell<Vec<http::Request>>>;

    /// A second try with two hosts left; placement answers in turn.
    fn again(arguments: Value, answers: Vec<Result<(u16, Value), Error>>) -> (testing::Answer, Vec<http::Request>) {
        let asked = Asked::default();
        let (noted, mut answers) = (Rc::clone(&asked), answers.into_iter());
        let answer = testing::Request::new("build_instances", arguments)
            .namespace("compute_task")
            .version("1.19")
            .context(json!({"request_id": "req-1", "user_id": "u-admin"}))
            .config("placement", "http://placement:8778/")
            .config("placement_token", "secret-token")
            .cast()
            .answering(|_| panic!("the scheduler is not asked"))
            .fetching(move |request| {
                noted.borrow_mut().push(request.clone());
                let (status, body) = answers.next().unwrap()?;
                Ok(Response::new(status, body.to_string()))
            })
            .send::<Conductor>();
        let asked = asked.take();
        (answer, asked)
    }

    fn arguments() -> Value {
        let mut arguments = tests::modern();
        arguments["host_lists"] = tests::recorded("result", None)["result"].clone();
        arguments["instances"][0]["nova_object.data"]["uuid"] = INSTANCE.into();
        arguments
    }

    fn nothing() -> Result<(u16, Value), Error> {
        Ok((200, json!({"allocations": {}})))
    }

    fn refused(code: &str, detail: &str) -> Result<(u16, Value), Error> {
        Ok((409, json!({"errors": [{"status": 409, "code": code, "detail": detail}]})))
    }

    fn hosts(answer: &testing::Answer) -> Vec<Option<&str>> {
        answer.casts.iter().map(|cast| cast.target.server.as_deref()).collect()
    }

    #[test]
    fn the_next_host_gets_the_instance_when_placement_gave_its_resources() {
        let (answer, asked) = again(arguments(), vec![nothing(), Ok((204, Value::Null))]);
        assert_eq!(hosts(&answer), [Some("host1")]);
        let [read, put] = asked.as_slice() else { panic!("{asked:?}") };
        let url = format!("http://placement:8778/allocations/{INSTANCE}");
        assert_eq!((read.method.as_str(), read.url.as_str()), ("GET", url.as_str()));
        assert_eq!((put.method.as_str(), put.url.as_str()), ("PUT", url.as_str()));
        let header = |name: &str| put.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        assert_eq!(header("openstack-api-version"), Some("placement 1.36"));
        assert_eq!((header("x-auth-token"), header("x-openstack-request-id")), (Some("secret-token"), Some("req-1")));
        let resources = json!({"VCPU": 1, "MEMORY_MB": 2048, "DISK_GB": 20});
        assert_eq!(
            serde_json::from_slice::<Value>(&put.body).unwrap(),
            json!({
                "allocations": {"00000000-0000-0000-0000-000000000055": {"resources": resources}},
                "project_id": "p-5678", "user_id": "u-1234", "consumer_generation": null,
            })
        );
    }

    #[test]
    fn a_host_without_the_resources_is_passed_over() {
        let full = refused("placement.undefined_code", "Unable to allocate inventory");
        let (answer, asked) = again(arguments(), vec![nothing(), full, nothing(), Ok((204, Value::Null))]);
        assert_eq!((hosts(&answer), asked.len()), (vec![Some("host2")], 4));
        let told: Value = serde_json::from_str(&answer.casts[0].arguments).unwrap();
        assert_eq!(told["host_list"], json!([]));
    }

    #[test]
    fn where_no_host_is_left_the_instance_has_been_tried_too_often() {
        let down = || Err(Error::Unavailable("nobody is there".to_owned()));
        let (answer, asked) = again(arguments(), vec![down(), nothing(), down()]);
        assert_eq!((answer.casts.len(), asked.len()), (0, 3));
        assert_eq!(answer.value().unwrap_err().class(), "MaxRetriesExceeded");
    }

    #[test]
    fn who_has_the_database_is_left_what_no_host_is_left_for() {
        let mut exhausted = arguments();
        exhausted["host_lists"] = json!([[]]);
        let request = || testing::Request::new("build_instances", &exhausted).namespace("compute_task").version("1.19");
        assert!(!request().send::<Conductor>().is_declined());
        assert!(request().config("leave_exhausted", "true").send::<Conductor>().is_declined());
    }

    #[test]
    fn a_claim_is_made_again_where_another_came_at_once_and_not_for_ever() {
        let raced = || refused("placement.concurrent_update", "resource provider generation conflict");
        let (answer, asked) = again(arguments(), vec![nothing(), raced(), nothing(), Ok((204, Value::Null))]);
        assert_eq!((hosts(&answer), asked.len()), (vec![Some("host1")], 4));
        let (answer, asked) = again(arguments(), (0..8).flat_map(|_| [nothing(), raced()]).collect());
        assert_eq!((answer.casts.len(), asked.len()), (0, 16));
    }

    #[test]
    fn resources_that_somebody_else_changes_end_the_request() {
        let changed = refused("placement.concurrent_update", "consumer generation conflict - expected null but got 1");
        let other = json!({"allocations": {"another": {"resources": {"VCPU": 1}}}});
        for answers in [vec![nothing(), changed], vec![Ok((200, other))]] {
            let failure = again(arguments(), answers).0.value().unwrap_err();
            assert_eq!((failure.module(), failure.class()), ("nova.exception", "AllocationUpdateFailed"));
        }
    }

    #[test]
    fn a_request_that_runs_again_has_its_resources_already() {
        let resources = json!({"VCPU": 1, "MEMORY_MB": 2048, "DISK_GB": 20});
        let held = json!({"allocations": {
            "00000000-0000-0000-0000-000000000055": {"generation": 3, "resources": resources},
        }, "consumer_generation": 1});
        let (answer, asked) = again(arguments(), vec![Ok((200, held))]);
        assert_eq!((hosts(&answer), asked.len()), (vec![Some("host1")], 1));
    }

    #[test]
    fn resources_beside_those_of_the_flavor_are_left_to_others() {
        let mut arguments = arguments();
        arguments["request_spec"]["nova_object.data"]["requested_resources"] = json!([{"nova_object.data": {}}]);
        let (answer, asked) = again(arguments, vec![]);
        assert!(answer.is_declined() && asked.is_empty());
    }

    #[test]
    fn a_scheduler_without_placement_leaves_nothing_to_claim() {
        let mut arguments = arguments();
        arguments["host_lists"][0][0]["nova_object.data"]["allocation_request"] = Value::Null;
        let (answer, asked) = again(arguments, vec![]);
        assert_eq!((hosts(&answer), asked.len()), (vec![Some("host1")], 0));
    }

    #[test]
    fn a_name_that_would_lead_elsewhere_is_refused() {
        let mut arguments = arguments();
        arguments["instances"][0]["nova_object.data"]["uuid"] = "../resource_providers".into();
        let (answer, asked) = again(arguments, vec![]);
        assert!(asked.is_empty());
        assert_eq!(answer.value().unwrap_err().class(), "ValueError");
    }
}
