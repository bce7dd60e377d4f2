//! How much a piece of work allocates at once: counted on the thread that does it, so that other tests do not matter.
//!
//! Linear memories are not among it: they are the kernel's, and have a limit of their own.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The allocator of the unit tests: the system's, with what each thread has at the moment and had at most.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static NOW: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    NOW.set(NOW.get() + bytes);
    MOST.set(MOST.get().max(NOW.get()));
}

#[expect(unsafe_code, reason = "an allocator is; it hands on what it is given")]
// SAFETY: the system's allocator does all of it. Counting allocates nothing: the cells need no initialisation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: as the caller's.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there where it has to be moved.
        count(size.cast_signed());
        // SAFETY: as the caller's.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        count(-layout.size().cast_signed());
        moved
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) };
    }
}

/// Does something on this thread, and says how many bytes it had allocated at most, beyond what was there before. For runtimes
/// of one thread.
pub(crate) async fn peak<T>(work: impl Future<Output = T>) -> (T, usize) {
    let before = NOW.get();
    MOST.set(before);
    let done = work.await;
    (done, usize::try_from(MOST.get() - before).unwrap())
}

#[tokio::test]
async fn what_is_allocated_and_given_back_is_counted_at_its_most() {
    let (length, most) = peak(async { vec![1_u8; 1 << 20].len() + vec![1_u8; 1 << 19].len() }).await;
    assert_eq!(length, (1 << 20) + (1 << 19));
    assert!((1 << 20..(2 << 20)).contains(&most), "{most}");
}
