//! Who asks, and what they may: by a token, a session, a certificate, or a local socket.
//!
//! Before it: [`super::secrets`] has the tokens, [`crate::web`] the connection. After it: a [`Caller`], or why there is none. What comes
//! first counts, and what is shown and wrong is never made good by something else.

use std::{collections::BTreeMap, sync::Arc};

use hyper::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, COOKIE, HOST, HeaderValue},
    http::uri::Authority,
};
use tokio::sync::watch;

use super::{
    config::Config,
    guard::Guard,
    problem::Problem,
    secrets::{Secrets, names_of},
    sessions::{LIFETIME, Sessions},
    tokens::{Hash, MIN_TOKEN, Token, Tokens, hash},
};
use crate::{
    local::is_trusted,
    operate::{Caller, Role, turned_away},
    printable::printable,
    web::{Client, Peer},
};

/// The cookie of a session; over TLS browsers hold it to the promises of `__Host-`. Browsers send cookies to all ports of a host: behind the
/// name is the port that they see, so that two services do not end each other's sessions.
const COOKIE_NAME: &str = "nova-host-session";
const SECURE_COOKIE_NAME: &str = "__Host-nova-host-session";

/// All certificates of the CA, in the section `admin.clients`.
const ANY: &str = "*";

/// Bytes of a name, of which a certificate may have any.
const MAX_NAME: usize = 256;

/// Says who asks.
#[derive(Debug)]
pub(super) struct Gate {
    tokens: watch::Receiver<Arc<Tokens>>,
    clients: BTreeMap<String, Role>,
    is_open: bool,
    has_tokens: bool,
    sessions: Sessions,
    guard: Guard,
}

/// What somebody has shown to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// A token, of which this is the hash.
    Token(Hash),
    /// A session's cookie.
    Session(String),
    /// A certificate, or where they come from: as good for as long as the connection is.
    Connection,
}

/// Somebody who asks, and how that is known.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) caller: Caller,
    pub(super) by: By,
}

/// How it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// They have sent a token with this very request.
    Token,
    /// A browser adds it by itself, or the connection has it: another page may have made the request.
    Itself,
}

impl Gate {
    pub(super) fn new(config: &Config, secrets: &Secrets) -> Self {
        Self {
            tokens: secrets.tokens(),
            clients: config.clients.clone(),
            is_open: config.is_open(),
            has_tokens: config.tokens.is_some(),
            sessions: Sessions::default(),
            guard: Guard::new(),
        }
    }

    /// Who asks.
    ///
    /// # Errors
    ///
    /// 401 where nobody knows, 403 for strangers on a local socket, 429 where too many have failed.
    pub(super) fn who(&self, client: &Client, headers: &HeaderMap) -> Result<Known, Problem> {
        let from = from(client.peer());
        let known = |name: String, role, by| {
            let name = printable(&name, MAX_NAME);
            Ok(Known { caller: Caller { name, role, from: from.clone() }, by })
        };
        if let Some(shown) = headers.get(AUTHORIZATION) {
            let Token { name, role, .. } = self.token(client, shown)?;
            return known(name, role, By::Token);
        }
        if let Some(Token { name, role, .. }) = self.session(client, headers) {
            return known(name, role, By::Itself);
        }
        match client.peer() {
            Peer::Unix(Some(uid)) if is_trusted(uid) => {
                return Ok(Known { caller: Caller::local(Some(uid), &from), by: By::Itself });
            }
            Peer::Unix(_) => {
                turned_away(&from, "another user");
                return Err(Problem::forbidden("this socket is for the user that the service runs as, and for root"));
            }
            Peer::Tcp(_) => {}
        }
        if let Some((name, role)) = self.certified(client) {
            return known(name, role, By::Itself);
        }
        if self.is_open {
            return known("anybody on this machine".to_owned(), Role::Read, By::Itself);
        }
        Err(self.unauthorized(match (client.certificate(), self.has_tokens) {
            (Some(_), _) => "no name in this certificate has a role in the section admin.clients",
            (None, true) => "send a token: Authorization: Bearer TOKEN, of which the hash is in the file admin.tokens",
            (None, false) => "send a client certificate of the CA in admin.client_ca: this service takes no tokens",
        }))
    }

    /// 401, which asks for a token where one may help.
    fn unauthorized(&self, detail: &str) -> Problem {
        match self.has_tokens {
            true => Problem::unauthorized(detail),
            false => Problem::new(StatusCode::UNAUTHORIZED, detail),
        }
    }

    /// By what somebody is known who was let in.
    pub(super) fn shown(&self, client: &Client, headers: &HeaderMap) -> Shown {
        if let Some(secret) = headers.get(AUTHORIZATION).and_then(bearer) {
            return Shown::Token(hash(secret));
        }
        match cookie(client, headers).filter(|_| self.session(client, headers).is_some()) {
            Some(id) => Shown::Session(id.to_owned()),
            None => Shown::Connection,
        }
    }

    /// Whether that lets the same caller in still. It is no log-in: nothing is counted, and nothing is said.
    pub(super) fn still_takes(&self, shown: &Shown, caller: &Caller) -> bool {
        let hash = match shown {
            Shown::Token(hash) => Some(*hash),
            Shown::Session(id) => self.sessions.token(id),
            Shown::Connection => return true,
        };
        let tokens = self.tokens.borrow();
        let token = hash.and_then(|hash| tokens.of(&hash));
        token.is_some_and(|token| token.name == caller.name && token.role == caller.role)
    }

    /// Whether there are tokens to log in with.
    pub(super) fn takes_tokens(&self) -> bool {
        self.has_tokens
    }

    /// Whether it is a session by which somebody is known.
    pub(super) fn has_session(&self, client: &Client, headers: &HeaderMap) -> bool {
        headers.get(AUTHORIZATION).is_none() && self.session(client, headers).is_some()
    }

    /// The token that somebody shows.
    fn token(&self, client: &Client, shown: &HeaderValue) -> Result<Token, Problem> {
        let peer = client.peer();
        self.guard.admit(peer).map_err(|wait| {
            Problem::later(
                StatusCode::TOO_MANY_REQUESTS,
                wait,
                "too many log-ins have failed; wait before the next one",
            )
        })?;
        let secret = bearer(shown);
        let found = secret.and_then(|secret| self.tokens.borrow().find(secret).cloned());
        match found {
            Some(token) => {
                self.guard.succeeded(peer);
                Ok(token)
            }
            None => {
                self.guard.failed(peer);
                turned_away(&from(peer), "a token that is not valid");
                Err(self.unauthorized(match secret {
                    _ if !self.has_tokens => "this token is not valid: this service takes no tokens",
                    Some(secret) if secret.len() < MIN_TOKEN => {
                        "this token is not valid: it is shorter than 32 characters, and such a one is never taken"
                    }
                    _ => "this token is not valid: no hash of it is in the file admin.tokens",
                }))
            }
        }
    }

    fn session(&self, client: &Client, headers: &HeaderMap) -> Option<Token> {
        let hash = self.sessions.token(cookie(client, headers)?)?;
        self.tokens.borrow().of(&hash).cloned()
    }

    /// The name of a certificate that has a role; of several, the one that may most.
    fn certified(&self, client: &Client) -> Option<(String, Role)> {
        let names = names_of(Some(client.certificate()?));
        let named = names.iter().filter_map(|name| Some((name, *self.clients.get(name)?)));
        let named = named.max_by_key(|(_, role)| *role).map(|(name, role)| (name.clone(), role));
        named.or_else(|| {
            Some((names.first().cloned().unwrap_or_else(|| "a certificate".to_owned()), *self.clients.get(ANY)?))
        })
    }

    /// Begins a session for the token that is sent; gives its cookie.
    pub(super) fn log_in(&self, client: &Client, headers: &HeaderMap) -> Result<(Token, HeaderValue), Problem> {
        let Some(shown) = headers.get(AUTHORIZATION) else {
            return Err(self.unauthorized("a session takes a token: send Authorization: Bearer TOKEN"));
        };
        let token = self.token(client, shown)?;
        let failed = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "there is no randomness for a session");
        let cookie = set_cookie(client, headers, &self.begin(token.hash).ok_or_else(failed)?, LIFETIME.as_secs());
        Ok((token, cookie.ok_or_else(failed)?))
    }

    fn begin(&self, token: Hash) -> Option<String> {
        self.sessions.begin(token)
    }

    /// Ends the session of the cookie that is sent, if there is one; gives what takes the cookie away.
    pub(super) fn log_out(&self, client: &Client, headers: &HeaderMap) -> Option<HeaderValue> {
        if let Some(id) = cookie(client, headers) {
            self.sessions.end(id);
        }
        set_cookie(client, headers, "", 0)
    }
}

/// Where somebody is, for the log.
pub(super) fn from(peer: Peer) -> String {
    match peer {
        Peer::Tcp(address) => address.to_string(),
        Peer::Unix(Some(uid)) => format!("the admin socket, user {uid}"),
        Peer::Unix(None) => "the admin socket".to_owned(),
    }
}

/// The token of a header.
fn bearer(shown: &HeaderValue) -> Option<&str> {
    let (scheme, secret) = shown.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then(|| secret.trim())
}

/// The name of the cookie, for the port that the browser sees; browsers leave out the one that is usual.
fn cookie_name(is_secure: bool, headers: &HeaderMap) -> String {
    let (name, usual) = if is_secure { (SECURE_COOKIE_NAME, 443) } else { (COOKIE_NAME, 80) };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    match host.and_then(|host| host.port_u16()).filter(|port| *port != usual) {
        Some(port) => format!("{name}-{port}"),
        None => name.to_owned(),
    }
}

/// What the cookie of a session holds.
fn cookie<'h>(client: &Client, headers: &'h HeaderMap) -> Option<&'h str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let ours = cookie_name(client.is_secure(), headers);
    pairs.find(|(name, _)| *name == ours).map(|(_, value)| value)
}

fn set_cookie(client: &Client, headers: &HeaderMap, value: &str, seconds: u64) -> Option<HeaderValue> {
    let secure = if client.is_secure() { "; Secure" } else { "" };
    let name = cookie_name(client.is_secure(), headers);
    let text = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_on_two_ports_of_one_address_have_cookies_of_their_own() {
        for (is_secure, host, name) in [
            (false, "localhost:9465", "nova-host-session-9465"),
            (false, "[::1]:9466", "nova-host-session-9466"),
            (false, "localhost", "nova-host-session"),
            (false, "localhost:80", "nova-host-session"),
            (true, "ops.example.org:9465", "__Host-nova-host-session-9465"),
            (true, "ops.example.org:443", "__Host-nova-host-session"),
        ] {
            let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            assert_eq!(cookie_name(is_secure, &headers), name, "{host}");
        }
    }
}
