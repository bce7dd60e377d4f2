//! Randomness: the kernel's, different in each request and fit for secrets.
//!
//! An instance's memory begins as the component was built, and on `wasm32-unknown-unknown` the standard library has no
//! randomness: what a `HashMap` is keyed with is alike in all instances. This asks the host, through WASI, which no manifest has
//! to grant. Crates that take the crate `getrandom` can be given [`fill`] as its backend.

use crate::imports;

/// Bytes that the host gives at once.
const MOST: usize = 64 << 10;

/// Fills a buffer.
pub fn fill(buffer: &mut [u8]) {
    for part in buffer.chunks_mut(MOST) {
        imports::random(part);
    }
}

/// Draws a number.
#[must_use]
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_differ_and_all_of_a_buffer_is_filled() {
        assert_ne!(number(), number());
        let mut buffer = vec![0; 3 * MOST + 1];
        fill(&mut buffer);
        assert!(buffer.chunks(64).all(|part| part.len() < 64 || part.iter().any(|byte| *byte != 0)));
    }
}
