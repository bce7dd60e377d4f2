//! `nova-host check`: what would be served, without serving it.

use serde_json::json;

use super::{Exit, Failed, Options, say, show, telemetry};
use crate::{host, metrics::Metrics};

pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let config = options.load(&[("log", "off")])?;
    telemetry::start(&config.log, options.json)?;
    let (keeper, _) = host::handlers(&config, &Metrics::default()).await.map_err(Failed::from)?;
    let catalog = keeper.current().get();
    let refused: Vec<_> = (keeper.list().into_iter())
        .filter_map(|handler| {
            Some((config.handlers.directory.join(format!("{}.wasm", handler.name)), handler.refused?.reason))
        })
        .collect();
    if options.json {
        let refused: Vec<_> = refused.iter().map(|(path, reason)| json!({"path": path, "reason": reason})).collect();
        let served: Vec<_> = catalog.generations().iter().map(|generation| show::json(generation)).collect();
        say(json!({"handlers": served, "refused": refused}));
    } else {
        for generation in catalog.generations() {
            say(format_args!("{}  sha256:{}", generation.name, generation.program.digest().short()));
            show::lines(generation).iter().for_each(|(what, line)| say(format_args!("  {what:<8} {line}")));
        }
        for (path, reason) in &refused {
            say(format_args!("refused: {}: {reason}", path.display()));
        }
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
