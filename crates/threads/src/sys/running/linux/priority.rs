//! A thread's turn beside many that compute.

use std::marker::PhantomData;

/// The shortest slice that Linux grants, in nanoseconds.
const SHORT_SLICE: u64 = 100_000;

/// While it lives, the thread that made it runs before threads that compute, as far as the system
/// allows.
///
/// It is for a thread that sleeps nearly always and must not be late when it wakes, such as one
/// that ends a group on a signal. It asks for the lowest real-time priority (`CAP_SYS_NICE` or
/// `RLIMIT_RTPRIO`; threads that the thread starts do not inherit it). Where that is refused, it
/// asks for a short slice, which needs no right: since Linux 6.12 a thread that wakes with a
/// shorter slice runs before those with longer ones (sched_setattr(2)). Where both are refused,
/// nothing changes. Other systems change nothing.
///
/// Dropping it gives the thread its old priority. Where a thread may have a real-time priority but
/// has no `CAP_SYS_NICE`, it keeps the flag by which threads that it starts do not inherit such a
/// priority.
///
/// It does not ask for a nice value. Beside 1,500 threads that compute, a thread with -20 waits for
/// 130 ms when it wakes (Linux 6.18). With a real-time priority or a short slice it waits for 0.1
/// ms.
#[derive(Debug)]
#[must_use = "dropping it gives the thread its old priority"]
pub struct RaisedPriority {
    before: Option<libc::sched_attr>,
    /// It is about the thread that made it.
    _thread: PhantomData<*const ()>,
}

impl RaisedPriority {
    /// Raises the calling thread's priority.
    pub fn of_this_thread() -> Self {
        Self {
            before: get().filter(raise),
            _thread: PhantomData,
        }
    }
}

impl Drop for RaisedPriority {
    fn drop(&mut self) {
        let Some(before) = &self.before else { return };
        // A thread that may not raise priorities may not take that flag back either.
        let kept = libc::sched_attr {
            sched_flags: before.sched_flags | libc::SCHED_FLAG_RESET_ON_FORK as u64,
            ..*before
        };
        let _ = set(before) || set(&kept);
    }
}

/// Whether the thread, which has the attributes `before`, runs sooner now.
fn raise(before: &libc::sched_attr) -> bool {
    let real_time = |policy: u32| [libc::SCHED_FIFO, libc::SCHED_RR].contains(&(policy as i32));
    if real_time(before.sched_policy) {
        return false;
    }
    let first = libc::sched_attr {
        sched_policy: libc::SCHED_RR as u32,
        sched_flags: before.sched_flags | libc::SCHED_FLAG_RESET_ON_FORK as u64,
        sched_priority: 1,
        ..*before
    };
    let short = libc::sched_attr {
        sched_runtime: SHORT_SLICE,
        ..*before
    };
    set(&first) || set(&short)
}

fn get() -> Option<libc::sched_attr> {
    // SAFETY: all zeroes are a `sched_attr`.
    let mut attributes: libc::sched_attr = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    // SAFETY: the attributes of the calling thread are written, as many bytes as there is room for.
    let got = unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut attributes, size, 0) };
    (got == 0).then_some(attributes)
}

fn set(attributes: &libc::sched_attr) -> bool {
    // SAFETY: the attributes are as large as they say, only read, and for the calling thread.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, attributes, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_is_raised_and_given_back() {
        let shown = |attributes: &libc::sched_attr| {
            (
                attributes.sched_policy,
                attributes.sched_priority,
                attributes.sched_nice,
                attributes.sched_flags,
            )
        };
        let Some(before) = get() else { return };
        let raised = RaisedPriority::of_this_thread();
        let within = get().expect("asked a moment ago");
        if raised.before.is_some() && within.sched_policy == before.sched_policy {
            // An older system takes the slice, and says nothing of it.
            assert!([SHORT_SLICE, 0].contains(&within.sched_runtime));
        }
        // A thread started meanwhile has the old one.
        let other = std::thread::spawn(|| get().expect("asked a moment ago"));
        let other = other.join().expect("does not panic");
        assert_eq!(other.sched_policy, before.sched_policy);
        drop(raised);
        assert_eq!(shown(&get().expect("asked a moment ago")), shown(&before));
    }
}
