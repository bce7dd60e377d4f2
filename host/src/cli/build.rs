//! `nova-host build`: makes a component of a project in any language, and tries it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use super::{Exit, Failed, Options, say, show, telemetry};
use crate::{
    catalog::{Source, load},
    host,
    metrics::Metrics,
    project::{self, Project},
};

/// Arguments of `build`.
#[derive(Debug, clap::Args)]
pub(super) struct Build {
    /// A project: a folder with Cargo.toml, app.py, package.json, app.c or go.mod
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// Where to put the component; without it NAME.wasm in the project, which is called like its folder
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Build {
    pub(super) async fn run(self, options: &Options) -> anyhow::Result<()> {
        let config = options.load(&[("log", "warn")])?;
        telemetry::start(&config.log, options.json)?;
        let project = Project::open(&self.directory).map_err(Failed::from)?;
        let file = format!("{}.wasm", project.name());
        let output = self.output.unwrap_or_else(|| project.directory().join(file));
        let refused = |error| Failed::new(Exit::Handlers, format!("{}: {error}", output.display()));
        let name = load::name_of(&output).map_err(refused)?;
        // The project's manifest is the one that counts, wherever the component goes.
        let ours = project.directory().join(format!("{}.toml", project.name()));
        let manifest = load::read_manifest(&ours).map_err(refused)?;
        let grants = load::grants(manifest.as_deref(), &config.limits).map_err(refused)?;
        let build = move || project.build(&grants);
        let built: project::Result<Vec<u8>> = tokio::task::spawn_blocking(build).await?;
        let wasm = built.map_err(Failed::from)?;
        let sandbox = host::sandbox(&config, &Metrics::default()).await.map_err(Failed::from)?;
        let source = Source::new(wasm, manifest);
        let generation = load::generation(&name, source.clone(), &sandbox, &config.limits).await.map_err(refused)?;
        let place = |path: &Path, content: &[u8]| {
            put(path, content).map_err(|error| Failed::new(Exit::Build, format!("{}: {error}", path.display())))
        };
        // The manifest first: whoever watches the folder takes both, or the old component with the new manifest, briefly.
        if let Some(manifest) = &source.manifest {
            place(&output.with_extension("toml"), manifest.as_bytes())?;
        }
        place(&output, &source.wasm)?;
        if options.json {
            let mut json = show::json(&generation);
            if let Some(json) = json.as_object_mut() {
                json.insert("file".to_owned(), output.display().to_string().into());
                json.insert("bytes".to_owned(), source.wasm.len().into());
            }
            say(json);
        } else {
            say(format_args!("{}: {} bytes", output.display(), source.wasm.len()));
            show::lines(&generation).iter().for_each(|(what, line)| say(format_args!("  {what:<8} {line}")));
        }
        Ok(())
    }
}

/// Puts a file into its place in one piece.
fn put(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().prefix(".").tempfile_in(folder)?;
    file.write_all(content)?;
    // A component is no secret: as readable as any file that a compiler writes.
    fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(path)?;
    Ok(())
}
