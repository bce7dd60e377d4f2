//! Privileges and core dumps: no new ones, no capabilities, and no memory of guests in a file.
//!
//! Before it: [`super`]. After it: the kernel. Each is one call that no crate of ours has.

use std::io;

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// `CAP_NET_BIND_SERVICE` (capabilities(7)): to listen on a port below 1024.
const NET_BIND_SERVICE: u32 = 10;

/// `_LINUX_CAPABILITY_VERSION_3` (capget(2)): capabilities as two words.
const VERSION: u32 = 0x2008_0522;

/// Capabilities that a kernel may know: as many as the two words have bits.
const MOST: libc::c_ulong = 64;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Has the kernel give this process no privilege any more, and write no core file. `binds_low` keeps what a port below 1024 takes.
///
/// # Errors
///
/// The kernel's.
pub(super) fn give_up(binds_low: bool) -> io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    for capability in
        (0..MOST).filter(|capability| !(binds_low && *capability == libc::c_ulong::from(NET_BIND_SERVICE)))
    {
        // Who is no root may not, and has none; a kernel that does not know the capability has none either.
        prctl(libc::PR_CAPBSET_DROP, capability).ok();
    }
    // Those that are not permitted any more are not ambient either; a kernel may not know the word.
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong).ok();
    keep(if binds_low { 1 << NET_BIND_SERVICE } else { 0 })
}

/// Lets nobody but root read this process's memory: no core dump (a pipe in `core_pattern` is not bound by `RLIMIT_CORE`), and no
/// debugger of the same user. wasmtime opens `/proc/self/pagemap` with its engine, which only root can do after this: so it
/// comes when the engine is there.
///
/// # Errors
///
/// The kernel's.
pub fn no_dumps() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Keeps those of our capabilities that are in the first word of `mask`.
#[expect(unsafe_code, reason = "two system calls without a wrapper")]
fn keep(mask: u32) -> io::Result<()> {
    let header = Header { version: VERSION, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: both are laid out as capget(2) says, for this version, and live until it returns.
    if unsafe { libc::syscall(libc::SYS_capget, &raw const header, sets.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let [low, high] = &mut sets;
    *low = Sets { effective: low.effective & mask, permitted: low.permitted & mask, inheritable: 0 };
    *high = Sets::default();
    // SAFETY: the same.
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, sets.as_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(unsafe_code, reason = "a system call without a wrapper")]
fn prctl(option: libc::c_int, value: libc::c_ulong) -> io::Result<()> {
    const NOTHING: libc::c_ulong = 0;
    // SAFETY: the options that are used take numbers, and touch no memory.
    match unsafe { libc::prctl(option, value, NOTHING, NOTHING, NOTHING) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
