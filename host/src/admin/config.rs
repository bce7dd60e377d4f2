//! The section `admin`: where the admin API is, and who may use it.
//!
//! Before it: [`crate::settings`]. After it: [`super::Admin`] listens, [`super::secrets`] reads the files. A listener that
//! others reach is refused here where anybody on the way, or anybody at all, could use it.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use crate::{
    operate::Role,
    settings::{Setting, Settings},
};

/// What stands before the path of a local socket.
const UNIX: &str = "unix:";

/// The section `admin`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Where it listens; `None`, the default, is nowhere.
    pub listen: Option<Place>,
    /// Our certificate and what leads from it to its CA, as PEM, with its key: TLS.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The CA of clients' certificates, as PEM.
    pub client_ca: Option<PathBuf>,
    /// The file of tokens.
    pub tokens: Option<PathBuf>,
    /// Names under which the listener is reached, beside those of our certificate, `localhost` and addresses.
    pub names: Vec<String>,
    /// The role of each client certificate, by a name in it; `*` is for all of that CA.
    pub clients: BTreeMap<String, Role>,
}

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A local socket.
    Unix(PathBuf),
}

impl Setting for Place {
    fn parse(text: &str) -> Result<Self, String> {
        match text.trim().strip_prefix(UNIX) {
            Some("") => Err("unix: needs a path behind it, such as unix:/run/nova-host/admin.sock".to_owned()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => SocketAddr::parse(text)
                .map(Self::Tcp)
                .map_err(|reason| format!("{reason}, nor unix:PATH for a local socket")),
        }
    }
}

impl Config {
    /// Takes the section.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let (certificate, key) =
            (settings.take_optional("admin.certificate"), settings.take_optional::<PathBuf>("admin.key"));
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                settings.problem("admin.certificate", "needs admin.key with it: the file of its private key");
                None
            }
            (None, Some(_)) => {
                settings.problem("admin.key", "needs admin.certificate with it");
                None
            }
        };
        let config = Self {
            listen: settings.take_optional("admin.listen"),
            identity,
            client_ca: settings.take_optional("admin.client_ca"),
            tokens: settings.take_optional("admin.tokens"),
            names: settings.take("admin.names", Vec::new()),
            clients: settings.take_each("admin.clients.").into_iter().collect(),
        };
        for (key, reason) in config.mistakes() {
            settings.problem(key, reason);
        }
        config
    }

    /// Whether anybody on this machine may look: nobody has said how to tell who is who.
    pub(super) fn is_open(&self) -> bool {
        self.is_on_loopback() && self.tokens.is_none() && self.client_ca.is_none()
    }

    fn is_on_loopback(&self) -> bool {
        matches!(&self.listen, Some(Place::Tcp(address)) if address.ip().to_canonical().is_loopback())
    }

    fn mistakes(&self) -> Vec<(&'static str, &'static str)> {
        let mut mistakes = Vec::new();
        let given = [
            ("admin.certificate", self.identity.is_some()),
            ("admin.client_ca", self.client_ca.is_some()),
            ("admin.tokens", self.tokens.is_some()),
            ("admin.clients", !self.clients.is_empty()),
            ("admin.names", !self.names.is_empty()),
        ];
        match &self.listen {
            None => {
                let reason = "has no effect without admin.listen, which says where the admin API is";
                mistakes.extend(given.iter().filter(|(_, is_given)| *is_given).map(|(key, _)| (*key, reason)));
            }
            Some(Place::Unix(_)) => {
                let reason = "has no effect on a local socket, where the kernel says who asks; take it out";
                mistakes.extend(given.iter().filter(|(_, is_given)| *is_given).map(|(key, _)| (*key, reason)));
            }
            Some(Place::Tcp(_)) => {
                if !self.is_on_loopback() && self.identity.is_none() {
                    mistakes.push((
                        "admin.listen",
                        "others reach this address: it needs TLS (admin.certificate and admin.key), or must be on 127.0.0.1, \
                         on [::1], or a local socket (unix:PATH)",
                    ));
                }
                if !self.is_on_loopback() && self.tokens.is_none() && self.client_ca.is_none() {
                    mistakes.push((
                        "admin.listen",
                        "others reach this address: it needs admin.tokens or admin.client_ca, which say who may use it",
                    ));
                }
                if self.client_ca.is_some() && self.identity.is_none() {
                    mistakes.push(("admin.client_ca", "needs TLS: set admin.certificate and admin.key"));
                }
                if self.client_ca.is_some() && self.clients.is_empty() {
                    mistakes.push((
                        "admin.client_ca",
                        "needs a section [admin.clients] with the role of each name: \"ops.example.org\" = \"operate\"",
                    ));
                }
                if self.client_ca.is_none() && !self.clients.is_empty() {
                    mistakes.push(("admin.clients", "needs admin.client_ca: the CA of these clients' certificates"));
                }
            }
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str) -> (Config, Vec<String>) {
        let mut settings = Settings::default();
        settings.add_file(file).unwrap();
        let config = Config::read(&mut settings);
        (config, settings.finish().map_or_else(|problems| problems.0, |_| Vec::new()))
    }

    #[test]
    fn who_is_reached_by_others_needs_tls_and_somebody_who_may() {
        for (file, expected) in [
            ("", &[][..]),
            ("listen = '127.0.0.1:0'", &[]),
            ("listen = '[::ffff:127.0.0.1]:0'", &[]),
            ("listen = 'unix:/run/a'", &[]),
            ("listen = '0.0.0.0:1'", &["needs TLS", "needs admin.tokens or admin.client_ca"]),
            ("listen = '0.0.0.0:1'\ntokens = 't'", &["needs TLS"]),
            ("listen = '[::]:1'\ncertificate = 'c'\nkey = 'k'", &["needs admin.tokens or admin.client_ca"]),
            ("listen = '[::]:1'\ncertificate = 'c'\nkey = 'k'\ntokens = 't'", &[]),
            ("listen = '127.0.0.1:0'\ncertificate = 'c'", &["needs admin.key"]),
            ("listen = '127.0.0.1:0'\nkey = 'k'", &["needs admin.certificate"]),
            ("listen = '127.0.0.1:0'\nclient_ca = 'c'", &["needs TLS", "needs a section [admin.clients]"]),
            ("listen = '127.0.0.1:0'\nclients.a = 'read'", &["needs admin.client_ca"]),
            ("listen = 'unix:/run/a'\ntokens = 't'", &["has no effect on a local socket"]),
            ("tokens = 't'", &["has no effect without admin.listen"]),
            ("listen = 'unix:'", &["unix: needs a path"]),
            ("listen = 'localhost'", &["is not an address with a port"]),
        ] {
            let (_, problems) = read(&format!("[admin]\n{file}"));
            assert_eq!(problems.len(), expected.len(), "{file}: {problems:?}");
            for (problem, expected) in problems.iter().zip(expected) {
                assert!(problem.contains(expected), "{file}: {problem}");
            }
        }
    }

    #[test]
    fn names_of_clients_may_have_dots_and_roles_are_two() {
        let file = "[admin]\nlisten = '127.0.0.1:0'\ncertificate = 'c'\nkey = 'k'\nclient_ca = 'a'\n[admin.clients]\n";
        let (config, problems) = read(&format!("{file}'ops.example.org' = 'operate'\n'*' = 'read'"));
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(config.clients, [("*".into(), Role::Read), ("ops.example.org".into(), Role::Operate)].into());
        assert!(!config.is_open() && read("admin.listen = '127.0.0.1:0'").0.is_open());
        let (_, problems) = read(&format!("{file}a = 'root'"));
        assert!(problems.iter().any(|problem| problem.contains("\"root\" is no role")), "{problems:?}");
    }
}
