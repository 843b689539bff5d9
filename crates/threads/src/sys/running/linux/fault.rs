//! Taking execute permission from code, and the handler of SIGSEGV that keeps threads that fault
//! there.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use libc::{c_int, c_void};

use super::super::Code;
use super::slots::{self, FROZEN, IN};
use super::stack::{self, Registers};

/// What is needed to stop one group, made before it runs and never freed: the end allocates
/// nothing.
#[derive(Debug)]
pub(crate) struct Freezer {
    /// Whole pages.
    texts: Box<[Range<usize>]>,
    stopped: AtomicBool,
    next: *const Freezer,
}

// SAFETY: `next` is set before the value is published, and is a reference that lives for ever.
// Apart from it only an atomic changes.
unsafe impl Sync for Freezer {}
// SAFETY: as above.
unsafe impl Send for Freezer {}

/// The newest of them.
static STOPS: AtomicPtr<Freezer> = AtomicPtr::new(ptr::null_mut());

impl Freezer {
    /// One for the group with this code, which outlives its end: stopping it frees nothing of it.
    pub(crate) fn new(code: &Code) -> &'static Freezer {
        // SAFETY: reads a number.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let whole = |text: &Range<usize>| text.start / page * page..text.end.next_multiple_of(page);
        let texts = code.texts().iter().filter(|text| !text.is_empty());
        let stop: &'static mut Freezer = Box::leak(Box::new(Freezer {
            texts: texts.map(whole).collect(),
            stopped: AtomicBool::new(false),
            next: STOPS.load(Ordering::Acquire),
        }));
        loop {
            let next = stop.next.cast_mut();
            match STOPS.compare_exchange(next, stop, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return stop,
                Err(newer) => stop.next = newer,
            }
        }
    }

    fn has(&self, address: usize) -> bool {
        self.texts.iter().any(|text| text.contains(&address))
    }
}

/// Takes execute permission from the group's code. A thread that runs it stops for ever at its next
/// instruction, and so does one that comes back to it. False if the system refuses that for any
/// part of the code: then only [`chase`](super::chase) is left.
///
/// Takes no lock of this crate's and allocates nothing. The code is not executable again.
pub(crate) fn freeze(stop: &'static Freezer) -> bool {
    // Before the first fault.
    stop.stopped.store(true, Ordering::SeqCst);
    let mut all = true;
    for text in &stop.texts {
        let start = ptr::with_exposed_provenance_mut::<c_void>(text.start);
        // SAFETY: these are whole pages of a module's text. It is mapped as long as the module
        // lives, and the group lives for ever from here on. Nothing is written there, so reads see
        // what they saw before. A thread that executes it ends in `on_fault`.
        let result = unsafe { libc::mprotect(start, text.len(), libc::PROT_READ) };
        all &= result == 0 || replace(start, text.len());
    }
    all
}

/// Puts a copy that is not executable in the place of code, for a system where a filter refuses
/// `mprotect`. False if that is refused, too.
fn replace(text: *mut c_void, len: usize) -> bool {
    // SAFETY: a new mapping is filled with the bytes of the code, which are never written, and
    // takes the code's place in one step. A thread that reads it finds what was there, and one that
    // executes it ends in `on_fault`.
    unsafe {
        let writable = libc::PROT_READ | libc::PROT_WRITE;
        let private = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let copy = libc::mmap(ptr::null_mut(), len, writable, private, -1, 0);
        if copy == libc::MAP_FAILED {
            return false;
        }
        ptr::copy_nonoverlapping(text.cast::<u8>(), copy.cast::<u8>(), len);
        let fixed = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        libc::mremap(copy, len, len, fixed, text) != libc::MAP_FAILED
    }
}

/// The calling thread does nothing any more.
pub(crate) fn hold() -> ! {
    if let Some(slot) = slots::mine() {
        slot.state.store(FROZEN, Ordering::Release);
    }
    for_ever()
}

/// For handlers, too.
pub(super) fn for_ever() -> ! {
    loop {
        // SAFETY: waits for a signal, whose handler returns here.
        unsafe { libc::pause() };
    }
}

/// What handled SIGSEGV before.
struct Previous(UnsafeCell<MaybeUninit<libc::sigaction>>);

// SAFETY: written once, by `install`, before the handler that reads it is installed.
unsafe impl Sync for Previous {}

static PREVIOUS: Previous = Previous(UnsafeCell::new(MaybeUninit::uninit()));

/// Installs the handler. Called once.
pub(super) fn install() -> io::Result<()> {
    let previous = PREVIOUS.0.get().cast::<libc::sigaction>();
    // SAFETY: `previous` is written only here, and this runs once, before there is a reader. The
    // new action is the old one in its mask and flags, so that the handler that is asked next runs
    // as if it had been called by the kernel.
    unsafe {
        if libc::sigaction(libc::SIGSEGV, ptr::null(), previous) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut action = *previous;
        action.sa_sigaction = on_fault as *const () as usize;
        action.sa_flags |= libc::SA_SIGINFO | libc::SA_ONSTACK;
        if libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Keeps a thread that has come to code which was stopped; asks the handler before it about every
/// other fault.
extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a handler with `SA_SIGINFO` both.
    let registers = unsafe { Registers::of(context) };
    // The address of the fault does not matter, because an instruction may lie on two pages. And a
    // thread whose load failed there would only be unwound into code that has stopped.
    if is_stopped(registers.pc) {
        if let Some(slot) = slots::mine() {
            if slot.state.load(Ordering::Acquire) == IN {
                stack::write(slot, &registers);
            }
            slot.state.store(FROZEN, Ordering::Release);
        }
        for_ever();
    }
    // SAFETY: `install` wrote it before this handler could run.
    let previous = unsafe { *PREVIOUS.0.get().cast::<libc::sigaction>() };
    let handler = previous.sa_sigaction;
    // SAFETY: the previous handler is called as its flags say, with what the kernel gave. Without
    // one, the default is put back, and the instruction faults again.
    unsafe {
        if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
            let mut default = previous;
            default.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(signal, &raw const default, ptr::null_mut());
        } else if previous.sa_flags & libc::SA_SIGINFO != 0 {
            type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
            std::mem::transmute::<usize, Handler>(handler)(signal, info, context);
        } else {
            std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal);
        }
    }
}

/// Whether `address` is in code that was stopped.
fn is_stopped(address: usize) -> bool {
    let mut next: *const Freezer = STOPS.load(Ordering::Acquire);
    // SAFETY: published once they are made, and never freed.
    while let Some(stop) = unsafe { next.as_ref() } {
        if stop.stopped.load(Ordering::SeqCst) && stop.has(address) {
            return true;
        }
        next = stop.next;
    }
    false
}
