//! The last words of a process that asks the kernel for what it has given up.
//!
//! Before it: [`super::calls`] has the kernel send SIGSYS. After it: nothing: the process ends by that signal, which systemd and
//! the host (of a compiler) name.

use std::{io, mem, ptr};

/// Where the number of the call stands in `siginfo_t` on 64-bit Linux: after three numbers, a gap and the caller's address
/// (`_sigsys` in asm-generic/siginfo.h).
const CALL_AT: usize = 24;

/// What is written before the number of the call, and after it.
const BEFORE: &[u8] = b"nova-host: asked the kernel for what it has given up (system call ";
const AFTER: &[u8] = b"), as what has broken out of the sandbox would: ended; see docs/security.md\n";

/// Has the process say why it ends.
///
/// # Errors
///
/// The kernel's.
#[expect(unsafe_code, reason = "the handler of a signal")]
pub(super) fn prepare() -> io::Result<()> {
    // SAFETY: zeros are a valid `sigaction`, without a handler; the rest is set below.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = speak as *const () as usize;
    // Where there is another stack, on that: a guest may have used up the one that it runs on.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: the handler has the signature of SA_SIGINFO and calls only what is safe in one (signal-safety(7)).
    match unsafe { libc::sigaction(libc::SIGSYS, &raw const action, ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[expect(unsafe_code, reason = "the handler of a signal")]
extern "C" fn speak(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: for SIGSYS the kernel has written the number there.
    let call = unsafe { info.cast::<u8>().add(CALL_AT).cast::<i32>().read_unaligned() };
    let mut digits = [0_u8; 10];
    for text in [BEFORE, decimal(call.unsigned_abs(), &mut digits), AFTER] {
        // SAFETY: the bytes are there. That nobody reads them is no concern any more.
        unsafe { libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len()) };
    }
    // SAFETY: without a handler, the signal ends the process; if not, this does.
    unsafe {
        libc::signal(libc::SIGSYS, libc::SIG_DFL);
        libc::raise(libc::SIGSYS);
        libc::_exit(128 + libc::SIGSYS);
    }
}

/// A number in decimal, without memory.
fn decimal(mut number: u32, digits: &mut [u8; 10]) -> &[u8] {
    let mut first = digits.len();
    for (index, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        first = index;
        if number == 0 {
            break;
        }
    }
    digits.get(first..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_without_memory() {
        for number in [0, 7, 101, u32::MAX] {
            assert_eq!(decimal(number, &mut [0; 10]), number.to_string().as_bytes());
        }
    }
}
