//! The brokers that handlers may reach, by name, and a client for each.
//!
//! Before it: the configuration. After it: [`super::Session`] asks for the client of a broker. The service's own broker
//! has no name, and shares the service's connection; the others are connected to when a handler first needs them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    http::{self, Trust},
    keyvalue::{OpenError, Place, Store},
};
use crate::{
    client::Client,
    settings::Settings,
    transport::{Transport, Url, rabbit},
};

/// How many requests of handlers may lead to one another: nova's longest chain, a live migration, has six.
const DEFAULT_MAX_HOPS: u32 = 16;

/// What stands before the name of a broker.
const BROKERS: &str = "brokers.";

/// What is configured for all handlers: the settings `rpc.max_hops`, `keyvalue.path`, `keyvalue.url` and `http.ca_file`,
/// and the tables `brokers.NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The most requests of handlers that may lead to one another, so that loops end.
    pub max_hops: u32,
    /// Where handlers' state is kept.
    pub keyvalue: Place,
    /// The only CAs that HTTPS trusts; `None` is the system's.
    pub http_ca_file: Option<PathBuf>,
    /// Other brokers, by name.
    pub brokers: BTreeMap<String, BrokerConfig>,
}

/// Another broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerConfig {
    url: Option<Url>,
    /// The exchange that scopes its topics; `None` is the service's own `control_exchange`.
    exchange: Option<String>,
}

/// What the service can do for its handlers. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Capabilities(Arc<Reachable>);

#[derive(Debug, Default)]
struct Reachable {
    max_hops: u32,
    store: Store,
    trust: Arc<Trust>,
    /// The service's own under `None`.
    brokers: BTreeMap<Option<String>, Broker>,
}

/// A broker that can be reached.
#[derive(Debug)]
pub(super) struct Broker {
    pub(super) client: Client,
    pub(super) exchange: String,
    /// For brokers that nobody else uses.
    own: Option<Transport>,
}

impl Config {
    /// Takes the settings.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let max_hops = settings.take_within("rpc.max_hops", DEFAULT_MAX_HOPS, 1..=1000);
        let mut brokers = BTreeMap::<String, BrokerConfig>::new();
        for (key, value) in settings.take_each::<String>(BROKERS) {
            let (name, setting) = key.rsplit_once('.').unwrap_or((key.as_str(), ""));
            let broker = brokers.entry(name.to_owned()).or_default();
            let wrong = match setting {
                "transport_url" => match Url::parse(&value) {
                    Ok(Url::Rabbit(address)) if !address.options.is_empty() => {
                        Some("takes no options: those of [rabbit] are for all brokers".to_owned())
                    }
                    Ok(url) => {
                        broker.url = Some(url);
                        None
                    }
                    Err(error) => Some(error.to_string()),
                },
                "control_exchange" => {
                    broker.exchange = Some(value);
                    None
                }
                _ => Some("no such setting; a broker has transport_url and control_exchange".to_owned()),
            };
            if let Some(wrong) = wrong {
                settings.problem(&format!("{BROKERS}{key}"), &wrong);
                // Not missing: wrong, which has been said.
                broker.url.get_or_insert(Url::Memory);
            }
        }
        for name in brokers.iter().filter(|(_, broker)| broker.url.is_none()).map(|(name, _)| name) {
            settings.problem(&format!("{BROKERS}{name}.transport_url"), "is missing");
        }
        let (keyvalue, http_ca_file) = (Place::read(settings), http::read(settings, "http.ca_file"));
        Self { max_hops, keyvalue, http_ca_file, brokers }
    }
}

impl Capabilities {
    /// Opens the store, and prepares the clients; nothing is connected yet. `transport` and `exchange` are the service's
    /// own.
    ///
    /// # Errors
    ///
    /// [`OpenError`].
    pub fn new(
        config: &Config,
        transport: &Transport,
        exchange: &str,
        rabbit: &rabbit::Config,
    ) -> Result<Self, OpenError> {
        let store = Store::open(&config.keyvalue)?;
        let own = Broker { client: Client::new(transport.clone()), exchange: exchange.to_owned(), own: None };
        let mut brokers = BTreeMap::from([(None, own)]);
        for (name, BrokerConfig { url, exchange: others }) in &config.brokers {
            let Some(url) = url else { continue };
            let transport = Transport::new(url.clone(), rabbit.clone());
            let exchange = others.clone().unwrap_or_else(|| exchange.to_owned());
            let broker = Broker { client: Client::new(transport.clone()), exchange, own: Some(transport) };
            brokers.insert(Some(name.clone()), broker);
        }
        let trust = Arc::new(Trust::new(config.http_ca_file.clone()));
        Ok(Self(Arc::new(Reachable { max_hops: config.max_hops, store, trust, brokers })))
    }

    /// The broker of this name; `None` is the service's own.
    pub(super) fn broker(&self, name: Option<&String>) -> Option<&Broker> {
        self.0.brokers.get(&name.cloned())
    }

    /// Looks whether handlers' state can be reached, and logs it where it cannot.
    pub async fn look(&self) {
        self.0.store.look().await;
    }

    /// Where handlers' state is kept.
    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Whom HTTPS trusts.
    pub(super) fn trust(&self) -> &Arc<Trust> {
        &self.0.trust
    }

    /// The most requests of handlers that may lead to one another.
    pub(super) fn max_hops(&self) -> u32 {
        self.0.max_hops
    }

    /// Closes what was opened for handlers, after the last request has ended: reply queues, and connections to other
    /// brokers. Where somebody still holds a clone, they close with the process.
    pub async fn close(self) {
        let Some(reachable) = Arc::into_inner(self.0) else { return };
        for Broker { client, own, .. } in reachable.brokers.into_values() {
            client.close().await;
            if let Some(transport) = own {
                transport.close().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Problems;

    fn read(text: &str) -> Result<Config, Problems> {
        let mut settings = Settings::default();
        settings.add_file(text).unwrap();
        let config = Config::read(&mut settings);
        settings.finish().map(|_| config)
    }

    #[test]
    fn brokers_have_names_and_a_url_each() {
        let config = read(
            "[brokers.cell1]\ntransport_url = \"rabbit://u:secret@h/\"\n\
             [brokers.\"a.b\"]\ntransport_url = \"memory://\"\ncontrol_exchange = \"cinder\"",
        );
        let config = config.unwrap();
        assert_eq!(config.brokers.keys().collect::<Vec<_>>(), ["a.b", "cell1"]);
        assert_eq!(config.brokers["a.b"].exchange.as_deref(), Some("cinder"));
        assert!(!format!("{config:?}").contains("secret"));
        let nothing = Config {
            max_hops: DEFAULT_MAX_HOPS,
            keyvalue: Place::Memory,
            http_ca_file: None,
            brokers: BTreeMap::new(),
        };
        assert_eq!(read("").unwrap(), nothing);
    }

    #[test]
    fn mistakes_are_named_without_passwords() {
        let problems = read(
            "brokers.a.transport_url = \"rabbit://u:secret@h:port/\"\nbrokers.b.control_exchange = \"nova\"\n\
             brokers.c.url = \"memory://\"\nbrokers.d.transport_url = \"rabbit://h/?rabbit_quorum_queue=true\"\n\
             brokers.e = \"memory://\"\nrpc.max_hops = 0",
        )
        .unwrap_err()
        .0;
        assert_eq!(problems.len(), 6, "{problems:?}");
        assert!(problems[0].starts_with("rpc.max_hops: must be from 1 to 1000"), "{problems:?}");
        assert!(problems[1].starts_with("brokers.a.transport_url: "), "{problems:?}");
        assert!(problems[2].starts_with("brokers.c.url: no such setting; a broker has"), "{problems:?}");
        assert!(problems[3].starts_with("brokers.d.transport_url: takes no options"), "{problems:?}");
        assert!(problems[4].starts_with("brokers.e: no such setting"), "{problems:?}");
        assert_eq!(problems[5], "brokers.b.transport_url: is missing");
        assert!(!problems.concat().contains("secret"), "{problems:?}");
    }
}
