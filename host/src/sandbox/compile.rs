//! Compiles components, in a process of its own.
//!
//! Before it: [`super::Sandbox::load`] has looked into the cache. wasmtime promises that code which it compiled is
//! contained, and does not promise that compiling ends soon or in little memory; so the host runs itself as
//! `nova-host compile` ([`child`]), which may use so much CPU time and memory, and has an empty environment. The
//! component goes to its standard input, the code comes from its standard output. The input is held open until the child
//! has ended: when the host goes, however it goes, the child sees the end of it and goes too.

pub mod child;
mod names;

use std::{
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
    sync::Semaphore,
    time::timeout,
};
use wasmtime::{Engine, component::Component};

use super::{LoadError, chain};
use crate::{
    printable::printable,
    settings::{Bytes, Settings},
};

/// The program of this process, also after its file was replaced.
const OURSELVES: &str = "/proc/self/exe";

/// Memory of a compilation. The largest function counts, more than the component: one of 800 KB, far beyond what
/// compilers write, was measured to take 480 MiB.
const DEFAULT_MEMORY: Bytes = Bytes(2 << 30);

/// CPU time of a compilation: minutes are for components of many megabytes.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// Compilations at once; a directory of handlers that all have changed must not take the machine.
const MAX_AT_ONCE: usize = 2;

/// The largest code that is taken: eight times the largest component; compiled components were measured to be thrice as
/// large.
const MAX_CODE: usize = 1 << 30;

/// Wall-clock time for each second of CPU time, on a machine that has other things to do; a child that is stopped, or
/// waits for us, uses none.
const PATIENCE: u32 = 10;

/// Bytes of what the child says about a component that it refuses.
const MAX_WORDS: usize = 4096;

/// What compiling one component may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Memory that can be written (`RLIMIT_DATA`).
    pub memory: Bytes,
    /// CPU time (`RLIMIT_CPU`).
    pub timeout: Duration,
    /// Whether the compiler gives up all but its pipes: the setting `confinement.enabled`.
    pub confined: bool,
}

/// Who compiles.
#[derive(Debug)]
pub enum Compiler {
    /// A child process, within limits. The program that runs must be `nova-host`, or understand `compile` like it.
    Child(CompileLimits),
    /// This process, without limits: for components that are trusted.
    Here,
}

/// Compilations, some at once.
#[derive(Debug)]
pub(super) struct Compilations {
    compiler: Compiler,
    places: Semaphore,
}

impl CompileLimits {
    /// Takes the settings, which are in the section `handlers`.
    #[must_use]
    pub fn read(settings: &mut Settings) -> Self {
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(86_400));
        let memory = Bytes(64 << 20)..=Bytes(1 << 40);
        Self {
            memory: settings.take_within("handlers.compile_memory", DEFAULT_MEMORY, memory),
            timeout: settings.take_within("handlers.compile_timeout", DEFAULT_TIMEOUT, second..=day),
            confined: true,
        }
    }
}

impl Compilations {
    pub(super) fn new(compiler: Compiler) -> Self {
        Self { compiler, places: Semaphore::new(MAX_AT_ONCE) }
    }

    /// Compiles a component to code that [`trusted`] takes.
    ///
    /// # Cancel safety
    ///
    /// Dropped half-way, the child is killed.
    pub(super) async fn compile(&self, engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, LoadError> {
        let limits = match &self.compiler {
            Compiler::Child(limits) => limits,
            Compiler::Here => {
                let mut wasm = wasm.to_vec();
                let is_read = names::hide_long(&mut wasm);
                let code = engine.precompile_component(&wasm).map_err(|error| LoadError::Compile(chain(&error)))?;
                return if is_read { Ok(code) } else { Err(LoadError::Compile(names::UNREADABLE.to_owned())) };
            }
        };
        let _place = self.places.acquire().await;
        match timeout(limits.timeout.saturating_mul(PATIENCE), run(limits, wasm)).await {
            Ok(ended) => ended.map_err(|error| LoadError::Compiler(error.to_string()))?.judge(limits),
            Err(_) => Err(LoadError::CompileTime(limits.timeout)),
        }
    }
}

/// What a child did.
struct Ended {
    status: ExitStatus,
    code: Vec<u8>,
    words: Vec<u8>,
}

async fn run(limits: &CompileLimits, wasm: &[u8]) -> std::io::Result<Ended> {
    let mut child = Command::new(OURSELVES)
        .arg0("nova-host")
        .args(child::arguments(limits, wasm.len()))
        .env_clear()
        // The allocator would ask for a gigabyte at once, which is more than the child's limit.
        .env("MIMALLOC_ARENA_EAGER_COMMIT", "0")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| std::io::Error::new(error.kind(), format!("{OURSELVES}: {error}")))?;
    let (input, output, words) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let send = async {
        let mut input = input?;
        // A child that has ended reads no more; why it did is what counts.
        input.write_all(wasm).await.ok();
        Some(input)
    };
    let (_held_open, code, words) = tokio::join!(send, take(output, MAX_CODE), take(words, MAX_WORDS));
    let (code, words) = (code?, words?);
    if code.len() > MAX_CODE {
        return Err(std::io::Error::other(format!("it made more than {} of code", Bytes(MAX_CODE))));
    }
    Ok(Ended { status: child.wait().await?, code, words })
}

/// Reads to the end; what is beyond the limit, up to a byte that shows that there is more.
async fn take(stream: Option<impl AsyncRead + Unpin>, limit: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(limit as u64 + 1).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

impl Ended {
    fn judge(self, limits: &CompileLimits) -> Result<Vec<u8>, LoadError> {
        let words = printable(&String::from_utf8_lossy(&self.words), MAX_WORDS);
        let signal = self.status.signal().and_then(rustix::process::Signal::from_named_raw);
        match (self.status.code(), signal) {
            (Some(0), _) => Ok(self.code),
            (Some(child::REFUSED), _) if words == child::OUT_OF_MEMORY => Err(LoadError::CompileMemory(limits.memory)),
            (Some(child::REFUSED), _) => Err(LoadError::Compile(words)),
            // Rust ends a process that gets no memory with these words.
            (None, Some(rustix::process::Signal::ABORT)) if words.contains("memory allocation of") => {
                Err(LoadError::CompileMemory(limits.memory))
            }
            (None, Some(rustix::process::Signal::XCPU)) => Err(LoadError::CompileTime(limits.timeout)),
            _ => Err(LoadError::Compiler(format!("it ended with {}: {words}", self.status))),
        }
    }
}

/// Takes code for what it says it is.
#[expect(unsafe_code, reason = "the callers' words: compiled by our own program, and unchanged since")]
pub(super) fn trusted(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes are what `Engine::precompile_component` gave, over a pipe of ours, or from the cache, where
    // nobody else writes and a checksum says that they are what we wrote. Another engine's are refused.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: i32, words: &str) -> String {
        let ended = Ended { status: ExitStatus::from_raw(status), code: Vec::new(), words: words.into() };
        let limits = CompileLimits { memory: Bytes(64 << 20), timeout: Duration::from_secs(2), confined: true };
        ended.judge(&limits).map_or_else(|error| error.to_string(), |code| format!("{code:?}"))
    }

    #[test]
    fn how_the_child_ended_says_which_limit_it_was() {
        assert_eq!(ended(0, ""), "[]");
        assert_eq!(ended(child::REFUSED << 8, "bad\x1b[2J byte"), "does not compile: bad\\u{1b}[2J byte");
        let memory = "compiling it takes more than 64 MiB of memory (handlers.compile_memory)";
        assert_eq!(ended(child::REFUSED << 8, child::OUT_OF_MEMORY), memory);
        assert_eq!(ended(6, "memory allocation of 40 bytes failed\n"), memory);
        assert_eq!(ended(24, ""), "compiling it takes longer than 2s (handlers.compile_timeout)");
        assert_eq!(ended(9, ""), "the compiler failed: it ended with signal: 9 (SIGKILL): ");
    }
}
