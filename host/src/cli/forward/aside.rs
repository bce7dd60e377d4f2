//! How the Python service moves aside, and back: `nova-host forward prepare`, `status` and `undo`.
//!
//! Before it: [`super::Forward`]. After it: the broker, through [`Bench`]. Everything is looked at before anything is changed, and
//! each change is printed before it is made.

use serde::Serialize;

use super::super::{Exit, Failed, Options, say};
use crate::{
    client::{self, Client},
    config::Config,
    forward,
    host::describe_topic,
    printable::printable,
    transport::{
        Transport, Url,
        rabbit::{self, Bench},
        topology::{Aside, Change},
    },
};

/// Bytes of a line.
const MAX_LINE: usize = 1024;

/// One thing that is looked at.
#[derive(Debug, Serialize)]
struct Check {
    /// What should be so.
    what: String,
    /// Whether it is.
    holds: bool,
    /// What to do where it is not.
    otherwise: String,
}

/// The broker, and what is configured.
pub(super) struct Site {
    aside: Aside,
    queue_prefix: String,
    virtual_host: String,
    transport: Transport,
    bench: Bench,
}

impl Site {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`Failed`], where the configuration has no front, or the broker does not answer.
    pub(super) async fn open(config: &Config) -> Result<Self, Failed> {
        let Some(forward::Config { fallback, front: Some(front), queue_prefix, .. }) = &config.forward else {
            let message = "forward.exchange and forward.front must be configured: docs/takeover.md says how a service moves aside";
            return Err(Failed::new(Exit::Usage, message));
        };
        let Url::Rabbit(address) = config.transport_url.clone() else {
            return Err(Failed::new(
                Exit::Usage,
                "memory:// is this process alone: name a broker with --transport-url",
            ));
        };
        if fallback.topic.is_some() || fallback.exchange == config.control_exchange {
            let message =
                "the service behind has a topic or an exchange of its own (forward.topic): nothing is to be prepared";
            return Err(Failed::new(Exit::Usage, message));
        }
        let virtual_host = address.virtual_host.clone();
        let client = rabbit::Client::new(address, config.rabbit.clone());
        let bench = client.bench().await.map_err(Failed::from)?;
        let aside = Aside {
            control: config.control_exchange.clone(),
            front: front.clone(),
            legacy: fallback.exchange.clone(),
            topics: config.topics.clone(),
        };
        let (queue_prefix, transport) = (queue_prefix.clone(), Transport::Rabbit(client));
        Ok(Self { aside, queue_prefix, virtual_host, transport, bench })
    }

    /// Puts this service before the one behind.
    pub(super) async fn prepare(self, options: &Options, dry_run: bool) -> anyhow::Result<()> {
        let checks = self.checks().await;
        tell(&checks, options)?;
        if let Some(failed) = checks.iter().find(|check| !check.holds) {
            self.close().await;
            return Err(Failed::new(Exit::NotReady, format!("nothing was changed: {}", failed.otherwise)).into());
        }
        self.change(&self.aside.prepare(), options, dry_run).await?;
        if !dry_run {
            let fronts = self.fronts().await;
            tell(&fronts, options)?;
            if let Some(failed) = fronts.iter().find(|check| !check.holds) {
                self.close().await;
                return Err(Failed::new(Exit::NotReady, &failed.otherwise).into());
            }
        }
        self.close().await;
        Ok(())
    }

    /// Says how it is.
    pub(super) async fn status(self, options: &Options) -> anyhow::Result<()> {
        let mut checks = self.checks().await;
        checks.extend(self.fronts().await);
        self.close().await;
        tell(&checks, options)?;
        match checks.iter().find(|check| !check.holds) {
            None => Ok(()),
            Some(failed) => Err(Failed::new(Exit::NotReady, &failed.otherwise).into()),
        }
    }

    /// Gives the service behind its requests back.
    pub(super) async fn undo(self, options: &Options, dry_run: bool) -> anyhow::Result<()> {
        self.change(&self.aside.undo(), options, dry_run).await?;
        self.close().await;
        Ok(())
    }

    async fn change(&self, changes: &[Change], options: &Options, dry_run: bool) -> Result<(), Failed> {
        for change in changes {
            let shown = printable(&change.to_string(), MAX_LINE);
            if options.json {
                say(serde_json::json!({"change": shown, "dry_run": dry_run}));
            } else {
                say(format!("{}{shown}", if dry_run { "would " } else { "" }));
            }
            if !dry_run {
                self.bench.change(change).await.map_err(Failed::from)?;
            }
        }
        Ok(())
    }

    async fn close(self) {
        self.bench.close().await;
        self.transport.close().await;
    }

    /// What must be so before this service can be put before the one behind.
    async fn checks(&self) -> Vec<Check> {
        let Aside { control, front, legacy, topics } = &self.aside;
        let mut checks = vec![
            self.leads(legacy, control, "what the service behind sends to others reaches them").await,
            self.leads(control, front, "what nobody else takes comes to us").await,
            self.leads(front, legacy, "requests to a server of the service behind by its name reach it").await,
        ];
        for topic in topics {
            let ours = format!("{}{topic}", self.queue_prefix);
            let start = format!("nobody consumes {ours}: start `nova-host serve` with this configuration");
            checks.push(self.is_consumed(&ours, "a Nova Host", start).await);
            let start = format!("nobody consumes {topic}: is the service behind running?");
            checks.push(self.is_consumed(topic, "the service behind", start).await);
        }
        checks
    }

    async fn is_consumed(&self, queue: &str, who: &str, otherwise: String) -> Check {
        let what = format!("{who} consumes queue {queue}");
        match self.bench.queue(queue).await {
            Ok(state) => Check { what, holds: state.is_some_and(|state| state.consumers > 0), otherwise },
            Err(error) => Check { what, holds: false, otherwise: error.to_string() },
        }
    }

    async fn leads(&self, from: &str, to: &str, why: &str) -> Check {
        let what = format!("exchange {from} has {to} as its alternate: {why}");
        let policy = format!(
            "rabbitmqctl set_policy --apply-to exchanges --priority 100 -p {} {} {} {}",
            quoted(&self.virtual_host),
            quoted(&format!("{from}-alternate")),
            quoted(&format!("^{}$", escaped(from))),
            quoted(&serde_json::json!({"alternate-exchange": to}).to_string()),
        );
        match self.bench.leads(from, to).await {
            Ok(holds) => {
                let otherwise = format!("exchange {from} does not exist, or has no alternate exchange {to}: {policy}");
                Check { what, holds, otherwise }
            }
            Err(error) => Check { what, holds: false, otherwise: error.to_string() },
        }
    }

    /// Whether requests come to this service.
    async fn fronts(&self) -> Vec<Check> {
        let mut checks = Vec::new();
        let client = Client::new(self.transport.clone());
        for topic in &self.aside.topics {
            let answer = describe_topic(&client, &self.aside.control, topic).await;
            let otherwise = match &answer {
                Err(client::Error::Remote(_)) => format!(
                    "topic {topic}: the service behind answers callers itself: `nova-host forward prepare` puts this one before it. \
                     Where that was done, a Python server has been started with its old control_exchange"
                ),
                Err(error) => format!("topic {topic}: {error}"),
                Ok(_) => String::new(),
            };
            checks.push(Check {
                what: format!("requests to topic {topic} come to a Nova Host"),
                holds: answer.is_ok(),
                otherwise: printable(&otherwise, MAX_LINE),
            });
        }
        client.close().await;
        checks
    }
}

/// As a shell reads it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// As a regular expression reads it.
fn escaped(text: &str) -> String {
    let escape = |c: char| if c.is_ascii_punctuation() && c != '_' && c != '-' { vec!['\\', c] } else { vec![c] };
    text.chars().flat_map(escape).collect()
}

fn tell(checks: &[Check], options: &Options) -> anyhow::Result<()> {
    if options.json {
        say(serde_json::to_string(checks)?);
        return Ok(());
    }
    for Check { what, holds, .. } in checks {
        say(format!("{}  {}", if *holds { "yes" } else { "NO " }, printable(what, MAX_LINE)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_to_be_typed_means_the_name_and_nothing_else() {
        assert_eq!(quoted("no'va"), r"'no'\''va'");
        assert_eq!(escaped("nova.x-y_z*"), r"nova\.x-y_z\*");
    }
}
