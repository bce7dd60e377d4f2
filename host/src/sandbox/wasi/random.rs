//! `wasi:random`: the kernel's randomness, for whatever a guest calls it.

use wasmtime::{StoreContextMut, component::Linker};

use super::{View, misuse, versioned};

/// Bytes at once. Runtimes ask for a seed.
const MAX_BYTES: u64 = 64 << 10;

type Store<'a, T> = StoreContextMut<'a, T>;

fn bytes(length: u64) -> wasmtime::Result<Vec<u8>> {
    if length > MAX_BYTES {
        return Err(misuse(format!("it wanted {length} random bytes at once, more than {MAX_BYTES}")));
    }
    let mut bytes = vec![0; usize::try_from(length)?];
    getrandom::fill(&mut bytes).map_err(|error| misuse(error.to_string()))?;
    Ok(bytes)
}

fn number() -> wasmtime::Result<u64> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).map_err(|error| misuse(error.to_string()))?;
    Ok(u64::from_le_bytes(number))
}

pub(super) fn add_to_linker<T: View>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut random = linker.instance(&versioned("random/random"))?;
    random.func_wrap("get-random-bytes", |_: Store<'_, T>, (length,): (u64,)| Ok((bytes(length)?,)))?;
    random.func_wrap("get-random-u64", |_: Store<'_, T>, ()| Ok((number()?,)))?;
    let mut insecure = linker.instance(&versioned("random/insecure"))?;
    insecure.func_wrap("get-insecure-random-bytes", |_: Store<'_, T>, (length,): (u64,)| Ok((bytes(length)?,)))?;
    insecure.func_wrap("get-insecure-random-u64", |_: Store<'_, T>, ()| Ok((number()?,)))?;
    let mut seed = linker.instance(&versioned("random/insecure-seed"))?;
    seed.func_wrap("insecure-seed", |_: Store<'_, T>, ()| Ok(((number()?, number()?),)))
}
