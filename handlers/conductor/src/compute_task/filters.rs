//! The filter properties: hints for the scheduler, and what nova counts in them.

use nova_guest::{
    Failure, config,
    serde_json::{Map, Value, json, value::RawValue},
};
use serde::{Deserialize, Serialize};

/// nova's `[scheduler] max_attempts`.
const MAX_ATTEMPTS: u64 = 3;

/// The filter properties of one request.
#[derive(Clone, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Filters(Option<Map<String, Value>>);

impl Filters {
    /// Counts one more attempt, unless the request may only go to one host.
    ///
    /// # Errors
    ///
    /// `MaxRetriesExceeded`.
    pub(super) fn count_attempt(&mut self, uuid: &str) -> Result<(), Failure> {
        let most = config::get_or("max_attempts", MAX_ATTEMPTS)?;
        let filters = self.0.get_or_insert_default();
        let forces = |name: &str| filters.get(name).and_then(Value::as_array).is_some_and(|forced| forced.len() == 1);
        if most == 1 || forces("force_hosts") || forces("force_nodes") {
            return Ok(());
        }
        let retry = filters.entry("retry").or_insert_with(|| json!({"num_attempts": 0, "hosts": []}));
        let Some(retry) = retry.as_object_mut() else {
            return Err(Failure::type_error("argument 'filter_properties.retry' must be an object"));
        };
        let attempts = retry.get("num_attempts").and_then(Value::as_u64).unwrap_or_default() + 1;
        retry.insert("num_attempts".to_owned(), attempts.into());
        let last = retry.remove("exc_reason").unwrap_or_default();
        if attempts > most {
            let last = last.as_str().unwrap_or("None");
            return Err(exhausted(&format!(
                "Exceeded max scheduling attempts {most} for instance {uuid}. Last exception: {last}"
            )));
        }
        Ok(())
    }

    /// The properties for one instance: the host that was chosen is among those tried, and its limits hold.
    ///
    /// # Errors
    ///
    /// A `RuntimeError` where the limits are no JSON, which cannot be.
    pub(super) fn on(&self, host: &str, node: &str, limits: &RawValue) -> Result<Self, Failure> {
        let mut filters = self.0.clone().unwrap_or_default();
        let hosts = filters.get_mut("retry").and_then(|retry| retry.get_mut("hosts")).and_then(Value::as_array_mut);
        if let Some(hosts) = hosts {
            hosts.push(json!([host, node]));
        }
        let forced = filters.get("force_hosts").and_then(Value::as_array).is_some_and(|forced| !forced.is_empty());
        if !forced {
            filters.insert("limits".to_owned(), nova_guest::serde_json::from_str(limits.get())?);
        }
        Ok(Self(Some(filters)))
    }

    /// The flavor, where the client has put it here.
    pub(super) fn flavor(&self) -> Option<&Value> {
        self.0.as_ref()?.get("instance_type")
    }
}

/// nova's exception for an instance that was tried often enough.
#[track_caller]
pub(super) fn exhausted(reason: &str) -> Failure {
    let message = format!("Exceeded maximum number of retries. {reason}");
    Failure::new("nova.exception", "MaxRetriesExceeded", message).kwarg("reason", reason).kwarg("code", 500)
}
