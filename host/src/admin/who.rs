//! Who asks, and what they may: by a token, a session, a certificate, or a local socket.
//!
//! Before it: [`super::secrets`] has the tokens, [`crate::web`] the connection. After it: a [`Caller`], or why there is none. What comes
//! first counts, and what is shown and wrong is never made good by something else.

use std::{collections::BTreeMap, sync::Arc};

use hyper::{
    HeaderMap, StatusCode,
    header::{AUTHORIZATION, COOKIE, HeaderValue},
};
use tokio::sync::watch;

use super::{
    config::Config,
    guard::Guard,
    problem::Problem,
    secrets::{Secrets, names_of},
    sessions::{LIFETIME, Sessions},
    tokens::{Hash, Token, Tokens},
};
use crate::{
    local::is_trusted,
    operate::{Caller, Role, turned_away},
    printable::printable,
    web::{Client, Peer},
};

/// The cookie of a session; over TLS browsers hold it to the promises of `__Host-`.
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
        Err(Problem::unauthorized(match client.certificate() {
            Some(_) => "no name in this certificate has a role in the section admin.clients",
            None => "send a token: Authorization: Bearer TOKEN, of which the hash is in the file admin.tokens",
        }))
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
        let secret = shown.to_str().ok().and_then(|shown| {
            let (scheme, secret) = shown.split_once(' ')?;
            scheme.eq_ignore_ascii_case("Bearer").then(|| secret.trim())
        });
        let found = secret.and_then(|secret| self.tokens.borrow().find(secret).cloned());
        match found {
            Some(token) => {
                self.guard.succeeded(peer);
                Ok(token)
            }
            None => {
                self.guard.failed(peer);
                turned_away(&from(peer), "a token that is not valid");
                Err(Problem::unauthorized("this token is not valid: no hash of it is in the file admin.tokens"))
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
            return Err(Problem::unauthorized("a session takes a token: send Authorization: Bearer TOKEN"));
        };
        let token = self.token(client, shown)?;
        let failed = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "there is no randomness for a session");
        let cookie = set_cookie(client, &self.begin(token.hash).ok_or_else(failed)?, LIFETIME.as_secs());
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
        set_cookie(client, "", 0)
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

fn cookie_name(client: &Client) -> &'static str {
    if client.is_secure() { SECURE_COOKIE_NAME } else { COOKIE_NAME }
}

/// What the cookie of a session holds.
fn cookie<'h>(client: &Client, headers: &'h HeaderMap) -> Option<&'h str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie_name(client)).map(|(_, value)| value)
}

fn set_cookie(client: &Client, value: &str, seconds: u64) -> Option<HeaderValue> {
    let secure = if client.is_secure() { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", cookie_name(client));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
