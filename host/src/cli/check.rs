//! `nova-host check`: what would be served, without serving it; or what a new version of a handler would break.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Exit, Failed, Options, contract::Contract, say, show, telemetry};
use crate::{admin, confine, host, metrics::Metrics};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// A component whose callers must not be broken
    #[arg(long, value_name = "OLD", requires = "new")]
    against: Option<PathBuf>,
    /// The component that would take its place
    #[arg(requires = "against")]
    new: Option<PathBuf>,
}

impl Check {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        match (self.against, self.new) {
            (Some(old), Some(new)) => compare(&old, &new, options).await,
            _ => directory(options).await,
        }
    }
}

/// Says what breaks the callers of the old component.
async fn compare(old: &Path, new: &Path, options: &Options) -> anyhow::Result<()> {
    let config = options.load(&[("log", "off")])?;
    telemetry::start(&config.log, options.json)?;
    let (was, is) = (Contract::of(old, &config).await?, Contract::of(new, &config).await?);
    let breaks = is.breaks(&was);
    if options.json {
        say(json!({"breaks": breaks}));
    } else {
        breaks.iter().for_each(say);
    }
    match breaks.len() {
        0 => Ok(()),
        count => {
            let message = format!("{} breaks callers of {} in {count} way(s)", new.display(), old.display());
            Err(Failed::new(Exit::Handlers, message).into())
        }
    }
}

async fn directory(options: &Options) -> anyhow::Result<()> {
    let config = options.load(&[("log", "off")])?;
    telemetry::start(&config.log, options.json)?;
    admin::check(&config.admin).map_err(Failed::from)?;
    let keeper = host::keeper(&config, &Metrics::default()).await.map_err(Failed::from)?;
    host::load(&keeper).await.map_err(Failed::from)?;
    let catalog = keeper.current().get();
    let refused: Vec<_> = (keeper.list().into_iter())
        .filter_map(|handler| {
            Some((config.handlers.directory.join(format!("{}.wasm", handler.name)), handler.refused?.reason))
        })
        .collect();
    let of_handlers = catalog.generations().iter().filter_map(|generation| {
        Some(format!("{}: {}", generation.name, generation.warning(config.serve.dispatch.policy)?))
    });
    let warnings: Vec<String> = config.warnings.iter().cloned().chain(of_handlers).chain(confine::missing()).collect();
    if options.json {
        let refused: Vec<_> = refused.iter().map(|(path, reason)| json!({"path": path, "reason": reason})).collect();
        let served: Vec<_> = catalog.generations().iter().map(|generation| show::json(generation)).collect();
        say(json!({"handlers": served, "refused": refused, "warnings": warnings}));
    } else {
        for generation in catalog.generations() {
            say(format_args!("{}  sha256:{}", generation.name, generation.program.digest().short()));
            show::lines(generation).iter().for_each(|(what, line)| say(format_args!("  {what:<8} {line}")));
        }
        for (path, reason) in &refused {
            say(format_args!("refused: {}: {reason}", path.display()));
        }
        warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
    }
    match refused.len() {
        0 if catalog.generations().is_empty() => {
            let directory = config.handlers.directory.display();
            Err(Failed::new(Exit::Handlers, format!("no handler in {directory}: put NAME.wasm files there")).into())
        }
        0 => Ok(()),
        count => Err(Failed::new(Exit::Handlers, format!("{count} handler(s) refused")).into()),
    }
}
