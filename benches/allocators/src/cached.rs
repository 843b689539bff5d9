//! An allocator that keeps what a thread gives back for the same thread, in front of the C
//! library's.
//!
//! Blocks of up to 4 KB are of a power of two bytes. A thread has a list of free blocks of each
//! size, with at most [`MOST`] blocks. Its allocations come from there, and its freed blocks go
//! there, without the lock that the library has around everything. A block of another thread may be
//! freed here, and then serves this thread. Blocks in a thread's lists are lost when it ends, so
//! this suits threads that stay.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;

/// Blocks of 16 bytes to 4 KB.
const CLASSES: usize = 9;
const SMALLEST: u32 = 4;
/// Most free blocks of a size that a thread keeps.
const MOST: u32 = 256;

/// The front.
pub(crate) struct Cached;

#[derive(Clone, Copy)]
struct List {
    first: *mut u8,
    length: u32,
}

thread_local! {
    static LISTS: UnsafeCell<[List; CLASSES]> = const {
        UnsafeCell::new([List { first: null_mut(), length: 0 }; CLASSES])
    };
}

/// The size's number, if it has lists.
fn class(layout: Layout) -> Option<usize> {
    let bits = layout
        .size()
        .max(1)
        .next_power_of_two()
        .trailing_zeros()
        .max(SMALLEST);
    let class = (bits - SMALLEST) as usize;
    (class < CLASSES && layout.align() <= 16).then_some(class)
}

fn block(class: usize) -> Layout {
    Layout::from_size_align(1 << (class as u32 + SMALLEST), 16).expect("a power of two")
}

// SAFETY: a block that is handed out is the library's, and has at least the size asked for. It is
// in one place at a time: in a list of one thread, or in use. A list belongs to one thread, and no
// foreign code runs while it is borrowed.
unsafe impl GlobalAlloc for Cached {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc(layout) };
        };
        let kept = LISTS.try_with(|lists| {
            // SAFETY: see above.
            let list = unsafe { &mut (*lists.get())[class] };
            let first = list.first;
            if !first.is_null() {
                // SAFETY: a free block begins with the address of the next.
                list.first = unsafe { first.cast::<*mut u8>().read() };
                list.length -= 1;
            }
            first
        });
        match kept {
            Ok(first) if !first.is_null() => first,
            // SAFETY: the size is not zero.
            _ => unsafe { System.alloc(block(class)) },
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { System.dealloc(at, layout) };
        };
        let kept = LISTS.try_with(|lists| {
            // SAFETY: see above.
            let list = unsafe { &mut (*lists.get())[class] };
            if list.length == MOST {
                return false;
            }
            // SAFETY: the block is free, and large enough for an address.
            unsafe { at.cast::<*mut u8>().write(list.first) };
            list.first = at;
            list.length += 1;
            true
        });
        if kept != Ok(true) {
            // SAFETY: it was allocated with this layout.
            unsafe { System.dealloc(at, block(class)) };
        }
    }
}
