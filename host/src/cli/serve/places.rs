//! Where a serving process reads and writes: what the configuration says, and what the system's libraries look at.
//!
//! Before it: [`super::prepare`] has the configuration, and no thread yet. After it: [`crate::confine`] gives up the rest. Directories
//! that the service would make are made here, for nobody can give leave for what is not there.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use crate::{
    admin, capability::keyvalue::Place, catalog::load::Cache, config::Config, confine::Places, control, local,
};

/// What libraries read: names of hosts and services, certificates, time zones, libraries that are loaded when they are first
/// needed, and what the kernel says of processes, memory and limits.
const SYSTEM: [&str; 30] = [
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/lib",
    "/lib64",
    "/nix/store",
    "/proc",
    "/run/credentials",
    "/run/secrets",
    "/run/systemd/resolve",
    "/sys/devices/system",
    "/sys/fs/cgroup",
    "/sys/kernel/mm",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/local/share/ca-certificates",
    "/usr/share",
    "/var/lib/ca-certificates",
    "/var/lib/sss",
];

/// Devices that are read and written.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/random", "/dev/urandom", "/dev/zero"];

/// Files by which names are resolved.
const NAMES: [&str; 2] = ["/etc/hosts", "/etc/resolv.conf"];

/// Variables that name certificates (OpenSSL's), and secrets that systemd hands over.
const VARIABLES: [&str; 3] = ["SSL_CERT_FILE", "SSL_CERT_DIR", "CREDENTIALS_DIRECTORY"];

/// All of it.
pub(super) fn places(config: &Config) -> Places {
    let write = written(config);
    let mut read: Vec<PathBuf> = SYSTEM.iter().map(PathBuf::from).chain(names()).collect();
    // State is opened once, and no directory is replaced by what can be foreseen.
    let is_read_again = |path: &&PathBuf| path.is_file() && !is_state(config, path);
    let named = config.confinement.named.iter().filter(is_read_again).cloned();
    let named = named.chain(VARIABLES.iter().filter_map(std::env::var_os).map(PathBuf::from));
    for path in named.chain(config.trace.as_ref().and_then(|trace| trace.ca_file()).map(Path::to_owned)) {
        replaceable(&path, &mut read);
    }
    // Where a link leads, programs that know the network put another file (NetworkManager, resolvconf).
    NAMES.iter().for_each(|name| replaceable(Path::new(name), &mut read));
    let handlers = &config.handlers.directory;
    secrets(handlers).iter().chain(&links(handlers)).for_each(|path| replaceable(path, &mut read));
    read.extend(config.confinement.read.iter().cloned());
    read.extend(libraries());
    let sockets = sockets(config);
    let locks = sockets.iter().filter_map(|socket| local::prepare(socket).ok());
    Places {
        write: write.into_iter().chain(locks).collect(),
        read,
        run: programs(),
        sockets: sockets.iter().filter_map(|socket| socket.parent().map(present)).collect(),
        listen: [config.metrics.listen.map(|address| address.port()), admin_port(config)]
            .into_iter()
            .flatten()
            .collect(),
        abstract_socket: std::env::var_os("NOTIFY_SOCKET")
            .is_some_and(|path| path.as_encoded_bytes().starts_with(b"@")),
    }
}

/// What is written to, made where it is not there. Why one cannot be made is said when it is needed.
fn written(config: &Config) -> Vec<PathBuf> {
    let mut made: Vec<PathBuf> = config.record.iter().map(|record| record.directory.clone()).collect();
    if let Cache::Chosen(path) | Cache::Default(path) = &config.handlers.cache {
        made.push(path.clone());
    }
    for directory in &made {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).ok();
    }
    if let Some(names) = &config.rabbit.queue_names {
        DirBuilder::new().mode(0o700).create(&names.directory).ok();
        made.push(names.directory.clone());
    }
    if let Place::Path(file) = &config.capability.keyvalue {
        OpenOptions::new()
            .create(true)
            .append(true)
            .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
            .open(file)
            .ok();
        made.push(file.clone());
    }
    made.push(config.handlers.directory.clone());
    made.extend(DEVICES.iter().map(PathBuf::from));
    made.extend(config.confinement.write.iter().cloned());
    made
}

/// Local sockets that are made; the directory of the control socket's own place is made first.
fn sockets(config: &Config) -> Vec<PathBuf> {
    let admin = match &config.admin.listen {
        Some(admin::Place::Unix(path)) => Some(path.clone()),
        Some(admin::Place::Tcp(_)) | None => None,
    };
    control::socket::prepare(&config.control).into_iter().chain(admin).collect()
}

fn is_state(config: &Config, path: &Path) -> bool {
    matches!(&config.capability.keyvalue, Place::Path(file) if file == path)
}

fn admin_port(config: &Config) -> Option<u16> {
    match &config.admin.listen {
        Some(admin::Place::Tcp(address)) => Some(address.port()),
        Some(admin::Place::Unix(_)) | None => None,
    }
}

/// What a file may be replaced by: its directory, and that to which a symbolic link leads, as far as there is little else in them. In a
/// directory at the top, such as `/etc` or `/tmp`, it is the file alone.
fn replaceable(path: &Path, read: &mut Vec<PathBuf>) {
    read.push(path.to_owned());
    let directory = path.parent().map(present);
    let target = fs::canonicalize(path).ok();
    for place in [directory, target.as_deref().and_then(Path::parent).map(Path::to_owned)].into_iter().flatten() {
        let is_deep = fs::canonicalize(&place).is_ok_and(|whole| whole.components().count() > 2);
        if is_deep && !read.contains(&place) {
            read.push(place);
        }
    }
}

/// A path that is not empty: the parent of a bare name is where we are.
fn present(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() }
}

/// Handlers' files that are elsewhere, and are here as symbolic links.
fn links(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "wasm" || ending == "toml");
    entries.filter(|path| is_ours(path) && path.is_symlink()).filter_map(|path| fs::canonicalize(path).ok()).collect()
}

/// Files that handlers' manifests name, as values of their configuration.
fn secrets(directory: &Path) -> Vec<PathBuf> {
    let manifests = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let manifests = manifests.filter(|path| path.extension().is_some_and(|ending| ending == "toml") && path.is_file());
    let tables = manifests.filter_map(|path| fs::read_to_string(path).ok()?.parse::<toml::Table>().ok());
    let mut found = Vec::new();
    tables.for_each(|table| files(&toml::Value::Table(table), &mut found));
    found
}

fn files(value: &toml::Value, found: &mut Vec<PathBuf>) {
    let toml::Value::Table(table) = value else { return };
    for (key, value) in table {
        match value {
            toml::Value::String(text) if key == "file" && text.starts_with('/') => found.push(text.into()),
            value => files(value, found),
        }
    }
}

/// `/etc`, where the files by which names are resolved are replaced while we run. In containers they are mounted one by one, and
/// cannot be: there the files are enough.
fn names() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let is_mounted = |file: &&str| mounts.lines().any(|mount| mount.split(' ').nth(4) == Some(*file));
    (!NAMES.iter().all(is_mounted)).then(|| PathBuf::from("/etc"))
}

/// Our own program, which compiles as well, and the directory of what loads it: that is replaced with the system's libraries.
fn programs() -> Vec<PathBuf> {
    let is_loader = |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"ld-"));
    let loader = mapped().into_iter().find(is_loader).and_then(|path| path.parent().map(Path::to_owned));
    [PathBuf::from("/proc/self/exe")].into_iter().chain(loader).collect()
}

/// The directories of the libraries that we have loaded: our compiler loads them again.
fn libraries() -> Vec<PathBuf> {
    let is_library = |path: &PathBuf| path.to_string_lossy().contains(".so");
    mapped().into_iter().filter(is_library).filter_map(|path| path.parent().map(Path::to_owned)).collect()
}

/// Files that are mapped into this process (proc(5)).
fn mapped() -> BTreeSet<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(|map| Some(PathBuf::from(map.get(map.find('/')?..)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_with_its_directory_and_that_of_its_target_but_never_with_all_of_the_top() {
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| scratch.path().join(name);
        fs::create_dir_all(at("real")).unwrap();
        fs::create_dir_all(at("links")).unwrap();
        fs::write(at("real/key"), "x").unwrap();
        std::os::unix::fs::symlink(at("real/key"), at("links/key")).unwrap();
        let mut read = Vec::new();
        replaceable(&at("links/key"), &mut read);
        assert_eq!(read, [at("links/key"), at("links"), at("real").canonicalize().unwrap()]);
        for top in ["/etc/hostname", "/nova-host-tokens"] {
            let mut read = Vec::new();
            replaceable(Path::new(top), &mut read);
            assert_eq!(read, [PathBuf::from(top)]);
        }
    }

    #[test]
    fn files_that_manifests_name_are_found() {
        let scratch = tempfile::tempdir().unwrap();
        fs::write(scratch.path().join("a.toml"), "[config]\na = { file = \"/run/secrets/a\" }\nb = { file = \"b\" }")
            .unwrap();
        fs::write(scratch.path().join("b.toml"), "not TOML").unwrap();
        assert_eq!(secrets(scratch.path()), [PathBuf::from("/run/secrets/a")]);
    }

    #[test]
    fn the_program_and_its_loader_can_be_run() {
        let programs = programs();
        assert!(programs.len() == 2 && programs[1].is_dir(), "{programs:?}");
    }
}
