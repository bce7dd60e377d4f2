//! What an attribute of a span can be.
//!
//! Before it: whoever says something of a span. After it: [`super::Span`] bounds it.

use std::fmt;

/// What an attribute is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text; of a long one, what fits.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// Whether something is so.
    Truth(bool),
}

/// As the log shows it: text in quotes, which tells it from the others.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number:?}"),
            Self::Truth(is) => write!(f, "{is}"),
        }
    }
}

macro_rules! values {
    ($($type:ty => $make:expr),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                $make(value)
            }
        }
    )*};
}

values! {
    &str => |text: &str| Self::Text(text.to_owned()),
    String => Self::Text,
    i64 => Self::Integer,
    f64 => Self::Number,
    bool => Self::Truth,
    u64 => |number| Self::Integer(i64::try_from(number).unwrap_or(i64::MAX)),
    u32 => |number: u32| Self::Integer(number.into()),
    u16 => |number: u16| Self::Integer(number.into()),
    usize => |number| Self::Integer(i64::try_from(number).unwrap_or(i64::MAX)),
}
