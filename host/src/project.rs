//! Handlers from source: makes components of projects in Rust, Python, JavaScript, C and Go, with those languages' own
//! tools.
//!
//! Before it: `cli/build.rs`. After it: [`crate::catalog::load`] loads what came out. What a project needs beside its own
//! files, the WIT package and its language's SDK, is in this program, and written into `.nova/` of the project, which git
//! ignores; [`wit`] does that. There is a file for each language; [`tool`] runs their tools, [`component`] makes
//! components of the core modules that some of them leave.

mod bring;
mod c;
mod component;
mod go;
mod javascript;
mod new;
mod oslo;
mod python;
mod rust;
mod tool;
mod wit;

use std::{
    fs,
    path::{Path, PathBuf},
};

pub use bring::{Brought, Endpoints, bring};
pub use new::create;
use wit::World;

use crate::capability::Grants;

/// What is made for the build, in the project.
const WORKSHOP: &str = ".nova";

/// A folder of source that a handler is made of.
#[derive(Debug)]
pub struct Project {
    directory: PathBuf,
    name: String,
    language: Language,
}

/// A language that there are tools for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// By `Cargo.toml`.
    Rust,
    /// By `app.py`.
    Python,
    /// By `package.json`; with `app.ts` TypeScript.
    #[value(name = "javascript")]
    JavaScript,
    /// By `app.c`.
    #[value(name = "c")]
    C,
    /// By `go.mod`.
    Go,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such project.
    #[error(
        "{0}: no project: there is none of Cargo.toml (Rust), app.py (Python), package.json (JavaScript), app.c (C) and go.mod (Go)"
    )]
    Nothing(PathBuf),
    /// Several at once.
    #[error("{directory}: has {}, and is a project of one language only", files.join(" and "))]
    Several {
        /// The project.
        directory: PathBuf,
        /// The files that say which.
        files: Vec<&'static str>,
    },
    /// A file.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that must be there.
    #[error("{0}")]
    Project(String),
    /// The project's WIT.
    #[error("wit: {0}")]
    Wit(String),
    /// A tool that is not installed.
    #[error("{tool} is not installed; install it with: {install}")]
    Missing {
        /// The tool.
        tool: &'static str,
        /// A command.
        install: &'static str,
    },
    /// A tool that failed.
    #[error("{tool} failed ({status}){}{output}", if output.is_empty() { "" } else { ":\n" })]
    Tool {
        /// The tool.
        tool: String,
        /// How it ended.
        status: String,
        /// The end of what it said, in lines.
        output: String,
    },
    /// A module that does not become a component.
    #[error("no component can be made of it: {0}")]
    Component(String),
}

/// A result of this module.
pub type Result<T> = std::result::Result<T, Error>;

impl Language {
    /// All of them, each with the file by which a project is known.
    const MARKS: [(Self, &'static str); 5] = [
        (Self::Rust, "Cargo.toml"),
        (Self::Python, "app.py"),
        (Self::JavaScript, "package.json"),
        (Self::C, "app.c"),
        (Self::Go, "go.mod"),
    ];

    /// Whether its tools import all of a world, used or not.
    fn imports_all(self) -> bool {
        matches!(self, Self::Python | Self::JavaScript)
    }
}

impl Project {
    /// Looks what a folder is.
    ///
    /// # Errors
    ///
    /// [`Error`] where it is no project, or more than one.
    pub fn open(directory: &Path) -> Result<Self> {
        let directory = fs::canonicalize(directory).map_err(at(directory))?;
        let found: Vec<_> = Language::MARKS.into_iter().filter(|(_, file)| directory.join(file).is_file()).collect();
        let language = match found.as_slice() {
            [] => return Err(Error::Nothing(directory)),
            [(language, _)] => *language,
            several => {
                let files = several.iter().map(|(_, file)| *file).collect();
                return Err(Error::Several { directory, files });
            }
        };
        let name = directory.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        let name = name.ok_or_else(|| Error::Project("the folder's name cannot be a handler's".to_owned()))?;
        Ok(Self { directory, name, language })
    }

    /// The project's name, which is the handler's: that of its folder.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the component, for a manifest that grants this. Takes as long as the language's tools.
    ///
    /// # Errors
    ///
    /// [`Error`].
    pub fn build(&self, grants: &Grants) -> Result<Vec<u8>> {
        let world = wit::prepare(&self.directory, self.language.imports_all().then_some(grants))?;
        match self.language {
            Language::Rust => rust::build(self, &world),
            Language::Python => python::build(self, &world),
            Language::JavaScript => javascript::build(self, &world),
            Language::C => c::build(self, &world),
            Language::Go => go::build(self, &world),
        }
    }

    /// A folder of the workshop, made anew.
    fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.directory.join(WORKSHOP).join(name);
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(at(&folder)(error)),
            _ => {}
        }
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        Ok(folder)
    }
}

/// Writes a file and the folders above it.
fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    // What is the same is left alone: tools that look at times then have nothing to do.
    if fs::read(path).is_ok_and(|there| there == content.as_ref()) {
        return Ok(());
    }
    fs::write(path, content).map_err(at(path))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<'_> {
    move |source| Error::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
