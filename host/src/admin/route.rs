//! A route: who may ask what, and what becomes of it. The same value is documented and obeyed.
//!
//! Before it: [`super::routes`] lists them. After it: [`super::dispatch`] finds the one that is meant, [`super::openapi`] describes all.

use std::{collections::BTreeMap, pin::Pin, sync::Arc};

use hyper::{
    Method, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    api::Api,
    asked::{Asked, JSON, unescape},
    problem::Problem,
    told::Told,
};
use crate::{control::protocol::ControlRequest, operate::Role, web::Answer};

/// What a route does, until it is done.
pub(super) type Acting = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;

/// What a route does.
type Act = Box<dyn Fn(Arc<Api>, Asked, Incoming) -> Acting + Send + Sync>;

/// Makes the schema of a type.
type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// A route.
pub(super) struct Route {
    pub(super) method: Method,
    /// With its parameters in braces.
    pub(super) path: &'static str,
    /// What it takes to ask; `None` is for anybody.
    pub(super) role: Option<Role>,
    /// What it is for.
    pub(super) summary: &'static str,
    /// Parameters of the query, with what each means.
    pub(super) query: &'static [(&'static str, &'static str)],
    pub(super) takes: Takes,
    pub(super) gives: Gives,
    act: Act,
}

/// What a body must be.
#[derive(Clone, Copy)]
pub(super) enum Takes {
    /// There is none.
    Nothing,
    /// JSON of a type.
    Json(MakeSchema),
    /// Bytes of this content type.
    Bytes(&'static str),
}

/// What an answer is.
#[derive(Clone, Copy)]
pub(super) struct Gives {
    pub(super) content_type: &'static str,
    /// Of JSON.
    pub(super) schema: Option<MakeSchema>,
}

impl Route {
    /// A route that does nothing yet.
    pub(super) fn new(method: Method, path: &'static str, role: Option<Role>, summary: &'static str) -> Self {
        Self {
            method,
            path,
            role,
            summary,
            query: &[],
            takes: Takes::Nothing,
            gives: Gives { content_type: JSON, schema: None },
            act: Box::new(|_, _, _| Box::pin(async { Err(Problem::new(StatusCode::NOT_IMPLEMENTED, "")) })),
        }
    }

    /// Takes parameters in the query.
    pub(super) fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    /// Is an operation without a body.
    pub(super) fn asks<T: Told>(self, request: fn(&Asked) -> ControlRequest) -> Self {
        self.gives::<T>()
            .acts(move |api, asked, _| Box::pin(async move { json(&told::<T>(&api, request(&asked), &asked).await?) }))
    }

    /// Is an operation with a body.
    pub(super) fn takes<B, T>(self, request: fn(&Asked, B) -> ControlRequest) -> Self
    where
        B: DeserializeOwned + JsonSchema + Send + 'static,
        T: Told,
    {
        let route = Self { takes: Takes::Json(|schemas| schemas.subschema_for::<B>()), ..self };
        route.gives::<T>().acts(move |api, asked, body| {
            Box::pin(async move {
                let body = asked.json::<B>(body).await?;
                json(&told::<T>(&api, request(&asked, body), &asked).await?)
            })
        })
    }

    /// Answers JSON of this type.
    pub(super) fn gives<T: JsonSchema>(self) -> Self {
        Self { gives: Gives { content_type: JSON, schema: Some(|schemas| schemas.subschema_for::<T>()) }, ..self }
    }

    /// Answers something else.
    pub(super) fn gives_text(self, content_type: &'static str) -> Self {
        Self { gives: Gives { content_type, schema: None }, ..self }
    }

    /// Takes bytes.
    pub(super) fn takes_bytes(self, content_type: &'static str) -> Self {
        Self { takes: Takes::Bytes(content_type), ..self }
    }

    /// Does this.
    pub(super) fn acts(self, act: impl Fn(Arc<Api>, Asked, Incoming) -> Acting + Send + Sync + 'static) -> Self {
        Self { act: Box::new(act), ..self }
    }

    /// The parameters in a path, where it is this route's; they are still escaped.
    pub(super) fn matches(&self, path: &str) -> Option<Vec<(&'static str, String)>> {
        let mut parameters = Vec::new();
        let mut given = path.split('/');
        for expected in self.path.split('/') {
            let given = given.next()?;
            match expected.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) if !given.is_empty() => parameters.push((name, given.to_owned())),
                Some(_) => return None,
                None if expected == given => {}
                None => return None,
            }
        }
        given.next().is_none().then_some(parameters)
    }

    /// All parameters, by their names.
    ///
    /// # Errors
    ///
    /// 400 where one is unknown, or an escape is none.
    pub(super) fn parameters(
        &self,
        path: Vec<(&'static str, String)>,
        query: BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>, Problem> {
        if let Some(name) = query.keys().find(|given| !self.query.iter().any(|(name, _)| name == given)) {
            let known: Vec<&str> = self.query.iter().map(|(name, _)| *name).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            let name = crate::printable::printable(name, 64);
            return Err(Problem::bad_request(format!("there is no parameter {name} here; there is: {known}")));
        }
        let mut parameters = query;
        for (name, value) in path {
            parameters.insert(name.to_owned(), unescape(&value)?);
        }
        Ok(parameters)
    }

    /// Does what it is for.
    pub(super) fn act(&self, api: Arc<Api>, asked: Asked, body: Incoming) -> Acting {
        (self.act)(api, asked, body)
    }
}

/// An operation's answer, as what the route promises.
pub(super) async fn told<T: Told>(api: &Api, request: ControlRequest, asked: &Asked) -> Result<T, Problem> {
    T::of(api.operate(request, asked, ()).await?).map_err(|other| Problem::of(*other))
}

/// An answer that is JSON.
pub(super) fn json(told: &impl Serialize) -> Result<Answer, Problem> {
    let failed = |error: serde_json::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    Ok(text(JSON, serde_json::to_vec(told).map_err(failed)?))
}

/// An answer of this type.
pub(super) fn text(content_type: &'static str, content: impl Into<bytes::Bytes>) -> Answer {
    let mut answer = Response::new(content.into().into());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}
