//! Keeps a panic where it happened.
//!
//! Before it: [`super::work`] runs a part of the story. After it: the rest of the story, which answers the caller and
//! settles the delivery. A panic is a fault of the host, whose hook writes it to the log; that a guest traps is none.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// The part has panicked.
#[derive(Debug)]
pub(super) struct Panicked;

/// Runs a part of the story. What it borrows is only settled after that, or dropped, whatever state it is in.
///
/// # Errors
///
/// [`Panicked`], where it did.
pub(super) async fn guard<T>(part: impl Future<Output = T>) -> Result<T, Panicked> {
    AssertUnwindSafe(part).catch_unwind().await.map_err(|_| Panicked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_goes_no_further_and_all_else_passes() {
        assert_eq!(guard(async { 3 }).await.ok(), Some(3));
        let parts: [fn() -> u32; 2] = [|| panic!("on purpose"), || [1, 2][usize::MAX % 3]];
        assert!(guard(async { parts[0]() }).await.is_err());
        assert_eq!(guard(async { parts[1]() }).await.ok(), Some(1));
    }
}
