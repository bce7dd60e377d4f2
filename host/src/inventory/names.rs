//! Names that others have chosen, as they are kept and shown.
//!
//! Used by all of [`super`].

use crate::{envelope::Field, printable::printable};

/// Bytes of a name that are kept.
pub(super) const MAX_NAME: usize = 100;

/// A namespace as it may be shown; `None` is the null namespace.
pub(super) fn namespace(field: &Field) -> Option<String> {
    match field {
        Field::Absent | Field::Null => None,
        Field::Text(text) => Some(printable(text, MAX_NAME)),
        Field::Other(other) => Some(format!("({})", other.python_type())),
    }
}

/// A method as it may be shown.
pub(super) fn method(field: &Field) -> String {
    match field {
        Field::Text(text) => printable(text, MAX_NAME),
        other => format!("({})", other.python_type()),
    }
}
