//! The configuration: each stage's own, composed.
//!
//! Before it: the command line says where the file is and what overrides it. After it: [`crate::host`] starts the
//! stages. Every mistake is reported at once; what is no mistake and may still surprise is a warning ([`advice`]).

mod advice;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    admin, capability,
    catalog::load,
    confine, control, forward,
    metrics::http,
    recording,
    sandbox::Limits,
    serve,
    settings::{Problems, Settings},
    trace,
    transport::{self, rabbit},
};

/// The file that is read where none is named; it may be missing.
pub const DEFAULT_FILE: &str = "nova-host.toml";

/// RabbitMQ's own defaults.
const DEFAULT_TRANSPORT_URL: &str = "rabbit://guest:guest@127.0.0.1:5672/";

/// nova's; oslo.messaging's own default is `openstack`.
const DEFAULT_CONTROL_EXCHANGE: &str = "nova";

/// The service that this host was first made for.
const DEFAULT_TOPIC: &str = "conductor";

/// AMQP's bound on the names of exchanges, queues and routing keys, less what stands around a topic in them.
const MAX_NAME: usize = 200;

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the messages are.
    pub transport_url: transport::Url,
    /// The exchange that scopes the topics.
    pub control_exchange: String,
    /// What is served.
    pub topics: Vec<String>,
    /// The name of this server.
    pub server: String,
    /// Log levels: `info`, or `info,handler=debug` by target.
    pub log: String,
    /// The corridor.
    pub serve: serve::Config,
    /// The section `rabbit`.
    pub rabbit: rabbit::Config,
    /// The section `handlers`.
    pub handlers: load::Config,
    /// The section `admin`.
    pub admin: admin::Config,
    /// The section `confinement`.
    pub confinement: confine::Config,
    /// The section `control`.
    pub control: control::socket::Config,
    /// The section `limits`.
    pub limits: Limits,
    /// What is there for all handlers: `rpc` and `brokers`.
    pub capability: capability::Config,
    /// The section `metrics`.
    pub metrics: http::Config,
    /// The section `tracing`; `None` where nothing is traced.
    pub trace: Option<trace::Config>,
    /// The section `record`; `None` where nothing is.
    pub record: Option<recording::Config>,
    /// The section `forward`; `None` where nothing is.
    pub forward: Option<forward::Config>,
    /// What the operator should know although the service starts, a line each.
    pub warnings: Vec<String>,
}

/// Where the configuration comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `--config`; without it [`DEFAULT_FILE`], if there is one.
    pub file: Option<PathBuf>,
    /// Settings by their names, over file and environment.
    pub overrides: Vec<(String, String)>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("configuration file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Mistakes in it.
    #[error("{path}: {problems}")]
    Wrong {
        /// The file, or what stands for it.
        path: String,
        /// All of them.
        problems: Problems,
    },
}

impl Config {
    /// Reads the configuration from its sources and the environment.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let path = sources.file.clone().or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
        let text = match &path {
            Some(path) => std::fs::read_to_string(path).map_err(|source| Error::Read { path: path.clone(), source })?,
            None => String::new(),
        };
        let shown =
            path.as_deref().map_or_else(|| "configuration".to_owned(), |path: &Path| path.display().to_string());
        let wrong = |problems| Error::Wrong { path: shown.clone(), problems };
        let mut settings = Settings::default();
        settings.add_file(&text).map_err(wrong)?;
        settings.add_environment(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))),
        );
        for (key, value) in &sources.overrides {
            settings.set(key, value.as_str());
        }
        Self::read(settings).map(|(config, _)| config).map_err(wrong)
    }

    /// Takes every setting, and gives their names along.
    ///
    /// # Errors
    ///
    /// All mistakes at once.
    pub fn read(mut settings: Settings) -> Result<(Self, BTreeSet<String>), Problems> {
        let all = &mut settings;
        let transport_url = read_url(all);
        let server = all.take("server", crate::machine::host_name());
        let topics = match (all.take_optional("topics"), all.take_optional("topic")) {
            // What is typed wins over what stands somewhere, whatever of the two it is.
            (Some(topics), Some(_)) if all.is_overridden("topics") && !all.is_overridden("topic") => topics,
            (Some(_), Some(topic)) if all.is_overridden("topic") && !all.is_overridden("topics") => vec![topic],
            (Some(_), Some(_)) => {
                all.problem("topics", "topic and topics are one setting: give only one of them");
                Vec::new()
            }
            (Some(topics), None) => topics,
            (None, topic) => vec![topic.unwrap_or_else(|| DEFAULT_TOPIC.to_owned())],
        };
        let control_exchange = all.take("control_exchange", DEFAULT_CONTROL_EXCHANGE.to_owned());
        let mut warnings = Vec::new();
        let mut config = Self {
            transport_url,
            forward: forward::Config::read(all, &control_exchange, &topics),
            control_exchange,
            topics,
            log: all.take("log", "info".to_owned()),
            serve: serve::Config { server: server.clone(), ..serve::Config::read(all) },
            rabbit: rabbit::Config::read(all),
            handlers: load::Config::read(all),
            admin: admin::Config::read(all),
            confinement: confine::Config::read(all),
            control: control::socket::Config::read(all),
            limits: Limits::read_service(all),
            capability: capability::Config::read(all),
            metrics: http::Config::read(all),
            trace: trace::Config::read(all, &server, &mut warnings),
            record: recording::Config::read(all),
            server,
            warnings,
        };
        if config.serve.dead_letters.as_ref().is_some_and(|to| to.exchange == config.control_exchange) {
            let key = "delivery.dead_letter_exchange";
            all.problem(key, "must not be the control exchange, which would bring dead letters back");
        }
        if config.rabbit.connect_timeout.is_zero() {
            all.problem("rabbit.connect_timeout", "must be more than 0: no host answers in no time");
        }
        for (key, name) in config.topics.iter().map(|topic| ("topic", topic)).chain([("server", &config.server)]) {
            if name.len() > MAX_NAME {
                all.problem(key, &format!("must not have more than {MAX_NAME} bytes"));
            }
        }
        config.confinement.named = all.paths().to_vec();
        config.handlers.compile.confined = config.confinement.enabled;
        config.warnings.extend(advice::advice(&config.rabbit, &config.serve, &config.handlers.cache));
        config.warnings.extend(all.strangers().iter().map(|name| {
            format!("{name} in the environment is no setting and has no effect: the README has a table of all settings")
        }));
        Ok((config, settings.finish()?))
    }

    /// The subscription that the service has.
    #[must_use]
    pub fn subscription(&self) -> transport::Subscription {
        let front = self.forward.as_ref().and_then(|forward| forward.front.as_ref());
        let queue_prefix = self.forward.as_ref().map(|forward| forward.queue_prefix.clone());
        transport::Subscription {
            exchange: front.unwrap_or(&self.control_exchange).clone(),
            topics: self.topics.clone(),
            server: self.server.clone(),
            prefetch: self.serve.window(),
            queue_prefix: queue_prefix.unwrap_or_default(),
        }
    }
}

/// The URL, whose query overrides the section `rabbit`.
fn read_url(settings: &mut Settings) -> transport::Url {
    let text = settings.take("transport_url", DEFAULT_TRANSPORT_URL.to_owned());
    match transport::Url::parse(&text) {
        Ok(url) => {
            if let transport::Url::Rabbit(address) = &url {
                for ((option, value), number) in address.options.iter().zip(1..) {
                    let place = format!("transport_url: option {number}");
                    settings.set_unshown(&format!("rabbit.{option}"), value.as_str(), place);
                }
            }
            url
        }
        Err(error) => {
            settings.problem("transport_url", &error.to_string());
            transport::Url::Memory
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settings::Bytes;

    fn read(file: &str) -> Result<Config, Problems> {
        let mut settings = Settings::default();
        settings.add_file(file).unwrap();
        Config::read(settings).map(|(config, _)| config)
    }

    #[test]
    fn the_documented_example_is_read() {
        let config = read(
            r#"
            transport_url    = "rabbit://guest:guest@127.0.0.1:5672/"
            control_exchange = "nova"
            topic            = "conductor"
            server           = "host-1"
            max_in_flight    = 64
            grace_period     = "30s"
            [rabbit]
            rabbit_quorum_queue = false
            [handlers]
            directory = "handlers"
            watch     = true
            [limits]
            timeout = "60s"
            memory  = "64 MiB"
            "#,
        )
        .unwrap();
        assert_eq!(config.topics, ["conductor"]);
        assert_eq!((config.limits.timeout, config.limits.memory), (Duration::from_secs(60), Bytes(64 << 20)));
        assert!(config.handlers.watch);
    }

    #[test]
    fn topics_that_are_typed_win_over_one_that_stands_in_the_file_and_the_other_way_round() {
        let topics = |file: &str, typed: &[(&str, &str)]| {
            let mut settings = Settings::default();
            settings.add_file(file).unwrap();
            typed.iter().for_each(|(key, value)| settings.set(key, *value));
            Config::read(settings).map(|(config, _)| config.topics)
        };
        assert_eq!(topics("topic = 'a'", &[("topics", "b,c")]).unwrap(), ["b", "c"]);
        assert_eq!(topics("topics = ['a', 'b']", &[("topic", "c")]).unwrap(), ["c"]);
        for (file, typed) in [("topic = 'a'\ntopics = ['b']", &[][..]), ("", &[("topic", "a"), ("topics", "b")])] {
            assert!(topics(file, typed).unwrap_err().to_string().contains("one setting"), "{file}");
        }
    }

    #[test]
    fn the_readmes_table_has_every_setting_and_no_other() {
        let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
        let table = readme.split("| setting | default | meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
        let rows = table.lines().filter_map(|row| row.strip_prefix("| `")?.split('`').next());
        let documented: BTreeSet<String> = rows.map(str::to_owned).collect();
        assert_eq!(documented, Config::read(Settings::default()).unwrap().1);
    }

    #[test]
    fn no_setting_looks_like_what_kubernetes_adds() {
        for key in Config::read(Settings::default()).unwrap().1 {
            let name = format!("_{}_", key.to_uppercase().replace('.', "_"));
            assert!(!name.contains("_PORT_") && !name.contains("_SERVICE_"), "{key}");
        }
    }

    #[test]
    fn a_variable_that_is_no_setting_is_a_warning() {
        let mut settings = Settings::default();
        settings.add_environment([("NOVA_HOST_IMAGE".to_owned(), "secret".to_owned())]);
        settings.set("handlers.cache", "cache");
        let warnings = Config::read(settings).unwrap().0.warnings;
        assert!(warnings.len() == 1 && warnings[0].starts_with("NOVA_HOST_IMAGE in the environment"), "{warnings:?}");
        assert!(!warnings[0].contains("secret"));
    }

    #[test]
    fn mistakes_of_all_stages_are_reported_at_once() {
        let problems = read(
            "transport_url = \"amqp://x\"\nmax_in_flight = 0\n[rabbit]\nrabbit_quorum_queues = true\n[limits]\nmemory = \"1\"",
        )
        .unwrap_err();
        assert_eq!(problems.0.len(), 4, "{problems}");
        assert!(problems.0.iter().any(|line| line.contains("did you mean rabbit.rabbit_quorum_queue?")), "{problems}");
    }

    #[test]
    fn a_time_in_which_nothing_can_happen_is_an_error() {
        for (file, expected) in [
            ("rabbit.connect_timeout = 0", "rabbit.connect_timeout: must be more than 0"),
            ("limits.timeout = \"0s\"", "limits.timeout: must be from 1ms"),
            ("handlers.compile_timeout = \"0s\"", "handlers.compile_timeout: must be from 1s"),
        ] {
            let problems = read(file).unwrap_err();
            assert!(problems.0.len() == 1 && problems.0[0].starts_with(expected), "{problems}");
        }
    }

    #[test]
    fn the_urls_query_overrides_the_section() {
        let file = "transport_url = \"rabbit://h/?rabbit_quorum_queue=true\"\n[rabbit]\nrabbit_quorum_queue = false";
        assert!(read(file).unwrap().rabbit.declare.rabbit_quorum_queue);
        let problems = read("transport_url = \"rabbit://h/?ssl=true&rabbit_quorum_queues=true\"").unwrap_err();
        let expected = "transport_url: option 2: no such setting; did you mean rabbit.rabbit_quorum_queue?";
        assert_eq!(problems.0, [expected]);
    }

    #[test]
    fn dead_letters_need_an_exchange_and_not_the_one_they_came_from() {
        let file = "[delivery]\ndead_letter_exchange = \"dead\"\ndead_letter_routing_key = \"all\"";
        let dead_letters = read(file).unwrap().serve.dead_letters.unwrap();
        assert_eq!((dead_letters.exchange.as_str(), dead_letters.routing_key.as_deref()), ("dead", Some("all")));
        for (wrong, expected) in [
            ("delivery.dead_letter_routing_key = \"all\"", "delivery.dead_letter_routing_key: has no meaning"),
            ("delivery.dead_letter_exchange = \"nova\"", "delivery.dead_letter_exchange: must not be the control"),
            ("delivery.policy = \"once\"", "delivery.policy: \"once\" is neither"),
        ] {
            let problems = read(wrong).unwrap_err();
            assert!(problems.0.len() == 1 && problems.0[0].starts_with(expected), "{problems}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let config = read("transport_url = \"rabbit://u:secret@h/\"").unwrap();
        assert!(!format!("{config:?}").contains("secret"));
        for wrong in
            ["rabbit://u:secret@h:port/", "rabbit://u:x?secret", "rabbit://u:x?ssl=1&secret=2", "rabbit://h?secret"]
        {
            let problems = read(&format!("transport_url = \"{wrong}\"")).unwrap_err();
            assert!(!problems.to_string().contains("secret"), "{problems}");
        }
    }
}
