//! The operator's page, as routes: its files for anybody, what they show for those who may look.
//!
//! Before it: [`super::routes`] has them in its table. After it: [`crate::page`]. The files hold nothing that is secret, and who has not
//! logged in needs them to do so.

use std::{sync::Arc, time::Duration};

use hyper::{HeaderMap, Method, StatusCode};

use super::{
    api::Api,
    asked::Asked,
    problem::Problem,
    route::{Route, text},
};
use crate::{
    operate::Role,
    page::{
        events::{CONTENT_TYPE, You, events},
        files,
    },
    web::{Answer, Body},
};

/// When somebody who has no stream may come again.
const LATER: Duration = Duration::from_secs(10);

const HTML: &str = "text/html; charset=utf-8";

/// The routes of the page.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::GET, "/", None, "The operator's page")
            .gives_text(HTML)
            .acts(|_, asked, _| Box::pin(async move { file("/", &asked.headers) })),
        Route::new(Method::GET, "/page/{file}", None, "A file of the page").gives_text("*/*").acts(|_, asked, _| {
            Box::pin(async move { file(&format!("/page/{}", asked.named("file")), &asked.headers) })
        }),
        Route::new(Method::GET, "/api/v1/events", Some(Role::Read), "What the page shows, and then what changes")
            .gives_text(CONTENT_TYPE)
            .acts(|api, asked, _| Box::pin(async move { look(api, &asked) })),
    ]
}

fn file(path: &str, asked: &HeaderMap) -> Result<Answer, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, "the page has no such file");
    files::answer(path, asked).ok_or_else(missing)
}

fn look(api: Arc<Api>, asked: &Asked) -> Result<Answer, Problem> {
    let Some(who) = &asked.who else { return Err(Problem::unauthorized("nobody knows who asks")) };
    let seat = api.seats.take(&who.caller);
    let seat = seat.map_err(|why| Problem::later(StatusCode::SERVICE_UNAVAILABLE, LATER, why))?;
    let has_session = api.gate.has_session(&asked.client, &asked.headers);
    let you = You {
        name: who.caller.name.clone(),
        role: who.caller.role.to_string(),
        can_log_in: api.gate.takes_tokens() && !has_session,
        has_session,
    };
    let mut answer = text(CONTENT_TYPE, "");
    let (page, shown, caller) = (api.page.clone(), api.gate.shown(&asked.client, &asked.headers), who.caller.clone());
    let is_welcome = move || {
        // Here for as long as the stream is.
        let _seat = &seat;
        api.gate.still_takes(&shown, &caller)
    };
    *answer.body_mut() = Body::pieces(events(&page, you, is_welcome));
    Ok(answer)
}
