//! Host threads on stacks of the crate's own: POSIX threads.
#![allow(unsafe_code)]

use std::io;
use std::mem::{ManuallyDrop, MaybeUninit, forget};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use libc::c_void;

use super::Main;
use crate::sys::stacks::{SIGNAL_STACK, Stack};

/// The smallest stack on which a thread is started. glibc refuses smaller ones, and on aarch64 all
/// below 128 KiB. musl takes a single page, on which none of our code could run.
const LEAST_STACK: usize = 16 << 10;

/// A host thread, to be joined.
///
/// A thread that drops its own handle cannot be joined at once. Its stack is kept, and a thread
/// that starts or joins another later joins it.
#[derive(Debug)]
pub(crate) struct NativeThread {
    thread: libc::pthread_t,
    stack: ManuallyDrop<Stack>,
}

// SAFETY: a thread's id may be compared and joined by any thread. If the id is a pointer (musl),
// only the C library follows it. `Stack` may be sent.
unsafe impl Send for NativeThread {}

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
    /// Runs `main` on a new thread. Everything comes back if the system refuses. A panic of `main`
    /// ends the thread and is forgotten.
    pub(crate) fn start(mut stack: Stack, main: Main) -> Result<Self, (io::Error, Stack, Main)> {
        if stack.size() < LEAST_STACK {
            let error = io::Error::from_raw_os_error(libc::EINVAL);
            return Err((error, stack, main));
        }
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
        // - The stack is `stack.size()` bytes of a live mapping that this call alone has: `Stack`
        //   is unique, and kept in the handle until the thread has been joined
        //   (`NativeThread::join`), or for ever.
        // - `enter` takes `start` over if, and only if, a thread is created.
        let error = unsafe {
            let attributes = attributes.as_mut_ptr();
            let mut error = libc::pthread_attr_init(attributes);
            if error == 0 {
                error = libc::pthread_attr_setstack(attributes, stack.stack(), stack.size());
                if error == 0 {
                    error =
                        libc::pthread_create(thread.as_mut_ptr(), attributes, enter, start.cast());
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

    /// Waits until the thread has run its last instruction, and returns its stack. `None` for the
    /// calling thread, which is treated as if dropped.
    pub(crate) fn join(self) -> Option<Stack> {
        if self.is_current() {
            return None;
        }
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the handle is unique and used up here, so the thread is joined once. It is not
        // the calling thread.
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
            // SAFETY: taken once: this value is being dropped, and a `ManuallyDrop` is not looked
            // at after that.
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
    // SAFETY: the signal stack lies in the thread's own place, which is kept until the thread has
    // been joined; the name is a string with an end.
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
    use crate::sys::stacks::Slab;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn started(stack: Stack, main: impl FnOnce() + Send + 'static) -> NativeThread {
        let started = NativeThread::start(stack, Box::new(main));
        started.map_err(|(error, ..)| error).unwrap()
    }

    #[test]
    fn threads_run_on_their_stacks_and_give_them_back() {
        // Not a whole number of pages, and enough for every C library.
        let stacks = Slab::map(4, 150_000).unwrap();
        let slab = Arc::downgrade(stacks[0].slab());
        let ran = Arc::new(AtomicUsize::new(0));
        let mut threads = Vec::new();
        for stack in stacks {
            let (start, end) = (stack.stack().addr(), stack.stack().addr() + stack.size());
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
        // Too small for anything.
        let stack = Slab::map(1, 1).unwrap().pop().unwrap();
        let place = stack.stack();
        let Err((error, stack, main)) = NativeThread::start(stack, Box::new(|| ())) else {
            panic!("a thread on a page")
        };
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        assert_eq!(stack.stack(), place);
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

    /// Touching a guard is a fault, and reaches no other memory. The test runs in a process of its
    /// own, which a signal ends.
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
                "sys::native_thread::linux::tests::the_guard_beneath_a_stack_is_a_fault",
            ])
            .env(CHILD, "1");
        use std::os::unix::process::ExitStatusExt as _;
        let output = again.output().unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
    }
}
