//! The admin API: what it can do, who may, and who is kept out.
//!
//! Most of these services have no broker: what is asked is about the host. [`cost`] measures what attackers cost callers.

mod cost;
mod doors;
mod operations;
mod people;
mod strangers;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::harness::{Api, Scratch, Serve, guest::answering};

/// The tokens of those who may change things, and of those who may look.
const ALICE: &str = "a11ce000a11ce000a11ce000a11ce000";
const BOB: &str = "b0b00000b0b00000b0b00000b0b00000";

/// A service with an admin API.
struct Story {
    scratch: Scratch,
    host: Serve,
}

impl Story {
    /// On loopback, where alice and bob have tokens.
    fn begin() -> Self {
        Self::configured("[admin]\nlisten = \"127.0.0.1:0\"\ntokens = \"SCRATCH/tokens\"")
    }

    /// The same with this configuration; `SCRATCH` in it is a directory with the tokens.
    fn configured(more: &str) -> Self {
        let scratch = Scratch::new();
        scratch.write("handlers/a.wasm", answering("1"));
        write_tokens(&scratch, &[("alice", "operate", ALICE), ("bob", "read", BOB)]);
        let path = scratch.path().display().to_string();
        let host = Serve::with_config(&format!(
            "transport_url = \"memory://\"\nhandlers.directory = \"{path}/handlers\"\n\
             control.socket = \"{path}/control.sock\"\n{}\n",
            more.replace("SCRATCH", &path)
        ));
        Self { scratch, host }
    }

    fn api(&self) -> Api {
        Api::of(&self.host)
    }

    fn alice(&self) -> Api {
        self.api().token(ALICE)
    }

    fn bob(&self) -> Api {
        self.api().token(BOB)
    }

    /// The lines of the log that say who changed what.
    fn audit(&self) -> Vec<String> {
        self.host.log().lines().filter(|line| line.contains(" audit: ")).map(str::to_owned).collect()
    }
}

/// Writes the file of tokens, for its owner alone.
fn write_tokens(scratch: &Scratch, tokens: &[(&str, &str, &str)]) -> PathBuf {
    let line = |(name, role, token): &(&str, &str, &str)| {
        let hash = Sha256::digest(token.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {role} sha256:{hex}\n")
    };
    let text: String = tokens.iter().map(line).collect();
    let file = scratch.write("tokens.new", text);
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("it is ours");
    // As one: the service may look at any time.
    let there = scratch.path().join("tokens");
    fs::rename(file, &there).expect("it is ours");
    there
}
