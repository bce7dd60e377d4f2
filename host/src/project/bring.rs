//! Projects of oslo.messaging's endpoint classes, as they are: `nova-host new --lang python --from FILE:CLASS`.
//!
//! Before it: `cli/new.rs`. After it: [`super::Project`] builds what was written. What belongs to a class is found by its
//! module's syntax, by `bring/` in the user's own Python; none of what is brought is run.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Component, Path, PathBuf},
    process::Stdio,
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use super::{Error, Result, new, oslo, tool, write};
use crate::printable::printable;

const PYTHON: tool::Tool = tool::Tool { names: &["python3"], install: "apt-get install python3" };

/// Run as one, in this order.
const SCRIPTS: [&str; 2] = [include_str!("bring/modules.py"), include_str!("bring/bring.py")];

/// What the manifest of such a project begins with.
const MANIFEST: &str = include_str!("templates/python/endpoints.toml");

/// Bytes of what the script may say.
const MAX_ANSWER: usize = 64 << 20;

/// Letters of a line of the report.
const MAX_LINE: usize = 400;

/// Endpoint classes of a file: `FILE:CLASS`, or several with commas.
#[derive(Clone, Debug)]
pub struct Endpoints {
    file: PathBuf,
    classes: Vec<String>,
}

impl FromStr for Endpoints {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let name = |class: &str| {
            !class.starts_with(|c: char| c.is_ascii_digit())
                && !class.is_empty()
                && class.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        let (file, classes) = text.rsplit_once(':').unwrap_or((text, ""));
        let classes: Vec<String> = classes.split(',').map(|class| class.trim().to_owned()).collect();
        if file.is_empty() || !classes.iter().all(|class| name(class)) {
            return Err("it takes a file and a class in it, such as conductor.py:ConductorManager".to_owned());
        }
        Ok(Self { file: file.into(), classes })
    }
}

/// What was brought.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Brought {
    /// What came from where, and what has to be written down, a line each.
    pub report: Vec<String>,
    /// What the sandbox cannot have: file, line, name, and what to do.
    pub cannot: Vec<String>,
    files: BTreeMap<String, String>,
    manifest: String,
    /// Why there is nothing of it.
    refused: Option<String>,
}

#[derive(Serialize)]
struct Asked<'a> {
    classes: Vec<(&'a Path, &'a str)>,
    ours: BTreeMap<&'a str, &'a str>,
}

/// Writes a project of endpoint classes into a folder that is not there yet.
///
/// # Errors
///
/// As [`super::create`]; [`Error::Project`] with what Python finds wrong in a file, and [`Error::Missing`] without Python.
pub fn bring(directory: &Path, endpoints: &[Endpoints]) -> Result<Brought> {
    let name = new::name(directory)?;
    let classes = endpoints.iter().flat_map(|of| of.classes.iter().map(|class| (of.file.as_path(), class.as_str())));
    let ours = oslo::PACKAGES.iter().filter_map(|(file, text)| Some((file.strip_prefix("oslo/")?, *text)));
    let mut brought = ask(&Asked { classes: classes.collect(), ours: ours.collect() })?;
    new::folder(directory)?;
    for (file, text) in &brought.files {
        // Names of modules, which are no way out of the folder.
        if !Path::new(file).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::Project(format!("{file:?} is no place in a project")));
        }
        write(&directory.join(file), text)?;
    }
    write(&directory.join(format!("{name}.toml")), format!("{MANIFEST}{}", brought.manifest))?;
    for line in brought.report.iter_mut().chain(&mut brought.cannot) {
        *line = printable(line, MAX_LINE);
    }
    Ok(brought)
}

/// Runs the script.
fn ask(asked: &Asked<'_>) -> Result<Brought> {
    let failed = |status: String, output: String| Error::Tool { tool: "python3".to_owned(), status, output };
    let mut command = PYTHON.command(Path::new("."), None)?;
    // Without the user's site-packages and variables.
    command.args(["-I", "-c", &SCRIPTS.concat()]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let wrong = |error: std::io::Error| failed(error.to_string(), String::new());
    let mut child = command.spawn().map_err(wrong)?;
    let request = serde_json::to_vec(asked).map_err(|error| failed(error.to_string(), String::new()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // It reads all before it says anything. If it has ended, its own words say why.
        stdin.write_all(&request).ok();
    }
    let done = child.wait_with_output().map_err(wrong)?;
    if !done.status.success() || done.stdout.len() > MAX_ANSWER {
        let words = String::from_utf8_lossy(&done.stderr);
        let last = words.lines().last().map(|line| printable(line, MAX_LINE)).unwrap_or_default();
        return Err(failed(done.status.to_string(), last));
    }
    let brought: Brought =
        serde_json::from_slice(&done.stdout).map_err(|error| failed(done.status.to_string(), error.to_string()))?;
    match &brought.refused {
        Some(refused) => Err(Error::Project(printable(refused, MAX_LINE))),
        None => Ok(brought),
    }
}
