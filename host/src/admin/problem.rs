//! Why something was not done, as RFC 9457 has it.
//!
//! Made by every room of [`super`]; sent as `application/problem+json`.

use std::time::Duration;

use hyper::{
    Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    control::protocol::{ControlAnswer, Kind},
    web::Answer,
};

/// What the body of a problem is.
pub(super) const PROBLEM: &str = "application/problem+json";

/// Why something was not done (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Problem {
    /// The status.
    status: u16,
    /// What the status means.
    title: &'static str,
    /// What is wrong here, and what to do.
    detail: String,
    /// What kind of reason an operation has not to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or_default();
        Self { status: status.as_u16(), title, detail: detail.into(), kind: None, headers: Vec::new() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// Nobody knows who asks.
    pub(super) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
            .with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"nova-host\""))
    }

    /// Who asks may not.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// Later it may be done.
    pub(super) fn later(status: StatusCode, wait: Duration, detail: impl Into<String>) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Self::new(status, detail).with(RETRY_AFTER, seconds.max(1).into())
    }

    /// The path is there, for other methods.
    pub(super) fn method(allowed: &str) -> Self {
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("this path knows {allowed}"));
        match HeaderValue::from_str(allowed) {
            Ok(value) => problem.with(ALLOW, value),
            Err(_) => problem,
        }
    }

    /// What an operation answers that is not what it was asked for.
    pub(super) fn of(answer: ControlAnswer) -> Self {
        let ControlAnswer::Failed { kind, message } = answer else {
            return Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the operation gave another answer than it should");
        };
        let status = match kind {
            Kind::Refused => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::Unknown => StatusCode::NOT_FOUND,
            Kind::Request => StatusCode::BAD_REQUEST,
            Kind::Denied => StatusCode::FORBIDDEN,
            Kind::Directory | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { kind: Some(kind), ..Self::new(status, message) }
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        let mut answer = Response::new(serde_json::to_vec(&problem).unwrap_or_default().into());
        *answer.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        answer.headers_mut().extend(problem.headers);
        answer
    }
}
