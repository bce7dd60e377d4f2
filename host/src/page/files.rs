//! The page's files, as they are in `static/`.
//!
//! Before it: a request for `/` or for something below `/page/`. After it: an answer that a browser may keep, but must ask again
//! whether it is still the same: after an upgrade nobody sees the old page.

use std::{io::Write, sync::LazyLock};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderName,
        HeaderValue, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};
use sha2::{Digest, Sha256};

use crate::web::Answer;

/// Nothing but these files is run or shown, nobody else is asked, and no other site can put the page into one of its own.
pub const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                          base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// For all files: what the browser is asked to leave alone.
const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    (VARY, HeaderValue::from_static("accept-encoding")),
];

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const STYLE: HeaderValue = HeaderValue::from_static("text/css; charset=utf-8");
const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

macro_rules! file {
    ($path:literal, $kind:ident, $name:literal) => {
        ($path, $kind, include_str!(concat!("static/", $name)))
    };
}

/// Where each is asked for, and what it is.
const FILES: [(&str, HeaderValue, &str); 14] = [
    file!("/", HTML, "index.html"),
    file!("/page/page.css", STYLE, "page.css"),
    file!("/page/actions.js", SCRIPT, "actions.js"),
    file!("/page/api.js", SCRIPT, "api.js"),
    file!("/page/canary.js", SCRIPT, "canary.js"),
    file!("/page/dom.js", SCRIPT, "dom.js"),
    file!("/page/failures.js", SCRIPT, "failures.js"),
    file!("/page/feed.js", SCRIPT, "feed.js"),
    file!("/page/format.js", SCRIPT, "format.js"),
    file!("/page/handlers.js", SCRIPT, "handlers.js"),
    file!("/page/log.js", SCRIPT, "log.js"),
    file!("/page/overview.js", SCRIPT, "overview.js"),
    file!("/page/page.js", SCRIPT, "page.js"),
    file!("/page/requests.js", SCRIPT, "requests.js"),
];

/// A file, ready to be sent.
struct Packed {
    path: &'static str,
    content_type: HeaderValue,
    plain: Bytes,
    gzip: Option<Bytes>,
    /// Made of the content: the same in every process that has the same page.
    tag: Option<HeaderValue>,
}

static PACKED: LazyLock<Vec<Packed>> = LazyLock::new(|| FILES.into_iter().map(Packed::of).collect());

/// The paths that have a file.
pub fn paths() -> impl Iterator<Item = &'static str> {
    PACKED.iter().map(|file| file.path)
}

/// Answers with the file of a path; `None` where there is none. `asked` are the headers of the request.
#[must_use]
pub fn answer(path: &str, asked: &HeaderMap) -> Option<Answer> {
    let file = PACKED.iter().find(|file| file.path == path)?;
    let is_known = file.tag.as_ref().is_some_and(|tag| names(asked, &IF_NONE_MATCH, tag.as_bytes()));
    let gzip = file.gzip.clone().filter(|_| !is_known && names(asked, &ACCEPT_ENCODING, b"gzip"));
    let is_packed = gzip.is_some();
    let body = if is_known { Bytes::new() } else { gzip.unwrap_or_else(|| file.plain.clone()) };
    let mut answer = Response::new(body.into());
    if is_known {
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = answer.headers_mut();
    headers.extend(HEADERS);
    headers.insert(CONTENT_TYPE, file.content_type.clone());
    if let Some(tag) = &file.tag {
        headers.insert(ETAG, tag.clone());
    }
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Some(answer)
}

/// Whether one of a header's values begins with this word. A proxy may have made a tag weak.
fn names(asked: &HeaderMap, header: &HeaderName, word: &[u8]) -> bool {
    let values = asked.get_all(header).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    values.map(<[u8]>::trim_ascii).any(|value| {
        let value = value.strip_prefix(b"W/").unwrap_or(value);
        let rest = value.strip_prefix(word);
        rest.is_some_and(|rest| rest.is_empty() || (rest.starts_with(b";") && !rest.ends_with(b"q=0")))
    })
}

impl Packed {
    fn of((path, content_type, text): (&'static str, HeaderValue, &'static str)) -> Self {
        let digest: String = Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let tag = HeaderValue::try_from(format!("\"{digest}\"")).ok();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Into memory: it does not fail, and a browser takes it as it is in any case.
        let gzip = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).ok().map(Bytes::from);
        Self { path, content_type, plain: Bytes::from_static(text.as_bytes()), gzip, tag }
    }
}
