//! What this machine is called.
//!
//! Before it: the kernel. After it: settings that are named after the machine unless they are given.

/// The name of this machine, as the reference's services call themselves; `localhost` where it has none.
pub(crate) fn host_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.is_empty() { "localhost".to_owned() } else { name }
}
