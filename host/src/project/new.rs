//! New projects: a greeter in each language, dynamic or typed, with a manifest that tests it.
//!
//! Before it: `cli/new.rs`. After it: [`super::Project`] builds what was written.

use std::{fs, path::Path};

use super::{Error, Language, Result, at, write};

/// Where the Rust, and nothing else, of a project is.
const LIB: &str = "src/lib.rs";

const DYNAMIC: [(Language, &[(&str, &str)]); 5] = [
    (
        Language::Rust,
        &[
            ("Cargo.toml", include_str!("templates/rust/dynamic.toml")),
            (LIB, include_str!("templates/rust/dynamic.txt")),
        ],
    ),
    (Language::Python, &[("app.py", include_str!("templates/python/dynamic.py"))]),
    (
        Language::JavaScript,
        &[
            ("package.json", include_str!("templates/javascript/package.json")),
            ("app.js", include_str!("templates/javascript/dynamic.js")),
        ],
    ),
    (Language::C, &[("app.c", include_str!("templates/c/dynamic.c"))]),
    (
        Language::Go,
        &[("go.mod", include_str!("templates/go/go.mod.txt")), ("app.go", include_str!("templates/go/dynamic.go"))],
    ),
];

const TYPED: [(Language, &[(&str, &str)]); 5] = [
    (
        Language::Rust,
        &[("Cargo.toml", include_str!("templates/rust/typed.toml")), (LIB, include_str!("templates/rust/typed.txt"))],
    ),
    (Language::Python, &[("app.py", include_str!("templates/python/typed.py"))]),
    (
        Language::JavaScript,
        &[
            ("package.json", include_str!("templates/javascript/package.json")),
            ("app.js", include_str!("templates/javascript/typed.js")),
        ],
    ),
    (Language::C, &[("app.c", include_str!("templates/c/typed.c"))]),
    (
        Language::Go,
        &[
            ("go.mod", include_str!("templates/go/typed.mod.txt")),
            ("export_acme_greeter_api/api.go", include_str!("templates/go/typed.go")),
        ],
    ),
];

/// What every project has.
const MANIFEST: &str = include_str!("templates/manifest.toml");
const IGNORED: &str = include_str!("templates/gitignore");
const WIT: &str = include_str!("templates/greeter.wit");

/// Writes a new project into a folder that is not there yet.
///
/// # Errors
///
/// [`Error::Project`] where it is there, or its name cannot be a package's in every language.
pub fn create(directory: &Path, language: Language, typed: bool) -> Result<()> {
    let name = name(directory)?;
    folder(directory)?;
    let (templates, class) = if typed { (TYPED, "RuntimeError") } else { (DYNAMIC, "ValueError") };
    for (_, files) in templates.iter().filter(|(of, _)| *of == language) {
        for (file, text) in *files {
            write(&directory.join(file), text.replace("NAME", name))?;
        }
    }
    write(&directory.join(format!("{name}.toml")), MANIFEST.replace("CLASS", class))?;
    if typed {
        write(&directory.join("wit/greeter.wit"), WIT)?;
    }
    Ok(())
}

/// The name of a project that is to be in this folder, which must not be there.
pub(super) fn name(directory: &Path) -> Result<&str> {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(letters) || name.ends_with('-') {
        return Err(Error::Project(format!(
            "{name:?} cannot be a project's name: it takes lower-case letters, digits and '-', a letter first"
        )));
    }
    if directory.exists() {
        return Err(Error::Project(format!("{} is there already", directory.display())));
    }
    Ok(name)
}

/// Makes the folder of a project, with what every project has.
pub(super) fn folder(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).map_err(at(directory))?;
    write(&directory.join(".gitignore"), IGNORED)
}
