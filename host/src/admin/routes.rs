//! All routes.
//!
//! Before it: [`super::Admin`] starts. After it: [`super::dispatch`] and [`super::openapi`], which have nothing but this table.

use std::sync::Arc;

use hyper::{Method, StatusCode, header::SET_COOKIE};

use super::{
    api::Api,
    asked::{Asked, JSON},
    page,
    problem::Problem,
    route::{Acting, Route, json, text, told},
    told::{ForwardRule, Session},
    upload,
};
use crate::{
    control::protocol::{
        Changed, ControlAnswer, ControlRequest, Failures, ForwardSet, ForwardState, Handlers, LogLevels,
    },
    journal::report::Activity,
    metrics::{health::Health, http},
    operate::Role,
};

/// Who looks, and who changes.
const READ: Option<Role> = Some(Role::Read);
const OPERATE: Option<Role> = Some(Role::Operate);

const PLAIN: &str = "text/plain; charset=utf-8";

/// Parameters of a promotion.
const PROMOTE: &[(&str, &str)] = &[("force", "Whether methods that were called recently may go: true or false")];

/// All routes.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::new(Method::GET, "/api/v1/status", READ, "How the service is")
            .asks::<Health>(|_| ControlRequest::Status {}),
        Route::new(Method::GET, "/api/v1/handlers", READ, "All handlers: what is served, was served, and was refused")
            .asks::<Handlers>(|_| ControlRequest::List {}),
        Route::new(Method::POST, "/api/v1/handlers", OPERATE, "Try a component; if it is good, serve it")
            .query(upload::QUERY)
            .takes_bytes(upload::WASM)
            .gives::<Changed>()
            .acts(|api, asked, body| Box::pin(async move { json(&upload::add(&api, &asked, body).await?) })),
        Route::new(
            Method::DELETE,
            "/api/v1/handlers/{name}",
            OPERATE,
            "Stop serving a handler, and take its files away",
        )
        .asks::<Changed>(|asked| ControlRequest::Remove { name: asked.named("name") }),
        Route::new(Method::POST, "/api/v1/handlers/{name}/rollback", OPERATE, "Serve the version before, at once")
            .asks::<Changed>(|asked| ControlRequest::Rollback { name: asked.named("name") }),
        Route::new(
            Method::POST,
            "/api/v1/handlers/{name}/canary",
            OPERATE,
            "Try a component on a share of the requests",
        )
        .query(upload::CANARY)
        .takes_bytes(upload::WASM)
        .gives::<Changed>()
        .acts(|api, asked, body| Box::pin(async move { json(&upload::canary(&api, &asked, body).await?) })),
        Route::new(
            Method::POST,
            "/api/v1/handlers/{name}/shadow",
            OPERATE,
            "Run a component on a share of the requests, after they are answered, and compare",
        )
        .query(upload::SHADOW)
        .takes_bytes(upload::WASM)
        .gives::<Changed>()
        .acts(|api, asked, body| Box::pin(async move { json(&upload::shadow(&api, &asked, body).await?) })),
        Route::new(Method::POST, "/api/v1/handlers/{name}/promote", OPERATE, "Serve the version on trial, at once")
            .query(PROMOTE)
            .gives::<Changed>()
            .acts(|api, asked, _| Box::pin(async move { json(&promote(&api, &asked).await?) })),
        Route::new(Method::POST, "/api/v1/handlers/{name}/abort", OPERATE, "End the version on trial, or the shadow")
            .asks::<Changed>(|asked| ControlRequest::Abort { name: asked.named("name") }),
        Route::new(Method::POST, "/api/v1/handlers/{name}/pause", OPERATE, "Keep the version on trial at its share")
            .asks::<Changed>(|asked| ControlRequest::Pause { name: asked.named("name") }),
        Route::new(
            Method::POST,
            "/api/v1/handlers/{name}/resume",
            OPERATE,
            "Have the version on trial go on by itself",
        )
        .asks::<Changed>(|asked| ControlRequest::Resume { name: asked.named("name") }),
        Route::new(Method::GET, "/api/v1/log-level", READ, "What is logged")
            .asks::<LogLevels>(|_| ControlRequest::LogLevel { levels: None }),
        Route::new(Method::PUT, "/api/v1/log-level", OPERATE, "Log something else, until the next start")
            .takes::<LogLevels, LogLevels>(|_, LogLevels { levels }| ControlRequest::LogLevel { levels: Some(levels) }),
        Route::new(Method::GET, "/api/v1/requests", READ, "What is in flight, and how the methods do")
            .asks::<Activity>(|_| ControlRequest::Requests {}),
        Route::new(Method::GET, "/api/v1/failures", READ, "What failed lately")
            .asks::<Failures>(|_| ControlRequest::Failures {}),
        Route::new(Method::GET, "/api/v1/forward", READ, "What is forwarded, and what was")
            .asks::<ForwardState>(|_| ControlRequest::Forward {}),
        Route::new(Method::PUT, "/api/v1/forward/{methods}", OPERATE, "Forward other requests, until the next start")
            .takes::<ForwardRule, ForwardState>(|asked, ForwardRule { side, on_failure }| {
            ControlRequest::ForwardSet(ForwardSet { methods: asked.named("methods"), side, on_failure })
        }),
        Route::new(Method::GET, "/api/v1/metrics", READ, "What is counted, for Prometheus")
            .gives_text(http::CONTENT_TYPE)
            .acts(|api, asked, _| metrics(api, asked)),
        Route::new(Method::POST, "/api/v1/session", None, "Begin a session for the token that is sent: a cookie")
            .gives::<Session>()
            .acts(|api, asked, _| Box::pin(async move { log_in(&api, &asked) })),
        Route::new(Method::GET, "/api/v1/session", READ, "Who you are, and what you may")
            .gives::<Session>()
            .acts(|_, asked, _| Box::pin(async move { whoever(&asked) })),
        Route::new(Method::DELETE, "/api/v1/session", READ, "End the session of the cookie that is sent")
            .gives::<Session>()
            .acts(|api, asked, _| {
                Box::pin(async move {
                    let mut answer = whoever(&asked)?;
                    answer
                        .headers_mut()
                        .extend(api.gate.log_out(&asked.client, &asked.headers).map(|it| (SET_COOKIE, it)));
                    Ok(answer)
                })
            }),
        Route::new(Method::GET, "/api/v1/openapi.json", None, "This description")
            .acts(|api, _, _| Box::pin(async move { Ok(text(JSON, api.document.clone())) })),
        Route::new(Method::GET, "/metrics", READ, "The same as /api/v1/metrics")
            .gives_text(http::CONTENT_TYPE)
            .acts(|api, asked, _| metrics(api, asked)),
    ];
    routes.extend(page::routes());
    for (path, summary) in [("/livez", "Whether the process lives"), ("/readyz", "Whether requests are taken")] {
        routes.push(Route::new(Method::GET, path, None, summary).gives_text(PLAIN).acts(move |api, _, _| {
            Box::pin(async move { Ok(http::respond(&Method::GET, path, &api.operated.metrics)) })
        }));
    }
    routes
}

fn metrics(api: Arc<Api>, asked: Asked) -> Acting {
    Box::pin(async move {
        match api.operate(ControlRequest::Metrics {}, &asked, ()).await? {
            ControlAnswer::Metrics { text: counted } => Ok(text(http::CONTENT_TYPE, counted)),
            other => Err(Problem::of(other)),
        }
    })
}

async fn promote(api: &Api, asked: &Asked) -> Result<Changed, Problem> {
    let force = asked.read::<bool>("force", "true or false")?.unwrap_or_default();
    told(api, ControlRequest::Promote { name: asked.named("name"), force }, asked).await
}

fn log_in(api: &Api, asked: &Asked) -> Result<crate::web::Answer, Problem> {
    let (token, cookie) = api.gate.log_in(&asked.client, &asked.headers)?;
    let mut answer = json(&Session { name: token.name, role: token.role })?;
    answer.headers_mut().insert(SET_COOKIE, cookie);
    Ok(answer)
}

fn whoever(asked: &Asked) -> Result<crate::web::Answer, Problem> {
    let nobody = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "nobody knows who asks");
    let caller = &asked.who.as_ref().ok_or_else(nobody)?.caller;
    json(&Session { name: caller.name.clone(), role: caller.role })
}
