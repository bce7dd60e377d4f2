//! Takes a transport URL apart.
//!
//! Before it: [`super::Url::parse`]. After it: nothing; [`super`] has the types. The rules are oslo.messaging's, which
//! are Python's `urlparse` with several hosts: only percent escapes and the first of each separator count.

use std::fmt;

use super::{
    Address, DEFAULT_HOST, DEFAULT_PASSWORD, DEFAULT_PORT, DEFAULT_USER, DEFAULT_VIRTUAL_HOST, Error, Host, MAX_LENGTH,
    Url,
};

/// Reads a whole URL.
pub(super) fn url(text: &str) -> Result<Url, Error> {
    if text.len() > MAX_LENGTH {
        return Err(Error::Length);
    }
    let (scheme, rest) = text.split_once("://").ok_or(Error::NoScheme)?;
    if scheme.is_empty() {
        Err(Error::NoScheme)
    } else if scheme.eq_ignore_ascii_case("rabbit") {
        address(rest).map(Url::Rabbit)
    } else if !scheme.eq_ignore_ascii_case("memory") {
        Err(Error::Scheme)
    } else if rest.is_empty() || rest == "/" {
        Ok(Url::Memory)
    } else {
        Err(Error::Memory)
    }
}

/// Reads what comes after `rabbit://`.
fn address(text: &str) -> Result<Address, Error> {
    if text.contains('#') {
        return Err(Error::Fragment);
    }
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let (authority, path) = text.split_once('/').unwrap_or((text, ""));
    let hosts: Vec<(Host, bool)> = if authority.is_empty() {
        vec![host(1, "")?]
    } else {
        authority
            .split(',')
            .enumerate()
            .map(|(index, text)| match text {
                "" => Err(Error::EmptyHost(index + 1)),
                text => host(index + 1, text),
            })
            .collect::<Result<_, _>>()?
    };
    let with_credentials = hosts.iter().filter(|(_, credentials)| *credentials).count();
    Ok(Address {
        mixed_credentials: (1..hosts.len()).contains(&with_credentials),
        hosts: hosts.into_iter().map(|(host, _)| host).collect(),
        virtual_host: virtual_host(path)?,
        options: options(query)?,
    })
}

/// Reads `[user[:password]@][host][:port]`; also gives whether it had credentials.
fn host(number: usize, text: &str) -> Result<(Host, bool), Error> {
    let (credentials, location) = match text.rsplit_once('@') {
        Some((credentials, location)) => (Some(credentials), location),
        None => (None, text),
    };
    let (user, password) = match credentials {
        Some(credentials) => {
            let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
            (decode(user, "user")?, decode(password, "password")?)
        }
        None => (DEFAULT_USER.to_owned(), DEFAULT_PASSWORD.to_owned()),
    };
    let (name, port) = match location.strip_prefix('[') {
        Some(bracketed) => {
            let (name, port) = bracketed.split_once(']').ok_or(Error::Host(number))?;
            // A zone, as in fe80::1%eth0, is the resolver's business.
            let plain = name.split_once('%').map_or(name, |(name, _)| name);
            plain.parse::<std::net::Ipv6Addr>().map_err(|_| Error::Host(number))?;
            (name, port.strip_prefix(':').or(port.is_empty().then_some("")).ok_or(Error::Port(number))?)
        }
        None => location.split_once(':').unwrap_or((location, "")),
    };
    let is_strange = |c: char| c.is_control() || c.is_whitespace() || "[]@\"'<>\\^`{|}%".contains(c);
    if !location.starts_with('[') && name.contains(is_strange) {
        return Err(Error::Host(number));
    }
    let host = Host {
        name: if name.is_empty() { DEFAULT_HOST } else { name }.to_owned(),
        port: parse_port(port).ok_or(Error::Port(number))?,
        user,
        password: password.into(),
    };
    Ok((host, credentials.is_some()))
}

/// Reads a port; none is [`DEFAULT_PORT`].
fn parse_port(text: &str) -> Option<u16> {
    match text {
        "" => Some(DEFAULT_PORT),
        // `parse` would take "+5672".
        text if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok().filter(|port| *port != 0),
        _ => None,
    }
}

/// Reads what stands between the first `/` and the `?`. Nothing, `/` and `%2F` are the default.
fn virtual_host(text: &str) -> Result<String, Error> {
    if text.contains('@') {
        return Err(Error::VirtualHost);
    }
    match decode(text, "virtual host")? {
        name if name.is_empty() => Ok(DEFAULT_VIRTUAL_HOST.to_owned()),
        name if name.len() > u8::MAX.into() => Err(Error::VirtualHostLength),
        name => Ok(name),
    }
}

/// Reads `name=value&…`. Whether an option exists is for its owner to say; that its name is a word is said here, so
/// that whoever repeats the name repeats no piece of a password.
fn options(text: &str) -> Result<Vec<(String, String)>, Error> {
    if text.contains('@') {
        return Err(Error::Query);
    }
    let mut options: Vec<(String, String)> = Vec::new();
    for (index, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !is_word {
            return Err(Error::Option(index + 1));
        }
        let value = decode(&value.replace('+', " "), "query")?;
        match options.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => {
                values.push(',');
                values.push_str(&value);
            }
            None => options.push((name.to_owned(), value)),
        }
    }
    Ok(options)
}

fn decode(text: &str, part: &'static str) -> Result<String, Error> {
    unescape(text).ok_or(Error::Encoding(part))
}

/// Decodes percent escapes; `None` where the result is not UTF-8. What is no escape stays, as in Python: a password may
/// have a bare `%`.
pub(crate) fn unescape(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escape = match after {
            [high, low, after @ ..] if *first == b'%' => hex(*high).zip(hex(*low)).map(|digits| (digits, after)),
            _ => None,
        };
        match escape {
            Some(((high, low), after)) => {
                decoded.push(high << 4 | low);
                rest = after;
            }
            None => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    // At most 15.
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Writes text with everything but letters, digits and `-._~` as percent escapes.
pub(super) fn write_encoded(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => write!(f, "{}", char::from(b))?,
            b => write!(f, "%{b:02X}")?,
        }
    }
    Ok(())
}
