//! Request → [`Outcome`]: look up, admit, run within the deadline.
//!
//! Before it: [`crate::serve`] has decoded a request; it goes from step to step, for the policy that the first finds
//! says when the request is acknowledged. After it: [`crate::sandbox`] runs the handler, and
//! [`crate::reply`] says what the caller gets. No bytes here, and nothing of where the request came from.

mod foresight;
mod outcome;
mod ping;
mod recorded;
mod session;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

pub use foresight::{Foresight, foresee};
pub use outcome::{Outcome, Refusal};
use serde::de::IgnoredAny;

use crate::{
    canary::Watched,
    capability::{Capabilities, Spans},
    catalog::{Catalog, Chosen, Current, Found, Generation, Miss, Policy, Working},
    envelope::{Answer, Arguments, Field, Request, Text},
    journal::{Progress, report::State},
    lending::Standing,
    recording::Draft,
    sandbox::{Fault, Full, Invocation, Place, RequestInfo, Tape, marks},
    shadow::Wanted,
    trace::{Kind, Span, Value},
    version::Version,
};

/// What does not depend on the handler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The policy of methods whose handler's manifest says nothing.
    pub policy: Policy,
    /// Whether the host answers the reference's ping.
    pub ping: bool,
}

/// A request of which it is known who answers.
#[derive(Debug)]
pub struct Resolved {
    policy: Policy,
    answerer: Answerer,
}

/// What is left to do.
#[derive(Debug)]
enum Work {
    Invoke(Working, Box<Invocation>),
    /// Nothing.
    Done(Outcome),
}

/// Who answers.
#[derive(Debug)]
enum Answerer {
    Handler(Box<Asked>),
    /// The host itself, and what.
    Host(Outcome),
}

/// A request and the handler that was found for it.
#[derive(Debug)]
struct Asked {
    /// When its handler was found: its time runs from then.
    since: Instant,
    generation: Working,
    endpoint: u32,
    method: String,
    version: String,
    /// Where its end is to be told, while a version of its handler is on trial.
    watched: Option<Watched>,
    /// Where it is to be compared, while it is in the share of a shadow.
    shadow: Option<Wanted>,
    request: Request,
}

/// A request that may be run now.
#[derive(Debug)]
pub struct Admitted {
    work: Work,
    /// What is recorded of its run.
    span: Span,
    /// Its place among the handler's own requests.
    _place: Option<Place>,
    progress: Progress,
    /// What its recording begins with, where it is taped.
    draft: Option<Draft>,
}

/// The name of the handler that would have the request now; `None` where none would.
#[must_use]
pub fn handler(catalog: &Catalog, request: &Request) -> Option<String> {
    match find(catalog, request) {
        Ok((Found::Handler { generation, .. }, ..)) => Some(generation.name.clone()),
        Ok((Found::Describe, ..)) | Err(_) => None,
    }
}

/// Finds who answers, and nothing more: no handler has seen the request yet.
///
/// # Errors
///
/// [`Refusal`], where nobody does.
pub fn resolve(current: &Current, options: Options, request: Request) -> Result<Resolved, Refusal> {
    let host = |outcome| Resolved { policy: options.policy, answerer: Answerer::Host(outcome) };
    let catalog = current.get();
    let (found, method, version) = match find(&catalog, &request) {
        Ok(found) => found,
        Err(refusal) if options.ping => return ping::answer(refusal, &request).map(host),
        Err(refusal) => return Err(refusal),
    };
    let (generation, endpoint) = match found {
        Found::Handler { generation, endpoint } => (generation, endpoint),
        Found::Describe => return Ok(host(describe(&catalog, request.arguments))),
    };
    // From here on the request is this generation's alone: whatever else is exchanged meanwhile can go.
    drop(catalog);
    let Chosen { generation, endpoint, watched } = current.choose(generation, endpoint, &request, (&version, &method));
    let shadow = current.shadow(&generation, &request, (&version, &method));
    let generation = current.accept(generation, request.namespace.text(), &version, &method);
    let (span, digest) = (tracing::Span::current(), generation.program.digest().short());
    tracing::record_all!(span, handler = generation.name.as_str(), digest, generation = generation.number);
    let policy = generation.policy(&method).unwrap_or(options.policy);
    Ok(Resolved {
        policy,
        answerer: Answerer::Handler(Box::new(Asked {
            since: Instant::now(),
            generation,
            endpoint,
            method,
            version,
            watched,
            shadow,
            request,
        })),
    })
}

impl Resolved {
    /// When the request is to be acknowledged.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Who answers; `None` where it is the host itself.
    #[must_use]
    pub fn handler(&self) -> Option<&Generation> {
        match &self.answerer {
            Answerer::Handler(asked) => Some(&asked.generation),
            Answerer::Host(_) => None,
        }
    }

    /// Gives where the end of the request is to be told, while a version of its handler is on trial.
    pub fn watched(&mut self) -> Option<Watched> {
        match &mut self.answerer {
            Answerer::Handler(asked) => asked.watched.take(),
            Answerer::Host(_) => None,
        }
    }

    /// Gives where the request is to be compared, while it is in the share of a shadow.
    pub fn shadow(&mut self) -> Option<Wanted> {
        match &mut self.answerer {
            Answerer::Handler(asked) => asked.shadow.take(),
            Answerer::Host(_) => None,
        }
    }

    /// The method that the handler offers and is asked for; empty where it is the host that answers.
    #[must_use]
    pub fn method(&self) -> &str {
        match &self.answerer {
            Answerer::Handler(asked) => &asked.method,
            Answerer::Host(_) => "",
        }
    }

    /// The id of the call that the request is a part of, else its own.
    #[must_use]
    pub fn request_id(&self) -> Option<String> {
        let Answerer::Handler(asked) = &self.answerer else { return None };
        asked.request.operation_id()
    }

    /// Waits for a place among the handler's own requests, as long as one of them may take. What its manifest grants is
    /// done with the capabilities, and what the request holds by its `standing` is lent while it waits for others. What
    /// happens is recorded below the request's `span`, and what its handler asks on the `tape`.
    ///
    /// # Errors
    ///
    /// [`Refusal::ArgumentsType`], [`Refusal::ArgumentsTooLarge`] and [`Refusal::Busy`].
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, no place is taken.
    pub async fn admit(
        self,
        capabilities: &Capabilities,
        standing: &Arc<Standing>,
        span: &Span,
        tape: &Tape,
    ) -> Result<Admitted, Refusal> {
        let (progress, policy) = (standing.progress().clone(), self.policy);
        let asked = match self.answerer {
            Answerer::Handler(asked) => asked,
            Answerer::Host(outcome) => {
                let (work, span) = (Work::Done(outcome), Span::default());
                return Ok(Admitted { work, span, _place: None, progress, draft: None });
            }
        };
        let Asked { since, generation, endpoint, method, version, request, .. } = *asked;
        let arguments = arguments(&request.arguments, &generation)?;
        let place = {
            let waiting = span.child(|| "wait for a place", Kind::Internal);
            let entered = generation.program.enter(since).await.map_err(|Full| Refusal::Busy);
            entered.inspect_err(|_| waiting.fail("Busy"))?
        };
        standing.enter(place.slot());
        let run = runs(span, &generation);
        let spans = Spans { request: span.clone(), run: run.clone() };
        let session = session::open(capabilities, &generation, &request, since, standing, spans);
        let invocation = Invocation {
            endpoint,
            method,
            namespace: request.namespace.text().map(str::to_owned),
            version,
            arguments,
            info: RequestInfo {
                client_timeout: request.reply_to.as_ref().map_or_else(Text::null, |to| to.client_timeout()),
                context: request.context,
                reply_wanted: request.reply_to.is_some(),
                session,
                marks: marks(&run),
                tape: tape.clone(),
            },
            since,
        };
        let draft = recorded::draft(&generation, policy, &invocation, tape);
        let work = Work::Invoke(generation, Box::new(invocation));
        Ok(Admitted { work, span: run, _place: Some(place), progress, draft })
    }
}

impl Admitted {
    /// What its recording begins with; `None` where it is not taped, and the second time.
    #[must_use]
    pub fn draft(&mut self) -> Option<Draft> {
        self.draft.take()
    }

    /// Runs the request to its outcome, its effects included. Only now the handler's code sees it.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the handler ends where it is and the request has no outcome; of a handler that had succeeded,
    /// some effects may be released.
    pub async fn run(self) -> Outcome {
        let (generation, invocation) = match self.work {
            Work::Invoke(generation, invocation) => (generation, invocation),
            Work::Done(outcome) => return outcome,
        };
        // Held here, and dropped without being released unless the handler succeeds.
        let (session, method) = (invocation.info.session.clone(), invocation.method.clone());
        self.span.begin();
        let outcome = match generation.program.handle(*invocation).await {
            Ok(Answer::Result(result)) => Outcome::Replied(result),
            Ok(Answer::Failure(failure)) => Outcome::Failed(failure),
            Err(Fault::Declined) => Outcome::Declined { method },
            Err(fault) => Outcome::Faulted(fault),
        };
        outcome.mark(&self.span);
        self.span.end();
        let Outcome::Replied(result) = outcome else { return outcome };
        let released = match session {
            Some(session) => {
                self.progress.enter(State::Releasing);
                session.release().await
            }
            None => Ok(()),
        };
        released.map_or_else(Outcome::Unreleased, |()| Outcome::Replied(result))
    }
}

/// Begins what is recorded of a handler's run.
fn runs(above: &Span, generation: &Generation) -> Span {
    let span = above.child(|| format!("run {}", generation.name), Kind::Internal);
    span.note(|span| {
        span.set("nova_host.handler", Value::from(generation.name.as_str()));
        span.set("nova_host.digest", Value::from(generation.program.digest().short()));
        span.set("nova_host.generation", Value::from(generation.number));
    });
    span
}

/// The host's own method, which takes no arguments and says so as Python would.
fn describe(catalog: &Catalog, arguments: Arguments) -> Outcome {
    let unexpected = |text: &Text| {
        let given: Option<BTreeMap<String, IgnoredAny>> = serde_json::from_str(text.get()).ok();
        given?.into_keys().next()
    };
    match arguments {
        Arguments::Other(other) => Outcome::Refused(Refusal::ArgumentsType { python_type: other.python_type() }),
        Arguments::Object(text) if let Some(name) = unexpected(&text) => {
            Outcome::Refused(Refusal::UnexpectedArgument { name })
        }
        Arguments::Absent | Arguments::Object(_) => Outcome::Replied(Text::of(&catalog.describe())),
    }
}

/// Finds who answers, in the reference's order of checks, so that the first thing wrong is the same.
fn find(catalog: &Catalog, request: &Request) -> Result<(Found, String, String), Refusal> {
    let namespace = match &request.namespace {
        Field::Absent | Field::Null => None,
        Field::Text(text) => Some(text.as_str()),
        // No endpoint has a number for a namespace.
        Field::Other(_) => return Err(unsupported(request)),
    };
    let version = match &request.version {
        Field::Absent => Version::DEFAULT.to_string(),
        Field::Text(text) => text.clone(),
        Field::Null => return Err(unsupported(request)),
        Field::Other(_) if !catalog.has_namespace(namespace) => return Err(unsupported(request)),
        Field::Other(other) => return Err(Refusal::VersionType { python_type: other.python_type() }),
    };
    match (catalog.find(namespace, &version, request.method.text()), request.method.text()) {
        (Ok(found), method) => Ok((found, method.unwrap_or_default().to_owned(), version)),
        (Err(Miss::NoSuchMethod), _) => Err(no_such_method(request)),
        (Err(Miss::UnsupportedVersion), _) => Err(unsupported(request)),
        (Err(Miss::Malformed(malformed)), _) => Err(Refusal::MalformedVersion(malformed)),
    }
}

fn unsupported(request: &Request) -> Refusal {
    Refusal::UnsupportedVersion {
        version: match request.version {
            Field::Absent => Version::DEFAULT.to_string(),
            ref given => given.to_string(),
        },
        method: request.method.to_string(),
    }
}

fn no_such_method(request: &Request) -> Refusal {
    match request.method.text() {
        Some(method) => Refusal::NoSuchMethod { method: method.to_owned() },
        None => Refusal::MethodType { python_type: request.method.python_type() },
    }
}

fn arguments(arguments: &Arguments, generation: &Generation) -> Result<String, Refusal> {
    let text = match arguments {
        Arguments::Absent => return Ok("{}".to_owned()),
        Arguments::Object(text) => text,
        Arguments::Other(other) => return Err(Refusal::ArgumentsType { python_type: other.python_type() }),
    };
    let limit = generation.program.limits().arguments;
    match text.get().len() {
        length if length > limit.0 => Err(Refusal::ArgumentsTooLarge { length, limit }),
        _ => Ok(text.get().to_owned()),
    }
}

#[cfg(test)]
#[path = "dispatch/tests.rs"]
mod tests;
