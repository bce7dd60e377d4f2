//! Variables of the environment that begin like a setting and are none.
//!
//! Before it: [`super::Settings`] knows every setting. After it: a mistyped setting is an error, and a variable that no
//! setting resembles is a warning. What Kubernetes adds is neither: it gives every container the addresses of all Services
//! of its namespace, and a Service may be called `nova-host` or `nova-host-metrics`.

use std::{collections::BTreeSet, net::IpAddr};

/// The protocols of a Service's port, as they stand in names.
const PROTOCOLS: [&str; 3] = ["TCP", "UDP", "SCTP"];

/// What a variable is that no setting is called like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// Somebody meant this setting.
    Mistyped(String),
    /// Kubernetes says where a Service is.
    Kubernetes,
    /// Neither.
    Stranger,
}

/// Judges a variable by its name without our prefix; `settings` are the variables of all settings, without it too.
pub(super) fn judge(name: &str, value: &str, settings: &BTreeSet<String>) -> Unknown {
    if is_of_kubernetes(name, value) {
        return Unknown::Kubernetes;
    }
    nearest(name, settings.iter()).map_or(Unknown::Stranger, Unknown::Mistyped)
}

/// The known name that is so near that it was most likely meant.
pub(super) fn nearest<'a>(wrong: &str, known: impl Iterator<Item = &'a String>) -> Option<String> {
    let distances = known.map(|name| (strsim::damerau_levenshtein(wrong, name), name));
    distances.min().filter(|(distance, name)| *distance <= 1 + name.len() / 4).map(|(_, name)| name.clone())
}

/// Whether Kubernetes has added a variable for a Service: `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT`,
/// `NAME_SERVICE_PORT_OF-A-NAME`, and Docker's `NAME_PORT`, `NAME_PORT_80_TCP` and `NAME_PORT_80_TCP_ADDR`, `_PORT` and
/// `_PROTO` (`pkg/kubelet/envvars` of Kubernetes). The value must fit too: `NOVA_HOST_PORT=5672` is from a person.
fn is_of_kubernetes(name: &str, value: &str) -> bool {
    // What our prefix has taken from it.
    let name = format!("_{name}");
    let (is_address, is_port) = (value.parse::<IpAddr>().is_ok(), value.parse::<u16>().is_ok());
    let is_link = PROTOCOLS.iter().any(|protocol| {
        let scheme = format!("{}://", protocol.to_lowercase());
        value.strip_prefix(&scheme).is_some_and(|place| place.contains(':'))
    });
    if name.ends_with("_SERVICE_HOST") {
        return is_address;
    }
    if name.ends_with("_SERVICE_PORT") || name.contains("_SERVICE_PORT_") {
        return is_port;
    }
    if name.ends_with("_PORT") && is_link {
        return true;
    }
    let fits = |link: &str, fits: bool| fits && is_port_of_a_link(link);
    match name.rsplit_once('_') {
        Some((link, "ADDR")) => fits(link, is_address),
        Some((link, "PORT")) => fits(link, is_port),
        Some((link, "PROTO")) => fits(link, PROTOCOLS.contains(&value.to_uppercase().as_str())),
        _ => fits(&name, is_link),
    }
}

/// Whether a name ends like `_PORT_80_TCP`.
fn is_port_of_a_link(name: &str) -> bool {
    let mut words = name.rsplit('_');
    let is_protocol = words.next().is_some_and(|word| PROTOCOLS.contains(&word));
    let is_number = words.next().is_some_and(|word| word.parse::<u16>().is_ok());
    is_protocol && is_number && words.next() == Some("PORT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> BTreeSet<String> {
        ["LOG", "LIMITS_TIMEOUT", "METRICS_LISTEN", "RABBIT_SSL"].map(str::to_owned).into()
    }

    /// What Kubernetes adds for a Service with one named port.
    fn of_service(name: &str, address: &str) -> Vec<(String, String)> {
        let place = if address.contains(':') { format!("[{address}]:9464") } else { format!("{address}:9464") };
        [
            ("SERVICE_HOST", address),
            ("SERVICE_PORT", "9464"),
            ("SERVICE_PORT_HTTP_METRICS", "9464"),
            ("PORT", &format!("tcp://{place}")),
            ("PORT_9464_TCP", &format!("tcp://{place}")),
            ("PORT_9464_TCP_PROTO", "tcp"),
            ("PORT_9464_TCP_PORT", "9464"),
            ("PORT_9464_TCP_ADDR", address),
        ]
        .map(|(variable, value)| (format!("{name}{variable}"), value.to_owned()))
        .into()
    }

    #[test]
    fn every_variable_that_kubernetes_adds_for_a_service_is_its_own() {
        for service in ["", "METRICS_", "LIMITS_", "LOG_", "A_SERVICE_HOST_", "B_PORT_80_TCP_"] {
            for address in ["10.96.0.17", "fd00::17"] {
                for (name, value) in of_service(service, address) {
                    assert_eq!(judge(&name, &value, &settings()), Unknown::Kubernetes, "{name}={value}");
                }
            }
        }
    }

    #[test]
    fn a_value_that_kubernetes_does_not_write_is_from_a_person() {
        for (name, value) in [
            ("PORT", "5672"),
            ("SERVICE_HOST", "conductor"),
            ("SERVICE_PORT", "amqp"),
            ("PORT_80_TCP", "80"),
            ("PORT_80_TCP_ADDR", "nowhere"),
            ("PORT_80_HTTP", "tcp://10.0.0.1:80"),
            ("80_TCP", "tcp://10.0.0.1:80"),
            ("PORT_80_TCP_PROTO", "http"),
        ] {
            assert_eq!(judge(name, value, &settings()), Unknown::Stranger, "{name}={value}");
        }
    }

    #[test]
    fn a_near_miss_is_a_mistake_and_a_stranger_is_none() {
        for (name, meant) in
            [("LIMIT_TIMEOUT", "LIMITS_TIMEOUT"), ("LOGS", "LOG"), ("METRICS_LISTNE", "METRICS_LISTEN")]
        {
            assert_eq!(judge(name, "1", &settings()), Unknown::Mistyped(meant.to_owned()));
        }
        for name in ["SOAK", "BENCH", "IMAGE", "RELEASE_TRACK", ""] {
            assert_eq!(judge(name, "1", &settings()), Unknown::Stranger, "{name}");
        }
    }
}
