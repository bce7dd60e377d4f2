//! Tasks that take several steps over several services: building instances.
//!
//! Today the request is checked and logged; the calls to the scheduler and to the compute services come later.

use std::collections::{BTreeMap, BTreeSet};

use nova_guest::{Failure, Info, log};
use serde::{Deserialize, de::IgnoredAny};

/// An object whose members are somebody else's business.
type Object = BTreeMap<String, IgnoredAny>;

/// A list whose items are somebody else's business.
type List = Vec<IgnoredAny>;

/// The arguments of `build_instances` as the Havana client sends them: all of them, but each of those that are an
/// `Option` here may be null.
///
/// `Debug` is left out on purpose: the password must not be printed.
#[derive(Deserialize)]
#[expect(dead_code, reason = "what is not used yet is checked by its type")]
pub struct BuildInstances {
    instances: Vec<Instance>,
    #[serde(deserialize_with = "Option::deserialize")]
    image: Option<Object>,
    #[serde(deserialize_with = "Option::deserialize")]
    filter_properties: Option<Object>,
    #[serde(deserialize_with = "Option::deserialize")]
    admin_password: Option<String>,
    #[serde(deserialize_with = "Option::deserialize")]
    injected_files: Option<List>,
    #[serde(deserialize_with = "Option::deserialize")]
    requested_networks: Option<List>,
    #[serde(deserialize_with = "Option::deserialize")]
    security_groups: Option<List>,
    #[serde(deserialize_with = "Option::deserialize")]
    block_device_mapping: Option<List>,
    #[serde(default = "legacy")]
    legacy_bdm: bool,
}

/// Clients before version 1.2 do not say, and have the legacy form.
const fn legacy() -> bool {
    true
}

/// What is needed of an instance; the rest passes through.
#[derive(Deserialize)]
struct Instance {
    uuid: String,
}

/// `build_instances(instances, image, filter_properties, admin_password, injected_files, requested_networks,
/// security_groups, block_device_mapping, legacy_bdm=True)` takes the instances and returns nothing; it is a cast.
///
/// # Errors
///
/// `ValueError` if there is no instance, or one has no name or that of another.
pub fn build_instances(request: BuildInstances, info: &Info) -> Result<(), Failure> {
    let instances = &request.instances;
    if instances.is_empty() {
        return Err(Failure::value_error("argument 'instances' must have at least one instance"));
    }
    let mut seen = BTreeSet::new();
    for (index, Instance { uuid }) in instances.iter().enumerate() {
        if uuid.is_empty() {
            return Err(Failure::value_error(format!("argument 'instances[{index}].uuid' is empty")));
        }
        if !seen.insert(uuid) {
            return Err(Failure::value_error(format!("argument 'instances' has {uuid} twice")));
        }
    }
    let requested_by = info.context_entry::<String>("request_id")?.unwrap_or_else(|| "an unnamed request".to_owned());
    for (index, Instance { uuid }) in instances.iter().enumerate() {
        log::info(format!("building instance {uuid} ({} of {}) for {requested_by}", index + 1, instances.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use nova_guest::{
        Failure,
        log::Level,
        serde_json::{Value, json},
        testing::{Answer, Request},
    };

    use crate::Conductor;

    fn arguments(instances: Value) -> Value {
        json!({
            "instances": instances,
            "image": {"id": "image-1"},
            "filter_properties": {"retry": {"num_attempts": 1}},
            "admin_password": "secret-password",
            "injected_files": [["/etc/motd", "hello"]],
            "requested_networks": null,
            "security_groups": ["default"],
            "block_device_mapping": [],
            "legacy_bdm": false,
        })
    }

    fn build(arguments: Value) -> Answer {
        let context = json!({"request_id": "req-1", "auth_token": "secret-token"});
        Request::new("build_instances", arguments)
            .namespace("compute_task")
            .version("1.5")
            .context(context)
            .cast()
            .send::<Conductor>()
    }

    fn refusal(arguments: Value) -> Failure {
        build(arguments).value().unwrap_err()
    }

    #[test]
    fn each_instance_gets_one_line_in_the_log_without_secrets() {
        let answer = build(arguments(json!([{"uuid": "a", "vcpus": 1}, {"uuid": "b"}])));
        let line = |text: &str| (Level::Info, text.to_owned());
        assert_eq!(
            answer.log,
            [line("building instance a (1 of 2) for req-1"), line("building instance b (2 of 2) for req-1")]
        );
        assert_eq!(answer.value(), Ok(json!(null)));
    }

    #[test]
    fn what_havana_may_leave_out_may_be_left_out() {
        let mut arguments = arguments(json!([{"uuid": "a"}]));
        arguments.as_object_mut().unwrap().remove("legacy_bdm");
        assert_eq!(build(arguments).value(), Ok(json!(null)));
    }

    #[test]
    fn instances_must_be_named_and_different() {
        let message = |instances| refusal(arguments(instances)).message().to_owned();
        assert_eq!(message(json!([])), "argument 'instances' must have at least one instance");
        assert_eq!(message(json!([{"uuid": "a"}, {"uuid": ""}])), "argument 'instances[1].uuid' is empty");
        assert_eq!(message(json!([{"uuid": "a"}, {"uuid": "a"}])), "argument 'instances' has a twice");
        assert_eq!(message(json!([{"id": 1}])), "Conductor.build_instances() argument 'instances[0]' has no 'uuid'");
        assert_eq!(
            message(json!({"uuid": "a"})),
            "Conductor.build_instances() argument 'instances' must be a list, not an object"
        );
    }

    #[test]
    fn a_wrong_password_is_refused_without_being_repeated() {
        let mut arguments = arguments(json!([{"uuid": "a"}]));
        arguments["admin_password"] = json!(["secret-password"]);
        let failure = refusal(arguments);
        assert_eq!(
            failure.message(),
            "Conductor.build_instances() argument 'admin_password' must be a string, not a list"
        );
        assert!(!format!("{failure:?}").contains("secret"));
    }

    #[test]
    fn the_arguments_of_other_releases_are_refused() {
        let mut arguments = arguments(json!([{"uuid": "a"}]));
        arguments["request_specs"] = json!([]);
        assert_eq!(
            refusal(arguments).message(),
            "Conductor.build_instances() got an unexpected keyword argument 'request_specs'"
        );
        assert!(
            refusal(json!({"instances": []})).message().contains("missing 7 required positional arguments: 'image',")
        );
    }
}
