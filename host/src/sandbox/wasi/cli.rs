//! `wasi:cli`: no arguments, no environment, nothing to read; what is printed goes to the log.

use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource, ResourceType},
};

use super::{
    Ended, View,
    handles::{InputStream, OutputStream},
    versioned,
};
use crate::sandbox::{bindings::log::Level, log::MAX_LINE};

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

type Store<'a, T> = StoreContextMut<'a, T>;

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

impl Output {
    /// Adds to what is no line yet. A line that is longer than the log shows loses its rest.
    fn add(&mut self, channel: Channel, bytes: &[u8]) {
        let pending = self.of(channel);
        let room = (MAX_LINE + 1).saturating_sub(pending.len()).min(bytes.len());
        pending.extend(bytes.iter().take(room));
    }

    fn take(&mut self, channel: Channel) -> Vec<u8> {
        std::mem::take(self.of(channel))
    }
}

/// Bytes that are taken of what is printed at once. Runtimes print what `check-write` invites them to, a quarter of it.
const MAX_PRINTED: usize = 16 << 10;

/// Takes what a guest prints: each line is one of the log's, and counts like one.
pub(super) fn print(data: &mut impl View, channel: Channel, bytes: &[u8]) {
    if bytes.len() > MAX_PRINTED {
        data.log().drop_line();
    }
    let bytes = bytes.get(..MAX_PRINTED).unwrap_or(bytes);
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        data.wasi().output.add(channel, piece);
        if piece.ends_with(b"\n") {
            end_line(data, channel);
        }
    }
}

fn end_line(data: &mut impl View, channel: Channel) {
    let line = data.wasi().output.take(channel);
    let line = String::from_utf8_lossy(&line);
    let line = line.trim_end();
    if !line.is_empty() {
        data.log().printed(channel.level(), line.to_owned(), channel == Channel::Stderr);
    }
}

/// Logs what was printed without an end of line.
pub(in crate::sandbox) fn flush(data: &mut impl View) {
    end_line(data, Channel::Stdout);
    end_line(data, Channel::Stderr);
}

pub(super) fn add_to_linker<T: View>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut environment = linker.instance(&versioned("cli/environment"))?;
    environment.func_wrap("get-environment", |_: Store<'_, T>, ()| Ok((Vec::<(String, String)>::new(),)))?;
    environment.func_wrap("get-arguments", |_: Store<'_, T>, ()| Ok((Vec::<String>::new(),)))?;
    environment.func_wrap("initial-cwd", |_: Store<'_, T>, ()| Ok((None::<String>,)))?;

    let mut exit = linker.instance(&versioned("cli/exit"))?;
    exit.func_wrap("exit", |_: Store<'_, T>, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Ended::Exit(u8::from(status.is_err()))))
    })?;
    exit.func_wrap("exit-with-code", |_: Store<'_, T>, (code,): (u8,)| -> wasmtime::Result<()> {
        Err(wasmtime::Error::new(Ended::Exit(code)))
    })?;

    let mut stdin = linker.instance(&versioned("cli/stdin"))?;
    stdin.func_wrap("get-stdin", |mut store: Store<'_, T>, ()| {
        store.data_mut().wasi().hold()?;
        Ok((Resource::<InputStream>::new_own(0),))
    })?;
    for (name, channel) in [("stdout", Channel::Stdout), ("stderr", Channel::Stderr)] {
        let mut output = linker.instance(&versioned(&format!("cli/{name}")))?;
        output.func_wrap(&format!("get-{name}"), move |mut store: Store<'_, T>, ()| {
            store.data_mut().wasi().hold()?;
            Ok((Resource::<OutputStream>::new_own(channel as u32),))
        })?;
    }

    let mut input = linker.instance(&versioned("cli/terminal-input"))?;
    input.resource("terminal-input", ResourceType::host::<TerminalInput>(), |_, _| Ok(()))?;
    let mut output = linker.instance(&versioned("cli/terminal-output"))?;
    output.resource("terminal-output", ResourceType::host::<TerminalOutput>(), |_, _| Ok(()))?;
    let mut stdin = linker.instance(&versioned("cli/terminal-stdin"))?;
    stdin.func_wrap("get-terminal-stdin", |_: Store<'_, T>, ()| Ok((None::<Resource<TerminalInput>>,)))?;
    for name in ["stdout", "stderr"] {
        let mut terminal = linker.instance(&versioned(&format!("cli/terminal-{name}")))?;
        let get = format!("get-terminal-{name}");
        terminal.func_wrap(&get, |_: Store<'_, T>, ()| Ok((None::<Resource<TerminalOutput>>,)))?;
    }
    Ok(())
}
