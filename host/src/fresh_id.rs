//! Unique ids, for messages and calls.

use std::cell::RefCell;

use uuid::{Builder, Uuid};

/// Random bytes that a thread asks the kernel for at once: those of 64 ids. Asking for each id took as long as encoding a
/// reply.
const AT_ONCE: usize = 1024;

/// Bytes of an id.
const SIZE: usize = 16;

thread_local! {
    /// Random bytes that no id has had yet.
    static UNUSED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A unique id as the reference makes them: a version 4 UUID without dashes.
pub(crate) fn fresh_id() -> String {
    let random = UNUSED.with_borrow_mut(|unused| {
        if unused.is_empty() {
            unused.resize(AT_ONCE, 0);
            if getrandom::fill(unused).is_err() {
                unused.clear();
            }
        }
        let random = unused.last_chunk::<SIZE>().copied();
        unused.truncate(unused.len().saturating_sub(SIZE));
        random
    });
    // Where the kernel has none, this waits for it, or says so.
    let id = random.map_or_else(Uuid::new_v4, |random| Builder::from_random_bytes(random).into_uuid());
    id.simple().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_uuids_and_none_comes_twice() {
        let some = || (0..3 * AT_ONCE / SIZE + 1).map(|_| fresh_id()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(some)).collect();
        let ids: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        for id in &ids {
            let uuid = Uuid::try_parse(id).unwrap();
            assert_eq!((id.len(), uuid.get_version_num(), uuid.get_variant()), (32, 4, uuid::Variant::RFC4122), "{id}");
        }
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    }
}
