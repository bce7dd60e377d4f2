//! The allocator: the standard library's, which begins with memory that the instance has from the start.
//!
//! An instance that grows its memory has the host change what it may touch, and change it back for the next instance:
//! two calls of the kernel, which were a third of what a small request took.

use std::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
};

use dlmalloc::{Allocator, Dlmalloc};

/// Bytes to begin with. What is not touched costs nothing.
const BEGINNING: usize = 128 << 10;

/// WebAssembly's page.
const PAGE: usize = 64 << 10;

#[global_allocator]
static MEMORY: Memory = Memory(UnsafeCell::new(Dlmalloc::new_with_allocator(Pages(UnsafeCell::new(false)))));

static ARENA: Arena = Arena(UnsafeCell::new([0; BEGINNING]));

struct Memory(UnsafeCell<Dlmalloc<Pages>>);

/// Where memory comes from, and whether the beginning is given away.
struct Pages(UnsafeCell<bool>);

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; BEGINNING]>);

#[expect(unsafe_code, reason = "a component has one thread")]
unsafe impl Sync for Memory {}

#[expect(unsafe_code, reason = "a component has one thread")]
unsafe impl Sync for Arena {}

#[expect(unsafe_code, reason = "a component has one thread")]
unsafe impl Send for Pages {}

#[expect(unsafe_code, reason = "what an allocator is; nothing here is entered twice, for there is one thread")]
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).malloc(layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        unsafe { (*self.0.get()).calloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { (*self.0.get()).free(at, layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        unsafe { (*self.0.get()).realloc(at, layout.size(), layout.align(), size) }
    }
}

#[expect(unsafe_code, reason = "what an allocator is given is its own for ever")]
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let begun = unsafe { &mut *self.0.get() };
        if size <= BEGINNING && !std::mem::replace(begun, true) {
            return (ARENA.0.get().cast(), BEGINNING, 0);
        }
        let pages = size.div_ceil(PAGE);
        match core::arch::wasm32::memory_grow::<0>(pages) {
            usize::MAX => (std::ptr::null_mut(), 0, 0),
            // The last page of the address space ends where no pointer may.
            before if before + pages == usize::MAX / PAGE + 1 => ((before * PAGE) as *mut u8, pages * PAGE - 16, 0),
            before => ((before * PAGE) as *mut u8, pages * PAGE, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        std::ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}
