//! What computes ask of nova's objects: they reach no database, so the conductor asks it for them.
//!
//! This conductor has no database either. It answers the one question whose answer is known without, and leaves all others
//! to the service behind.

use nova_guest::{Failure, Info, config, serde_json::Map, serde_json::Value};
use serde::{Deserialize, Serialize};

/// The list of an instance's shares, and the versions of it that are known here.
const SHARES: &str = "ShareMappingList";
const SHARES_VERSIONS: [&str; 2] = ["1.0", "1.1"];

/// The arguments of `object_class_action_versions`. Those of the object's method do not matter here.
#[derive(Debug, Deserialize)]
pub struct ClassAction {
    objname: String,
    objmethod: String,
    /// By the name of each class, the version that the caller understands.
    object_versions: Map<String, Value>,
    #[serde(rename = "args")]
    _args: Vec<Value>,
    #[serde(rename = "kwargs")]
    _kwargs: Map<String, Value>,
}

/// An object with a version, as nova writes it: a list in which nothing is.
#[derive(Debug, Serialize)]
pub struct EmptyList {
    #[serde(rename = "nova_object.name")]
    name: String,
    #[serde(rename = "nova_object.namespace")]
    namespace: &'static str,
    #[serde(rename = "nova_object.version")]
    version: String,
    #[serde(rename = "nova_object.data")]
    data: Objects,
}

#[derive(Debug, Serialize)]
struct Objects {
    objects: [(); 0],
}

/// `object_class_action_versions(objname, objmethod, object_versions, args, kwargs)` does something of a class of objects,
/// and returns objects of the versions that the caller understands. Here it is `ShareMappingList.get_by_instance_uuid`, which
/// is empty where the manifest says that the cloud has no shares (`no_shares`).
///
/// # Errors
///
/// Declines everything else.
pub fn object_class_action_versions(request: ClassAction, _: &Info) -> Result<EmptyList, Failure> {
    let ClassAction { objname, objmethod, object_versions, .. } = request;
    let version = object_versions.get(&objname).and_then(Value::as_str).unwrap_or_default();
    let is_known = objname == SHARES && objmethod == "get_by_instance_uuid" && SHARES_VERSIONS.contains(&version);
    if !is_known || !config::get_or("no_shares", false)? {
        return Err(Failure::declined());
    }
    let version = version.to_owned();
    Ok(EmptyList { name: objname, namespace: "nova", version, data: Objects { objects: [] } })
}

#[cfg(test)]
mod tests {
    use nova_guest::{
        serde_json::{Value, json},
        testing::{Answer, Request},
    };

    use crate::Conductor;

    fn ask(class: &str, method: &str, version: &str, no_shares: &str) -> Answer {
        let arguments = json!({
            "objname": class, "objmethod": method, "object_versions": {class: version, "ShareMapping": "1.2"},
            "args": ["8d4e6bc1-3d4c-4bd2-9a3a-94a3b1dbbf0f"], "kwargs": {},
        });
        let request = Request::new("object_class_action_versions", arguments).version("3.0");
        request.config("no_shares", no_shares).send::<Conductor>()
    }

    /// What nova 34's own conductor answers.
    fn empty(version: &str) -> Value {
        json!({
            "nova_object.name": "ShareMappingList", "nova_object.namespace": "nova",
            "nova_object.version": version, "nova_object.data": {"objects": []},
        })
    }

    #[test]
    fn an_instance_has_no_shares_in_a_cloud_without_them() {
        for version in ["1.0", "1.1"] {
            assert_eq!(ask("ShareMappingList", "get_by_instance_uuid", version, "true").value(), Ok(empty(version)));
        }
    }

    #[test]
    fn what_only_a_database_knows_is_left_to_others() {
        for (class, method, version, no_shares) in [
            ("ShareMappingList", "get_by_instance_uuid", "1.1", "false"),
            ("ShareMappingList", "get_by_instance_uuid", "1.2", "true"),
            ("ShareMappingList", "get_by_share_id", "1.1", "true"),
            ("InstanceList", "get_by_instance_uuid", "1.1", "true"),
        ] {
            assert!(ask(class, method, version, no_shares).is_declined(), "{class}.{method} {version} {no_shares}");
        }
    }

    #[test]
    fn an_unknown_class_is_left_to_others_whatever_its_version() {
        let arguments = json!({
            "objname": "Instance", "objmethod": "get_by_uuid", "object_versions": {"Instance": 7}, "args": [], "kwargs": {},
        });
        let request = Request::new("object_class_action_versions", arguments).version("3.0");
        assert!(request.config("no_shares", "true").send::<Conductor>().is_declined());
    }
}
