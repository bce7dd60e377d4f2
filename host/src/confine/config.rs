//! The section `confinement`: whether the process gives up what it does not need, and what it needs beside what is known.
//!
//! Before it: [`crate::config`]. After it: `cli/serve/places.rs` makes [`super::Places`] of it.

use std::path::PathBuf;

use crate::settings::Settings;

/// The section `confinement`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether anything is given up.
    pub enabled: bool,
    /// Files and directories that are read, beside those of the other settings.
    pub read: Vec<PathBuf>,
    /// Directories that are written to, beside those of the other settings.
    pub write: Vec<PathBuf>,
    /// Every path that another setting names, and the configuration file.
    pub named: Vec<PathBuf>,
}

impl Config {
    /// Takes the section.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let mut paths = |key: &str| -> Vec<PathBuf> {
            let given = settings.take_optional::<Vec<String>>(key).unwrap_or_default();
            given.into_iter().map(PathBuf::from).collect()
        };
        let (read, write) = (paths("confinement.read"), paths("confinement.write"));
        for (key, paths) in [("confinement.read", &read), ("confinement.write", &write)] {
            if paths.iter().any(|path| !path.is_absolute()) {
                settings.problem(key, "takes absolute paths, such as [\"/srv/handlers\"]");
            }
        }
        Self { enabled: settings.take("confinement.enabled", true), read, write, named: Vec::new() }
    }
}
