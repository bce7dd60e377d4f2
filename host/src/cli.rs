//! The command line: what was typed, and one file for each subcommand.
//!
//! Before it: `main`. After it: [`crate::config`], and whatever the subcommand needs.

mod build;
mod call;
mod check;
mod compile;
mod contract;
mod exit;
mod failures;
mod forward;
mod handlers;
mod inspect;
mod log_level;
mod metrics;
mod new;
mod panics;
mod recordings;
mod replay;
mod requests;
mod running;
mod schema;
mod serve;
mod show;
mod signals;
mod status;
mod systemd;
mod telemetry;
mod watch;

use std::{io::Write, path::PathBuf};

use clap::{Parser, Subcommand};

use crate::config::{Config, Sources};

pub use exit::{Exit, Failed, INTERNAL};

/// Serves OpenStack-style RPC with sandboxed WebAssembly handlers.
#[derive(Debug, Parser)]
#[command(name = "nova-host", version, about, after_help = exit::HELP)]
pub struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Command,
    /// What `serve` has done before there were threads.
    #[arg(skip)]
    prepared: Option<serve::Prepared>,
}

/// What every subcommand takes.
#[derive(Debug, clap::Args)]
struct Options {
    /// Configuration file; without it nova-host.toml, if there is one
    #[arg(long, global = true, env = "NOVA_HOST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the messages are: rabbit://user:password@host:port/vhost, or memory:// for no broker at all
    #[arg(long, global = true, value_name = "URL")]
    transport_url: Option<String>,
    /// The topic; several where a command takes several
    #[arg(long, global = true)]
    topic: Vec<String>,
    /// Directory of handlers: *.wasm
    #[arg(long, global = true, value_name = "DIR")]
    handlers: Option<PathBuf>,
    /// Any setting of the configuration file, such as limits.timeout=5s
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// What to log: error, warn, info, debug or trace, also by target: info,handler=debug
    #[arg(long, global = true, value_name = "LEVELS")]
    log: Option<String>,
    /// Write results and logs as JSON, for scripts
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a component of a project in Rust, Python, JavaScript, C or Go, and try it
    Build(build::Build),
    /// Run the service until SIGTERM or ctrl-c
    Serve,
    /// Call a method and print its result
    Call(call::Call),
    /// Ask for a method without waiting for it to run
    Cast(call::Cast),
    /// Read the configuration, load every handler, print what would be served
    Check(check::Check),
    /// List, add, remove and roll back handlers of a running host
    Handlers(handlers::Handlers),
    /// Say which requests of a running host go on to the service behind it, and change that
    Forward(forward::Forward),
    /// List the requests that a running host has in flight, and how the methods of its handlers do
    Requests,
    /// Show the last failures of a running host
    Failures(failures::Failures),
    /// Compile a component; the host runs this itself
    #[command(hide = true)]
    Compile(compile::Compile),
    /// Say how a running host is; ends with code 8 where it takes no requests now
    Status,
    /// Print what a running host logs, or have it log more or less until it ends
    LogLevel(log_level::LogLevel),
    /// Print what a running host counts, as Prometheus reads it
    Metrics,
    /// Write a project to begin with, in Rust, Python, JavaScript, C or Go
    New(new::New),
    /// List, show and export recordings of requests
    Recordings(recordings::Recordings),
    /// Run recorded requests again, without a broker, and compare; ends with code 3 where one differs
    Replay(replay::Replay),
    /// Say what a component offers and imports
    Inspect(inspect::Inspect),
    /// Print what a typed handler's methods take and return, as JSON Schema or as a Python module
    Schema(schema::Schema),
    /// Count what a running service is asked, whoever serves it, without taking anything from it
    Watch(watch::Watch),
}

impl Cli {
    /// Does what takes a process without a second thread, and gives what is left to do, if anything.
    ///
    /// # Errors
    ///
    /// As [`Cli::run`]'s.
    pub fn before_threads(mut self) -> anyhow::Result<Option<Self>> {
        match &self.command {
            Command::Compile(compile) => return compile.run().map(|()| None),
            Command::Serve => self.prepared = Some(serve::prepare(&self.options)?),
            _ => {}
        }
        Ok(Some(self))
    }

    /// Does what was typed.
    ///
    /// # Errors
    ///
    /// [`Failed`] with its exit code where the user or the world is at fault; anything else is a fault of ours.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self { options, command, prepared } = self;
        match command {
            Command::Build(build) => build.run(&options).await,
            Command::Serve => serve::run(prepared.map_or_else(|| serve::prepare(&options), Ok)?, &options).await,
            Command::Call(call) => call.run(&options).await,
            Command::Cast(cast) => cast.run(&options).await,
            Command::Check(check) => check.run(&options).await,
            Command::Handlers(handlers) => handlers.run(&options).await,
            Command::Forward(forward) => forward.run(&options).await,
            Command::Requests => requests::run(&options).await,
            Command::Failures(failures) => failures.run(&options).await,
            Command::Compile(compile) => compile.run(),
            Command::LogLevel(level) => level.run(&options).await,
            Command::Metrics => metrics::run(&options).await,
            Command::Status => status::run(&options).await,
            Command::Inspect(inspect) => inspect.run(&options).await,
            Command::New(new) => new.run(),
            Command::Recordings(recordings) => recordings.run(&options),
            Command::Replay(replay) => replay.run(&options).await,
            Command::Schema(schema) => schema.run(&options).await,
            Command::Watch(watch) => watch.run(&options).await,
        }
    }
}

impl Options {
    /// Reads the configuration; `overrides` are the subcommand's own, over which the command line's win.
    fn load(&self, overrides: &[(&str, &str)]) -> Result<Config, Failed> {
        let mut all: Vec<(String, String)> = Vec::new();
        let mut set = |key: &str, value: String| all.push((key.to_owned(), value));
        for (key, value) in overrides {
            set(key, (*value).to_owned());
        }
        for (text, number) in self.set.iter().zip(1..) {
            let (key, value) = setting(text).ok_or_else(|| {
                let expected = "expected NAME=VALUE, such as limits.timeout=5s";
                Failed::new(Exit::Usage, format!("--set number {number}: {expected}"))
            })?;
            set(key, value.to_owned());
        }
        if let Some(url) = &self.transport_url {
            set("transport_url", url.clone());
        }
        match self.topic.as_slice() {
            [] => {}
            [topic] => set("topic", topic.clone()),
            topics => set("topics", topics.join(",")),
        }
        if let Some(directory) = &self.handlers {
            set("handlers.directory", directory.display().to_string());
        }
        if let Some(log) = &self.log {
            set("log", log.clone());
        }
        Config::load(&Sources { file: self.config.clone(), overrides: all }).map_err(Failed::configuration)
    }
}

/// Takes `NAME=VALUE` apart. What is no name is never shown: it may be a URL with a password.
fn setting(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._-".contains(c));
    is_name.then(|| (name, value.trim()))
}

/// Writes a line to standard output. A reader that has gone is not our concern.
fn say(line: impl std::fmt::Display) {
    writeln!(std::io::stdout(), "{line}").ok();
}

/// Writes a line to standard error.
pub fn complain(line: impl std::fmt::Display) {
    writeln!(std::io::stderr(), "{line}").ok();
}
