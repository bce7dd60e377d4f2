//! `nova-host inspect`: what one component is.

use std::path::PathBuf;

use serde_json::json;

use super::{Exit, Failed, Options, contract, say, telemetry};
use crate::{catalog::load, host, metrics::Metrics};

/// Arguments of `inspect`.
#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    /// A component
    file: PathBuf,
}

impl Inspect {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", "warn")])?;
        telemetry::start(&config.log, options.json)?;
        let sandbox = host::sandbox(&config, &Metrics::default()).map_err(Failed::from)?;
        let inspection = load::inspect(&self.file, &sandbox, &config.limits)
            .await
            .map_err(|error| Failed::new(Exit::Handlers, format!("{}: {error}", self.file.display())))?;
        let (program, limits) = (&inspection.program, inspection.program.limits());
        if options.json {
            let endpoints: Vec<_> = (inspection.endpoints.iter())
                .map(|offer| json!({"namespace": offer.namespace, "version": offer.version, "methods": offer.methods}))
                .collect();
            say(json!({
                "digest": inspection.digest().as_str(),
                "imports": program.imports(),
                "exports": program.exports(),
                "endpoints": endpoints,
                "types": contract::signatures_json(program),
                "limits": {
                    "timeout_ms": u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX),
                    "memory": limits.memory.0,
                    "arguments": limits.arguments.0,
                    "result": limits.result.0,
                    "log": limits.log.0,
                    "concurrency": limits.concurrency,
                },
            }));
            return Ok(());
        }
        say(format_args!("sha256   {}", inspection.digest().as_str()));
        for import in program.imports() {
            say(format_args!("imports  {import}"));
        }
        for export in program.exports() {
            say(format_args!("exports  {export}"));
        }
        for offer in &inspection.endpoints {
            let namespace = offer.namespace.as_deref().unwrap_or("(no namespace)");
            say(format_args!("serves   {namespace} {}: {}", offer.version, offer.methods.join(", ")));
        }
        for signature in contract::signatures(program) {
            say(format_args!("method   {signature}"));
        }
        say(format_args!(
            "limits   timeout {:?}, memory {}, arguments {}, result {}, log {}",
            limits.timeout, limits.memory, limits.arguments, limits.result, limits.log
        ));
        Ok(())
    }
}
