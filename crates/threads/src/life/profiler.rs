//! Collecting samples of a group's threads, for its profile.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crate::sys::running::{self, Ring, SampleHead, Sampled};
use crate::types::thread_id::ThreadId;

/// How often rings are emptied. A ring holds the samples of three times this period, with a clock
/// that ticks a thousand times a second.
const COLLECT: Duration = Duration::from_millis(20);

/// The most samples that are kept.
const MOST_SAMPLES: usize = 1 << 20;

/// The most frames of all different stacks together.
const MOST_FRAMES: usize = 1 << 24;

/// Samples a group's threads.
#[derive(Debug)]
pub(crate) struct Profiler {
    interval: Duration,
    kept: Arc<Kept>,
    /// When the first thread began, and the thread that collects.
    begun: OnceLock<Begun>,
}

#[derive(Debug)]
struct Begun {
    at: u64,
    time: SystemTime,
    collector: Mutex<Option<JoinHandle<()>>>,
}

/// What the collecting thread works on.
#[derive(Debug, Default)]
struct Kept {
    over: AtomicBool,
    without_timer: AtomicU64,
    rings: Mutex<Rings>,
    samples: Mutex<Collected>,
}

#[derive(Debug, Default)]
struct Rings {
    live: Vec<LiveRing>,
    /// Rings of threads that have left.
    free: Vec<Arc<Ring>>,
}

#[derive(Clone, Debug)]
struct LiveRing {
    ring: Arc<Ring>,
    thread: u32,
    began: u64,
}

impl LiveRing {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.ring, &other.ring) && self.began == other.began
    }
}

/// All samples so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Collected {
    pub(crate) threads: BTreeMap<u32, CollectedThread>,
    /// Each stack: first whether there were more frames, then positions in the code, the innermost
    /// first.
    pub(crate) stacks: Vec<Arc<[u32]>>,
    numbers: HashMap<Arc<[u32]>, u32>,
    samples: usize,
    frames: usize,
    pub(crate) lost: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct CollectedThread {
    pub(crate) began: u64,
    pub(crate) ended: Option<u64>,
    /// Each sample, and the index of its stack.
    pub(crate) samples: Vec<(SampleHead, u32)>,
}

/// The data of a profile, before addresses are looked up.
pub(crate) struct Taken {
    pub(crate) began: u64,
    pub(crate) time: SystemTime,
    pub(crate) interval: Duration,
    pub(crate) without_timer: u64,
    pub(crate) collected: Collected,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever a panic interrupts, each sample is whole or missing.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Profiler {
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            // A timer without an interval fires once.
            interval: interval.max(Duration::from_micros(1)),
            kept: Arc::default(),
            begun: OnceLock::new(),
        }
    }

    /// How to sample the calling thread, which is about to run the guest as `thread`.
    pub(crate) fn enter(
        &self,
        thread: ThreadId,
        noted: &'static std::sync::atomic::AtomicU16,
    ) -> Sampled {
        self.begun.get_or_init(|| self.begin());
        let mut rings = lock(&self.kept.rings);
        let ring = match rings.free.pop() {
            Some(ring) => {
                ring.reopen();
                ring
            }
            None => Arc::new(Ring::new(self.interval)),
        };
        rings.live.push(LiveRing {
            ring: Arc::clone(&ring),
            thread: thread.get(),
            began: running::now(),
        });
        Sampled {
            ring,
            noted,
            interval: self.interval,
        }
    }

    /// Notes that the system has refused a thread its timer.
    pub(crate) fn has_no_timer(&self) {
        self.kept.without_timer.fetch_add(1, Ordering::Relaxed);
    }

    /// Starts the thread that collects. If it cannot be started, samples of long runs are lost.
    fn begin(&self) -> Begun {
        let kept = Arc::clone(&self.kept);
        let collector = thread::Builder::new().name("wasi-profile".into());
        let collector = collector.spawn(move || {
            let _sooner = running::RaisedPriority::of_this_thread();
            while !kept.over.load(Ordering::Acquire) {
                kept.collect();
                thread::park_timeout(COLLECT);
            }
        });
        Begun {
            at: running::now(),
            time: SystemTime::now(),
            collector: Mutex::new(collector.ok()),
        }
    }

    /// All samples until now. `walk` gets threads, and tells where those of them are that are in
    /// waits or host calls.
    pub(crate) fn take(
        &self,
        walk: impl FnOnce(&dyn Fn(u32) -> bool) -> Vec<(u32, Vec<u32>, bool)>,
    ) -> Option<Taken> {
        let begun = self.begun.get()?;
        let live = lock(&self.kept.rings).live.clone();
        let open: HashMap<u32, &LiveRing> = live
            .iter()
            .filter(|live| live.ring.is_open() && live.ring.closed().is_none())
            .map(|live| (live.thread, live))
            .collect();
        let walked = match open.is_empty() {
            true => Vec::new(),
            false => walk(&|thread| open.contains_key(&thread)),
        };
        self.kept.collect();
        let rings = lock(&self.kept.rings);
        let mut samples = lock(&self.kept.samples);
        let mut walked: HashMap<_, _> = walked
            .into_iter()
            .map(|(thread, positions, cut)| (thread, (positions, cut)))
            .collect();
        for (thread, asked) in &open {
            // By now another thread may have the ring.
            if !rings.live.iter().any(|now| now.is(asked)) {
                continue;
            }
            // A thread that had no time to answer has waited all the same; only the place is not
            // known.
            let (positions, cut) = walked.remove(thread).unwrap_or_default();
            if let Some(head) = asked.ring.split(running::now()) {
                samples.add(*thread, SampleHead { cut, ..head }, &positions);
            }
        }
        drop(rings);
        Some(Taken {
            began: begun.at,
            time: begun.time,
            interval: self.interval,
            without_timer: self.kept.without_timer.load(Ordering::Relaxed),
            collected: samples.clone(),
        })
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        self.kept.over.store(true, Ordering::Release);
        let collector = self
            .begun
            .get()
            .and_then(|begun| lock(&begun.collector).take());
        if let Some(collector) = collector {
            collector.thread().unpark();
            // It has been told to end, and only has to look.
            let _ = collector.join();
        }
    }
}

impl Kept {
    /// Empties all rings, and keeps those of threads that have left for other threads.
    fn collect(&self) {
        let mut rings = lock(&self.rings);
        let mut samples = lock(&self.samples);
        let Rings { live, free } = &mut *rings;
        live.retain(|one| {
            // Looked at first, so that what the thread wrote before it left is read below.
            let closed = one.ring.closed();
            samples.drain(one, closed);
            if closed.is_some() {
                free.push(Arc::clone(&one.ring));
            }
            closed.is_none()
        });
    }
}

impl Collected {
    fn drain(&mut self, live: &LiveRing, closed: Option<u64>) {
        let thread = self
            .threads
            .entry(live.thread)
            .or_insert_with(|| CollectedThread {
                began: live.began,
                ..CollectedThread::default()
            });
        thread.ended = closed;
        live.ring
            .read(|head, frames| self.add(live.thread, head, frames));
        self.lost += live.ring.take_lost();
    }

    fn add(&mut self, thread: u32, head: SampleHead, frames: &[u32]) {
        if self.samples == MOST_SAMPLES {
            self.lost += u64::from(head.weight);
            return;
        }
        let mut key = Vec::with_capacity(frames.len() + 1);
        key.push(u32::from(head.cut));
        key.extend_from_slice(frames);
        let number = match self.numbers.get(&key[..]) {
            Some(number) => *number,
            None => {
                if self.frames + frames.len() > MOST_FRAMES {
                    self.lost += u64::from(head.weight);
                    return;
                }
                self.frames += frames.len();
                // There are fewer stacks than samples.
                let number = self.stacks.len() as u32;
                let stack: Arc<[u32]> = key.into();
                self.stacks.push(Arc::clone(&stack));
                self.numbers.insert(stack, number);
                number
            }
        };
        self.samples += 1;
        self.threads
            .entry(thread)
            .or_default()
            .samples
            .push((head, number));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU16;
    use std::time::Duration;

    use super::Profiler;
    use crate::sys::running::{self, SampledIn};
    use crate::types::thread_id::ThreadId;

    /// If a thread did not say in time where it waits, its wait was once missing in the profile.
    #[test]
    fn a_wait_counts_whether_or_not_its_thread_answers() {
        // Nor are samples taken there.
        if !running::SUPPORTED {
            return;
        }
        static NOTED: AtomicU16 = AtomicU16::new(0);
        let profiler = Profiler::new(Duration::from_micros(1));
        let sampled = profiler.enter(ThreadId::MAIN, &NOTED);
        sampled.ring.begin(SampledIn::Wait, 0, running::now());
        std::thread::sleep(Duration::from_millis(2));
        let taken = profiler
            .take(|open| {
                assert!(open(ThreadId::MAIN.get()));
                Vec::new()
            })
            .unwrap();
        let (head, stack) = taken.collected.threads[&ThreadId::MAIN.get()].samples[0];
        assert!(matches!(head.within, SampledIn::Wait));
        assert_eq!(*taken.collected.stacks[stack as usize], [0]);
    }
}
