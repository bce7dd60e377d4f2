//! A terminal that shows one thing, written anew again and again, and is as before afterwards.
//!
//! Used by [`super::Watch`]. Plain escape codes, which every terminal since the VT100 and xterm knows.

use std::io::{IsTerminal, Write, stdout};

/// The alternate screen, no cursor, no line that goes on in the next.
const OPEN: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";

/// As it was before.
const CLOSE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// From the upper left corner on.
const HOME: &str = "\x1b[H";

/// The rest of the line is empty.
const CLEAR_LINE: &str = "\x1b[K";

/// The rest of the screen is empty.
const CLEAR_BELOW: &str = "\x1b[J";

/// The terminal while it shows a table. Dropped, it is as before.
#[derive(Debug)]
pub(super) struct Screen(());

impl Screen {
    /// Whether standard output is a terminal that knows the codes.
    pub(super) fn is_there() -> bool {
        stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|kind| kind != "dumb")
    }

    pub(super) fn open() -> Self {
        write(OPEN);
        Self(())
    }

    /// Shows lines in place of what was shown before.
    pub(super) fn show(&mut self, lines: &[String]) {
        write(&frame(lines));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        write(CLOSE);
    }
}

fn frame(lines: &[String]) -> String {
    let mut frame = HOME.to_owned();
    for line in lines.iter().map(String::as_str).chain(["", "ctrl-c ends it and prints all of it"]) {
        frame.push_str(line);
        frame.push_str(CLEAR_LINE);
        frame.push_str("\r\n");
    }
    frame.push_str(CLEAR_BELOW);
    frame
}

/// In one piece, so that nothing flickers. A terminal that has gone is not our concern.
fn write(text: &str) {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_covers_the_one_before() {
        let frame = frame(&["one".to_owned(), "two".to_owned()]);
        assert!(frame.starts_with("\x1b[Hone\x1b[K\r\ntwo\x1b[K\r\n") && frame.ends_with("\x1b[J"), "{frame:?}");
    }
}
