//! `wasi:cli`: no arguments, no environment, nothing to read; what is printed goes to the log.

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceType},
};

use super::{
    Ended,
    io::{InputStream, OutputStream},
    versioned,
};
use crate::sandbox::{bindings::log::Level, log::MAX_LINE, state::State};

/// Where printed text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel {
    Stdout,
    Stderr,
}

/// What was printed and is no line yet.
#[derive(Debug, Default)]
pub(super) struct Output {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// `wasi:cli`'s terminals, which nobody is given.
struct TerminalInput;
struct TerminalOutput;

type Store<'a> = StoreContextMut<'a, State>;

impl Channel {
    pub(super) const fn of(handle: u32) -> Self {
        if handle == Self::Stderr as u32 { Self::Stderr } else { Self::Stdout }
    }

    const fn level(self) -> Level {
        match self {
            Self::Stdout => Level::Info,
            Self::Stderr => Level::Warn,
        }
    }
}

impl Output {
    const fn of(&mut self, channel: Channel) -> &mut Vec<u8> {
        match channel {
            Channel::Stdout => &mut self.stdout,
            Channel::Stderr => &mut self.stderr,
        }
    }
}

impl State {
    /// Takes what a guest prints: each line is one of the log's, and counts like one.
    pub(super) fn print(&mut self, channel: Channel, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let pending = self.wasi.output.of(channel);
            // Of a line that is longer than the log shows, the rest is not kept.
            let room = (MAX_LINE + 1).saturating_sub(pending.len()).min(piece.len());
            pending.extend(piece.iter().take(room));
            if piece.ends_with(b"\n") {
                self.end_line(channel);
            }
        }
    }

    fn end_line(&mut self, channel: Channel) {
        let line = std::mem::take(self.wasi.output.of(channel));
        let line = String::from_utf8_lossy(&line);
        let line = self.grants.config.scrub(line.trim_end().to_owned());
        if line.is_empty() {
            return;
        }
        if channel == Channel::Stderr {
            self.log.said(&line);
        }
        self.log.line(channel.level(), &line);
    }

    /// Logs what was printed without an end of line.
    pub(in crate::sandbox) fn flush(&mut self) {
        self.end_line(Channel::Stdout);
        self.end_line(Channel::Stderr);
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut environment = linker.instance(&versioned("cli/environment"))?;
    environment.func_wrap("get-environment", |_: Store<'_>, ()| Ok((Vec::<(String, String)>::new(),)))?;
    environment.func_wrap("get-arguments", |_: Store<'_>, ()| Ok((Vec::<String>::new(),)))?;
    environment.func_wrap("initial-cwd", |_: Store<'_>, ()| Ok((None::<String>,)))?;

    let mut exit = linker.instance(&versioned("cli/exit"))?;
    exit.func_wrap("exit", |_: Store<'_>, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Ended::Exit(u8::from(status.is_err()))))
    })?;
    exit.func_wrap("exit-with-code", |_: Store<'_>, (code,): (u8,)| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Ended::Exit(code)))
    })?;

    let mut stdin = linker.instance(&versioned("cli/stdin"))?;
    stdin.func_wrap("get-stdin", |mut store: Store<'_>, ()| {
        store.data_mut().wasi.hold()?;
        Ok((Resource::<InputStream>::new_own(0),))
    })?;
    for (name, channel) in [("stdout", Channel::Stdout), ("stderr", Channel::Stderr)] {
        let mut output = linker.instance(&versioned(&format!("cli/{name}")))?;
        output.func_wrap(&format!("get-{name}"), move |mut store: Store<'_>, ()| {
            store.data_mut().wasi.hold()?;
            Ok((Resource::<OutputStream>::new_own(channel as u32),))
        })?;
    }

    let mut input = linker.instance(&versioned("cli/terminal-input"))?;
    input.resource("terminal-input", ResourceType::host::<TerminalInput>(), |_, _| Ok(()))?;
    let mut output = linker.instance(&versioned("cli/terminal-output"))?;
    output.resource("terminal-output", ResourceType::host::<TerminalOutput>(), |_, _| Ok(()))?;
    let mut stdin = linker.instance(&versioned("cli/terminal-stdin"))?;
    stdin.func_wrap("get-terminal-stdin", |_: Store<'_>, ()| Ok((None::<Resource<TerminalInput>>,)))?;
    for name in ["stdout", "stderr"] {
        let mut terminal = linker.instance(&versioned(&format!("cli/terminal-{name}")))?;
        let get = format!("get-terminal-{name}");
        terminal.func_wrap(&get, |_: Store<'_>, ()| Ok((None::<Resource<TerminalOutput>>,)))?;
    }
    Ok(())
}
