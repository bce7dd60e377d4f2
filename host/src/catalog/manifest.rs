//! The manifest: `NAME.toml` beside `NAME.wasm`, optional.

use crate::{
    sandbox::Limits,
    settings::{Problems, Settings},
};

/// What a manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Manifest {
    /// The handler's own limits over the service's.
    pub(super) limits: Limits,
    /// The module of the exceptions that a typed handler's errors name; without it, Python's own.
    pub(super) errors_module: Option<String>,
}

impl Manifest {
    /// Reads a manifest; `limits` are the service's.
    pub(super) fn parse(text: &str, limits: &Limits) -> Result<Self, Problems> {
        let mut settings = Settings::default();
        settings.add_file(text)?;
        let errors_module = settings.take_optional("errors.module");
        let manifest = Self { limits: limits.read(&mut settings), errors_module };
        settings.finish()?;
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_manifest_overrides_what_it_names() {
        let manifest = Manifest::parse("[limits]\ntimeout = \"2s\"", &Limits::default()).unwrap();
        assert_eq!(manifest.limits, Limits { timeout: Duration::from_secs(2), ..Limits::default() });
    }

    #[test]
    fn a_manifest_names_the_module_of_errors() {
        let manifest = Manifest::parse("[errors]\nmodule = \"nova.exception\"", &Limits::default()).unwrap();
        assert_eq!(manifest.errors_module.as_deref(), Some("nova.exception"));
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_it() {
        let problems = Manifest::parse("[limits]\ntimeuot = \"2s\"", &Limits::default()).unwrap_err();
        assert_eq!(problems.0, ["limits.timeuot: no such setting; did you mean limits.timeout?"]);
    }
}
