//! `nova-host handlers`: asks a running host about its handlers, and exchanges them.
//!
//! After it: [`crate::control`], over the socket of a host on this machine.

mod canary;
mod gates;
mod lend;
mod shadow;

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;

use super::{
    Exit, Failed, Options,
    running::{ago, ask, digest, given},
    say,
};
use crate::{
    catalog::shelf::{GenerationState, HandlerState},
    control::protocol::{self, Changed, ControlAnswer, ControlRequest},
    printable::printable,
    settings::patience,
};
use canary::Canary;
use gates::Gates;
use shadow::Shadow;

/// Bytes of one line of the list.
const MAX_LINE: usize = 16 << 10;

/// Arguments of `handlers`.
#[derive(Debug, clap::Args)]
pub(super) struct Handlers {
    #[command(subcommand)]
    what: What,
    /// How long to wait for the host
    #[arg(long, global = true, default_value = "5m", value_parser = patience)]
    timeout: Duration,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What is served, what a rollback would go back to, and what was refused and why
    List,
    /// Try a component; if it is good, serve it and put it into the directory of handlers
    Add {
        /// NAME.wasm, with an optional manifest NAME.toml beside it
        file: PathBuf,
        /// The handler's name instead of the file's
        #[arg(long)]
        name: Option<String>,
        /// Let methods go that were called recently, and ask no gate
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        gates: Gates,
    },
    /// Stop serving a handler and take it out of the directory of handlers
    Remove {
        /// The handler's name
        name: String,
    },
    /// Try a new version on a share of the requests, judge it against the one that serves, and go on or back by itself
    Canary(Canary),
    /// Run a new version on a share of the requests as well, after they are answered, and say where it does otherwise
    Shadow(Shadow),
    /// Serve all requests with the version that a canary tries, now
    Promote {
        /// The handler's name
        name: String,
        /// Let methods go that were called recently
        #[arg(long)]
        force: bool,
    },
    /// End a canary, so that the version that serves has all requests again; or a shadow
    Abort {
        /// The handler's name
        name: String,
    },
    /// Keep a canary at its share; it still goes back by itself
    Pause {
        /// The handler's name
        name: String,
    },
    /// Have a canary go on by itself again
    Resume {
        /// The handler's name
        name: String,
    },
    /// Serve the version before, at once; refused while a canary runs (abort it first)
    Rollback {
        /// The handler's name
        name: String,
    },
}

impl Handlers {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", "off")])?;
        let follows = match &self.what {
            What::Canary(canary) => canary.wait,
            What::Shadow(shadow) => shadow.wait,
            _ => false,
        };
        let (request, name) = self.what.request()?;
        let (request, _lent) = lend::lend(&config, request).await?;
        let answer = ask(&config, &request, self.timeout).await?;
        if options.json {
            say(serde_json::to_string(&answer)?);
        } else {
            lines(&answer, &name).iter().for_each(say);
        }
        match answer {
            ControlAnswer::Failed { message, .. } => {
                let message = if options.json { String::new() } else { printable(&message, MAX_LINE) };
                Err(Failed::new(Exit::Handlers, message).into())
            }
            ControlAnswer::Changed(Changed::OnTrial { generation, .. }) if follows => {
                canary::follow(&config, options, &name, generation).await
            }
            ControlAnswer::Changed(Changed::Shadowed { generation, .. }) if follows => {
                shadow::follow(&config, options, &name, generation).await
            }
            _ => Ok(()),
        }
    }
}

impl What {
    /// What to ask, and which handler it is about.
    fn request(self) -> Result<(ControlRequest, String), Failed> {
        Ok(match self {
            Self::List => (ControlRequest::List {}, String::new()),
            Self::Remove { name } => (ControlRequest::Remove { name: name.clone() }, name),
            Self::Rollback { name } => (ControlRequest::Rollback { name: name.clone() }, name),
            Self::Promote { name, force } => (ControlRequest::Promote { name: name.clone(), force }, name),
            Self::Abort { name } => (ControlRequest::Abort { name: name.clone() }, name),
            Self::Pause { name } => (ControlRequest::Pause { name: name.clone() }, name),
            Self::Resume { name } => (ControlRequest::Resume { name: name.clone() }, name),
            Self::Canary(canary) => canary.request()?,
            Self::Shadow(shadow) => shadow.request()?,
            Self::Add { file, name, force, gates } => {
                let (gate, (file, shown)) = (gates.wishes(force)?, given(&file, name.as_ref())?);
                (ControlRequest::Add { file, name, force, gate }, shown)
            }
        })
    }
}

/// The answer for a person.
fn lines(answer: &ControlAnswer, name: &str) -> Vec<String> {
    let lines = match answer {
        ControlAnswer::Handlers(protocol::Handlers { directory, handlers }) if handlers.is_empty() => {
            vec![format!("no handler in {}", directory.display())]
        }
        ControlAnswer::Handlers(protocol::Handlers { handlers, .. }) => handlers.iter().flat_map(handler).collect(),
        // To another subcommand.
        ControlAnswer::Forward(_) | ControlAnswer::Requests(_) | ControlAnswer::Failures(_) => Vec::new(),
        ControlAnswer::Metrics { text } => text.lines().map(str::to_owned).collect(),
        ControlAnswer::Changed(changed) => changed_lines(changed, name),
        // Of other commands.
        ControlAnswer::Status(_) | ControlAnswer::LogLevel(_) | ControlAnswer::Failed { .. } => Vec::new(),
    };
    lines.iter().map(|line| printable(line, MAX_LINE)).collect()
}

/// What has become of a handler of this name.
fn changed_lines(changed: &Changed, name: &str) -> Vec<String> {
    match changed {
        Changed::Added { generation } => vec![format!("{name} is served: generation {generation}")],
        Changed::Replaced { generation, instead_of } => {
            vec![format!("{name} is replaced: generation {generation} instead of {instead_of}")]
        }
        Changed::OnTrial { generation, beside } => vec![
            format!("{name} is on trial: generation {generation} beside {beside}"),
            format!(
                "`nova-host handlers list` says how it does; `abort {name}`, `pause {name}` and `promote {name}` interfere"
            ),
        ],
        Changed::Shadowed { generation, beside } => vec![
            format!("{name} is shadowed: requests of generation {beside} are compared with generation {generation}"),
            format!("`nova-host handlers list` says what is found; `abort {name}` ends it"),
        ],
        Changed::ShadowEnded => vec![format!("the shadow of {name} is ended")],
        Changed::Paused => vec![format!("the canary of {name} is paused")],
        Changed::Resumed => vec![format!("the canary of {name} goes on")],
        Changed::Aborted => vec![format!("the canary of {name} is ended: what served beside it serves all requests")],
        Changed::Unchanged { generation } => vec![format!("{name} is served already: generation {generation}")],
        Changed::Removed => vec![format!("{name} is removed")],
        Changed::RolledBack { generation, instead_of, directory } => {
            let mut lines = vec![format!("{name} is rolled back: generation {generation} instead of {instead_of}")];
            lines.extend(directory.iter().map(|reason| format!("but a restart would serve another version: {reason}")));
            lines
        }
    }
}

fn handler(handler: &HandlerState) -> Vec<String> {
    let mut lines = vec![handler.name.clone()];
    let mut say = |what: &str, text: String| lines.push(format!("  {what:<9} {text}"));
    match &handler.serving {
        Some(serving) => {
            say("serving", generation(serving));
            for endpoint in &serving.endpoints {
                let namespace = endpoint.namespace.as_deref().unwrap_or("(no namespace)");
                say("", format!("{namespace} {}: {}", endpoint.version, endpoint.methods.join(", ")));
            }
        }
        None if handler.refused.is_none() => say("serving", "nothing yet: it is about to be tried".to_owned()),
        None => say("serving", "nothing: no version was accepted".to_owned()),
    }
    handler.previous.iter().for_each(|previous| say("previous", generation(previous)));
    handler.canary.iter().flat_map(canary::lines).for_each(|line| say("canary", line));
    handler.shadow.iter().flat_map(shadow::lines).for_each(|line| say("shadow", line));
    handler.ending.iter().for_each(|ending| say("ending", generation(ending)));
    if let Some(refused) = &handler.refused {
        let digest = refused.digest.as_deref().map_or_else(|| "unreadable".to_owned(), digest);
        say("refused", format!("{digest}, {}: {}", ago(refused.at), refused.reason));
    }
    lines
}

fn generation(state: &GenerationState) -> String {
    format!(
        "generation {}, {}, loaded {}, {} in flight, {} accepted",
        state.generation,
        digest(&state.digest),
        ago(state.loaded),
        state.in_flight,
        state.accepted
    )
}
