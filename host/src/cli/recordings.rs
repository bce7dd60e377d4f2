//! `nova-host recordings`: what is in the directory of recordings.
//!
//! Recordings are hostile: what is printed of them is printable, and each file is bounded before it is read.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Exit, Failed, Options, requests::duration, running::ago, say, telemetry};
use crate::{
    config::Config,
    printable::printable,
    recording::{self, Call, Listed, Recording, file, find, list},
};

/// Bytes of a text in a line.
const MAX_SHOWN: usize = 300;

/// Bytes of a call, or an answer, in a line.
const MAX_CALL: usize = 200;

/// Arguments of `recordings`.
#[derive(Debug, clap::Args)]
pub(super) struct Recordings {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List recordings, the oldest first
    List {
        /// A directory of recordings; without it record.directory
        directory: Option<PathBuf>,
        /// Only those of this method
        #[arg(long)]
        method: Option<String>,
        /// How many of the latest
        #[arg(long, default_value_t = 100, value_name = "NUMBER")]
        last: usize,
    },
    /// Show a recording: what was asked, each call of an import, and what became of it
    Show {
        /// Its id, or a file
        recording: String,
    },
    /// Print a recording as JSON. What is redacted stays so; the rest is what callers sent: look at it before you pass it on
    Export {
        /// Its id, or a file
        recording: String,
    },
}

impl Recordings {
    pub(super) fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", "off")])?;
        telemetry::start(&config.log, options.json)?;
        match self.what {
            What::List { directory, method, last } => {
                let directory = match &directory {
                    Some(directory) => directory,
                    None => self::directory(&config)?,
                };
                listed(directory, method.as_deref(), last, options.json)
            }
            What::Show { recording } => {
                let path = one(&config, &recording)?;
                if options.json {
                    say(exported(&path)?)
                } else {
                    show(&read(&path)?).iter().for_each(say)
                }
                Ok(())
            }
            What::Export { recording } => {
                say(exported(&one(&config, &recording)?)?);
                Ok(())
            }
        }
    }
}

fn listed(directory: &Path, method: Option<&str>, last: usize, is_json: bool) -> anyhow::Result<()> {
    let rows = rows(directory, method, last, is_json)?;
    if rows.is_empty() && !is_json {
        say(format_args!("no recording in {}", directory.display()));
    }
    rows.iter().for_each(say);
    Ok(())
}

/// A line for each of the latest recordings. Nothing else is kept of one when the next is read.
fn rows(directory: &Path, method: Option<&str>, last: usize, is_json: bool) -> Result<Vec<String>, Failed> {
    let all = list(directory).map_err(|error| unreadable(directory, &error))?;
    let mut rows = Vec::new();
    for listed in all.into_iter().rev() {
        if rows.len() >= last {
            break;
        }
        match file::read(&listed.path) {
            Ok(recording) if method.is_none_or(|method| recording.request.method == method) => {
                rows.push(row(&listed, Ok(recording), is_json));
            }
            Ok(_) => {}
            Err(error) => rows.push(row(&listed, Err(error), is_json)),
        }
    }
    rows.reverse();
    Ok(rows)
}

/// What a list says of a recording, however long its texts are.
fn row(Listed { id, bytes, .. }: &Listed, read: Result<Recording, file::Error>, is_json: bool) -> String {
    match read {
        Ok(Recording { at_ms, handler, request, outcome, cost, calls, .. }) => {
            let (name, method, outcome) = (shown(&handler.name), shown(&request.method), shown(&outcome));
            if is_json {
                let row = json!({
                    "id": id, "at_ms": at_ms, "handler": name, "method": method, "outcome": outcome,
                    "took_us": cost.took_us, "calls": calls.len(), "bytes": bytes,
                });
                return row.to_string();
            }
            let (ago, took, calls) = (ago(at_ms / 1000), duration(cost.took_us), calls.len());
            format!("{id}  {ago}  {name} {method}: {outcome} after {took}, {calls} calls, {bytes} bytes")
        }
        Err(error) if is_json => json!({ "id": id, "bytes": bytes, "error": error.to_string() }).to_string(),
        Err(error) => format!("{id}  {error}"),
    }
}

/// What people read of one.
fn show(recording: &Recording) -> Vec<String> {
    let Recording {
        id,
        at_ms,
        handler,
        served,
        request,
        policy,
        limits,
        config,
        calls,
        ended,
        outcome,
        cost,
        redacted,
        ..
    } = recording;
    let instance = if *served == 0 { "a fresh one".to_owned() } else { format!("one that had served {served} before") };
    let names: Vec<String> = config.iter().map(|given| shown(&given.name)).collect();
    let mut lines = vec![
        format!("{id}, {}", ago(at_ms / 1000)),
        format!("handler   {}  sha256:{:.12}  generation {}", shown(&handler.name), handler.digest, handler.generation),
        format!("instance  {instance}"),
        format!("method    {} {}  {}", shown(&request.method), shown(&request.version), shown(policy)),
        format!("arguments {}", shown(request.arguments.get())),
        format!("context   {}", shown(request.context.get())),
        format!("config    {}", if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }),
        format!("limits    timeout {} ms, memory {} bytes", limits.timeout_ms, limits.memory),
        format!("outcome   {} after {}: {}", shown(outcome), duration(cost.took_us), shown(&ended.comparable())),
        format!("redacted  {redacted} value(s)"),
        format!("calls     {}", calls.len()),
    ];
    lines.extend(calls.iter().zip(1..).map(|(call, number)| traced(number, call)));
    lines
}

/// A call in a line.
pub(super) fn traced(number: usize, call: &Call) -> String {
    let Call { import, asked, answer, at_us, took_us } = call;
    let shown = |text: &str| printable(text, MAX_CALL);
    let asked = if asked.get() == "null" { String::new() } else { format!(" {}", shown(asked.get())) };
    let answer = answer.as_ref().map_or_else(|| "(no answer)".to_owned(), |answer| shown(answer.get()));
    format!("  {number:>4}  +{at_us} us  {}{asked} -> {answer}  ({took_us} us)", shown(import))
}

/// The files that somebody means: files, all of directories, ids.
pub(super) fn files(config: &Config, named: &[String]) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    for name in named {
        let path = Path::new(name);
        if path.is_dir() {
            let all = list(path).map_err(|error| unreadable(path, &error))?;
            if all.is_empty() {
                return Err(Failed::new(Exit::Usage, format!("no recording in {}", path.display())));
            }
            files.extend(all.into_iter().map(|listed| listed.path));
        } else {
            files.push(one(config, name)?);
        }
    }
    Ok(files)
}

/// A file, or the one of an id.
fn one(config: &Config, name: &str) -> Result<PathBuf, Failed> {
    if Path::new(name).exists() {
        return Ok(PathBuf::from(name));
    }
    let by_id = config.record.as_ref().and_then(|record| find(&record.directory, name));
    let missing = || {
        let name = printable(name, MAX_SHOWN);
        let message = match &config.record {
            Some(record) => {
                format!("{name} is no file, and no recording of that id is in {}", record.directory.display())
            }
            None => format!(
                "{name} is no file, and ids are looked for in record.directory, which is not set: name the file, or set it \
                 (with record.share = \"0%\", where nothing is to be recorded)"
            ),
        };
        Failed::new(Exit::Usage, message)
    };
    by_id.ok_or_else(missing)
}

/// The JSON of a recording, as it was written: what a guest is told is text.
fn exported(path: &Path) -> Result<String, Failed> {
    let wrong = |error| Failed::new(Exit::Usage, format!("{}: {error}", path.display()));
    let text = file::text(path).map_err(wrong)?;
    file::parse(&text).map_err(wrong)?;
    Ok(text)
}

/// Reads a recording.
pub(super) fn read(path: &Path) -> Result<Recording, Failed> {
    file::read(path).map_err(|error| Failed::new(Exit::Usage, format!("{}: {error}", path.display())))
}

fn directory(config: &Config) -> Result<&Path, Failed> {
    let record = config.record.as_ref().map(|record: &recording::Config| record.directory.as_path());
    record.ok_or_else(|| {
        Failed::new(Exit::Usage, "nothing is recorded: set record.directory, and what is to be recorded")
    })
}

fn unreadable(directory: &Path, error: &std::io::Error) -> Failed {
    Failed::new(Exit::Usage, format!("recordings directory {}: {error}", directory.display()))
}

fn shown(text: &str) -> String {
    printable(text, MAX_SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{recording::sample, testing::memory::peak};

    /// Attacks the memory of whoever lists: small files that are large once they are read.
    #[tokio::test]
    async fn a_list_holds_one_recording_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let mut recording = sample();
        recording.calls = vec![recording.calls[0].clone(); 10_000];
        let bytes = file::encode(&recording);
        let fill = |count: usize| {
            for number in 0..count {
                std::fs::write(scratch.path().join(format!("{number:013}-0123456789ab.recording.zst")), &bytes)
                    .unwrap();
            }
        };
        fill(1);
        let (rows, one) = peak(async { super::rows(scratch.path(), None, 100, true) }).await;
        assert_eq!(rows.unwrap().len(), 1);
        fill(8);
        let (rows, all) = peak(async { super::rows(scratch.path(), None, 100, false) }).await;
        assert_eq!(rows.unwrap().len(), 8);
        assert!(all < 2 * one, "{all} bytes for eight, {one} for one");
    }
}
