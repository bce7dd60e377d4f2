//! What a call of an import is, and what is to be done about it.
//!
//! Before it: the import. After it: [`super::Tape`] does it.

use crate::envelope::Text;

/// What is to be done about a call.
#[derive(Debug)]
pub(in crate::sandbox) enum Turn {
    /// The work; where there is a number, its answer is that call's.
    Work(Option<usize>),
    /// To say this.
    Told(Text),
    /// To say what follows from this count and from the last one that was told: the tape has no more of these.
    Beyond(u64, Option<Text>),
    /// Nothing any more.
    Over,
}

/// What a call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Kind {
    /// Others are asked.
    Asks,
    /// Something is looked at.
    Notices,
}
