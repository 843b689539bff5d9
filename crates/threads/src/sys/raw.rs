//! This crate's one file with unsafe code: words of a shared memory as atomics, and host threads on stacks of
//! the crate's own.
//!
//! What is here decides nothing. [`memory`](crate::memory) has the guest's rules, `host_thread.rs` says which stacks
//! there are, `pool.rs` what runs on them.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use wasmtime::SharedMemory;

/// The 32-bit word at byte `start`; `None` unless it is wholly inside the memory as it is now, and aligned on the host.
pub(crate) fn word32(memory: &SharedMemory, start: usize) -> Option<&AtomicU32> {
    let cells = aligned(memory, start, 4)?;
    // SAFETY:
    // - `cells` is 4 bytes long, at a multiple of 4 (both checked in `aligned`).
    // - They lie in the memory's mapping, which neither moves nor shrinks, and
    //   lives as long as the handle the result borrows from.
    // - Nobody holds a Rust reference to their content: the mapping is reached
    //   through `UnsafeCell<u8>`, in this crate through atomics only. Accesses
    //   by compiled guest code are not part of Rust's memory model; on the
    //   processors Wasmtime has, they do not tear an aligned word.
    Some(unsafe { AtomicU32::from_ptr(UnsafeCell::raw_get(cells.as_ptr()).cast()) })
}

/// The 64-bit word at byte `start`. As [`word32`] otherwise.
pub(crate) fn word64(memory: &SharedMemory, start: usize) -> Option<&AtomicU64> {
    let cells = aligned(memory, start, 8)?;
    // SAFETY: as in `word32`, with 8 bytes at a multiple of 8.
    Some(unsafe { AtomicU64::from_ptr(UnsafeCell::raw_get(cells.as_ptr()).cast()) })
}

/// `len` bytes from `start` on, as atomics; `None` unless all of them are inside the memory as it is now.
pub(crate) fn bytes(memory: &SharedMemory, start: usize, len: usize) -> Option<&[AtomicU8]> {
    let cells = memory.data().get(start..start.checked_add(len)?)?;
    // SAFETY: `AtomicU8` has the size, alignment and bit validity of `u8`, and
    // interior mutability as `UnsafeCell<u8>` has it; extent and lifetime are
    // those of `cells`. The other facts are those of `word32`.
    Some(unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), len) })
}

/// `len` bytes from `start` on, if they begin at a multiple of `len` in the host's count.
fn aligned(memory: &SharedMemory, start: usize, len: usize) -> Option<&[UnsafeCell<u8>]> {
    let cells = memory.data().get(start..start.checked_add(len)?)?;
    cells.as_ptr().addr().is_multiple_of(len).then_some(cells)
}

#[cfg(target_os = "linux")]
pub(crate) use linux::{NativeThread, Slab, Stack};

/// Host threads on stacks that are mapped many at a time.
///
/// The standard library's threads have a stack and a signal stack each, and wasmtime, finding the latter too small,
/// maps another: three mappings with guards, made and given back one by one. Here one mapping holds the stacks and
/// signal stacks of several threads.
#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::mem::{ManuallyDrop, MaybeUninit, forget};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::ptr;
    use std::sync::{Arc, Mutex, PoisonError};

    use libc::c_void;

    /// What a host thread runs.
    type Main = Box<dyn FnOnce() + Send>;

    /// Bytes of a signal stack. From this size on wasmtime uses the one it finds.
    const SIGNAL_STACK: usize = 256 << 10;

    /// `MADV_GUARD_INSTALL`, since Linux 6.13: pages that fault, without a mapping of their own.
    const GUARD_INSTALL: libc::c_int = 102;

    /// A mapping with places for the stacks of several threads. Each place is, upwards: guard, signal stack,
    /// guard, stack.
    ///
    /// Unmapped with the last [`Stack`] of it, all of which hold it.
    #[derive(Debug)]
    pub(crate) struct Slab {
        base: *mut c_void,
        places: usize,
        guard: usize,
        stack: usize,
    }

    // SAFETY: the pointer is an address for system calls; no memory is reached through it here, and the mapping
    // belongs to the process, not to a thread.
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
            // SAFETY: a new private mapping at an address of the system's choice touches nothing that exists.
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
            // SAFETY: exactly what `map` mapped. Every `Stack` holds the slab, and a thread's is kept until the thread
            // has been joined, so nothing runs on it and nobody has a pointer into it.
            let result = unsafe { libc::munmap(self.base, self.places * self.place()) };
            debug_assert_eq!(result, 0, "{}", io::Error::last_os_error());
        }
    }

    /// One place in a [`Slab`]. There is one value for each place: who has it may use the memory.
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

        fn start(&self) -> *mut c_void {
            self.slab
                .base
                .wrapping_byte_add(self.index * self.slab.place())
        }

        fn signal_stack(&self) -> *mut c_void {
            self.start().wrapping_byte_add(self.slab.guard)
        }

        fn stack(&self) -> *mut c_void {
            self.signal_stack()
                .wrapping_byte_add(SIGNAL_STACK + self.slab.guard)
        }

        /// Makes its guards, once.
        fn guard(&mut self) -> io::Result<()> {
            if self.guarded {
                return Ok(());
            }
            let len = self.slab.guard;
            for guard in [
                self.start(),
                self.signal_stack().wrapping_byte_add(SIGNAL_STACK),
            ] {
                // SAFETY: a page of this place that nobody uses: the guards are part of neither stack.
                let installed = unsafe { libc::madvise(guard, len, GUARD_INSTALL) } == 0;
                // Older kernels, and memory that is locked: the page becomes a mapping of its own.
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
            // SAFETY: this value says that nobody runs on the stack, so nobody misses its content.
            // A refusal costs memory, and nothing else.
            let _ = unsafe { libc::madvise(self.start(), len, libc::MADV_DONTNEED) };
        }
    }

    /// A host thread, to be joined.
    ///
    /// One that is dropped is joined by whoever starts or joins a thread later, and its stack is kept until then:
    /// the one thread that cannot be joined at once is one that drops its own handle.
    #[derive(Debug)]
    pub(crate) struct NativeThread {
        thread: libc::pthread_t,
        stack: ManuallyDrop<Stack>,
    }

    /// What a new thread finds.
    struct Start {
        main: Main,
        signal_stack: libc::stack_t,
    }

    // SAFETY: `main` may be sent; the pointer in `signal_stack` is to memory that is the new thread's.
    unsafe impl Send for Start {}

    /// Threads whose handle was dropped.
    static DROPPED: Mutex<Vec<NativeThread>> = Mutex::new(Vec::new());

    impl NativeThread {
        /// Runs `main` on a new thread. Everything comes back if the system refuses. A panic of `main` ends the thread
        /// and is forgotten.
        pub(crate) fn start(
            mut stack: Stack,
            main: Main,
        ) -> Result<Self, (io::Error, Stack, Main)> {
            if let Err(error) = stack.guard() {
                return Err((error, stack, main));
            }
            let start = Box::into_raw(Box::new(Start {
                main,
                signal_stack: libc::stack_t {
                    ss_sp: stack.signal_stack(),
                    ss_flags: 0,
                    ss_size: SIGNAL_STACK,
                },
            }));
            let mut thread = MaybeUninit::<libc::pthread_t>::uninit();
            let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
            // SAFETY:
            // - The attributes are initialised before they are used, and destroyed once.
            // - The stack is `stack.stack` bytes of a live mapping that this call alone has: `Stack` is unique, and
            //   kept in the handle until the thread has been joined (`NativeThread::join`), or for ever.
            // - `enter` takes `start` over if, and only if, a thread is created.
            let error = unsafe {
                let attributes = attributes.as_mut_ptr();
                let mut error = libc::pthread_attr_init(attributes);
                if error == 0 {
                    error =
                        libc::pthread_attr_setstack(attributes, stack.stack(), stack.slab.stack);
                    if error == 0 {
                        error = libc::pthread_create(
                            thread.as_mut_ptr(),
                            attributes,
                            enter,
                            start.cast(),
                        );
                    }
                    libc::pthread_attr_destroy(attributes);
                }
                error
            };
            if error != 0 {
                // SAFETY: no thread was created, so the box is still this function's.
                let start = unsafe { Box::from_raw(start) };
                return Err((io::Error::from_raw_os_error(error), stack, start.main));
            }
            Ok(Self {
                // SAFETY: set by the call that succeeded.
                thread: unsafe { thread.assume_init() },
                stack: ManuallyDrop::new(stack),
            })
        }

        /// Whether it is the calling thread.
        pub(crate) fn is_current(&self) -> bool {
            // SAFETY: compares two ids of threads that have not been joined.
            unsafe { libc::pthread_equal(self.thread, libc::pthread_self()) != 0 }
        }

        /// Waits until the thread has run its last instruction; its stack. `None` for the calling thread, which is
        /// treated as if dropped.
        pub(crate) fn join(self) -> Option<Stack> {
            if self.is_current() {
                return None;
            }
            let mut this = ManuallyDrop::new(self);
            // SAFETY: the handle is unique and used up here, so the thread is joined once; it is not this one.
            let error = unsafe { libc::pthread_join(this.thread, ptr::null_mut()) };
            debug_assert_eq!(error, 0);
            // SAFETY: taken once, for `this` is never dropped.
            let stack = unsafe { ManuallyDrop::take(&mut this.stack) };
            if error != 0 {
                // It may still run: its stack stays.
                forget(stack);
                return None;
            }
            Some(stack)
        }

        /// Joins those that were dropped, and have therefore nothing left to do.
        pub(crate) fn join_dropped() {
            let dropped = {
                let mut dropped = DROPPED.lock().unwrap_or_else(PoisonError::into_inner);
                if dropped.is_empty() {
                    return;
                }
                std::mem::take(&mut *dropped)
            };
            for thread in dropped {
                thread.join();
            }
        }
    }

    impl Drop for NativeThread {
        fn drop(&mut self) {
            let thread = Self {
                thread: self.thread,
                // SAFETY: taken once: this value is being dropped, and a `ManuallyDrop` is not looked at after that.
                stack: ManuallyDrop::new(unsafe { ManuallyDrop::take(&mut self.stack) }),
            };
            DROPPED
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(thread);
        }
    }

    /// Where a new thread begins.
    extern "C" fn enter(start: *mut c_void) -> *mut c_void {
        // SAFETY: `NativeThread::start` made it by `Box::into_raw`, for this call alone.
        let start = unsafe { Box::from_raw(start.cast::<Start>()) };
        crate::sys::running::prepare_thread();
        // SAFETY: the signal stack lies in the thread's own place, which is kept until the thread has been joined;
        // the name is a string with an end.
        unsafe {
            // Without it wasmtime maps one of its own.
            let set = libc::sigaltstack(&start.signal_stack, ptr::null_mut());
            debug_assert_eq!(set, 0, "{}", io::Error::last_os_error());
            libc::prctl(libc::PR_SET_NAME, c"wasi-thread".as_ptr());
        }
        if let Err(payload) = catch_unwind(AssertUnwindSafe(start.main)) {
            // Its drop is foreign code, which must not unwind out of here.
            forget(payload);
        }
        ptr::null_mut()
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use std::sync::atomic::{AtomicUsize, Ordering};

        fn started(stack: Stack, main: impl FnOnce() + Send + 'static) -> NativeThread {
            let started = NativeThread::start(stack, Box::new(main));
            started.map_err(|(error, ..)| error).unwrap()
        }

        #[test]
        fn threads_run_on_their_stacks_and_give_them_back() {
            let stacks = Slab::map(4, 100_000).unwrap();
            let slab = Arc::downgrade(stacks[0].slab());
            let ran = Arc::new(AtomicUsize::new(0));
            let mut threads = Vec::new();
            for stack in stacks {
                let (start, end) = (
                    stack.stack().addr(),
                    stack.stack().addr() + stack.slab.stack,
                );
                let ran = Arc::clone(&ran);
                let main = move || {
                    let here = 0_u8;
                    assert!((start..end).contains(&std::hint::black_box(&raw const here).addr()));
                    ran.fetch_add(1, Ordering::SeqCst);
                };
                threads.push(started(stack, main));
            }
            let mut stacks: Vec<_> = threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect();
            assert_eq!(ran.load(Ordering::SeqCst), 4);
            // Once more on the same stack, and one that panics.
            for _ in 0..3 {
                let mut stack = stacks.pop().unwrap();
                stack.clear();
                let panics = || std::panic::resume_unwind(Box::new(1));
                stacks.push(started(stack, panics).join().unwrap());
            }
            drop(stacks);
            assert!(slab.upgrade().is_none());
        }

        #[test]
        fn what_is_refused_comes_back() {
            assert!(Slab::map(1, usize::MAX).is_err());
            assert!(Slab::map(usize::MAX, 1 << 20).is_err());
            // Too small for what the C library keeps there.
            let stack = Slab::map(1, 1).unwrap().pop().unwrap();
            let Err((error, stack, main)) = NativeThread::start(stack, Box::new(|| ())) else {
                panic!("a thread on a page")
            };
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
            assert_eq!(stack.index, 0);
            main();
        }

        /// A thread that drops its own handle is joined later, and its stack unmapped.
        #[test]
        fn a_thread_that_drops_its_own_handle_is_joined_later() {
            let stack = Slab::map(1, 1 << 20).unwrap().pop().unwrap();
            let slab = Arc::downgrade(stack.slab());
            let (give, take) = std::sync::mpsc::channel::<NativeThread>();
            let (said, hear) = std::sync::mpsc::channel();
            let main = move || {
                let own = take.recv().unwrap();
                assert!(own.is_current());
                assert!(own.join().is_none());
                said.send(()).unwrap();
            };
            let thread = started(stack, main);
            assert!(!thread.is_current());
            give.send(thread).unwrap();
            hear.recv().unwrap();
            // Another test may be joining it just now.
            let start = std::time::Instant::now();
            while slab.upgrade().is_some() {
                NativeThread::join_dropped();
                assert!(start.elapsed().as_secs() < 10);
                std::thread::yield_now();
            }
        }

        /// A guard is a fault and no other memory: in a process of its own, which a signal ends.
        #[test]
        fn the_guard_beneath_a_stack_is_a_fault() {
            const CHILD: &str = "WASI_THREADS_GUARD_CHILD";
            if std::env::var_os(CHILD).is_some() {
                let mut stacks = Slab::map(2, 1 << 20).unwrap();
                let stack = stacks.pop().unwrap();
                let below = stack.stack().addr() - 1;
                let main = move || {
                    let below = ptr::with_exposed_provenance_mut::<u8>(below);
                    // SAFETY: the address is a guard's; the fault is what the test is about.
                    unsafe { below.write_volatile(1) };
                };
                started(stack, main).join();
                return;
            }
            let mut again = std::process::Command::new(std::env::current_exe().unwrap());
            again
                .args([
                    "--exact",
                    "sys::raw::linux::tests::the_guard_beneath_a_stack_is_a_fault",
                ])
                .env(CHILD, "1");
            use std::os::unix::process::ExitStatusExt as _;
            let output = again.output().unwrap();
            assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
        }
    }
}
