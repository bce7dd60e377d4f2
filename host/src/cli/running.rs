//! The host that runs on this machine: how it is asked, and what commands about it show alike.
//!
//! Before it: a subcommand. After it: [`client`], over the control socket.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{Exit, Failed};
use crate::{
    config::Config,
    control::{
        client,
        protocol::{ControlAnswer, ControlRequest},
    },
};

/// Asks the host that the configuration means.
pub(super) async fn ask(config: &Config, request: &ControlRequest, timeout: Duration) -> Result<ControlAnswer, Failed> {
    let Some(socket) = &config.control.socket else {
        return Err(Failed::new(Exit::Usage, "control.socket is none: there is no host to ask"));
    };
    client::ask(socket, request, timeout).await.map_err(|error| Failed::new(Exit::Control, error))
}

/// A file as the host finds it, which has another working directory, and the name of the handler.
pub(super) fn given(file: &Path, name: Option<&String>) -> Result<(PathBuf, String), Failed> {
    let absolute = std::path::absolute(file);
    let file = absolute.map_err(|error| Failed::new(Exit::Usage, format!("{}: {error}", file.display())))?;
    let own = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.cloned().unwrap_or(own);
    Ok((file, name))
}

/// The beginning of a digest, for people.
pub(super) fn digest(digest: &str) -> String {
    format!("sha256:{}", digest.get(..12).unwrap_or(digest))
}

/// How long ago, in the largest unit that fits.
pub(super) fn ago(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match now.saturating_sub(seconds) {
        age @ 0..60 => format!("{age}s ago"),
        age @ 60..3_600 => format!("{}m ago", age / 60),
        age @ 3_600..86_400 => format!("{}h ago", age / 3_600),
        age => format!("{}d ago", age / 86_400),
    }
}
