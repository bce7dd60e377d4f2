//! Whom a request is for, and who may be asked: SCHEME://HOST:PORT.
//!
//! Before it: a manifest's `grants.http`, and the guest, who writes whatever it likes. After it: [`super::connect`].

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

/// Bytes of a name: DNS's own bound.
const MAX_NAME: usize = 253;

/// Bytes between two dots of it.
const MAX_LABEL: usize = 63;

/// What stands behind a grant for a host of a private network.
const PRIVATE: &str = " private";

/// What says whom a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether TLS is spoken.
    pub(super) is_secure: bool,
    pub(super) host: Host,
    pub(super) port: u16,
}

/// A host by its name, in small letters, or by its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

/// Who may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::capability) struct Grant {
    origin: Origin,
    /// Whether every name below the host's is meant, and not the host itself.
    is_wildcard: bool,
    /// Whether the name may lead to a private address.
    is_private: bool,
}

impl Origin {
    /// Reads what a guest says: `HOST[:PORT]`. `None` where it is neither.
    #[must_use]
    pub fn parse(is_secure: bool, authority: &str) -> Option<Self> {
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (address, port) = rest.split_once(']')?;
                let host = Host::Address(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?));
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
            }
            None => {
                let (name, port) = match authority.split_once(':') {
                    Some((name, port)) => (name, Some(port)),
                    None => (authority, None),
                };
                let host = match name.parse() {
                    Ok(address) => Host::Address(IpAddr::V4(address)),
                    Err(_) => Host::Name(name_of(name)?),
                };
                (host, port)
            }
        };
        let port = match port {
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().ok().filter(|port| *port != 0)?
            }
            Some(_) => return None,
            None if is_secure => 443,
            None => 80,
        };
        Some(Self { is_secure, host, port })
    }

    /// Its host, and its port.
    pub(in crate::capability) fn server(&self) -> (String, u16) {
        (self.host.to_string(), self.port)
    }

    /// `http` or `https`.
    pub(in crate::capability) fn scheme(&self) -> &'static str {
        if self.is_secure { "https" } else { "http" }
    }

    /// What stands in the header `host`.
    pub(crate) fn authority(&self) -> String {
        match (self.is_secure, self.port) {
            (true, 443) | (false, 80) => self.host.to_string(),
            (_, port) => format!("{}:{port}", self.host),
        }
    }
}

impl Grant {
    /// Reads `SCHEME://HOST[:PORT]`, with `*.` before a domain for all names below it, or ` private` behind it for a
    /// name that may lead to this machine or a private network.
    pub(in crate::capability) fn parse(text: &str) -> Result<Self, String> {
        let (origin, is_private) = match text.strip_suffix(PRIVATE) {
            Some(origin) => (origin, true),
            None => (text, false),
        };
        let Some((scheme, authority)) = origin.split_once("://") else {
            return Err("is no origin: write https://HOST or http://HOST:PORT".to_owned());
        };
        let is_secure = match scheme {
            "https" => true,
            "http" => false,
            _ => return Err("the scheme is https or http".to_owned()),
        };
        if authority.contains(['/', '?', '#', '@']) {
            return Err("is more than a host and a port, and nothing else can be granted".to_owned());
        }
        let (is_wildcard, host) = match authority.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, authority),
        };
        if host.contains('*') {
            return Err("a pattern is *.DOMAIN: the host must be named otherwise".to_owned());
        }
        let Some(origin) = Origin::parse(is_secure, host) else {
            return Err("the host is a name of letters, digits, - and _, or an address, and the port from 1 to 65535"
                .to_owned());
        };
        let wrong = match (&origin.host, is_wildcard) {
            (Host::Address(_), true) => "an address has no names below it",
            (Host::Name(name), true) if !name.contains('.') => {
                "everything below a top-level domain is too much: name a domain"
            }
            (Host::Name(_), true) if is_private => {
                "a private host must be named: whoever adds names to the domain would choose it"
            }
            (Host::Address(_), _) if is_private => "an address needs no `private`: it is meant as it stands",
            _ => return Ok(Self { origin, is_wildcard, is_private }),
        };
        Err(wrong.to_owned())
    }

    /// Whether it covers a request.
    pub(in crate::capability) fn covers(&self, asked: &Origin) -> bool {
        let Self { origin, is_wildcard, .. } = self;
        let is_host = match (&origin.host, &asked.host) {
            (Host::Name(domain), Host::Name(name)) if *is_wildcard => {
                name.strip_suffix(domain.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
            }
            (granted, asked) => granted == asked,
        };
        is_host && origin.is_secure == asked.is_secure && origin.port == asked.port
    }

    /// Whether it allows all that another one does.
    pub(in crate::capability) fn includes(&self, other: &Self) -> bool {
        let is_wide_enough = match (&self.origin.host, &other.origin.host) {
            (Host::Name(domain), Host::Name(below)) if self.is_wildcard && other.is_wildcard => {
                below == domain || self.covers(&other.origin)
            }
            _ => !other.is_wildcard && self.covers(&other.origin),
        };
        let is_same_server = self.origin.is_secure == other.origin.is_secure && self.origin.port == other.origin.port;
        is_wide_enough && is_same_server && (self.is_private || !other.is_private)
    }

    /// Whether the name may lead to a private address.
    pub(in crate::capability) fn is_private(&self) -> bool {
        self.is_private
    }
}

/// A name in small letters; `None` where it is none, or one that resolvers take for an address, as `127.1` and `0x7f.1`.
fn name_of(text: &str) -> Option<String> {
    let fits = |label: &str| {
        let letters = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        (1..=MAX_LABEL).contains(&label.len()) && letters
    };
    // The last part of a name has a letter at least, and is no number.
    let last = text.rsplit('.').next()?;
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X");
    (text.len() <= MAX_NAME && text.split('.').all(fits) && !is_number).then(|| text.to_ascii_lowercase())
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority())
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.to_string();
        let origin = if self.is_wildcard { origin.replacen("://", "://*.", 1) } else { origin };
        write!(f, "{origin}{}", if self.is_private { PRIVATE } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(grant: &str, url: &str) -> bool {
        let (scheme, authority) = url.split_once("://").unwrap();
        Origin::parse(scheme == "https", authority).is_some_and(|asked| Grant::parse(grant).unwrap().covers(&asked))
    }

    #[test]
    fn a_grant_is_for_one_scheme_host_and_port() {
        for (grant, url, expected) in [
            ("https://api.example.org", "https://api.example.org", true),
            ("https://api.example.org", "https://API.Example.ORG:443", true),
            ("https://api.example.org", "http://api.example.org", false),
            ("https://api.example.org", "http://api.example.org:443", false),
            ("https://api.example.org", "https://api.example.org:8443", false),
            ("https://api.example.org", "https://example.org", false),
            ("https://api.example.org", "https://api.example.org.evil.net", false),
            ("https://api.example.org", "https://api.example.org.", false),
            ("https://api.example.org", "https://evil@api.example.org", false),
            ("https://api.example.org", "https://xapi.example.org", false),
            ("https://*.example.org", "https://a.example.org", true),
            ("https://*.example.org", "https://a.b.example.org", true),
            ("https://*.example.org", "https://example.org", false),
            ("https://*.example.org", "https://.example.org", false),
            ("https://*.example.org", "https://aexample.org", false),
            ("https://*.example.org", "https://a.example.org.net", false),
            ("http://10.0.0.5:8774", "http://10.0.0.5:8774", true),
            ("http://10.0.0.5:8774", "http://10.0.0.5", false),
            ("http://10.0.0.5:8774", "http://10.0.0.50:8774", false),
            ("http://10.0.0.5:8774", "http://[::ffff:10.0.0.5]:8774", false),
            ("http://[fd00::5]", "http://[fd00:0::5]:80", true),
            ("http://host private", "http://host", true),
        ] {
            assert_eq!(covers(grant, url), expected, "{grant} {url}");
        }
    }

    #[test]
    fn what_is_no_authority_is_none() {
        for authority in [
            "",
            ":80",
            "a:",
            "a:0",
            "a:65536",
            "a:+80",
            "a:80:80",
            "a b",
            "a/b",
            "a?b",
            "a@b",
            "é.org",
            "a..b",
            ".a",
            "a.",
            "[::1",
            "[::1]80",
            "[10.0.0.1]",
            "::1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "1.2.3.0x4",
            "a%2e",
            "[fe80::1%1]",
            "a\r\nhost: b",
            "a\0",
        ] {
            assert_eq!(Origin::parse(false, authority), None, "{authority:?}");
        }
        assert_eq!(Origin::parse(false, &"a".repeat(64)), None);
        assert_eq!(Origin::parse(false, &"a.".repeat(130)), None);
    }

    #[test]
    fn what_is_no_grant_is_refused_by_name() {
        for (text, reason) in [
            ("api.example.org", "is no origin"),
            ("*", "is no origin"),
            ("//api.example.org", "is no origin"),
            ("ftp://a.org", "the scheme is https or http"),
            ("HTTPS://a.org", "the scheme is https or http"),
            ("*://a.org", "the scheme is https or http"),
            ("https://a.org/", "is more than a host and a port"),
            ("https://a.org/v2", "is more than a host and a port"),
            ("https://user:hunter2@a.org", "is more than a host and a port"),
            ("https://*", "a pattern is *.DOMAIN"),
            ("https://a.*.org", "a pattern is *.DOMAIN"),
            ("https://*a.org", "a pattern is *.DOMAIN"),
            ("https://*.*.org", "a pattern is *.DOMAIN"),
            ("https://a.org:*", "a pattern is *.DOMAIN"),
            ("https://*.org", "everything below a top-level domain"),
            ("https://*.10.0.0.5", "an address has no names below it"),
            ("https://*.a.org private", "a private host must be named"),
            ("http://10.0.0.5 private", "an address needs no `private`"),
            ("https://", "the host is a name"),
            ("https://a.org:0", "the host is a name"),
            ("https://127.1", "the host is a name"),
            ("https://a.org  private", "the host is a name"),
        ] {
            let error = Grant::parse(text).unwrap_err();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
        for text in
            ["https://api.example.org", "http://*.a.org:8080", "http://[fd00::1]:5000", "https://keystone private"]
        {
            assert_eq!(Grant::parse(text).unwrap().to_string(), text);
        }
    }
}
