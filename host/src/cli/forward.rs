//! `nova-host forward`: what goes on to the service behind this one, and how that service moves aside.
//!
//! After it: [`crate::control`], over the socket of a host on this machine.

mod aside;

use std::time::Duration;

use clap::Subcommand;

use super::{Exit, Failed, Options, running::ask, say};
use crate::{
    control::protocol::{ControlAnswer, ControlRequest, ForwardSet, ForwardState, RuleState},
    forward::{MethodState, OnFailure},
    printable::printable,
};
use aside::Site;

/// It is asked for on this machine, and is there at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of one line of the list.
const MAX_LINE: usize = 16 << 10;

/// Arguments of `forward`.
#[derive(Debug, clap::Args)]
pub(super) struct Forward {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What is forwarded, and how many requests of each method went where
    List,
    /// Have the requests of some methods served or forwarded, until the next start
    Set(Set),
    /// Look whether all is ready, and put this service before the one behind
    Prepare {
        /// Change nothing; say what would be changed
        #[arg(long)]
        dry_run: bool,
    },
    /// Say whether this service stands before the one behind; ends with code 8 where it does not
    Status,
    /// Give the service behind its requests back
    Undo {
        /// Change nothing; say what would be changed
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, clap::Args)]
struct Set {
    /// METHOD of the null namespace, NAMESPACE.METHOD, NAMESPACE.* or *
    methods: String,
    /// serve, forward, serve 10% for a share of the users' operations, or default for what is configured
    #[arg(num_args = 0..=2, required_unless_present = "on_failure")]
    side: Vec<String>,
    /// Where a handler fails: forward, for methods that may run twice, or refuse
    #[arg(long)]
    on_failure: Option<OnFailure>,
}

impl Forward {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", "off")])?;
        let request = match self.what {
            What::List => ControlRequest::Forward {},
            What::Set(set) => ControlRequest::ForwardSet(set.request()?),
            What::Prepare { dry_run } => return Site::open(&config).await?.prepare(options, dry_run).await,
            What::Status => return Site::open(&config).await?.status(options).await,
            What::Undo { dry_run } => return Site::open(&config).await?.undo(options, dry_run).await,
        };
        let answer = ask(&config, &request, PATIENCE).await?;
        if options.json {
            say(serde_json::to_string(&answer)?);
        }
        match answer {
            ControlAnswer::Forward(_) if options.json => Ok(()),
            ControlAnswer::Forward(state) => {
                lines(&state).iter().for_each(say);
                Ok(())
            }
            ControlAnswer::Failed { message, .. } => {
                let message = if options.json { String::new() } else { printable(&message, MAX_LINE) };
                Err(Failed::new(Exit::Usage, message).into())
            }
            other => anyhow::bail!("the host answered {other:?}"),
        }
    }
}

impl Set {
    fn request(self) -> Result<ForwardSet, Failed> {
        let Self { methods, side, on_failure } = self;
        let side = match side.join(" ").as_str() {
            "default" if on_failure.is_some() => {
                return Err(Failed::new(Exit::Usage, "default takes everything back: give no --on-failure with it"));
            }
            "" | "default" => None,
            side => Some(side.to_owned()),
        };
        Ok(ForwardSet { methods, side, on_failure })
    }
}

/// What people read.
fn lines(state: &ForwardState) -> Vec<String> {
    let ForwardState { exchange, topic, rules, methods } = state;
    let topic = topic.as_deref().map_or_else(String::new, |topic| format!(", topic {}", printable(topic, MAX_LINE)));
    let mut lines = vec![format!("behind: exchange {}{topic}", printable(exchange, MAX_LINE))];
    for RuleState { methods, side, on_failure } in rules {
        let side = side.as_deref().unwrap_or("serve where a handler has it");
        let on_failure = on_failure.map_or_else(String::new, |what| format!(", on failure {what}"));
        lines.push(format!("rule: {}: {side}{on_failure}", printable(methods, MAX_LINE)));
    }
    lines.push("rule: all others: serve where a handler has it, else forward".to_owned());
    lines.push(String::new());
    let widest = methods.iter().map(|state| state.method.chars().count()).max().unwrap_or_default().max("method".len());
    lines.push(format!("{:widest$}  {:>9}  {:>9}  {:>6}  {:>6}", "method", "served", "forwarded", "left", "failed"));
    for MethodState { method, served, forwarded, left, failed } in methods {
        let method = printable(method, MAX_LINE);
        lines.push(format!("{method:widest$}  {served:>9}  {forwarded:>9}  {left:>6}  {failed:>6}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_rules_and_counts() {
        let methods =
            vec![MethodState { method: "compute_task.build".into(), served: 1, forwarded: 20, left: 0, failed: 3 }];
        let rule = |methods: &str, side: Option<&str>, on_failure| RuleState {
            methods: methods.into(),
            side: side.map(str::to_owned),
            on_failure,
        };
        let rules = vec![rule("*", Some("forward"), None), rule("a.*", None, Some(OnFailure::Forward))];
        let state = ForwardState { exchange: "legacy".into(), topic: None, rules, methods };
        assert_eq!(
            lines(&state),
            [
                "behind: exchange legacy",
                "rule: *: forward",
                "rule: a.*: serve where a handler has it, on failure forward",
                "rule: all others: serve where a handler has it, else forward",
                "",
                "method                 served  forwarded    left  failed",
                "compute_task.build          1         20       0       3",
            ]
        );
    }
}
