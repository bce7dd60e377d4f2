//! The table of routes against what operators can do elsewhere, and its description against itself.

use hyper::Method;

use super::{openapi::document, routes::routes};
use crate::{
    canary::policy::Wishes,
    control::protocol::{ControlRequest, ForwardSet},
    operate::needed,
};

/// Where over HTTP something is that the control socket can do. Who adds a request there is led here by the compiler.
fn place(request: &ControlRequest) -> (Method, &'static str) {
    match request {
        ControlRequest::List {} => (Method::GET, "/api/v1/handlers"),
        ControlRequest::Metrics {} => (Method::GET, "/api/v1/metrics"),
        ControlRequest::Status {} => (Method::GET, "/api/v1/status"),
        ControlRequest::LogLevel { levels: None } => (Method::GET, "/api/v1/log-level"),
        ControlRequest::LogLevel { levels: Some(_) } => (Method::PUT, "/api/v1/log-level"),
        ControlRequest::Add { .. } => (Method::POST, "/api/v1/handlers"),
        ControlRequest::Requests {} => (Method::GET, "/api/v1/requests"),
        ControlRequest::Failures {} => (Method::GET, "/api/v1/failures"),
        ControlRequest::Forward {} => (Method::GET, "/api/v1/forward"),
        ControlRequest::ForwardSet(_) => (Method::PUT, "/api/v1/forward/{methods}"),
        ControlRequest::Remove { .. } => (Method::DELETE, "/api/v1/handlers/{name}"),
        ControlRequest::Canary { .. } => (Method::POST, "/api/v1/handlers/{name}/canary"),
        ControlRequest::Shadow { .. } => (Method::POST, "/api/v1/handlers/{name}/shadow"),
        ControlRequest::Promote { .. } => (Method::POST, "/api/v1/handlers/{name}/promote"),
        ControlRequest::Abort { .. } => (Method::POST, "/api/v1/handlers/{name}/abort"),
        ControlRequest::Pause { .. } => (Method::POST, "/api/v1/handlers/{name}/pause"),
        ControlRequest::Resume { .. } => (Method::POST, "/api/v1/handlers/{name}/resume"),
        ControlRequest::Rollback { .. } => (Method::POST, "/api/v1/handlers/{name}/rollback"),
    }
}

#[test]
fn all_that_the_control_socket_can_do_has_a_route_for_the_same_role() {
    let (routes, name) = (routes(), || "a".to_owned());
    for request in [
        ControlRequest::List {},
        ControlRequest::Metrics {},
        ControlRequest::Status {},
        ControlRequest::LogLevel { levels: None },
        ControlRequest::LogLevel { levels: Some(name()) },
        ControlRequest::Add { file: "a".into(), name: None, force: false, gate: Default::default() },
        ControlRequest::Requests {},
        ControlRequest::Failures {},
        ControlRequest::Forward {},
        ControlRequest::ForwardSet(ForwardSet { methods: name(), side: None, on_failure: None }),
        ControlRequest::Remove { name: name() },
        ControlRequest::Rollback { name: name() },
        ControlRequest::Canary {
            file: "a".into(),
            name: None,
            force: false,
            gate: Default::default(),
            policy: Wishes::default(),
        },
        ControlRequest::Shadow {
            file: "a".into(),
            name: None,
            force: false,
            policy: crate::shadow::policy::Wishes::default(),
        },
        ControlRequest::Promote { name: name(), force: false },
        ControlRequest::Abort { name: name() },
        ControlRequest::Pause { name: name() },
        ControlRequest::Resume { name: name() },
    ] {
        let (method, path) = place(&request);
        let route = routes.iter().find(|route| route.method == method && route.path == path).unwrap();
        assert_eq!(route.role, Some(needed(&request)), "{method} {path}");
    }
}

#[test]
fn nothing_but_health_the_page_and_logging_in_is_for_everybody_and_every_change_takes_operate() {
    let open = ["/livez", "/readyz", "/", "/page/{file}", "/api/v1/openapi.json"];
    for route in routes() {
        match route.role {
            None => assert!(open.contains(&route.path) || route.path == "/api/v1/session", "{}", route.path),
            Some(role) => {
                let is_change = route.method != Method::GET && route.path != "/api/v1/session";
                assert_eq!(role == crate::operate::Role::Operate, is_change, "{} {}", route.method, route.path);
            }
        }
    }
}

#[test]
fn every_reference_of_the_description_leads_somewhere_and_no_name_is_there_twice() {
    let document = document(&routes());
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next());
    let references: Vec<_> = references.collect();
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        assert!(document.pointer(reference).is_some(), "{reference}");
    }
    let mut names: Vec<_> =
        text.split("\"operationId\":\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}
