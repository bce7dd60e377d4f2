//! Files and listeners, by Landlock: what is not on the list cannot be opened, made, removed, run or listened on.
//!
//! Before it: [`super`], with the places of the configuration. After it: the kernel. A rule holds for what is at a path now: what is
//! moved there later is another thing. So rules are for directories, wherever what is in them may be replaced.

use std::path::PathBuf;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, LandlockStatus, NetPort, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

/// The first port that every process may listen on.
const FIRST_FREE_PORT: u16 = 1024;

/// What is still needed. What does not exist is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Files that are read, and directories with all that is in them.
    pub read: Vec<PathBuf>,
    /// The same, where files are made, written, renamed and removed as well.
    pub write: Vec<PathBuf>,
    /// Directories in which a local socket is made and removed.
    pub sockets: Vec<PathBuf>,
    /// Programs that are run, and directories with libraries that running them takes.
    pub run: Vec<PathBuf>,
    /// TCP ports that are listened on.
    pub listen: Vec<u16>,
    /// Whether a local socket without a path is spoken to: systemd's, on some systems.
    pub abstract_socket: bool,
}

impl Places {
    /// Whether a port takes a privilege.
    pub(super) fn binds_low(&self) -> bool {
        self.listen.iter().any(|port| (1..FIRST_FREE_PORT).contains(port))
    }
}

/// Gives up everything else. Gives what is in force, for the log.
///
/// # Errors
///
/// Why nothing is.
pub(super) fn restrict(places: &Places) -> Result<String, String> {
    let status = rules(places).map_err(|error| chain(&error))?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => Err("this kernel has no Landlock".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(format!("Landlock {effective_abi:?}")),
        (_, LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) => Ok("Landlock".to_owned()),
    }
}

/// Whether this kernel can do it.
///
/// # Errors
///
/// Why it cannot.
pub(super) fn available() -> Result<(), String> {
    let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let made = ruleset.handle_access(AccessFs::from_all(ABI::V2)).and_then(Ruleset::create);
    made.map(drop).map_err(|error| chain(&error))
}

fn rules(places: &Places) -> Result<landlock::RestrictionStatus, RulesetError> {
    let scopes = if places.abstract_socket { Scope::Signal.into() } else { Scope::Signal | Scope::AbstractUnixSocket };
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let devices = AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev;
    let write = AccessFs::from_all(ABI::V5) & !(devices | AccessFs::Execute);
    Ruleset::default()
        // Without its second version nothing can be moved from one directory to another, as versions of handlers are.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V2))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::BindTcp)?
        .scope(scopes)?
        .create()?
        .add_rules(path_beneath_rules(&places.read, read))?
        .add_rules(path_beneath_rules(&places.write, write))?
        .add_rules(path_beneath_rules(&places.sockets, AccessFs::MakeSock | AccessFs::RemoveFile))?
        .add_rules(path_beneath_rules(&places.run, read | AccessFs::Execute))?
        .add_rules(places.listen.iter().map(|port| Ok::<_, RulesetError>(NetPort::new(*port, AccessNet::BindTcp))))?
        .restrict_self()
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
