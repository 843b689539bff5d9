//! Samples of threads: where they spend their processor time, and where they wait.
//!
//! A timer on each thread's processor time sends it our signal, whose handler writes down the
//! thread's stack. The kernel counts the expirations that it cannot deliver in time, because its
//! own clock ticks more slowly (`si_overrun`). They add to the sample's weight. The handler reads
//! its own thread's slot and stack, writes its ring, and asks for the time. It takes no lock and
//! allocates nothing.

use std::ptr;
use std::time::Duration;

use libc::{c_int, c_void};

use super::super::{HARMLESS, Ring, SampleHead, Sampled, SampledIn};
use super::ask;
use super::slots::{self, HostSlot, IN, own_thread_number};
use super::stack::{self, Registers};

/// Nanoseconds of a clock that only goes on. For handlers, too.
pub(crate) fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: it only writes the time. POSIX lists it among the functions for handlers.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    // Since the machine was started.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// A timer on a thread's processor time, until it is dropped.
#[derive(Debug)]
pub(super) struct Timer(libc::timer_t);

impl Timer {
    /// One for the calling thread; `None` if the system refuses it (`RLIMIT_SIGPENDING`, seccomp).
    pub(super) fn start(sampled: &Sampled) -> Option<Self> {
        let signal = ask::signal()?;
        let mut timer: libc::timer_t = ptr::null_mut();
        // SAFETY: an event of zeros is valid, and so is what is set here. The call writes the
        // timer, which is used only if the call has succeeded.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal;
            event.sigev_notify_thread_id = own_thread_number();
            event.sigev_value = libc::sigval {
                sival_ptr: std::sync::Arc::as_ptr(&sampled.ring).cast_mut().cast(),
            };
            let clock = libc::CLOCK_THREAD_CPUTIME_ID;
            if libc::timer_create(clock, &raw mut event, &raw mut timer) != 0 {
                return None;
            }
        }
        let timer = Timer(timer);
        let each = time(sampled.interval);
        let when = libc::itimerspec {
            it_interval: each,
            it_value: each,
        };
        // SAFETY: a timer that is there, and a time that is read.
        let set = unsafe { libc::timer_settime(timer.0, 0, &raw const when, ptr::null_mut()) };
        (set == 0).then_some(timer)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: there is one, and it goes once.
        unsafe { libc::timer_delete(self.0) };
    }
}

fn time(duration: Duration) -> libc::timespec {
    // 68 years at most. libc has deprecated the name of the type for musl.
    let seconds = i32::try_from(duration.as_secs()).unwrap_or(i32::MAX);
    libc::timespec {
        tv_sec: seconds.into(),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// The kernel's `siginfo_t` of a timer: libc's has no such fields.
#[repr(C)]
struct TimerInfo {
    signo: c_int,
    errno: c_int,
    code: c_int,
    fields: TimerFields,
}

/// Aligned as a pointer is.
#[repr(C)]
struct TimerFields {
    timer: c_int,
    overrun: c_int,
    value: *mut c_void,
}

/// Writes down where the calling thread is, whose slot this is.
///
/// # Safety
///
/// `info` and `context` are what the kernel gave to the running handler, and a timer sent the
/// signal.
pub(super) unsafe fn on_timer(
    slot: &HostSlot,
    info: *const libc::siginfo_t,
    context: *const c_void,
) {
    // SAFETY: a timer's `siginfo_t` is laid out so, on Linux.
    let info = unsafe { &(*info.cast::<TimerInfo>()).fields };
    let Some(ring) = slot.ring() else {
        return;
    };
    // The timer of a registration around this one, or of one that has ended.
    if !ptr::eq(ring, info.value.cast::<Ring>())
        || slot.state.load(std::sync::atomic::Ordering::Acquire) != IN
    {
        return;
    }
    // SAFETY: as the caller says; `errno` is the thread's.
    let (registers, errno) = unsafe { (Registers::of(context), libc::__errno_location()) };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let within = match (stack::is_in_wasm(slot, &registers), slot.word()) {
        (true, _) => SampledIn::Wasm,
        (false, 0) => SampledIn::Runtime,
        (false, word) if word & HARMLESS != 0 => SampledIn::Wait,
        (false, _) => SampledIn::HostCode,
    };
    let head = SampleHead {
        within,
        call: if within == SampledIn::HostCode {
            slot.noted_call()
        } else {
            0
        },
        weight: u32::try_from(info.overrun).unwrap_or(0).saturating_add(1),
        at: now(),
        blocked: None,
        cut: false,
    };
    write(slot, ring, head, &registers);
    // SAFETY: as above.
    unsafe { *errno = before };
}

/// Writes a sample with the calling thread's stack.
fn write(slot: &HostSlot, ring: &Ring, head: SampleHead, registers: &Registers) {
    let Some(code) = slot.code() else {
        return;
    };
    ring.write(head, |push| {
        let mut executes = head.within == SampledIn::Wasm;
        stack::walk(slot, registers, &mut |address| {
            // Behind a call the next instruction may be another line's, or another function's.
            let at = address - usize::from(!std::mem::take(&mut executes));
            code.position(at).is_none_or(&mut *push)
        });
    });
}

/// The calling thread begins a wait, or a call whose time counts. Does nothing if it is not
/// sampled.
pub(crate) fn begin(within: SampledIn, call: u16) {
    if let Some(ring) = slots::mine().and_then(HostSlot::ring) {
        ring.begin(within, call, now());
    }
}

/// What has [begun](begin) is over.
pub(crate) fn end() {
    let Some(slot) = slots::mine() else {
        return;
    };
    if let Some(ring) = slot.ring()
        && let Some(head) = ring.end(now())
    {
        write(slot, ring, head, &Registers::here());
    }
}
