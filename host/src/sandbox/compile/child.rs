//! The other side of [`super`]: the process that compiles one component and ends.
//!
//! Before it: `cli/compile.rs` has read the arguments. It limits itself before it reads a byte of the component. There is
//! no runtime, no log and no configuration: what it has to say goes to standard error.

use std::{
    io::{Read, Write},
    thread,
};

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{CompileLimits, names};
use crate::{
    confine,
    sandbox::{MAX_COMPONENT, chain, engine},
    settings::Bytes,
};

/// How the process ends that was not killed: `Exit::Handlers` of the command line.
pub(super) const REFUSED: i32 = 3;

/// What it says of a compiler that got no memory, and noticed.
pub(super) const OUT_OF_MEMORY: &str = "out of memory";

/// Exit code where the host has gone, and nobody sees it: `EX_UNAVAILABLE`.
const ABANDONED: i32 = 69;

/// How the program is called.
pub(super) fn arguments(limits: &CompileLimits, length: usize) -> [String; 5] {
    let seconds = limits.timeout.as_secs() + u64::from(limits.timeout.subsec_nanos() > 0);
    [
        "compile".to_owned(),
        length.to_string(),
        limits.memory.0.to_string(),
        seconds.to_string(),
        limits.confined.to_string(),
    ]
}

/// Why nothing was compiled.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);

/// Reads a component of this length from standard input, compiles it and writes the code to standard output, within
/// `memory` and `seconds` of CPU time. `confined`, the process first gives up all but its pipes.
///
/// # Errors
///
/// [`Failed`], for the host that waits.
pub fn run(length: usize, memory: Bytes, seconds: u64, confined: bool) -> Result<(), Failed> {
    limit(memory, seconds).map_err(|error| refused(&format!("limits cannot be set: {error}")))?;
    if confined {
        confine::compiling().map_err(|error| refused(&format!("privileges cannot be given up: {error}")))?;
    }
    let mut wasm = read(length)?;
    let is_read = names::hide_long(&mut wasm);
    // It takes no request: what matters of the configuration is what code looks like.
    let mut config = engine::config();
    // One thread: memory then does not depend on the machine, and requests keep the other cores.
    config.parallel_compilation(false);
    let engine = wasmtime::Engine::new(&config).map_err(|error| failed(&error))?;
    let code = engine.precompile_component(&wasm).map_err(|error| failed(&error))?;
    drop(wasm);
    if !is_read {
        return Err(refused(names::UNREADABLE));
    }
    std::io::stdout().write_all(&code).map_err(|error| refused(&error.to_string()))
}

fn limit(memory: Bytes, seconds: u64) -> rustix::io::Result<()> {
    let at_most =
        |resource, soft: u64, hard: u64| setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) });
    at_most(Resource::Core, 0, 0)?;
    at_most(Resource::Data, memory.0 as u64, memory.0 as u64)?;
    // At the soft limit comes SIGXCPU, which says what happened; at the hard one SIGKILL.
    at_most(Resource::Cpu, seconds, seconds.saturating_add(1))
}

/// Reads the component, and from then on waits for the host to go.
fn read(length: usize) -> Result<Vec<u8>, Failed> {
    if length > MAX_COMPONENT {
        return Err(refused("too large"));
    }
    let mut wasm = vec![0; length];
    std::io::stdin().read_exact(&mut wasm).map_err(|error| refused(&error.to_string()))?;
    let until_the_end = || {
        // Nothing is sent any more: this returns when the host closes the pipe, or is no more.
        std::io::stdin().read_exact(&mut [0]).ok();
        std::process::exit(ABANDONED);
    };
    thread::Builder::new().stack_size(64 << 10).spawn(until_the_end).map_err(|error| refused(&error.to_string()))?;
    Ok(wasm)
}

fn refused(words: &str) -> Failed {
    Failed(words.to_owned())
}

fn failed(error: &wasmtime::Error) -> Failed {
    let no_memory = error.chain().any(|cause| {
        let io = cause.downcast_ref::<std::io::Error>();
        io.is_some_and(|error| error.kind() == std::io::ErrorKind::OutOfMemory)
            || cause.downcast_ref::<rustix::io::Errno>() == Some(&rustix::io::Errno::NOMEM)
            || cause.to_string().contains(OUT_OF_MEMORY)
    });
    Failed(if no_memory { OUT_OF_MEMORY.to_owned() } else { chain(error) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn fractions_of_a_second_are_rounded_up() {
        let limits = |timeout| CompileLimits { memory: Bytes(1), timeout, confined: true };
        assert_eq!(arguments(&limits(Duration::from_millis(1500)), 7), ["compile", "7", "1", "2", "true"]);
        assert_eq!(arguments(&limits(Duration::from_secs(2)), 7), ["compile", "7", "1", "2", "true"]);
    }
}
