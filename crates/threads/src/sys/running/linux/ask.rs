//! The signal by which a thread is asked where it is, or stopped where its code cannot be.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use libc::{c_int, c_void};

use super::super::{Code, Key, Walked};
use super::slots::{self, FRAMES, FROZEN, HostSlot, IN};
use super::stack::{self, Registers};
use super::{fault, sample};

/// Kinds of requests, in the lowest bits of one.
const KIND: u32 = 3;
/// Where are you?
const WALK: u32 = 1;
/// Stay where you are, if that is in wasm.
const STAY: u32 = 2;

/// The signal, once it has been chosen.
static SIGNAL: AtomicI32 = AtomicI32::new(0);

/// Numbers requests.
static NEXT: AtomicU32 = AtomicU32::new(1);

/// One asks at a time. No thread that runs a guest does.
static ASKING: Mutex<()> = Mutex::new(());

/// How many have answered, ever: the thread that asks sleeps on it.
static ANSWERS: AtomicU32 = AtomicU32::new(0);

/// The signal, if there is one.
pub(super) fn signal() -> Option<c_int> {
    let signal = SIGNAL.load(Ordering::Acquire);
    (signal != 0).then_some(signal)
}

/// Installs the handler of the first signal that has none. Called once.
pub(super) fn install() -> io::Result<()> {
    for signal in libc::SIGRTMIN() + 7..=libc::SIGRTMAX() {
        let mut action = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: an action of zeros is valid, and so is what the system or this function then
        // writes into it. The handler touches only what belongs to its own thread, and atomics.
        unsafe {
            let action = action.as_mut_ptr();
            if libc::sigaction(signal, ptr::null(), action) != 0 {
                return Err(io::Error::last_os_error());
            }
            if (*action).sa_sigaction != libc::SIG_DFL {
                continue;
            }
            (*action).sa_sigaction = on_ask as *const () as usize;
            (*action).sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
            libc::sigfillset(&raw mut (*action).sa_mask);
            for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
                libc::sigdelset(&raw mut (*action).sa_mask, fault);
            }
            if libc::sigaction(signal, action, ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        SIGNAL.store(signal, Ordering::Release);
        return Ok(());
    }
    Err(io::Error::from_raw_os_error(libc::EBUSY))
}

/// Answers for the thread it runs on. A signal that was meant for a thread which had this thread's
/// id before finds no request.
extern "C" fn on_ask(_: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let Some(slot) = slots::mine() else {
        return;
    };
    // SAFETY: the kernel gives a handler with `SA_SIGINFO` both.
    if unsafe { (*info).si_code } == libc::SI_TIMER {
        // SAFETY: as above, and a timer sent it.
        unsafe { sample::on_timer(slot, info, context) };
        return;
    }
    let request = slot.request.swap(0, Ordering::AcqRel);
    if request == 0 {
        return;
    }
    // SAFETY: the kernel gives a handler with `SA_SIGINFO` a context; `errno` is the thread's.
    let (registers, errno) = unsafe { (Registers::of(context), libc::__errno_location()) };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let state = slot.state.load(Ordering::Acquire);
    // A frozen thread has written where it stopped.
    if state == IN {
        stack::write(slot, &registers);
        let in_wasm = slot.in_wasm.load(Ordering::Relaxed) != 0;
        if request & KIND == STAY && in_wasm {
            slot.state.store(FROZEN, Ordering::Release);
            fault::for_ever();
        }
    }
    slot.answer.store(request, Ordering::Release);
    ANSWERS.fetch_add(1, Ordering::AcqRel);
    // SAFETY: a wake of a word of this process; then `errno` is put back.
    unsafe {
        let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        libc::syscall(libc::SYS_futex, ANSWERS.as_ptr(), operation, 1, 0, 0, 0);
        *errno = before;
    }
}

/// Asks the thread of this slot; the request's number.
fn send(slot: &HostSlot, kind: u32) -> u32 {
    let number = NEXT.fetch_add(1, Ordering::Relaxed) << 2;
    let request = number | kind;
    slot.request.store(request, Ordering::Release);
    if let Some(signal) = signal() {
        let tid = slot.tid.load(Ordering::Relaxed);
        // SAFETY: the signal is one that we handle, and goes to a thread of this process or to
        // none. If another thread has the id by now, it looks at its own slot.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal) };
    }
    request
}

/// Stops each thread of group `key` that is in wasm when the signal reaches it. Must be called
/// again until all are seen to be stopped.
pub(crate) fn chase(key: Key) {
    slots::each(|slot| {
        if slot.is_of(key) && slot.state.load(Ordering::Acquire) == IN && slot.word() == 0 {
            send(slot, STAY);
        }
    });
}

/// Where in wasm the threads of group `key` are that `wanted` picks, at most `most` of them. Waits
/// for `patience` at most, and leaves out those that have not answered by then. A frozen thread
/// answers at once. Takes a lock that no other function takes.
pub(crate) fn walk(
    key: Key,
    code: &Code,
    most: usize,
    patience: Duration,
    mut wanted: impl FnMut(u32) -> bool,
) -> Vec<Walked> {
    let _one = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
    code.list_bodies();
    let mut asked = Vec::new();
    slots::each(|slot| {
        let thread = slot.thread.load(Ordering::Relaxed);
        if asked.len() < most && slot.is_of(key) && wanted(thread) {
            let frozen = slot.state.load(Ordering::Acquire) == FROZEN;
            asked.push((slot, thread, if frozen { 0 } else { send(slot, WALK) }));
        }
    });
    let deadline = Instant::now() + patience;
    let mut found = Vec::new();
    loop {
        let answers = ANSWERS.load(Ordering::Acquire);
        asked.retain(|&(slot, thread, request)| {
            // It has left, and will not answer.
            if !slot.is_of(key) || slot.thread.load(Ordering::Relaxed) != thread {
                return false;
            }
            let frozen = slot.state.load(Ordering::Acquire) == FROZEN;
            let answered = request != 0 && slot.answer.load(Ordering::Acquire) == request;
            if !frozen && !answered {
                return true;
            }
            let len = slot.len.load(Ordering::Relaxed);
            let frames = &slot.frames[..len.min(FRAMES)];
            found.push(Walked {
                thread,
                addresses: frames
                    .iter()
                    .map(|one| one.load(Ordering::Relaxed))
                    .collect(),
                in_wasm: slot.in_wasm.load(Ordering::Relaxed) != 0,
                cut: len > FRAMES,
            });
            false
        });
        let left = deadline.saturating_duration_since(Instant::now());
        if asked.is_empty() || left.is_zero() {
            break;
        }
        // A thread that leaves wakes none: look again soon.
        let left = left.min(Duration::from_millis(5));
        let time = libc::timespec {
            tv_sec: 0,
            tv_nsec: left.subsec_nanos().into(),
        };
        // SAFETY: waits on a word of this process, with a time that outlives the call.
        unsafe {
            let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
            let word = ANSWERS.as_ptr();
            libc::syscall(
                libc::SYS_futex,
                word,
                operation,
                answers,
                &raw const time,
                0,
                0,
            );
        }
    }
    for (slot, ..) in asked {
        // So that a handler that comes late does nothing.
        slot.request.store(0, Ordering::Release);
    }
    found
}
