//! Stacks that are mapped many at a time.
//!
//! A thread of the standard library has a stack and a signal stack. Wasmtime finds the latter too
//! small, and maps another. These are three mappings with guards, made and given back one by one.
//! Here one mapping holds the stacks and signal stacks of several threads.
#![allow(unsafe_code)]

use std::io;
use std::ptr;
use std::sync::{Arc, OnceLock};

use libc::c_void;

/// Bytes of a signal stack. From this size on wasmtime uses the one it finds.
pub(crate) const SIGNAL_STACK: usize = 256 << 10;

/// `MADV_GUARD_INSTALL`, since Linux 6.13: pages that fault, without a mapping of their own.
const GUARD_INSTALL: libc::c_int = 102;

/// Whether a page that the system said it had made a guard is one. qemu's user mode (7.2) takes
/// every advice that it does not know, and does nothing.
static INSTALLED_ONES_FAULT: OnceLock<bool> = OnceLock::new();

/// Whether the system cannot read at `page`.
fn faults(page: *mut c_void) -> bool {
    // SAFETY: the system reads a name of a file there, or says that it cannot. The page is part of
    // a live mapping that nothing uses.
    let result = unsafe { libc::access(page.cast_const().cast(), libc::F_OK) };
    result != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
}

/// A mapping with places for the stacks of several threads. Each place is, upwards: guard, signal
/// stack, guard, stack.
///
/// Unmapped with the last [`Stack`] of it, all of which hold it.
#[derive(Debug)]
pub(crate) struct Slab {
    base: *mut c_void,
    places: usize,
    guard: usize,
    stack: usize,
}

// SAFETY: the pointer is an address for system calls, and no memory is reached through it here. The
// mapping belongs to the process, not to a thread.
unsafe impl Send for Slab {}
// SAFETY: as above; no method changes the slab.
unsafe impl Sync for Slab {}

impl Slab {
    /// Maps `places` stacks of at least `stack` bytes, and returns all of them.
    pub(crate) fn map(places: usize, stack: usize) -> io::Result<Vec<Stack>> {
        // SAFETY: reads a number.
        let guard = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) })
            .map_err(|_| io::Error::last_os_error())?;
        let too_large = || io::Error::from_raw_os_error(libc::ENOMEM);
        let stack = stack
            .checked_next_multiple_of(guard)
            .ok_or_else(too_large)?;
        let place = stack
            .checked_add(2 * guard + SIGNAL_STACK)
            .ok_or_else(too_large)?;
        let len = place.checked_mul(places).ok_or_else(too_large)?;
        // SAFETY: a new private mapping at an address of the system's choice touches nothing that
        // exists.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE
                    | libc::MAP_ANONYMOUS
                    | libc::MAP_NORESERVE
                    // No huge pages: most of a stack is never touched.
                    | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let slab = Arc::new(Self {
            base,
            places,
            guard,
            stack,
        });
        let stack = |index| Stack {
            slab: Arc::clone(&slab),
            index,
            guarded: false,
        };
        Ok((0..places).map(stack).collect())
    }

    /// How many stacks it has.
    pub(crate) fn places(&self) -> usize {
        self.places
    }

    fn place(&self) -> usize {
        2 * self.guard + SIGNAL_STACK + self.stack
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        // SAFETY: this is exactly what `map` mapped. Every `Stack` holds the slab, and a thread's
        // `Stack` is kept until the thread has been joined. So nothing runs on the slab, and no
        // pointer leads into it.
        let result = unsafe { libc::munmap(self.base, self.places * self.place()) };
        debug_assert_eq!(result, 0, "{}", io::Error::last_os_error());
    }
}

/// One place in a [`Slab`]. There is one value for each place: its holder may use the memory.
#[derive(Debug)]
pub(crate) struct Stack {
    slab: Arc<Slab>,
    index: usize,
    guarded: bool,
}

impl Stack {
    /// Where it lies.
    pub(crate) fn slab(&self) -> &Arc<Slab> {
        &self.slab
    }

    /// Where the place begins.
    fn start(&self) -> *mut c_void {
        self.slab
            .base
            .wrapping_byte_add(self.index * self.slab.place())
    }

    /// The lower end of the signal stack, which has [`SIGNAL_STACK`] bytes.
    pub(crate) fn signal_stack(&self) -> *mut c_void {
        self.start().wrapping_byte_add(self.slab.guard)
    }

    /// The lower end of the stack itself.
    pub(crate) fn stack(&self) -> *mut c_void {
        self.signal_stack()
            .wrapping_byte_add(SIGNAL_STACK + self.slab.guard)
    }

    /// Its bytes.
    pub(crate) fn size(&self) -> usize {
        self.slab.stack
    }

    /// Makes its guards, once.
    pub(crate) fn guard(&mut self) -> io::Result<()> {
        if self.guarded {
            return Ok(());
        }
        let len = self.slab.guard;
        for guard in [
            self.start(),
            self.signal_stack().wrapping_byte_add(SIGNAL_STACK),
        ] {
            // SAFETY: this page of the place is not used, because the guards are part of neither
            // stack.
            let installed = unsafe { libc::madvise(guard, len, GUARD_INSTALL) } == 0;
            let installed = installed && *INSTALLED_ONES_FAULT.get_or_init(|| faults(guard));
            // Older kernels, memory that is locked, qemu: the page becomes a mapping of its own.
            // SAFETY: as above.
            if !installed && unsafe { libc::mprotect(guard, len, libc::PROT_NONE) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        self.guarded = true;
        Ok(())
    }

    /// Gives back the memory that was touched. The guards stay.
    pub(crate) fn clear(&mut self) {
        let len = self.slab.place();
        // SAFETY: the value is proof that no thread runs on the stack, so its content is not
        // needed. A refusal costs only memory.
        let _ = unsafe { libc::madvise(self.start(), len, libc::MADV_DONTNEED) };
    }
}
