//! The host's own small description of WIT's types, read once when a component is loaded.
//!
//! After it: [`decode`](super::decode) and [`encode`](super::encode) walk it for every request, `nova-host schema` and
//! `check --against` read it. It is a tree, since WIT has no recursive types; its size is bounded.

use wasmtime::component::types as wit;

use super::names::Names;

/// Parts of all the types of a component, those of named types included: far above any interface that people write.
/// A type's tree can be larger than its text by any factor, as each use of a name counts.
pub(super) const MAX_PARTS: usize = 50_000;

/// Levels of a type. wasmtime's own limit, repeated since our recursion depends on it.
const MAX_DEPTH: usize = 100;

/// The one field of the shared record `json-value`, by which it is recognised: reflection keeps no names of types.
pub(super) const JSON_FIELD: &str = "json-text";

/// The fields of the shared record `failure`.
pub(super) const FAILURE_FIELDS: [&str; 6] = ["class", "module", "message", "args", "kwargs", "traceback"];

/// A type of WIT, as far as JSON can express its values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    /// `bool`.
    Bool,
    /// All eight integer types.
    Integer(Integer),
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// `char`.
    Char,
    /// `string`.
    String,
    /// The shared record `json-value`: any JSON.
    Json,
    /// `list<u8>`.
    Bytes,
    /// `list<T>`.
    List(Box<Type>),
    /// `map<K, V>`; the key is text, a character, a boolean or an integer.
    Map(Box<(Type, Type)>),
    /// `tuple<…>`.
    Tuple(Vec<Type>),
    /// A record.
    Record(Fields),
    /// A variant.
    Variant(Cases),
    /// An enum.
    Enum(Names),
    /// Flags.
    Flags(Names),
    /// `option<T>`.
    Option(Box<Type>),
    /// What is in an option when it is an option itself: `{"some": …}`, since `null` is the outer none.
    Some(Box<Type>),
    /// `result<T, E>` inside of another type; as the result of a function it is the method's failure instead.
    Result(Box<(Option<Type>, Option<Type>)>),
}

/// An integer type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "they are named as in WIT")]
pub enum Integer {
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
}

/// The fields of a record, or the parameters of a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fields {
    /// Their names.
    pub names: Names,
    /// As many types.
    pub types: Vec<Type>,
}

/// The cases of a variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cases {
    /// Their names.
    pub names: Names,
    /// As many types; `None` where a case has no value.
    pub types: Vec<Option<Type>>,
}

/// Why a type cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Its values live in the component.
    #[error("has a {0}, which JSON cannot carry")]
    Unsupported(&'static str),
    /// Larger than [`MAX_PARTS`].
    #[error("makes the component's types larger than the {MAX_PARTS} parts that are read")]
    TooLarge,
    /// Deeper than [`MAX_DEPTH`].
    #[error("is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
}

/// Reads types; one for a whole component, whose sum it bounds.
#[derive(Debug)]
pub(super) struct Reader {
    left: usize,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { left: MAX_PARTS }
    }

    /// Counts one part more.
    pub(super) fn count(&mut self) -> Result<(), Error> {
        self.left = self.left.checked_sub(1).ok_or(Error::TooLarge)?;
        Ok(())
    }

    /// Reads one type.
    pub(super) fn read(&mut self, ty: &wit::Type) -> Result<Type, Error> {
        self.at(ty, MAX_DEPTH)
    }

    fn at(&mut self, ty: &wit::Type, depth: usize) -> Result<Type, Error> {
        self.count()?;
        let depth = depth.checked_sub(1).ok_or(Error::TooDeep)?;
        let mut inner = |ty: &wit::Type| self.at(ty, depth);
        Ok(match ty {
            wit::Type::Bool => Type::Bool,
            wit::Type::S8 => Type::Integer(Integer::S8),
            wit::Type::U8 => Type::Integer(Integer::U8),
            wit::Type::S16 => Type::Integer(Integer::S16),
            wit::Type::U16 => Type::Integer(Integer::U16),
            wit::Type::S32 => Type::Integer(Integer::S32),
            wit::Type::U32 => Type::Integer(Integer::U32),
            wit::Type::S64 => Type::Integer(Integer::S64),
            wit::Type::U64 => Type::Integer(Integer::U64),
            wit::Type::Float32 => Type::F32,
            wit::Type::Float64 => Type::F64,
            wit::Type::Char => Type::Char,
            wit::Type::String => Type::String,
            wit::Type::List(list) => match inner(&list.ty())? {
                Type::Integer(Integer::U8) => Type::Bytes,
                item => Type::List(Box::new(item)),
            },
            wit::Type::FixedLengthList(_) => return Err(Error::Unsupported("list of a fixed length")),
            wit::Type::Map(map) => match inner(&map.key())? {
                key @ (Type::String | Type::Char | Type::Bool | Type::Integer(_)) => {
                    Type::Map(Box::new((key, inner(&map.value())?)))
                }
                _ => return Err(Error::Unsupported("map whose keys are no text")),
            },
            wit::Type::Tuple(tuple) => Type::Tuple(tuple.types().map(|ty| inner(&ty)).collect::<Result<_, _>>()?),
            wit::Type::Record(record) => {
                let names = Names::new(record.fields().map(|field| field.name));
                let types: Vec<Type> = record.fields().map(|field| inner(&field.ty)).collect::<Result<_, _>>()?;
                match types.as_slice() {
                    [Type::String] if names.wit(0) == JSON_FIELD => Type::Json,
                    _ => Type::Record(Fields { names, types }),
                }
            }
            wit::Type::Variant(variant) => {
                let names = Names::new(variant.cases().map(|case| case.name));
                let types = variant.cases().map(|case| case.ty.map(|ty| inner(&ty)).transpose());
                Type::Variant(Cases { names, types: types.collect::<Result<_, _>>()? })
            }
            wit::Type::Enum(names) => {
                for _ in names.names() {
                    self.count()?;
                }
                Type::Enum(Names::new(names.names()))
            }
            wit::Type::Flags(names) => {
                for _ in names.names() {
                    self.count()?;
                }
                Type::Flags(Names::new(names.names()))
            }
            wit::Type::Option(option) => match inner(&option.ty())? {
                option @ Type::Option(_) => Type::Option(Box::new(Type::Some(Box::new(option)))),
                other => Type::Option(Box::new(other)),
            },
            wit::Type::Result(result) => {
                let mut side = |ty: Option<wit::Type>| ty.map(|ty| inner(&ty)).transpose();
                Type::Result(Box::new((side(result.ok())?, side(result.err())?)))
            }
            wit::Type::Own(_) | wit::Type::Borrow(_) => return Err(Error::Unsupported("resource")),
            wit::Type::Future(_) => return Err(Error::Unsupported("future")),
            wit::Type::Stream(_) => return Err(Error::Unsupported("stream")),
            wit::Type::ErrorContext => return Err(Error::Unsupported("error-context")),
        })
    }
}

impl Type {
    /// Whether it is the shared record `failure`.
    pub(super) fn is_failure(&self) -> bool {
        let Self::Record(fields) = self else { return false };
        let named = (0..fields.names.len()).map(|at| fields.names.wit(at)).eq(FAILURE_FIELDS);
        let text = fields.types.iter().take(5).all(|ty| *ty == Self::String);
        named && text && fields.types.get(5) == Some(&Self::List(Box::new(Self::String)))
    }
}

impl Integer {
    /// The least value.
    #[must_use]
    pub const fn min(self) -> i64 {
        match self {
            Self::S8 => i8::MIN as i64,
            Self::S16 => i16::MIN as i64,
            Self::S32 => i32::MIN as i64,
            Self::S64 => i64::MIN,
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => 0,
        }
    }

    /// The greatest value.
    #[must_use]
    pub const fn max(self) -> u64 {
        match self {
            Self::S8 => i8::MAX as u64,
            Self::U8 => u8::MAX as u64,
            Self::S16 => i16::MAX as u64,
            Self::U16 => u16::MAX as u64,
            Self::S32 => i32::MAX as u64,
            Self::U32 => u32::MAX as u64,
            Self::S64 => i64::MAX as u64,
            Self::U64 => u64::MAX,
        }
    }

    /// As in WIT.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::S8 => "s8",
            Self::U8 => "u8",
            Self::S16 => "s16",
            Self::U16 => "u16",
            Self::S32 => "s32",
            Self::U32 => "u32",
            Self::S64 => "s64",
            Self::U64 => "u64",
        }
    }
}
