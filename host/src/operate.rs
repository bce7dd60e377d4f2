//! What operators ask about and change, whichever door they come through.
//!
//! Before it: [`crate::control`], a local socket, and [`crate::admin`], HTTP. After it: [`crate::catalog::keeper`] and whatever else
//! can be operated. Who may do what is decided here, and every change is said in the log here ([`audit`]): what is added is so for
//! both doors.

mod audit;
mod caller;
mod forwarding;

use std::{path::Path, sync::Arc};

use crate::{
    canary::{Policy, policy::STEPS},
    catalog::keeper::Keeper,
    control::protocol::{ControlAnswer, ControlRequest, Failures, Kind, LogLevels},
    forward::Forwarding,
    gate::Terms,
    journal::Recorder,
    levels::Levels,
    metrics::Metrics,
    shadow::{self, policy::SHARE},
};

pub use audit::{AUDIT, Audit, turned_away};
pub use caller::{Caller, Role};

/// What operators ask about, and change. Clones are the same.
#[derive(Clone, Debug)]
pub struct Operated {
    /// The handlers.
    pub keeper: Arc<Keeper>,
    /// What is counted.
    pub metrics: Metrics,
    /// What is logged.
    pub levels: Levels,
    /// What is forwarded, where anything is.
    pub forwarding: Option<Forwarding>,
    /// What is in flight, and what failed.
    pub journal: Recorder,
}

/// Does what is asked, where the caller may.
///
/// # Cancel safety
///
/// Dropped half-way, it is done or not begun, and the log says that nobody waited for it.
pub async fn operate(request: ControlRequest, operated: Operated, caller: &Caller) -> ControlAnswer {
    let needed = needed(&request);
    if needed == Role::Read {
        return answer(request, operated).await;
    }
    let audit = Audit::begin(caller, &describe(&request));
    if caller.role < needed {
        let reason = format!("{} has the role {}, and this takes {needed}", caller.name, caller.role);
        let answer = ControlAnswer::failed(Kind::Denied, reason);
        audit.end(&answer);
        return answer;
    }
    let answer = answer(request, operated).await;
    audit.end(&answer);
    answer
}

/// What it takes to ask this.
#[must_use]
pub fn needed(request: &ControlRequest) -> Role {
    match request {
        ControlRequest::List {}
        | ControlRequest::Metrics {}
        | ControlRequest::Status {}
        | ControlRequest::Forward {}
        | ControlRequest::Requests {}
        | ControlRequest::Failures {}
        | ControlRequest::LogLevel { levels: None } => Role::Read,
        ControlRequest::LogLevel { levels: Some(_) }
        | ControlRequest::Add { .. }
        | ControlRequest::Canary { .. }
        | ControlRequest::Shadow { .. }
        | ControlRequest::Promote { .. }
        | ControlRequest::Abort { .. }
        | ControlRequest::Pause { .. }
        | ControlRequest::Resume { .. }
        | ControlRequest::ForwardSet(_)
        | ControlRequest::Remove { .. }
        | ControlRequest::Rollback { .. } => Role::Operate,
    }
}

/// A change in words.
fn describe(request: &ControlRequest) -> String {
    match request {
        ControlRequest::Add { file, name, force, .. } => {
            format!("add {}{}", named(file, name.as_ref()), if *force { " by force" } else { "" })
        }
        ControlRequest::Canary { file, name, force, policy, .. } => {
            let steps = policy.steps.as_deref().unwrap_or(STEPS);
            let force = if *force { " by force" } else { "" };
            format!("canary {} at {steps}{force}", named(file, name.as_ref()))
        }
        ControlRequest::Shadow { file, name, force, policy } => {
            let share = policy.share.as_deref().unwrap_or(SHARE);
            let force = if *force { " by force" } else { "" };
            format!("shadow {} with {share}{force}", named(file, name.as_ref()))
        }
        ControlRequest::Promote { name, force } => {
            format!("promote the canary of {name}{}", if *force { " by force" } else { "" })
        }
        ControlRequest::Abort { name } => format!("abort the canary or the shadow of {name}"),
        ControlRequest::Pause { name } => format!("pause the canary of {name}"),
        ControlRequest::Resume { name } => format!("resume the canary of {name}"),
        ControlRequest::Remove { name } => format!("remove {name}"),
        ControlRequest::Rollback { name } => format!("roll back {name}"),
        ControlRequest::LogLevel { levels } => format!("log {}", levels.as_deref().unwrap_or_default()),
        ControlRequest::ForwardSet(set) => {
            let side = set.side.as_deref().unwrap_or("as before");
            let on_failure = set.on_failure.map_or_else(String::new, |what| format!(", on failure {what}"));
            format!("forward {}: {side}{on_failure}", set.methods)
        }
        ControlRequest::List {}
        | ControlRequest::Metrics {}
        | ControlRequest::Status {}
        | ControlRequest::Requests {}
        | ControlRequest::Failures {}
        | ControlRequest::Forward {} => "look".to_owned(),
    }
}

/// The handler that a file is to be.
fn named(file: &Path, name: Option<&String>) -> String {
    name.cloned().unwrap_or_else(|| file.file_stem().unwrap_or_default().to_string_lossy().into_owned())
}

async fn answer(request: ControlRequest, operated: Operated) -> ControlAnswer {
    let Operated { keeper, metrics, levels, forwarding, journal } = operated;
    match request {
        ControlRequest::Metrics {} => ControlAnswer::Metrics { text: metrics.encode() },
        ControlRequest::Status {} => ControlAnswer::Status(metrics.health()),
        ControlRequest::LogLevel { levels: None } => ControlAnswer::LogLevel(LogLevels { levels: levels.now() }),
        ControlRequest::LogLevel { levels: Some(text) } => match levels.change(&text) {
            Ok(before) => {
                tracing::warn!(before, now = text, "an operator has changed what is logged");
                ControlAnswer::LogLevel(LogLevels { levels: text })
            }
            Err(error) => ControlAnswer::failed(Kind::Request, error.to_string()),
        },
        ControlRequest::List {} => at_once(keeper, ControlAnswer::list).await,
        ControlRequest::Remove { name } => at_once(keeper, move |keeper| ControlAnswer::remove(keeper, &name)).await,
        ControlRequest::Rollback { name } => {
            at_once(keeper, move |keeper| ControlAnswer::rollback(keeper, &name)).await
        }
        ControlRequest::Promote { name, force } => {
            at_once(keeper, move |keeper| ControlAnswer::added(keeper.promote(&name, force))).await
        }
        ControlRequest::Abort { name } => at_once(keeper, move |keeper| ControlAnswer::aborted(keeper, &name)).await,
        ControlRequest::Pause { name } => at_once(keeper, move |keeper| ControlAnswer::paused(keeper, &name)).await,
        ControlRequest::Resume { name } => at_once(keeper, move |keeper| ControlAnswer::resumed(keeper, &name)).await,
        ControlRequest::Canary { file, name, force, gate, policy } => {
            match Terms::read(force, &gate).and_then(|terms| Ok((terms, Policy::read(&policy)?))) {
                Ok((terms, policy)) => ControlAnswer::added(keeper.canary(&file, name, terms, policy).await),
                Err(wrong) => ControlAnswer::failed(Kind::Request, wrong),
            }
        }
        ControlRequest::Shadow { file, name, force, policy } => match shadow::Policy::read(&policy) {
            Ok(policy) => ControlAnswer::added(keeper.shadow(&file, name, force, policy).await),
            Err(wrong) => ControlAnswer::failed(Kind::Request, wrong),
        },
        ControlRequest::Requests {} => ControlAnswer::Requests(journal.activity()),
        ControlRequest::Failures {} => ControlAnswer::Failures(Failures { failures: journal.failures() }),
        ControlRequest::Forward {} => forwarding::list(forwarding.as_ref()),
        ControlRequest::ForwardSet(set) => forwarding::set(forwarding.as_ref(), &keeper, &set),
        ControlRequest::Add { file, name, force, gate } => match Terms::read(force, &gate) {
            Ok(terms) => ControlAnswer::added(keeper.add(&file, name, terms).await),
            Err(wrong) => ControlAnswer::failed(Kind::Request, wrong),
        },
    }
}

/// Files are moved, on a disk that may be slow: other tasks go on meanwhile.
async fn at_once(keeper: Arc<Keeper>, act: impl FnOnce(&Keeper) -> ControlAnswer + Send + 'static) -> ControlAnswer {
    let acted = tokio::task::spawn_blocking(move || act(&keeper)).await;
    acted.unwrap_or_else(|error| ControlAnswer::failed(Kind::Internal, error.to_string()))
}
