//! System calls, by seccomp: three kinds, each in a list of [`lists`].
//!
//! Before it: [`super`]. After it: the kernel. What is needed is allowed. What a program asks for that takes over a machine, and
//! nothing here ever does, ends the process with a word ([`super::death`]). Everything else is answered with `ENOSYS`, as an older
//! kernel would: libraries know that answer and go another way, so that a call which a new libc tries first ends no service.

mod lists;

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter,
};

use super::death;

/// What the filter's crate says.
type Error = Box<dyn std::error::Error>;

/// Calls by their numbers, with conditions of which one must hold; none is no condition.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// Flags of clone(2) that make namespaces: `CLONE_NEWNS`, `CGROUP`, `UTS`, `IPC`, `USER`, `PID` and `NET`.
const NAMESPACES: u64 = 0x7e02_0000;

/// Modes of files that give the privileges of their owner or group to who runs them: `S_ISUID` and `S_ISGID`.
const PRIVILEGES: u64 = 0o6000;

/// Filters for the process that serves.
///
/// # Errors
///
/// Why there is none.
pub(super) fn serving() -> Result<(), String> {
    let allowed = || -> Result<Calls, Error> {
        let mut allowed = all(&[lists::COMPUTING, lists::SERVING]);
        let family = |family: i32| first(SeccompCmpOp::Eq, u64::try_from(family)?);
        let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        allowed.insert(libc::SYS_socket, families.into_iter().map(family).collect::<Result<_, _>>()?);
        allowed.insert(libc::SYS_socketpair, vec![family(libc::AF_UNIX)?]);
        allowed.insert(libc::SYS_clone, vec![first(SeccompCmpOp::MaskedEq(NAMESPACES), 0)?]);
        // Limits of others are nobody's to set, and files get no mode that gives privileges: Landlock does not look at either.
        allowed.insert(libc::SYS_prlimit64, vec![first(SeccompCmpOp::Eq, 0)?]);
        allowed.insert(libc::SYS_fchmod, vec![argument(1, SeccompCmpOp::MaskedEq(PRIVILEGES), 0)?]);
        allowed.insert(libc::SYS_fchmodat, vec![argument(2, SeccompCmpOp::MaskedEq(PRIVILEGES), 0)?]);
        #[cfg(target_arch = "x86_64")]
        allowed.insert(libc::SYS_chmod, vec![argument(1, SeccompCmpOp::MaskedEq(PRIVILEGES), 0)?]);
        Ok(allowed)
    };
    allowed().and_then(|allowed| install(allowed, all(&[lists::FATAL]))).map_err(|error| error.to_string())
}

/// Filters for the process that compiles: it has threads and pipes.
///
/// # Errors
///
/// Why there is none.
pub(super) fn compiling() -> Result<(), String> {
    let allowed = || -> Result<Calls, Error> {
        let mut allowed = all(&[lists::COMPUTING]);
        let thread = u64::try_from(libc::CLONE_THREAD)?;
        allowed.insert(libc::SYS_clone, vec![first(SeccompCmpOp::MaskedEq(thread), thread)?]);
        allowed.insert(libc::SYS_prlimit64, vec![first(SeccompCmpOp::Eq, 0)?]);
        // To end itself.
        allowed.insert(libc::SYS_tgkill, vec![first(SeccompCmpOp::Eq, std::process::id().into())?]);
        Ok(allowed)
    };
    let fatal = all(&[lists::FATAL, lists::FATAL_TO_A_COMPILER]);
    allowed().and_then(|allowed| install(allowed, fatal)).map_err(|error| error.to_string())
}

/// Whether this kernel can do it.
///
/// # Errors
///
/// Why it cannot.
pub(super) fn available() -> Result<(), String> {
    const ACTIONS: &str = "/proc/sys/kernel/seccomp/actions_avail";
    let actions = std::fs::read_to_string(ACTIONS).map_err(|error| format!("{ACTIONS}: {error}"))?;
    let has = |action: &str| actions.split_whitespace().any(|word| word == action);
    if has("trap") && has("errno") { Ok(()) } else { Err(format!("{ACTIONS} has no trap and errno")) }
}

fn all(lists: &[&[i64]]) -> Calls {
    lists.iter().copied().flatten().map(|call| (*call, Vec::new())).collect()
}

/// A condition for the first argument.
fn first(operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, Error> {
    argument(0, operator, value)
}

/// A condition for an argument, by its position.
fn argument(position: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, Error> {
    let condition = SeccompCondition::new(position, SeccompCmpArgLen::Qword, operator, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}

/// Two filters, of which the kernel takes the stricter answer.
fn install(allowed: Calls, fatal: Calls) -> Result<(), Error> {
    let otherwise = SeccompAction::Errno(u32::try_from(libc::ENOSYS)?);
    let (allowed, fatal) = (
        program(allowed, otherwise, SeccompAction::Allow)?,
        program(fatal, SeccompAction::Allow, SeccompAction::Trap)?,
    );
    death::prepare()?;
    apply_filter(&fatal)?;
    apply_filter(&allowed)?;
    Ok(())
}

fn program(calls: Calls, otherwise: SeccompAction, matched: SeccompAction) -> Result<BpfProgram, Error> {
    let machine = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(calls, otherwise, matched, machine)?.try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_call_is_on_two_lists() {
        let lists = [lists::COMPUTING, lists::SERVING, lists::FATAL];
        assert_eq!(all(&lists).len(), lists.iter().map(|list| list.len()).sum::<usize>());
        let compiler = [lists::COMPUTING, lists::FATAL, lists::FATAL_TO_A_COMPILER];
        assert_eq!(all(&compiler).len(), compiler.iter().map(|list| list.len()).sum::<usize>());
    }
}
