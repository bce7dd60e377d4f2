//! From a question to the route that answers it, past everybody who has a say.
//!
//! Before it: [`crate::web`] has read a head. After it: [`super::route::Route::act`]. In this order: is there such a path, are we meant
//! ([`super::origin`]), who asks ([`super::who`]), may they, do they mean it. A body is read only after that.

use std::sync::Arc;

use hyper::{
    Method, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
        X_FRAME_OPTIONS,
    },
};

use super::{
    api::Api,
    asked::{Asked, query},
    origin::{is_meant_so, is_ours},
    problem::Problem,
    route::Route,
    who::{By, Known},
};
use crate::{
    metrics::Door,
    operate::{Audit, Role},
    web::{Answer, Client, Question},
};

/// What probes ask for, by whatever name they have for us.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

/// What every answer has, unless it says otherwise.
const HEADERS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Answers a question.
pub(super) async fn answer(api: Arc<Api>, routes: Arc<Vec<Route>>, question: Question) -> Answer {
    let metrics = api.operated.metrics.clone();
    let mut answer = act(api, &routes, question).await.unwrap_or_else(Answer::from);
    metrics.admin(door(answer.status()));
    for (name, value) in HEADERS {
        answer.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    answer
}

/// What became of a question, as it is counted.
fn door(status: StatusCode) -> Door {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Door::Limited,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::MISDIRECTED_REQUEST => Door::Denied,
        // Who has a file already is told so.
        StatusCode::NOT_MODIFIED => Door::Done,
        status if status.is_success() => Door::Done,
        _ => Door::Failed,
    }
}

async fn act(api: Arc<Api>, routes: &[Route], question: Question) -> Result<Answer, Problem> {
    let (head, body) = question.into_parts();
    let no_client = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "nobody knows where the question comes from");
    let client = head.extensions.get::<Client>().cloned().ok_or_else(no_client)?;
    let (route, parameters) = find(routes, &head.method, head.uri.path())?;
    if !PROBES.contains(&route.path) {
        let certified = Arc::clone(&api.certified.borrow());
        let names: Vec<String> = api.names.iter().chain(certified.iter()).cloned().collect();
        is_ours(&client, &head.uri, &head.headers, &names)?;
    }
    let who = match route.role {
        Some(_) => Some(api.gate.who(&client, &head.headers)?),
        None => None,
    };
    if let (Some(Known { caller, .. }), Some(role)) = (&who, route.role)
        && caller.role < role
    {
        let problem =
            Problem::forbidden(format!("{} has the role {}, and this takes {role}", caller.name, caller.role));
        Audit::begin(caller, &format!("{} {}", head.method, head.uri.path())).refused(problem.detail());
        return Err(problem);
    }
    if route.role.is_some() || route.method != Method::GET {
        // Who logs in sends a token.
        let by = who.as_ref().map_or(By::Token, |known| known.by);
        is_meant_so(&client, &head.method, &head.headers, by)?;
    }
    if route.role == Some(Role::Operate) {
        // Where there is no room, they are as any other.
        let _ = client.keep();
    }
    let parameters = route.parameters(parameters, query(head.uri.query().unwrap_or_default())?)?;
    let asked = Asked { client, who, headers: head.headers, parameters };
    route.act(api, asked, body).await
}

/// A route, and the parameters of its path, still escaped.
type Found<'r> = (&'r Route, Vec<(&'static str, String)>);

/// The route that is meant.
fn find<'r>(routes: &'r [Route], method: &Method, path: &str) -> Result<Found<'r>, Problem> {
    // hyper sends no body for HEAD.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    let here: Vec<_> = routes.iter().filter_map(|route| Some((route, route.matches(path)?))).collect();
    if here.is_empty() {
        return Err(Problem::new(StatusCode::NOT_FOUND, "there is no such path; /api/v1/openapi.json has all"));
    }
    let allowed: Vec<&str> = here.iter().map(|(route, _)| route.method.as_str()).collect();
    let refused = Problem::method(&allowed.join(", "));
    here.into_iter().find(|(route, _)| route.method == *method).ok_or(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_file_already_is_no_failure() {
        let doors = [304, 200, 404, 401, 429].map(|status| door(StatusCode::from_u16(status).unwrap()));
        assert_eq!(doors, [Door::Done, Door::Done, Door::Failed, Door::Denied, Door::Limited]);
    }
}
