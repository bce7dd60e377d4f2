//! `nova-host replay`: recorded requests, run again and compared. It needs no broker and no running host.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::json;

use super::{
    Exit, Failed, Options,
    recordings::{self, traced},
    say, telemetry,
};
use crate::{
    catalog::load,
    config::Config,
    host,
    metrics::Metrics,
    printable::printable,
    recording::{Bounds, Ended, Given, Recording},
    replay::{
        self, Comparison,
        paths::{Change, Ignored},
    },
    sandbox::{Difference, Digest, Program, Sandbox},
};

/// Requests at once in the sandboxes made here.
const AT_ONCE: u16 = 4;

/// Bytes of a call, or an answer, in a line.
const MAX_SHOWN: usize = 200;

/// Programs that are kept for the next recording.
const MAX_PROGRAMS: usize = 64;

/// Arguments of `replay`.
#[derive(Debug, clap::Args)]
pub(super) struct Replay {
    /// Recordings: files, directories of them, or ids in record.directory
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The component to run; without it the one that was recorded, which is looked for in the directory of handlers
    #[arg(long, value_name = "NEW.wasm")]
    handler: Option<PathBuf>,
    /// Where results may differ: a JSON pointer, with * for any name or position and ** for any depth; may be repeated
    #[arg(long, value_name = "PATH")]
    ignore: Vec<String>,
    /// Print each call of an import with its answer, and when it was made
    #[arg(long)]
    trace: bool,
    /// Print where the guest was when it trapped
    #[arg(long)]
    wat_trap: bool,
}

/// What is made once and used again.
struct Bench {
    config: Config,
    handler: Option<Arc<[u8]>>,
    /// Components by their digest.
    components: HashMap<String, Arc<[u8]>>,
    /// The last one, and its stack. Each reserves as much address space as a host, so that there is one at a time.
    sandbox: Option<(u64, Arc<Sandbox>)>,
    /// Programs in that sandbox.
    programs: Vec<(Key, Program)>,
}

/// What makes a program another one.
#[derive(Clone, PartialEq)]
struct Key {
    digest: String,
    limits: Bounds,
    config: Vec<Given>,
    errors_module: Option<String>,
}

impl Replay {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let ignored =
            Ignored::parse(&self.ignore).map_err(|error| Failed::new(Exit::Usage, format!("--ignore: {error}")))?;
        let config = options.load(&[("log", "off")])?;
        telemetry::start(&config.log, options.json)?;
        let files = recordings::files(&config, &self.files)?;
        let mut bench = Bench::new(config, self.handler.as_deref())?;
        let (mut same, mut differ, mut failures) = (0_usize, 0_usize, Vec::new());
        for path in &files {
            match bench.replayed(path, &ignored).await {
                Ok((recording, comparison)) => {
                    *(if comparison.is_same() { &mut same } else { &mut differ }) += 1;
                    if options.json {
                        say(as_json(&recording, &comparison, self.trace));
                    } else {
                        self.lines(&recording, &comparison).iter().for_each(say);
                    }
                }
                // With one file, this is said at the end and that is all.
                Err(failed) => {
                    if options.json {
                        say(json!({ "file": path.display().to_string(), "error": failed.message }));
                    } else if files.len() > 1 {
                        say(&failed.message);
                    }
                    failures.push(failed);
                }
            }
        }
        if files.len() > 1 && !options.json {
            let failures = match failures.len() {
                0 => String::new(),
                count => format!(", {count} could not be replayed"),
            };
            say(format_args!("{} replayed: {same} the same, {differ} not{failures}", same + differ));
        }
        verdict(files.len(), differ, failures).map_err(Into::into)
    }

    /// What people read of one.
    fn lines(&self, recording: &Recording, comparison: &Comparison) -> Vec<String> {
        let verdict = if comparison.is_same() { "same" } else { "DIFFERS" };
        let method = printable(&recording.request.method, MAX_SHOWN);
        let (ended, calls) = (comparison.ended.kind(), comparison.made.len());
        let mut lines = vec![format!(
            "{}  {verdict}  {method}: {ended} after {calls} calls, in {:.1?} (recorded: {:.1} ms)",
            recording.id,
            comparison.took,
            millis(recording.cost.took_us),
        )];
        if self.trace {
            lines.extend(comparison.made.iter().zip(1..).map(|(call, number)| traced(number, call)));
        }
        let differences =
            comparison.differences.iter().chain(if comparison.is_same() { &[] } else { &comparison.said[..] });
        lines.extend(differences.flat_map(different));
        lines.extend(comparison.changed.iter().map(|change| format!("  result {change}")));
        lines.extend(comparison.notes.iter().map(|note| format!("  note: {note}")));
        if let (true, Ended::Faulted { frames, .. }) = (self.wat_trap, &comparison.ended) {
            lines.extend(frames.iter().map(|frame| format!("  {}", printable(frame, MAX_SHOWN))));
        }
        lines
    }
}

/// Microseconds as milliseconds, for people: exact up to 285 years.
fn millis(micros: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "whatever it loses is less than what is shown")]
    let micros = micros as f64;
    micros / 1000.0
}

/// How it ends: with a difference where there is one, whatever else there is, and otherwise with the worst failure.
fn verdict(count: usize, differ: usize, mut failures: Vec<Failed>) -> Result<(), Failed> {
    match (differ, failures.len()) {
        (0, 0) => Ok(()),
        (0, 1) if count == 1 => failures.pop().map_or(Ok(()), Err),
        (0, failed) => {
            let exits = failures.iter().map(|failed| failed.exit);
            let worst = exits.max_by_key(|exit| *exit as u8).unwrap_or(Exit::Usage);
            Err(Failed::new(worst, format!("{failed} of {count} recordings could not be replayed")))
        }
        (_, 0) => Err(Failed::new(Exit::Handlers, format!("{differ} of {count} recordings differ"))),
        (_, failed) => {
            let message = format!("{differ} of {count} recordings differ, and {failed} could not be replayed");
            Err(Failed::new(Exit::Handlers, message))
        }
    }
}

/// A difference in lines.
fn different(difference: &Difference) -> [String; 3] {
    let Difference { number, import, expected, got } = difference;
    let nothing = || "nothing more".to_owned();
    [
        format!("  call {number}: {}", printable(import, MAX_SHOWN)),
        format!("    expected: {}", expected.clone().unwrap_or_else(nothing)),
        format!("    got:      {}", got.clone().unwrap_or_else(nothing)),
    ]
}

fn changed(Change { path, expected, got }: &Change) -> serde_json::Value {
    json!({ "path": path, "expected": expected, "got": got })
}

fn as_json(recording: &Recording, comparison: &Comparison, trace: bool) -> serde_json::Value {
    let difference = |Difference { number, import, expected, got }: &Difference| json!({ "call": number, "import": import, "expected": expected, "got": got });
    let all = |differences: &[Difference]| differences.iter().map(difference).collect::<Vec<_>>();
    json!({
        "id": recording.id,
        "method": recording.request.method,
        "same": comparison.is_same(),
        "expected": comparison.expected,
        "ended": comparison.ended,
        "differences": all(&comparison.differences),
        "changed": comparison.changed.iter().map(changed).collect::<Vec<_>>(),
        "log": all(&comparison.said),
        "notes": comparison.notes,
        "calls": if trace { json!(comparison.made) } else { json!(comparison.made.len()) },
        "took_us": u64::try_from(comparison.took.as_micros()).unwrap_or(u64::MAX),
    })
}

impl Bench {
    fn new(mut config: Config, handler: Option<&Path>) -> Result<Self, Failed> {
        config.serve.max_in_flight = AT_ONCE;
        let handler = handler.map(component).transpose()?;
        Ok(Self { config, handler, components: HashMap::new(), sandbox: None, programs: Vec::new() })
    }

    /// Reads a recording and runs it again.
    async fn replayed(&mut self, path: &Path, ignored: &Ignored) -> Result<(Recording, Comparison), Failed> {
        let recording = recordings::read(path)?;
        let program = self.program(&recording).await?;
        let comparison = replay::replay(&program, &recording, ignored).await;
        Ok((recording, comparison))
    }

    /// The component that a recording is told to, with that recording's limits and values.
    async fn program(&mut self, recording: &Recording) -> Result<Program, Failed> {
        let wasm = match &self.handler {
            Some(wasm) => Arc::clone(wasm),
            None => self.recorded(&recording.handler.digest)?,
        };
        let key = Key {
            digest: if self.handler.is_some() { String::new() } else { recording.handler.digest.clone() },
            limits: recording.limits,
            config: recording.config.clone(),
            errors_module: recording.handler.errors_module.clone(),
        };
        if let Some((_, program)) = self.programs.iter().find(|(known, _)| *known == key) {
            return Ok(program.clone());
        }
        let sandbox = self.sandbox(recording.limits.stack).await?;
        let loaded = replay::load(&sandbox, wasm.to_vec(), recording).await;
        let program = loaded.map_err(|error| Failed::new(Exit::Handlers, format!("{}: {error}", recording.id)))?;
        if self.programs.len() >= MAX_PROGRAMS {
            self.programs.clear();
        }
        self.programs.push((key, program.clone()));
        Ok(program)
    }

    /// A sandbox with this stack. What there was in another one goes.
    async fn sandbox(&mut self, stack: u64) -> Result<Arc<Sandbox>, Failed> {
        if let Some((_, sandbox)) = self.sandbox.as_ref().filter(|(known, _)| *known == stack) {
            return Ok(Arc::clone(sandbox));
        }
        self.programs.clear();
        self.sandbox = None;
        let mut config = self.config.clone();
        config.limits.stack = crate::settings::Bytes(usize::try_from(stack).unwrap_or(usize::MAX));
        let sandbox = host::sandbox(&config, &Metrics::default()).await?;
        self.sandbox = Some((stack, Arc::clone(&sandbox)));
        Ok(sandbox)
    }

    /// The component of this digest.
    fn recorded(&mut self, digest: &str) -> Result<Arc<[u8]>, Failed> {
        if self.components.is_empty() {
            self.components = components(&self.config.handlers.directory)?;
        }
        let missing = || {
            let directory = self.config.handlers.directory.display();
            let message = format!(
                "the component that was recorded (sha256:{digest:.12}) is not in {directory}: name its directory with \
                 --handlers DIR, or another component with --handler FILE"
            );
            Failed::new(Exit::Usage, message)
        };
        self.components.get(digest).cloned().ok_or_else(missing)
    }
}

/// All components of a directory by their digest.
fn components(directory: &Path) -> Result<HashMap<String, Arc<[u8]>>, Failed> {
    let wrong = |error| Failed::new(Exit::Usage, format!("handlers directory {}: {error}", directory.display()));
    let mut all = HashMap::new();
    for entry in std::fs::read_dir(directory).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|ending| ending == "wasm") {
            let wasm = component(&path)?;
            all.insert(Digest::of(&wasm).as_str().to_owned(), wasm);
        }
    }
    Ok(all)
}

fn component(path: &Path) -> Result<Arc<[u8]>, Failed> {
    let source = load::read(path).map_err(|error| Failed::new(Exit::Usage, format!("{}: {error}", path.display())))?;
    Ok(source.wasm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[tokio::test]
    async fn there_is_one_sandbox_at_a_time_however_many_stacks_there_are() {
        let mut settings = Settings::default();
        settings.add_file("transport_url = \"memory://\"\ntopic = \"t\"").unwrap();
        let (config, _) = Config::read(settings).unwrap();
        let mut bench = Bench::new(config, None).unwrap();
        let first = Arc::downgrade(&bench.sandbox(64 << 10).await.unwrap());
        assert!(first.upgrade().is_some());
        bench.sandbox(128 << 10).await.unwrap();
        assert!(first.upgrade().is_none());
    }
}
