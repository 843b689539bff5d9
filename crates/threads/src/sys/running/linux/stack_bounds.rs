//! Which stack a registered thread is on: its own, or for a while that of a fiber.
//!
//! Wasmtime maps the stacks of fibers and does not say where. Only one address on each is known,
//! near its end: where host code is about to enter wasm.

use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence};

use super::slots::{self, HostSlot};

/// The bounds of a stack, as a slot has them.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    low: usize,
    high: usize,
    sure: usize,
}

impl Bounds {
    fn of(slot: &HostSlot) -> Self {
        let is = |bound: &AtomicUsize| bound.load(Ordering::Relaxed);
        Self {
            low: is(&slot.low),
            high: is(&slot.high),
            sure: is(&slot.sure),
        }
    }

    /// Says them in the slot of the calling thread. A handler that runs in between finds no stack.
    fn put(self, slot: &HostSlot) {
        slot.high.store(0, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        slot.low.store(self.low, Ordering::Relaxed);
        slot.sure.store(self.sure, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
        slot.high.store(self.high, Ordering::Relaxed);
    }
}

/// Says in the calling thread's slot that it is on its own stack.
pub(super) fn set_own(slot: &HostSlot) {
    let (low, high) = stack_of_this_thread();
    let sure = high;
    Bounds { low, high, sure }.put(slot);
}

/// The smallest page that a system has.
const PAGE: usize = 4096;

/// How far frames of wasm are looked for beyond the known part of a fiber's stack: host code that
/// entered wasm lies there.
const BEYOND: usize = 8 << 10;

/// Says that the calling thread is about to enter wasm on a fiber's stack of `size` bytes. The
/// thread counts as on that stack until the earlier result of [`keep_stack`] is dropped. Does
/// nothing if the thread is on the known stack.
pub(crate) fn note_fiber(size: usize) {
    let Some(slot) = slots::mine() else {
        return;
    };
    let here = 0_u8;
    let here = std::hint::black_box(&raw const here).addr();
    let known = Bounds::of(slot);
    if (known.low..known.high).contains(&here) {
        return;
    }
    // A stack begins and ends with a page.
    let sure = here.next_multiple_of(PAGE);
    let fiber = Bounds {
        low: here.saturating_sub(size),
        high: sure + BEYOND,
        sure,
    };
    fiber.put(slot);
}

/// Keeps the stack that the calling thread is known to be on. When the result is dropped, the
/// thread counts as on that stack again.
pub(crate) fn keep_stack() -> KeptStack {
    KeptStack(slots::mine().map(|slot| (slot, Bounds::of(slot))))
}

/// See [`keep_stack`].
#[derive(Debug)]
#[must_use = "the stack is restored when this is dropped"]
pub(crate) struct KeptStack(Option<(&'static HostSlot, Bounds)>);

impl Drop for KeptStack {
    fn drop(&mut self) {
        if let Some((slot, bounds)) = self.0 {
            bounds.put(slot);
        }
    }
}

/// Where the calling thread's stack begins and ends; nowhere, if the system does not say.
fn stack_of_this_thread() -> (usize, usize) {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the attributes are used only after the system has filled them in, and are destroyed
    // once.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return (0, 0);
        }
        let mut low = ptr::null_mut();
        let mut size = 0;
        let error = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        match error {
            0 => (low.addr(), low.addr() + size),
            _ => (0, 0),
        }
    }
}
