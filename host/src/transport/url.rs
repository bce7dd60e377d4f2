//! Transport URLs as oslo.messaging writes them: `rabbit://user:password@host:port,…/vhost?option=value`.
//!
//! Before it: the configuration or the command line, which have a text. After it: [`super::Transport`] chooses by the
//! result, [`super::rabbit`] connects to it. Pure and total: any text gives a URL or an [`Error`], and neither an error
//! nor a `Debug` or `Display` here ever shows a password, not even that of a URL that was cut in the wrong place.

mod parse;

use std::fmt;

pub(crate) use parse::unescape;

/// The longest URL that is read, in bytes: many hosts fit, a file pasted by mistake does not.
pub const MAX_LENGTH: usize = 4096;

/// The port where none is given; also with TLS, as in oslo.messaging.
pub const DEFAULT_PORT: u16 = 5672;

/// The host where none is given.
pub const DEFAULT_HOST: &str = "localhost";

/// The user of a host that has no credentials of its own: RabbitMQ's, which may log in from the same machine only.
pub const DEFAULT_USER: &str = "guest";

/// The password that belongs to [`DEFAULT_USER`].
pub const DEFAULT_PASSWORD: &str = "guest";

/// The virtual host where none is given.
pub const DEFAULT_VIRTUAL_HOST: &str = "/";

/// A transport URL, by its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Url {
    /// `memory://`: in this process.
    Memory,
    /// `rabbit://…`: RabbitMQ.
    Rabbit(Address),
}

/// Where a RabbitMQ, or each node of a cluster, is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The nodes, at least one, in the order of the URL.
    pub hosts: Vec<Host>,
    /// The virtual host.
    pub virtual_host: String,
    /// Options of `[rabbit]` by their names, decoded; one that is repeated has its values joined with commas.
    pub options: Vec<(String, String)>,
    /// Whether some hosts have credentials and others do not: the others log in as [`DEFAULT_USER`], which is seldom
    /// what was meant.
    pub mixed_credentials: bool,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Name or IP address; an IPv6 address without brackets.
    pub name: String,
    /// The TCP port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The secret of `user`.
    pub password: Password,
}

/// A secret. `Debug` prints `***`; there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// What is wrong with a URL. Says where, never what: a URL with a mistake may have its password anywhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Longer than [`MAX_LENGTH`].
    #[error("longer than {MAX_LENGTH} bytes")]
    Length,
    /// Nothing before `://`.
    #[error("no scheme; a transport URL begins with rabbit:// or memory://")]
    NoScheme,
    /// A scheme that we do not speak.
    #[error("no such scheme; a transport URL begins with rabbit:// or memory://")]
    Scheme,
    /// `memory://` with anything behind it.
    #[error("memory:// stands alone: it has no host, virtual host or options")]
    Memory,
    /// Nothing between two commas. Hosts are counted from 1.
    #[error("host {0} is empty")]
    EmptyHost(usize),
    /// A character that no host name has.
    #[error("host {0} is not a name or an IP address; an IPv6 address stands in brackets")]
    Host(usize),
    /// Not a number from 1 to 65,535.
    #[error(
        "the port of host {0} is not a number from 1 to 65535; write '/', '?' and '#' in a password as %2F, %3F, %23"
    )]
    Port(usize),
    /// Percent escapes that are not UTF-8.
    #[error("the {0} is not UTF-8 after decoding its percent signs")]
    Encoding(&'static str),
    /// An `@` in the virtual host: most likely the rest of a password that had a `/` in it.
    #[error("an '@' in the virtual host; write '/' in a password as %2F, and '@' in a virtual host as %40")]
    VirtualHost,
    /// More than AMQP has room for.
    #[error("the virtual host is longer than 255 bytes")]
    VirtualHostLength,
    /// A raw `#`.
    #[error("a '#'; write it as %23")]
    Fragment,
    /// An `@` in the options: most likely the rest of a password that had a `?` in it.
    #[error("an '@' in the options; write '?' in a password as %3F, and '@' in an option as %40")]
    Query,
    /// An option whose name is no word.
    #[error("the name of option {0} is not made of letters, digits and '_'")]
    Option(usize),
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// What is wrong and where, without the text itself.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::url(text)
    }
}

impl Password {
    /// The secret itself, for the handshake only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Password {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// `memory://` or [`Address`]'s.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory://"),
            Self::Rabbit(address) => address.fmt(f),
        }
    }
}

/// For logs: `rabbit://host:5672,other:5672/vhost`, without credentials and options.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rabbit://")?;
        for (index, host) in self.hosts.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            host.fmt(f)?;
        }
        f.write_str("/")?;
        if self.virtual_host != DEFAULT_VIRTUAL_HOST {
            parse::write_encoded(f, &self.virtual_host)?;
        }
        Ok(())
    }
}

/// For logs: `host:5672`, without credentials.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(f, "[{}]:{}", self.name, self.port)
        } else {
            write!(f, "{}:{}", self.name, self.port)
        }
    }
}

#[cfg(test)]
mod tests;
