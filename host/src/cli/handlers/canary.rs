//! `nova-host handlers canary`: what is asked for, how a canary is shown, and how it is followed to its end.
//!
//! Before it: [`super::Handlers`]. After it: the host, which does it whether or not anybody follows.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::super::{
    Exit, Failed, Options,
    running::{ago, ask, digest, given},
    say,
};
use super::gates::Gates;
use crate::{
    canary::{
        CanaryState, Policy,
        policy::{EVERY, MAX_FAILURES, MAX_LATENCY, MIN_REQUESTS, STEPS, Wishes},
        report::Stage,
    },
    config::Config,
    control::protocol::{ControlAnswer, ControlRequest, Handlers},
    printable::printable,
};

/// How often a canary is looked at that is followed.
const EVERY_LOOK: Duration = Duration::from_millis(500);

/// The host is on this machine, and there at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of one line.
const MAX_LINE: usize = 16 << 10;

/// Arguments of `handlers canary`.
#[derive(Debug, clap::Args)]
pub(super) struct Canary {
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
    /// The shares of requests that it gets, one after the other
    #[arg(long, default_value = STEPS)]
    steps: String,
    /// How long each step lasts at least
    #[arg(long, default_value = EVERY)]
    every: String,
    /// How many more of its requests may fail than of the serving version's
    #[arg(long, default_value = MAX_FAILURES, value_name = "SHARE")]
    max_failures: String,
    /// How much slower than the serving version it may be
    #[arg(long, default_value = MAX_LATENCY, value_name = "FACTOR")]
    max_latency: String,
    /// Requests of each version that it takes to go on from a step
    #[arg(long, default_value_t = MIN_REQUESTS, value_name = "NUMBER")]
    min_requests: u64,
    /// By what requests are told apart: request-id, or a field of the context, such as context.project_id
    #[arg(long, default_value = "request-id", value_name = "WHAT")]
    by: String,
    /// Follow it until it ends or pauses: code 0 where it is promoted, or served already, 3 where it is not
    #[arg(long)]
    pub(super) wait: bool,
}

impl Canary {
    pub(super) fn request(self) -> Result<(ControlRequest, String), Failed> {
        let Self { file, name, force, gates, steps, every, max_failures, max_latency, min_requests, by, wait: _ } =
            self;
        let policy = Wishes {
            steps: Some(steps),
            every: Some(every),
            max_failures: Some(max_failures),
            max_latency: Some(max_latency),
            min_requests: Some(min_requests),
            by: Some(by),
        };
        Policy::read(&policy).map_err(|wrong| Failed::new(Exit::Usage, wrong))?;
        let (gate, (file, shown)) = (gates.wishes(force)?, given(Path::new(&file), name.as_ref())?);
        Ok((ControlRequest::Canary { file, name, force, gate, policy }, shown))
    }
}

/// A canary for a person.
pub(super) fn lines(canary: &CanaryState) -> Vec<String> {
    let CanaryState { stage, generation, share, step, steps, new, old, beside, since, .. } = canary;
    let (stage, digest) = (stage.as_str(), digest(&canary.digest));
    let mut lines = vec![
        format!(
            "generation {generation}, {digest}, {stage} {}, {share} of requests, step {step} of {}",
            ago(*since),
            steps.len()
        ),
        format!(
            "{} requests, {} failed; meanwhile on generation {beside}: {}, {} failed",
            new.requests, new.failures, old.requests, old.failures
        ),
    ];
    lines.extend(canary.why.clone());
    lines
}

/// Follows a canary to its end, and says each change.
pub(super) async fn follow(config: &Config, options: &Options, name: &str, generation: u64) -> anyhow::Result<()> {
    let mut said = None;
    loop {
        let answer = ask(config, &ControlRequest::List {}, PATIENCE).await.map_err(|failed| match failed.exit {
            // A canary ends with its host.
            Exit::Control => ended(name, &format!("its host is there no more, or does not answer: {}", failed.message)),
            _ => failed,
        })?;
        let ControlAnswer::Handlers(Handlers { handlers, .. }) = answer else {
            return Err(Failed::new(Exit::Handlers, "the host does not list its handlers").into());
        };
        let Some(handler) = handlers.into_iter().find(|handler| handler.name == name) else {
            return Err(ended(name, "overtaken: the handler was removed").into());
        };
        let Some(canary) = handler.canary.filter(|canary| canary.generation == generation) else {
            return Err(ended(name, "not there any more: its host has restarted, or another canary has begun").into());
        };
        let now = (canary.stage, canary.step);
        if said != Some(now) {
            said = Some(now);
            if options.json {
                say(serde_json::to_string(&canary)?);
            } else {
                lines(&canary).iter().for_each(|line| say(printable(line, MAX_LINE)));
            }
        }
        if canary.stage == Stage::Promoted {
            return Ok(());
        }
        // One that pauses waits for an operator, which a script should not wait for.
        if canary.stage != Stage::Running {
            let why = canary.why.unwrap_or_default();
            return Err(ended(name, &format!("{}: {why}", canary.stage.as_str())).into());
        }
        tokio::time::sleep(EVERY_LOOK).await;
    }
}

/// It is not promoted.
fn ended(name: &str, how: &str) -> Failed {
    Failed::new(Exit::Handlers, printable(&format!("the canary of {name} is {how}"), MAX_LINE))
}
