//! `nova-host check`: what would be served, without serving it; or what a new version of a handler would break.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Exit, Failed, Options, contract::Contract, say, telemetry};
use crate::{
    catalog::{Endpoint, Generation},
    host,
    metrics::Metrics,
};

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
    let handlers = host::handlers(&config, &Metrics::default()).await.map_err(Failed::from)?;
    let generations = handlers.catalog.generations();
    if options.json {
        let refused: Vec<_> = (handlers.refused.iter())
            .map(|refused| json!({"path": refused.path, "reason": refused.reason.to_string()}))
            .collect();
        let served: Vec<_> = generations.iter().map(|generation| describe(generation)).collect();
        say(json!({"handlers": served, "refused": refused}));
    } else {
        for generation in generations {
            say(format_args!("{}  sha256:{}", generation.name, generation.program.digest().short()));
            for endpoint in &generation.endpoints {
                let namespace = endpoint.namespace.as_deref().unwrap_or("(no namespace)");
                say(format_args!("  {namespace} {}: {}", endpoint.version, sorted(endpoint).join(", ")));
            }
        }
        for refused in &handlers.refused {
            say(format_args!("refused: {}: {}", refused.path.display(), refused.reason));
        }
    }
    match handlers.refused.len() {
        0 if generations.is_empty() => {
            let directory = config.handlers.directory.display();
            Err(Failed::new(Exit::Handlers, format!("no handler in {directory}: put NAME.wasm files there")).into())
        }
        0 => Ok(()),
        count => Err(Failed::new(Exit::Handlers, format!("{count} handler(s) refused")).into()),
    }
}

fn describe(generation: &Generation) -> serde_json::Value {
    let endpoints: Vec<_> = (generation.endpoints.iter())
        .map(|endpoint| {
            json!({
                "namespace": endpoint.namespace, "version": endpoint.version.to_string(), "methods": sorted(endpoint),
            })
        })
        .collect();
    json!({"name": generation.name, "digest": generation.program.digest().as_str(), "endpoints": endpoints})
}

fn sorted(endpoint: &Endpoint) -> Vec<&str> {
    let mut methods: Vec<&str> = endpoint.methods.iter().map(String::as_str).collect();
    methods.sort_unstable();
    methods
}
