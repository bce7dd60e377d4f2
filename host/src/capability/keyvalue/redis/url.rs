//! The URL of a Redis: `redis://[[user]:password@]host[:port][/database]`.
//!
//! Before it: the setting `keyvalue.url`. After it: [`super::connection`] connects. Neither a mistake nor `Debug` or
//! `Display` shows a password.

use std::fmt;

use crate::{
    settings::Setting,
    transport::url::{MAX_LENGTH, Password, unescape},
};

/// Redis' own.
const DEFAULT_PORT: u16 = 6379;

/// Where a Redis is. As a setting it says what is wrong and where, never what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Name or IP address; an IPv6 address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Redis' own default where there is none.
    pub(super) user: Option<String>,
    pub(super) password: Option<Password>,
    /// The number of the database.
    pub(super) database: u16,
}

impl Setting for Url {
    fn parse(text: &str) -> Result<Self, String> {
        parse(text).map_err(str::to_owned)
    }
}

/// For logs: `redis://host:6379/0`, without credentials.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, .. } = self;
        if host.contains(':') {
            write!(f, "redis://[{host}]:{port}/{database}")
        } else {
            write!(f, "redis://{host}:{port}/{database}")
        }
    }
}

fn parse(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_LENGTH {
        return Err("is longer than 4096 bytes");
    }
    let (scheme, rest) = text.split_once("://").ok_or("has no scheme; it begins with redis://")?;
    if scheme.eq_ignore_ascii_case("rediss") {
        return Err("TLS is not spoken to Redis; use redis:// in a network that you trust, or through a tunnel");
    } else if !scheme.eq_ignore_ascii_case("redis") {
        return Err("no such scheme; it begins with redis://");
    } else if rest.contains(['?', '#']) {
        return Err("takes no options; write '?' and '#' in a password as %3F and %23");
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, location) = match authority.rsplit_once('@') {
        Some((credentials, location)) => (Some(credentials), location),
        None => (None, authority),
    };
    let (user, password) = match credentials.map(|credentials| credentials.split_once(':')) {
        None => (None, None),
        Some(None) => return Err("has a user and no password; write :password@ for a password alone"),
        Some(Some((user, password))) => (Some(decoded(user)?), Some(decoded(password)?)),
    };
    let (host, port) = match location.strip_prefix('[').map(|bracketed| bracketed.split_once(']')) {
        None => location.split_once(':').unwrap_or((location, "")),
        Some(None) => return Err("the host's bracket is not closed"),
        Some(Some((host, port))) => {
            host.parse::<std::net::Ipv6Addr>().map_err(|_| "what stands in brackets is no IPv6 address")?;
            (host, port)
        }
    };
    let is_name = |c: char| c.is_alphanumeric() || "-._:".contains(c);
    if host.is_empty() || !host.chars().all(is_name) {
        return Err("the host is not a name or an IP address; an IPv6 address stands in brackets");
    }
    let port = match port.strip_prefix(':').unwrap_or(port) {
        "" => DEFAULT_PORT,
        port => number(port)
            .filter(|port| *port != 0)
            .ok_or("the port is not a number from 1 to 65535; write '/' in a password as %2F")?,
    };
    let database = match database {
        "" => 0,
        database => number(database).ok_or("the database is not a number; write '/' in a password as %2F")?,
    };
    Ok(Url {
        host: host.to_owned(),
        port,
        user: user.filter(|user| !user.is_empty()),
        password: password.map(Password::from),
        database,
    })
}

fn decoded(text: &str) -> Result<String, &'static str> {
    unescape(text).ok_or("user or password is not UTF-8 after decoding its percent signs")
}

fn number(text: &str) -> Option<u16> {
    // `parse` would take "+1".
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_a_host_and_perhaps_more() {
        let plain = Url { host: "h".into(), port: 6379, user: None, password: None, database: 0 };
        let secret = |text: &str| Some(Password::from(text.to_owned()));
        for (text, expected) in [
            ("redis://h", plain.clone()),
            ("REDIS://h/", plain.clone()),
            ("redis://h:1/15", Url { port: 1, database: 15, ..plain.clone() }),
            ("redis://:p%2Fw@h", Url { password: secret("p/w"), ..plain.clone() }),
            ("redis://u:p:@w@h", Url { user: Some("u".into()), password: secret("p:@w"), ..plain.clone() }),
            ("redis://[::1]:2", Url { host: "::1".into(), port: 2, ..plain.clone() }),
            ("redis://[::1]", Url { host: "::1".into(), ..plain.clone() }),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        let shown = parse("redis://u:hush@[::1]/3").unwrap();
        assert_eq!(shown.to_string(), "redis://[::1]:6379/3");
        assert!(!format!("{shown:?}").contains("hush"));
    }

    #[test]
    fn mistakes_are_named_without_what_stands_there() {
        for (text, expected) in [
            ("hush", "has no scheme"),
            ("rediss://:hush@h", "TLS is not spoken to Redis"),
            ("unix://hush", "no such scheme"),
            ("redis://", "the host is not"),
            ("redis://:hush@", "the host is not"),
            ("redis://hush@h", "has a user and no password"),
            ("redis://:hu/sh@h", "the host is not"),
            ("redis://:1/hush@h", "the host is not"),
            ("redis://:hush?@h", "takes no options"),
            ("redis://h:0", "the port is not a number"),
            ("redis://h:+1", "the port is not a number"),
            ("redis://h:65536", "the port is not a number"),
            ("redis://h/hush", "the database is not a number"),
            ("redis://h/65536", "the database is not a number"),
            ("redis://[::1", "the host's bracket"),
            ("redis://[hush]", "what stands in brackets"),
            ("redis://a,hush", "the host is not"),
            ("redis://:%ffhush@h", "user or password is not UTF-8"),
        ] {
            let error = Url::parse(text).unwrap_err();
            assert!(error.starts_with(expected) && !error.contains("hush"), "{text}: {error}");
        }
        assert!(Url::parse(&format!("redis://{}", "h".repeat(MAX_LENGTH))).is_err());
    }
}
