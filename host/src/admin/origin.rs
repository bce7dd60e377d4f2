//! Which page a browser asks for: ours, or one that has no business here.
//!
//! Before it: [`super::who`] knows who asks. After it: what is asked for is done. Two tricks of other pages are answered here. One sends
//! what the browser's user may do (CSRF): a change takes a header that no other page can send. One has a name of its own lead to this
//! machine (DNS rebinding): a request must name the listener by an address, or by a name that is ours.

use std::net::IpAddr;

use hyper::{HeaderMap, Method, StatusCode, Uri, header::HOST, http::uri::Authority};

use super::{problem::Problem, who::By};
use crate::web::{Client, Peer};

/// The header that a change takes where no token comes with it. Pages of other origins may not send it.
pub(super) const MARK: &str = "x-nova-host";

/// What browsers say of where a request comes from.
const ORIGIN: &str = "origin";
const FETCH_SITE: &str = "sec-fetch-site";

/// Whether the request names the listener as it is called.
///
/// # Errors
///
/// 400 without a name, 421 with a strange one.
pub(super) fn is_ours(client: &Client, uri: &Uri, headers: &HeaderMap, names: &[String]) -> Result<(), Problem> {
    if let Peer::Unix(_) = client.peer() {
        // No browser comes that way.
        return Ok(());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()),
        _ => None,
    };
    let host = uri.authority().cloned().or(host).ok_or_else(|| Problem::bad_request("one Host header is needed"))?;
    let name = host.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let is_known = bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| is_meant(known, name));
    match is_known {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "the Host header has a name that is not this listener's; add it to admin.names if it is",
        )),
    }
}

/// Whether a name is that of a certificate, whose first label may be a star.
fn is_meant(known: &str, name: &str) -> bool {
    match known.strip_prefix("*.") {
        Some(domain) => name.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => known.eq_ignore_ascii_case(name),
    }
}

/// Whether somebody means what they ask for, and not another page in their browser.
///
/// # Errors
///
/// 403.
pub(super) fn is_meant_so(client: &Client, method: &Method, headers: &HeaderMap, by: By) -> Result<(), Problem> {
    let foreign = || Problem::forbidden("another page has made this request");
    // Where the address bar leads is nobody's request; all else must be ours.
    if headers.get(FETCH_SITE).is_some_and(|site| site != "same-origin" && site != "none") {
        return Err(foreign());
    }
    if let Some(origin) = headers.get(ORIGIN) {
        let scheme = if client.is_secure() { "https" } else { "http" };
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !origin.as_bytes().eq_ignore_ascii_case(format!("{scheme}://{host}").as_bytes()) {
            return Err(foreign());
        }
    }
    let is_change = method != Method::GET && method != Method::HEAD;
    if is_change && by == By::Itself && headers.get(MARK).is_none_or(|mark| mark != "1") {
        return Err(Problem::forbidden(
            "a change takes the header X-Nova-Host: 1 where no token comes with it, so that no other page can ask for it",
        ));
    }
    Ok(())
}
