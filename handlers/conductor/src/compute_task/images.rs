//! Images that hosts are to have before an instance needs them.
//!
//! As in nova: every host of an aggregate is asked to fetch them, a few hosts at once, and one that fails is no reason not to ask the
//! others. Which hosts are up, and in which cell, stands in databases that this conductor does not have: so all are asked, at
//! one broker, and one that is not there is passed over when it says nothing for a while. nova's notifications about it are not sent.

use std::{collections::BTreeMap, time::Duration};

use nova_guest::{
    Failure, Info, config, log,
    rpc::{Error, Target},
};
use serde::{Deserialize, Serialize};

use super::hosts::{LONG_RPC_TIMEOUT, RPC_RESPONSE_TIMEOUT};

/// What computes understand that fetch images by request.
const COMPUTE: &str = "5.4";

/// nova's `[image_cache] precache_concurrency`: how many hosts fetch at once.
const PRECACHE_CONCURRENCY: usize = 1;

/// The arguments of `cache_images`.
#[derive(Debug, Deserialize)]
pub struct CacheImages {
    aggregate: Aggregate,
    image_ids: Vec<String>,
}

/// An object with its data inside.
#[derive(Debug, Deserialize)]
struct Aggregate {
    #[serde(rename = "nova_object.data")]
    data: Members,
}

#[derive(Debug, Deserialize)]
struct Members {
    hosts: Vec<String>,
}

/// The arguments of a compute's `cache_images`. It answers with a word for each image.
#[derive(Serialize)]
struct Fetch<'a> {
    image_ids: &'a [String],
}

/// `cache_images(aggregate, image_ids)` has images fetched by the hosts of an aggregate, and returns when all have said what
/// became of it; usually a cast.
///
/// # Errors
///
/// `PermissionError` or `RuntimeError` where the manifest does not grant it, or not as many hosts. None for a host that fails: the
/// log says so.
pub fn cache_images(CacheImages { aggregate, image_ids }: CacheImages, _: &Info) -> Result<(), Failure> {
    let hosts = aggregate.data.hosts;
    let seconds = |name, default| config::get_or(name, default).map(Duration::from_secs);
    let (timeout, monitor) =
        (seconds("long_rpc_timeout", LONG_RPC_TIMEOUT)?, seconds("rpc_response_timeout", RPC_RESPONSE_TIMEOUT)?);
    let at_once = config::get_or("precache_concurrency", PRECACHE_CONCURRENCY)?.max(1);
    let mut became = BTreeMap::<String, usize>::new();
    for some in hosts.chunks(at_once) {
        let targets: Vec<Target> = some
            .iter()
            .map(|host| Target::topic("compute").server(host).version(COMPUTE).timeout(timeout).monitor(monitor))
            .collect();
        let arguments = Fetch { image_ids: &image_ids };
        let calls = targets.iter().map(|target| (target, &arguments));
        let answers = Target::call_many::<_, BTreeMap<String, String>>("cache_images", calls)?;
        for (host, answer) in some.iter().zip(answers) {
            match answer {
                Ok(images) => images.into_values().for_each(|state| *became.entry(state).or_default() += 1),
                Err(error @ (Error::Denied(_) | Error::Limited(_))) => return Err(error.into()),
                Err(error) => {
                    log::warn(format!("{host} does not fetch images: {}", Failure::from(error)));
                    *became.entry("skipped".to_owned()).or_default() += image_ids.len();
                }
            }
        }
    }
    let became: Vec<String> = became.into_iter().map(|(state, number)| format!("{number} {state}")).collect();
    log::info(format!("{} images on {} hosts: {}", image_ids.len(), hosts.len(), became.join(", ")));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, rc::Rc};

    use nova_guest::{
        rpc::{self, Error},
        serde_json::{Value, json},
        testing::Request,
    };

    use crate::Conductor;

    fn request(hosts: &[&str]) -> Request {
        let aggregate = json!({
            "nova_object.name": "Aggregate", "nova_object.namespace": "nova", "nova_object.version": "1.3",
            "nova_object.data": {"id": 1, "name": "a", "hosts": hosts, "metadata": {}},
        });
        Request::new("cache_images", json!({"aggregate": aggregate, "image_ids": ["image-1", "image-2"]}))
            .namespace("compute_task")
            .version("1.21")
            .cast()
    }

    #[test]
    fn every_host_is_asked_also_after_one_that_fails() {
        for at_once in ["1", "2", "0", "100"] {
            let asked = Rc::<RefCell<Vec<rpc::Request>>>::default();
            let noted = Rc::clone(&asked);
            let answer = request(&["host-1", "host-2", "host-3"])
                .config("precache_concurrency", at_once)
                .answering(move |request| {
                    noted.borrow_mut().push(request.clone());
                    match request.target.server.as_deref() {
                        Some("host-2") => Err(Error::TimedOut("it says nothing".to_owned())),
                        _ => Ok(json!({"image-1": "cached", "image-2": "existing"})),
                    }
                })
                .send::<Conductor>();
            assert_eq!(answer.value(), Ok(Value::Null));
            let asked = asked.take();
            let hosts: Vec<_> = asked.iter().map(|request| request.target.server.as_deref()).collect();
            assert_eq!(hosts, [Some("host-1"), Some("host-2"), Some("host-3")]);
            let first = &asked[0];
            assert_eq!((first.method.as_str(), first.target.topic.as_str()), ("cache_images", "compute"));
            assert_eq!(first.target.version.as_deref(), Some("5.4"));
            assert_eq!(first.arguments, r#"{"image_ids":["image-1","image-2"]}"#);
            let seconds = |time: Option<std::time::Duration>| time.map(|time| time.as_secs());
            assert_eq!((seconds(first.target.monitor), seconds(first.target.timeout)), (Some(60), Some(1800)));
        }
    }

    #[test]
    fn more_hosts_than_are_granted_are_an_error() {
        let answer = request(&["host-1", "host-2"]).answering(|_| Err(Error::Limited("too many".to_owned())));
        assert_eq!(answer.send::<Conductor>().value().unwrap_err().class(), "RuntimeError");
    }

    #[test]
    fn an_aggregate_without_hosts_has_nobody_asked() {
        let answer = request(&[]).answering(|_| panic!("nobody is asked")).send::<Conductor>();
        assert_eq!(answer.value(), Ok(Value::Null));
    }
}
