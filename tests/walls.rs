//! What somebody finds who has broken out of the sandbox: each story tries one thing from inside the process, with what the host
//! itself gives up.
//!
//! The tries are made by this very program in a process of its own ([`attempt`]), which confines itself by the host's function and
//! then does what the story names; the host that serves is looked at from outside as well.

use std::fs;
use std::io::{self, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, Output};

use nova_host::confine::{self, Places};

use crate::harness::{Scratch, Serve, handlers, nova_host};

/// What is tried, and with what.
const TRY: &str = "WALLS_TRY";
const SCRATCH: &str = "WALLS_SCRATCH";

/// SIGSYS on Linux.
const SIGSYS: i32 = 31;

/// Tries one thing in a process that is confined, or that is not, and gives what it says.
fn attempt(what: &str, confined: &str, scratch: &Path) -> Output {
    let program = std::env::current_exe().expect("a program knows where it is");
    let mut command = Command::new(program);
    command.args(["--exact", "walls::inside", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(TRY, format!("{confined} {what}")).env(SCRATCH, scratch).output().expect("it runs")
}

/// What a try says that was not killed.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let words = text.lines().find_map(|line| Some(line.split_once("tried: ")?.1.to_owned()));
    words.unwrap_or_else(|| format!("{:?} {text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// A directory with a place for a host, and a secret beside it.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("secret", "of somebody else");
    fs::create_dir(scratch.path().join("own")).expect("it is writable");
    fs::create_dir(scratch.path().join("read")).expect("it is writable");
    scratch
}

/// Whether this kernel's Landlock is of this version or a later one: files are 1, ports 4, signals 6. Debian 12's is 2.
#[expect(unsafe_code, reason = "the standard library does not have it")]
fn has_landlock(version: i64) -> bool {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel looks at nothing else (landlock_create_ruleset(2)).
    let there = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    if there < version {
        eprintln!("not tried: this kernel's Landlock is {there}, and it takes {version}");
    }
    there >= version
}

/// Holds what a serving process is told against one that is not confined, which shows that the try is a try. Where the kernel has no
/// Landlock of this version, nothing is tried.
#[track_caller]
fn refused(what: &str, landlock: i64, expected: &str) {
    if !has_landlock(landlock) {
        return;
    }
    let scratch = scratch();
    let free = said(&attempt(what, "free", scratch.path()));
    assert_eq!(free, "done", "{what} in a process that is not confined");
    assert_eq!(said(&attempt(what, "serving", scratch.path())), expected, "{what}");
}

/// The same for what ends the process.
#[track_caller]
fn fatal(what: &str, kind: &str, number: i64) {
    let scratch = scratch();
    let output = attempt(what, kind, scratch.path());
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.signal(), Some(SIGSYS), "{what}: {text}");
    assert!(text.contains(&format!("has given up (system call {number})")), "{what}: {text}");
}

#[test]
fn no_file_is_opened_but_those_of_the_configuration() {
    refused("open", 1, "Permission denied (os error 13)");
    refused("write", 1, "Permission denied (os error 13)");
    refused("remove", 1, "Permission denied (os error 13)");
    refused("write-where-it-reads", 1, "Permission denied (os error 13)");
    let scratch = scratch();
    for allowed in ["own-files", "read-own"] {
        assert_eq!(said(&attempt(allowed, "serving", scratch.path())), "done", "{allowed}");
    }
}

#[test]
fn no_program_is_run_but_our_own() {
    refused("exec", 1, "Permission denied (os error 13)");
    let scratch = scratch();
    assert_eq!(said(&attempt("exec-ourselves", "serving", scratch.path())), "done");
}

#[test]
fn no_port_is_listened_on_but_those_of_the_configuration() {
    refused("listen", 4, "Permission denied (os error 13)");
}

#[test]
fn no_other_kind_of_socket_is_made() {
    let scratch = scratch();
    let refused = "Function not implemented (os error 38)";
    assert_ne!(said(&attempt("packet-socket", "free", scratch.path())), refused);
    assert_eq!(said(&attempt("packet-socket", "serving", scratch.path())), refused);
}

#[test]
fn no_namespace_is_made_and_no_other_process_is_read() {
    fatal("ptrace", "serving", libc::SYS_ptrace);
    fatal("read-memory", "serving", libc::SYS_process_vm_readv);
    fatal("mount", "serving", libc::SYS_mount);
    fatal("namespace", "serving", libc::SYS_unshare);
    fatal("bpf", "serving", libc::SYS_bpf);
    fatal("setuid", "serving", libc::SYS_setuid);
    fatal("io-uring", "serving", libc::SYS_io_uring_setup);
}

#[test]
fn a_process_outside_gets_no_signal() {
    refused("signal", 6, "Operation not permitted (os error 1)");
}

#[test]
fn a_call_that_nobody_knows_is_answered_as_an_old_kernel_would() {
    let scratch = scratch();
    assert_eq!(said(&attempt("unknown", "serving", scratch.path())), "Function not implemented (os error 38)");
}

#[test]
fn names_are_resolved_threads_are_started_and_brokers_are_reached() {
    let scratch = scratch();
    for allowed in ["resolve", "thread", "connect", "time-zone", "memory"] {
        assert_eq!(said(&attempt(allowed, "serving", scratch.path())), "done", "{allowed}");
    }
}

#[test]
fn a_compiler_has_threads_and_memory_and_nothing_else() {
    let scratch = scratch();
    for allowed in ["thread", "memory", "not-dumpable"] {
        assert_eq!(said(&attempt(allowed, "compiling", scratch.path())), "done", "{allowed}");
    }
    for refused in ["open", "write", "read-own"] {
        assert_eq!(said(&attempt(refused, "compiling", scratch.path())), "Function not implemented (os error 38)");
    }
    fatal("connect", "compiling", libc::SYS_socket);
    fatal("exec-by-number", "compiling", libc::SYS_execve);
    fatal("ptrace", "compiling", libc::SYS_ptrace);
}

#[test]
fn a_host_that_serves_has_no_privileges_and_leaves_no_core() {
    let directory = handlers();
    let host = Serve::with_arguments(["--transport-url", "memory://", "--handlers", &directory.to_string_lossy()]);
    let status = fs::read_to_string(format!("/proc/{}/status", host.pid())).expect("it runs");
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":"));
        line.unwrap_or_default().trim().to_owned()
    };
    let nothing = "0000000000000000";
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(value(name), nothing, "{name}");
    }
    assert_eq!((value("NoNewPrivs").as_str(), value("Seccomp").as_str()), ("1", "2"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", host.pid())).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // All threads: the runtime's were started after it.
    for thread in fs::read_dir(format!("/proc/{}/task", host.pid())).expect("it runs").flatten() {
        let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        assert!(status.is_empty() || status.contains("Seccomp:\t2"), "{status}");
    }
    let log = host.log();
    assert!(log.contains("the process has given up what it does not need"), "{log:?}");
}

#[test]
fn a_confinement_that_is_switched_off_is_said() {
    let directory = handlers();
    let host = Serve::with_arguments([
        "--transport-url",
        "memory://",
        "--handlers",
        &directory.to_string_lossy(),
        "--set",
        "confinement.enabled=false",
    ]);
    assert!(host.log().contains("confinement.enabled is false"), "{:?}", host.log());
    let status = fs::read_to_string(format!("/proc/{}/status", host.pid())).expect("it runs");
    assert!(status.contains("NoNewPrivs:\t0"), "{status}");
}

#[test]
#[ignore = "it is what the other stories run in a process of its own"]
fn inside() {
    let (Ok(what), Some(scratch)) = (std::env::var(TRY), std::env::var_os(SCRATCH)) else { return };
    let scratch = Path::new(&scratch);
    let (kind, what) = what.split_once(' ').expect("two words");
    // Before it is confined, for those tries need something to aim at.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("a port");
    match kind {
        "serving" => {
            let confined = confine::serving(&places(scratch));
            assert!(confined.is_whole(), "{confined:?}");
        }
        "compiling" => confine::compiling().expect("it is root or not"),
        _ => {}
    }
    let said = match tried(what, scratch, address) {
        Ok(()) => "done".to_owned(),
        Err(error) => error.to_string(),
    };
    let mut out = io::stdout();
    writeln!(out, "tried: {said}").and_then(|()| out.flush()).expect("a pipe");
    // The test's own end would open and start things.
    std::process::exit(0);
}

fn places(scratch: &Path) -> Places {
    let directory = |path: &str| Path::new(path).to_owned();
    let program = std::env::current_exe().expect("a program knows where it is");
    Places {
        read: ["/etc", "/lib", "/lib64", "/usr/lib", "/usr/share", "/proc"]
            .iter()
            .map(|path| directory(path))
            .chain([scratch.join("read")])
            .collect(),
        write: vec![scratch.join("own"), directory("/dev/null")],
        run: vec![
            program,
            directory("/lib64"),
            directory("/usr/lib/x86_64-linux-gnu"),
            directory("/usr/lib/aarch64-linux-gnu"),
        ],
        ..Places::default()
    }
}

fn tried(what: &str, scratch: &Path, address: std::net::SocketAddr) -> io::Result<()> {
    let (secret, own) = (scratch.join("secret"), scratch.join("own"));
    match what {
        "open" => fs::read(&secret).map(drop),
        "write" => fs::write(scratch.join("new"), "x"),
        "remove" => fs::write(scratch.join("old"), "x")
            .and_then(|()| fs::remove_file(scratch.join("old")))
            .or_else(|_| fs::remove_file(&secret)),
        "write-where-it-reads" => fs::write(scratch.join("read/new"), "x"),
        "read-own" => fs::read_dir(scratch.join("read")).map(drop),
        "own-files" => {
            fs::create_dir_all(own.join("a/b"))?;
            fs::write(own.join("a/b/c"), "x")?;
            fs::rename(own.join("a/b/c"), own.join("c"))?;
            fs::remove_dir_all(own.join("a"))?;
            fs::read(own.join("c")).map(drop)
        }
        "exec" => Command::new("/bin/true").status().map(drop),
        "exec-ourselves" => Command::new("/proc/self/exe").arg("--list").output().map(drop),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "connect" => TcpStream::connect(address).map(drop),
        "resolve" => std::net::ToSocketAddrs::to_socket_addrs("localhost:1").map(drop),
        "thread" => std::thread::spawn(|| ()).join().map_err(|_| io::Error::other("it panicked")),
        "time-zone" => fs::metadata("/usr/share/zoneinfo").map(drop).or(Ok(())),
        "memory" => {
            (0..64).try_for_each(|size| Vec::<u8>::new().try_reserve_exact(size << 20).map_err(io::Error::other))
        }
        "local-socket" => UnixStream::connect(scratch.join("own/socket")).map(drop),
        what => call(what),
    }
}

/// System calls that the standard library does not have.
#[expect(unsafe_code, reason = "they are what somebody who has broken out would call")]
fn call(what: &str) -> io::Result<()> {
    let nothing: libc::c_long = 0;
    let parent = libc::c_long::from(std::os::unix::process::parent_id());
    // SAFETY: none of them touches memory of ours: the pointers are null.
    let result = unsafe {
        match what {
            "ptrace" => libc::syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, parent, nothing, nothing),
            "read-memory" => {
                libc::syscall(libc::SYS_process_vm_readv, parent, nothing, nothing, nothing, nothing, nothing)
            }
            "mount" => libc::syscall(libc::SYS_mount, nothing, nothing, nothing, nothing, nothing),
            "namespace" => libc::syscall(libc::SYS_unshare, libc::c_long::from(libc::CLONE_NEWUSER)),
            "bpf" => libc::syscall(libc::SYS_bpf, nothing, nothing, nothing),
            "setuid" => libc::syscall(libc::SYS_setuid, nothing),
            "io-uring" => libc::syscall(libc::SYS_io_uring_setup, 1 as libc::c_long, nothing),
            "not-dumpable" => libc::c_long::from(-libc::prctl(libc::PR_GET_DUMPABLE)),
            "exec-by-number" => libc::syscall(libc::SYS_execve, nothing, nothing, nothing),
            "signal" => libc::syscall(libc::SYS_kill, parent, nothing),
            "packet-socket" => libc::syscall(
                libc::SYS_socket,
                libc::c_long::from(libc::AF_ALG),
                libc::c_long::from(libc::SOCK_SEQPACKET),
                nothing,
            ),
            "unknown" => libc::syscall(1 << 20),
            _ => return Err(io::Error::other("no such try")),
        }
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[test]
fn a_running_host_is_lent_files_that_it_cannot_open_and_says_what_to_do_about_others() {
    if !has_landlock(1) {
        return;
    }
    let scratch = Scratch::new();
    let elsewhere = Scratch::new();
    let file = elsewhere.path().join("calculator.wasm");
    fs::copy(handlers().join("calculator.wasm"), &file).expect("it is built");
    let directory = scratch.path().join("handlers");
    fs::create_dir(&directory).expect("it is writable");
    let socket = scratch.path().join("control.sock");
    let config = scratch.write(
        "nova-host.toml",
        format!(
            "transport_url = 'memory://'\nhandlers.directory = '{}'\ncontrol.socket = '{}'\n",
            directory.display(),
            socket.display()
        ),
    );
    let _host = Serve::with_arguments(["--config".as_ref(), config.as_os_str()]);
    let ask = |arguments: &[&str]| {
        let output = Command::new(nova_host()).arg("--config").arg(&config).args(arguments).output().expect("it runs");
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    };
    // As a script does that speaks to the socket itself.
    let mut stream = UnixStream::connect(&socket).expect("it listens");
    writeln!(stream, "{{\"command\": \"add\", \"file\": \"{}\"}}", file.display()).expect("it reads");
    let mut answer = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(stream), &mut answer).expect("it answers");
    assert!(answer.contains("Permission denied") && answer.contains("confinement.read"), "{answer}");
    let added = ask(&["handlers", "add", &file.to_string_lossy()]);
    assert!(added.contains("calculator is served: generation"), "{added}");
    let mut left: Vec<_> =
        fs::read_dir(&directory).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
    left.sort();
    assert_eq!(left, ["calculator.wasm"]);
}
