//! `nova-host inspect`: what one component is.

use std::path::PathBuf;

use super::{Exit, Failed, Options, contract, say, show, telemetry};
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
        let sandbox = host::sandbox(&config, &Metrics::default()).await.map_err(Failed::from)?;
        let refused = |error| Failed::new(Exit::Handlers, format!("{}: {error}", self.file.display()));
        let name = load::name_of(&self.file).map_err(refused)?;
        let source = load::read(&self.file).map_err(refused)?;
        let generation = load::generation(&name, source, &sandbox, &config.limits).await.map_err(refused)?;
        let program = &generation.program;
        if options.json {
            let mut json = show::json(&generation);
            if let Some(json) = json.as_object_mut() {
                json.insert("imports".to_owned(), program.imports().into());
                json.insert("exports".to_owned(), program.exports().into());
                json.insert("types".to_owned(), contract::signatures_json(program));
            }
            say(json);
            return Ok(());
        }
        let mut lines = vec![("sha256", program.digest().as_str().to_owned())];
        lines.extend(program.imports().iter().map(|import| ("imports", import.clone())));
        lines.extend(program.exports().iter().map(|export| ("exports", export.clone())));
        lines.extend(show::lines(&generation));
        lines.extend(contract::signatures(program).into_iter().map(|signature| ("method", signature)));
        lines.iter().for_each(|(what, line)| say(format_args!("{what:<8} {line}")));
        Ok(())
    }
}
