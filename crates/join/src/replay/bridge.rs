//! A policy of `replay-threads`, asked by `wasi-threads`.

use std::sync::{Arc, OnceLock};

use replay_threads as replay;
use wasi_threads::ThreadId;
use wasi_threads::schedule::{Policy, ScheduleHandle, Scheduled, Stop, Turn, Why};

/// A schedule by a policy of `replay-threads`, whose clock begins at [`START`](super::START). A
/// policy that names a thread that cannot be next ends the run as
/// [`ScheduleError::Stopped`](wasi_threads::schedule::ScheduleError::Stopped).
pub fn schedule(policy: Box<dyn replay::Policy>) -> Scheduled {
    let handle = Arc::new(OnceLock::new());
    let bridge = Bridge {
        policy,
        handle: Arc::clone(&handle),
    };
    let scheduled = Scheduled::new(bridge).start_time(super::START);
    // It was made above, so it is not set yet.
    let _ = handle.set(scheduled.handle());
    scheduled
}

/// The one as the other.
struct Bridge {
    policy: Box<dyn replay::Policy>,
    /// To end the run, when the policy names a thread that cannot be next.
    handle: Arc<OnceLock<ScheduleHandle>>,
}

fn thread(thread: ThreadId) -> replay::ThreadId {
    replay::ThreadId::new(thread.get())
}

fn why(why: Why) -> replay::Why {
    match why {
        Why::Start => replay::Why::Start,
        Why::Atomic => replay::Why::Atomic,
        Why::Loop => replay::Why::Loop,
        Why::Wait => replay::Why::Wait,
        Why::Notify => replay::Why::Notify,
        Why::HostCall => replay::Why::HostCall,
        Why::Spawn => replay::Why::Spawn,
        Why::Sleep => replay::Why::Sleep,
        Why::Yield => replay::Why::Yield,
        Why::End => replay::Why::End,
        // A plain access, and what is not known yet.
        _ => replay::Why::Access,
    }
}

impl Policy for Bridge {
    fn began(&mut self, began: ThreadId, parent: Option<ThreadId>) {
        self.policy.began(thread(began), parent.map(thread));
    }

    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let runnable: Vec<_> = stop.runnable.iter().copied().map(thread).collect();
        let sleeper = |sleeper: &wasi_threads::schedule::Sleeper| replay::Sleeper {
            thread: thread(sleeper.thread),
            deadline: sleeper.deadline,
        };
        let sleeping: Vec<_> = stop.sleeping.iter().map(sleeper).collect();
        let asked = replay::Stop::new(thread(stop.thread), stop.point, why(stop.why))
            .threads(&runnable, &sleeping)
            .total(stop.total)
            .now(stop.now);
        let turn = self.policy.next(&asked);
        let asleep = stop.sleeping.iter().map(|sleeper| sleeper.thread);
        let mut all = stop.runnable.iter().copied().chain(asleep);
        let next = all.find(|next| next.get() == turn.thread.get());
        let next = next.unwrap_or_else(|| {
            if let Some(handle) = self.handle.get() {
                handle.stop("the run is not the one that was recorded");
            }
            let asleep = stop.sleeping.first().map(|sleeper| sleeper.thread);
            stop.runnable
                .first()
                .copied()
                .or(asleep)
                .unwrap_or(stop.thread)
        });
        Turn {
            thread: next,
            budget: turn.budget,
        }
    }

    fn ended(&mut self, ended: ThreadId) {
        self.policy.ended(thread(ended));
    }
}
