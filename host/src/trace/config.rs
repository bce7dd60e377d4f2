//! The section `tracing`, and the variables that OpenTelemetry has for the same.
//!
//! Before it: [`crate::config`]. After it: [`super::start`]. Our own settings win over the variables, which stand for a whole
//! machine or a whole cluster: a value of theirs that is not understood here is a warning, never a reason not to start.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    endpoint::{Endpoint, Secrets, pairs},
    sampler::{Sampler, Share},
};
use crate::{
    capability::http,
    settings::{Setting, Settings},
};

/// The service's name where nobody has given it one.
const DEFAULT_SERVICE: &str = "nova-host";

/// How long a collector may take for one batch: OpenTelemetry's own default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Spans that wait: OpenTelemetry's own default. Each has some 500 bytes, and 16 KiB at most.
const DEFAULT_QUEUE: u32 = 2048;

/// What switches it off, in place of an endpoint.
const NOWHERE: &str = "none";

/// How requests are traced.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub(super) endpoint: Endpoint,
    pub(super) headers: Secrets,
    pub(super) timeout: Duration,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) queue: usize,
    pub(super) sampler: Sampler,
    /// What is said of the service with all its spans.
    pub(super) resource: Vec<(String, String)>,
}

impl Config {
    /// The file of the only CAs that the collector's certificate may be of.
    #[must_use]
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// Takes the settings; `None` where nothing is traced. `server` is the name of this server. What is wrong with the variables of
    /// OpenTelemetry, and ignored, is added to `warnings`.
    #[must_use]
    pub fn read(settings: &mut Settings, server: &str, warnings: &mut Vec<String>) -> Option<Self> {
        let endpoint = settings.take_optional::<Place>("tracing.endpoint");
        let share = settings.take_optional::<Share>("tracing.sample");
        let service = settings.take_optional::<String>("tracing.name");
        let headers = settings.take_optional::<Secrets>("tracing.headers");
        let timeout = settings.take_optional::<Patience>("tracing.timeout");
        let ca_file = http::read(settings, "tracing.ca_file");
        let queue = settings.take_within("tracing.queue", DEFAULT_QUEUE, 1..=1 << 20);
        let mut common = Common { settings, warnings };
        let is_own = endpoint.is_some();
        let endpoint = match endpoint {
            Some(Place(endpoint)) => endpoint?,
            None => common.endpoint()?,
        };
        let resource = common.resource(service, server);
        let timeout = timeout.map(|Patience(timeout)| timeout).or_else(|| common.timeout());
        // A token of the collector that the variables name is nobody else's business.
        let headers = headers.or_else(|| if is_own { None } else { common.either("HEADERS", Secrets::parse) });
        let ca_file = ca_file.or_else(|| if is_own { None } else { common.either("CERTIFICATE", certificate) });
        let sampler = common.sampler(share);
        Some(Self {
            endpoint,
            headers: headers.unwrap_or_default(),
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            ca_file,
            queue: usize::try_from(queue).unwrap_or(usize::MAX),
            sampler,
            resource,
        })
    }
}

/// A file of certificates that can be read.
fn certificate(text: &str) -> Result<PathBuf, String> {
    http::check(text.as_ref()).map(|()| PathBuf::from(text))
}

/// The variables of OpenTelemetry. One that is empty is as if it were not there, as everywhere.
struct Common<'a> {
    settings: &'a Settings,
    warnings: &'a mut Vec<String>,
}

impl Common<'_> {
    /// What a variable says, where it says something.
    fn text(&self, name: &str) -> Option<String> {
        let text = self.settings.foreign(name)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn variable<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let parsed = parse(&self.text(name)?);
        parsed.map_err(|reason| self.warnings.push(format!("{name}: {reason}; the variable is ignored"))).ok()
    }

    /// One for traces, or else the same for everything.
    fn either<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let mut of = |scope| self.variable(&format!("OTEL_EXPORTER_OTLP_{scope}{name}"), &parse);
        of("TRACES_").or_else(|| of(""))
    }

    /// The collector that the variables name, where they name one and do not switch it off.
    fn endpoint(&mut self) -> Option<Endpoint> {
        let is_disabled = self.variable("OTEL_SDK_DISABLED", |text| match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("is neither true nor false".to_owned()),
        });
        if is_disabled == Some(true) {
            return None;
        }
        let endpoint = self
            .variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", Endpoint::exactly)
            .or_else(|| self.variable("OTEL_EXPORTER_OTLP_ENDPOINT", Endpoint::of_collector))?;
        (self.has_exporter() && self.has_protocol()).then_some(endpoint)
    }

    /// Whether the exporters that are asked for, a list, are those of here.
    fn has_exporter(&mut self) -> bool {
        const NAME: &str = "OTEL_TRACES_EXPORTER";
        let Some(text) = self.text(NAME) else { return true };
        let all: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let is_there = all.is_empty() || all.iter().any(|name| name.eq_ignore_ascii_case("otlp"));
        if !is_there && all.iter().any(|name| !name.eq_ignore_ascii_case(NOWHERE)) {
            self.warnings.push(format!("{NAME}: there is no exporter here but otlp; traces are off"));
        }
        is_there
    }

    /// Whether the protocol that is asked for is spoken here.
    fn has_protocol(&mut self) -> bool {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        let Some((name, text)) = names.into_iter().find_map(|name| Some((name, self.text(name)?))) else { return true };
        let is_spoken = text.eq_ignore_ascii_case("http/protobuf");
        if !is_spoken {
            let reason = "only http/protobuf is spoken here, for which the collector listens on port 4318";
            self.warnings.push(format!("{name}: {reason}; traces are off"));
        }
        is_spoken
    }

    fn timeout(&mut self) -> Option<Duration> {
        self.either("TIMEOUT", |text| match text.parse() {
            Ok(milliseconds) if milliseconds > 0 => Ok(Duration::from_millis(milliseconds)),
            Ok(_) | Err(_) => Err("is no number of milliseconds, 1 or more".to_owned()),
        })
    }

    fn sampler(&mut self, share: Option<Share>) -> Sampler {
        if let Some(share) = share {
            return Sampler { follows_parent: true, share };
        }
        let name = self.variable("OTEL_TRACES_SAMPLER", |text| {
            let text = text.to_ascii_lowercase();
            let (follows_parent, root) =
                text.strip_prefix("parentbased_").map_or((false, text.as_str()), |root| (true, root));
            let share = match root {
                "always_on" => Some(Share::ALL),
                "always_off" => Some(Share::NONE),
                "traceidratio" => None,
                _ => {
                    return Err("is not known here: there are always_on, always_off and traceidratio, also with \
                                parentbased_ before them"
                        .to_owned());
                }
            };
            Ok((follows_parent, share))
        });
        let (follows_parent, share) = name.unwrap_or((true, Some(Share::ALL)));
        let share = share.or_else(|| self.variable("OTEL_TRACES_SAMPLER_ARG", Share::parse)).unwrap_or(Share::ALL);
        Sampler { follows_parent, share }
    }

    fn resource(&mut self, service: Option<String>, server: &str) -> Vec<(String, String)> {
        const SERVICE: &str = "service.name";
        let given = self.variable("OTEL_RESOURCE_ATTRIBUTES", pairs).unwrap_or_default();
        let service = service.or_else(|| self.variable("OTEL_SERVICE_NAME", |text| Ok(text.to_owned())));
        let mut resource: Vec<(String, String)> = [
            (SERVICE, DEFAULT_SERVICE),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", server),
            ("telemetry.sdk.name", DEFAULT_SERVICE),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (name, value) in given.into_iter().chain(service.map(|service| (SERVICE.to_owned(), service))) {
            match resource.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = value,
                None => resource.push((name, value)),
            }
        }
        resource
    }
}

/// What `tracing.endpoint` may be.
struct Place(Option<Endpoint>);

impl Setting for Place {
    fn parse(text: &str) -> Result<Self, String> {
        if text.trim() == NOWHERE { Ok(Self(None)) } else { Endpoint::of_collector(text).map(Some).map(Self) }
    }
}

impl Setting for Secrets {
    fn parse(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

struct Patience(Duration);

impl Setting for Patience {
    fn parse(text: &str) -> Result<Self, String> {
        crate::settings::patience(text).map(Self)
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
