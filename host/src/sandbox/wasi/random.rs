//! `wasi:random`: the kernel's randomness, for whatever a guest calls it.

use wasmtime::{StoreContextMut, component::Linker};

use super::{View, misuse, versioned};
use crate::{
    recording::Blob,
    sandbox::tape::{nothing, text},
};

/// Bytes at once. Runtimes ask for a seed.
const MAX_BYTES: u64 = 64 << 10;

/// Spreads small numbers over all bits: that of SplitMix64.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

type Store<'a, T> = StoreContextMut<'a, T>;

fn bytes<T: View>(mut store: Store<'_, T>, import: &'static str, length: u64) -> wasmtime::Result<(Vec<u8>,)> {
    if length > MAX_BYTES {
        return Err(misuse(format!("it wanted {length} random bytes at once, more than {MAX_BYTES}")));
    }
    let size = usize::try_from(length)?;
    let fill = || {
        let mut bytes = vec![0; size];
        getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
        Ok(Blob(bytes))
    };
    let beyond = |count: u64, _| Ok(Blob(pseudo(count).take(size).collect()));
    let tape = &store.data_mut().wasi().tape;
    let bytes: Result<Blob, String> = tape.notices(import, || text(&length), fill, beyond);
    let Blob(bytes) = bytes.map_err(misuse)?;
    // An edited recording may have any number of them.
    if bytes.len() == size { Ok((bytes,)) } else { Err(misuse("the recording has another number of random bytes")) }
}

fn number<T: View>(store: &mut Store<'_, T>, import: &'static str) -> wasmtime::Result<u64> {
    let fill = || {
        let mut number = [0; 8];
        getrandom::fill(&mut number).map_err(|error| error.to_string())?;
        Ok(u64::from_le_bytes(number))
    };
    let beyond = |count: u64, _| Ok(count.wrapping_mul(MIX));
    let number: Result<u64, String> = store.data_mut().wasi().tape.notices(import, nothing, fill, beyond);
    number.map_err(misuse)
}

/// What stands for randomness where a tape has no more of it: the same each time.
fn pseudo(count: u64) -> impl Iterator<Item = u8> {
    (0..).flat_map(move |more: u64| count.wrapping_add(more).wrapping_mul(MIX).to_le_bytes())
}

pub(super) fn add_to_linker<T: View>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut random = linker.instance(&versioned("random/random"))?;
    random.func_wrap("get-random-bytes", |store: Store<'_, T>, (length,): (u64,)| {
        bytes(store, "wasi:random/random.get-random-bytes", length)
    })?;
    random.func_wrap("get-random-u64", |mut store: Store<'_, T>, ()| {
        Ok((number(&mut store, "wasi:random/random.get-random-u64")?,))
    })?;
    let mut insecure = linker.instance(&versioned("random/insecure"))?;
    insecure.func_wrap("get-insecure-random-bytes", |store: Store<'_, T>, (length,): (u64,)| {
        bytes(store, "wasi:random/insecure.get-insecure-random-bytes", length)
    })?;
    insecure.func_wrap("get-insecure-random-u64", |mut store: Store<'_, T>, ()| {
        Ok((number(&mut store, "wasi:random/insecure.get-insecure-random-u64")?,))
    })?;
    let mut seed = linker.instance(&versioned("random/insecure-seed"))?;
    seed.func_wrap("insecure-seed", |mut store: Store<'_, T>, ()| {
        let import = "wasi:random/insecure-seed.insecure-seed";
        Ok(((number(&mut store, import)?, number(&mut store, import)?),))
    })
}
