//! What it costs the host to hold the values that a function returns.
//!
//! Before it: [`types`](super::types) has the function's result. After it: [`Program`](crate::sandbox::Program) gives wasmtime the
//! bytes, called fuel, that values may take. wasmtime counts 40 bytes for each value and the letters of names and texts, and
//! nothing for what the allocator adds. That is at most thrice too little, but for flags.

use wasmtime::component::Val;

use super::{
    names::Names,
    types::{Cases, Type},
};
use crate::sandbox::limits::Limits;

/// Bytes of values for each byte of JSON that they may become: 40 stand for the three of a small number in a list, but most of a
/// result are names and texts.
const VALUES: usize = 16;

/// Bytes that a text takes beside its letters: its place, and what an allocation is rounded up by.
const TEXT: usize = size_of::<String>() + 16;

/// What wasmtime may count while it makes values of a result, in bytes: as much as the guest may take memory, and no more than
/// what `limits.result` could hold. What a guest hands to its imports meanwhile is counted the same way.
pub(super) fn fuel(result: Option<&Type>, limits: &Limits) -> usize {
    let whole = limits.memory.0.min(limits.result.0.saturating_mul(VALUES)).max(limits.result.0);
    whole / result.map_or(1, weight)
}

/// How many times more than wasmtime counts a value may take, because of flags: each that is set is a text of its own, of which
/// the letters are counted.
fn weight(ty: &Type) -> usize {
    let of_cases = |Cases { types, .. }: &Cases| types.iter().flatten().map(weight).max();
    let heaviest = match ty {
        Type::Flags(names) => Some(of_flags(names)),
        Type::List(inner) | Type::Option(inner) | Type::Some(inner) => Some(weight(inner)),
        Type::Map(types) => Some(weight(&types.0).max(weight(&types.1))),
        Type::Tuple(types) => types.iter().map(weight).max(),
        Type::Record(fields) => fields.types.iter().map(weight).max(),
        Type::Variant(cases) => of_cases(cases),
        Type::Result(sides) => [&sides.0, &sides.1].into_iter().flatten().map(weight).max(),
        Type::Bool
        | Type::Integer(_)
        | Type::F32
        | Type::F64
        | Type::Char
        | Type::String
        | Type::Json
        | Type::Bytes
        | Type::Enum(_) => None,
    };
    heaviest.unwrap_or(1)
}

fn of_flags(names: &Names) -> usize {
    let letters: usize = (0..names.len()).map(|at| names.wit(at).len()).sum();
    let counted = size_of::<Val>() + letters;
    // The list of them doubles as it grows.
    let taken = counted + 2 * names.len() * TEXT;
    taken.div_ceil(counted)
}
