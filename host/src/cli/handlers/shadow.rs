//! `nova-host handlers shadow`: what is asked for, how a shadow is shown, and how it is followed to its end.
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
use crate::{
    config::Config,
    control::protocol::{ControlAnswer, ControlRequest, Handlers},
    printable::printable,
    shadow::{
        Policy, ShadowState,
        policy::{SHARE, Wishes},
        report::{Counts, MethodState, NotCompared, ShadowStage},
    },
};

/// How often a shadow is looked at that is followed.
const EVERY_LOOK: Duration = Duration::from_millis(500);

/// The host is on this machine, and there at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of one line.
const MAX_LINE: usize = 16 << 10;

/// Places that are shown, and requests; `--json` has more.
const MAX_PLACES: usize = 10;
const MAX_EXAMPLES: usize = 3;

/// Arguments of `handlers shadow`.
#[derive(Debug, clap::Args)]
pub(super) struct Shadow {
    /// NAME.wasm, with an optional manifest NAME.toml beside it
    file: PathBuf,
    /// The handler's name instead of the file's
    #[arg(long)]
    name: Option<String>,
    /// Compare also where methods go that were called recently
    #[arg(long)]
    force: bool,
    /// The share of requests that are compared
    #[arg(long, default_value = SHARE)]
    share: String,
    /// By what requests are told apart: request-id, or a field of the context, such as context.project_id
    #[arg(long, default_value = "request-id", value_name = "WHAT")]
    by: String,
    /// Where something differs, run the serving version again too, and ignore what differs from itself at another time
    #[arg(long)]
    noise: bool,
    /// A path of results that may differ: /instances/*/updated_at, or /**/updated_at (may be given several times)
    #[arg(long, value_name = "PATH")]
    ignore: Vec<String>,
    /// End after so many compared requests
    #[arg(long, value_name = "NUMBER")]
    until: Option<u64>,
    /// Follow it until it ends: code 0 where --until was reached and all were the same, 3 where not
    #[arg(long)]
    pub(super) wait: bool,
}

impl Shadow {
    pub(super) fn request(self) -> Result<(ControlRequest, String), Failed> {
        let Self { file, name, force, share, by, noise, ignore, until, wait: _ } = self;
        let policy = Wishes { share: Some(share), by: Some(by), noise, ignore, until };
        Policy::read(&policy).map_err(|wrong| Failed::new(Exit::Usage, wrong))?;
        let (file, shown) = given(Path::new(&file), name.as_ref())?;
        Ok((ControlRequest::Shadow { file, name, force, policy }, shown))
    }
}

/// A shadow for a person.
pub(super) fn lines(shadow: &ShadowState) -> Vec<String> {
    let ShadowState { stage, generation, share, beside, since, compared, methods, .. } = shadow;
    let (stage, digest) = (stage.as_str(), digest(&shadow.digest));
    let mut lines = vec![
        format!(
            "generation {generation}, {digest}, {stage} {}, {share} of requests of generation {beside}",
            ago(*since)
        ),
        counted(compared) + &not_compared(&shadow.not_compared),
    ];
    lines.extend(shadow.why.clone());
    let differing: Vec<&MethodState> = methods.iter().filter(|method| method.counts.not_same() > 0).collect();
    let places = differing.iter().flat_map(|method| {
        let line = |place: &crate::shadow::report::PlaceState| {
            format!("{}: {} times {}, {}: {}", method.method, place.count, place.outcome, place.place, place.how)
        };
        method.places.iter().map(line)
    });
    let mut places: Vec<String> = places.collect();
    let more = places.len().saturating_sub(MAX_PLACES);
    places.truncate(MAX_PLACES);
    lines.extend(places);
    if more > 0 {
        lines.push(format!("and at {more} other places, which --json has"));
    }
    let examples = differing.iter().flat_map(|method| &method.examples).take(MAX_EXAMPLES).map(|example| {
        let recording = example.recording.as_ref();
        let recording =
            recording.map_or_else(String::new, |id| format!(" (`nova-host replay {id} --handler FILE` shows it)"));
        let id = example.request_id.as_deref().unwrap_or("without an id");
        format!("such as request {id}, {}{recording}: {}", ago(example.at), example.place)
    });
    lines.extend(examples);
    lines
}

fn counted(counts: &Counts) -> String {
    let Counts { same, differs, diverged, failed } = counts;
    format!("{} compared: {same} same, {differs} differ, {diverged} diverged, {failed} failed", counts.all())
}

fn not_compared(not: &NotCompared) -> String {
    let NotCompared { dropped, too_large, not_run, timed_out, noisy } = not;
    let parts = [
        (*dropped, "dropped"),
        (*too_large, "too large"),
        (*not_run, "not run"),
        (*timed_out, "timed out"),
        (*noisy, "never the same twice"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    if parts.is_empty() { String::new() } else { format!("; not compared: {}", parts.join(", ")) }
}

/// Follows a shadow to its end, and says what it has found.
pub(super) async fn follow(config: &Config, options: &Options, name: &str, generation: u64) -> anyhow::Result<()> {
    let ended = |how: &str| Failed::new(Exit::Handlers, printable(&format!("the shadow of {name} {how}"), MAX_LINE));
    loop {
        let answer = ask(config, &ControlRequest::List {}, PATIENCE).await.map_err(|failed| match failed.exit {
            // A shadow ends with its host.
            Exit::Control => ended(&format!("is not there: its host does not answer: {}", failed.message)),
            _ => failed,
        })?;
        let ControlAnswer::Handlers(Handlers { handlers, .. }) = answer else {
            return Err(Failed::new(Exit::Handlers, "the host does not list its handlers").into());
        };
        let handler = handlers.into_iter().find(|handler| handler.name == name);
        let shadow = handler.and_then(|handler| handler.shadow).filter(|shadow| shadow.generation == generation);
        let Some(shadow) = shadow else {
            let how =
                "is not there any more: its handler was removed, its host has restarted, or another shadow has begun";
            return Err(ended(how).into());
        };
        if shadow.stage == ShadowStage::Running {
            tokio::time::sleep(EVERY_LOOK).await;
            continue;
        }
        if options.json {
            say(serde_json::to_string(&shadow)?);
        } else {
            lines(&shadow).iter().for_each(|line| say(printable(line, MAX_LINE)));
        }
        return match (shadow.stage, shadow.compared.not_same()) {
            (ShadowStage::Done, 0) => Ok(()),
            (ShadowStage::Done, not_same) => {
                Err(ended(&format!("has found {not_same} of {} not the same", shadow.compared.all())).into())
            }
            (stage, _) => Err(ended(&format!("is {}: {}", stage.as_str(), shadow.why.unwrap_or_default())).into()),
        };
    }
}
