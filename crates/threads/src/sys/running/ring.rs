//! Samples of one thread, on their way to the collector.
//!
//! The thread writes, in a signal handler or outside of one. One reader at a time empties the ring.
//! There is no lock and no allocation: a sample that does not fit is counted and lost.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, compiler_fence};
use std::time::Duration;

use super::{SampleHead, SampledIn};

/// Most frames of one sample.
pub(crate) const SAMPLED_FRAMES: usize = 256;

/// Words of a ring. With a sample each millisecond it holds the samples of at least 60 ms, and
/// usually of half a second.
const WORDS: usize = 1 << 14;

/// Words before the frames.
const HEAD: usize = 7;

/// A bit in the first half of a sample's second word, beside the number of what the thread was in.
/// It says that the thread did not run.
const BLOCKED: u32 = 1 << 8;
/// There were more frames.
const CUT: u32 = 1 << 9;

/// See the module.
#[derive(Debug)]
pub(crate) struct Ring {
    /// Nanoseconds that a sample stands for.
    interval: i64,
    words: Box<[AtomicU32]>,
    /// Words written so far.
    head: AtomicUsize,
    /// Words read so far.
    tail: AtomicUsize,
    /// The thread is in the middle of a sample.
    writing: AtomicBool,
    /// Weight that came meanwhile.
    late: AtomicU32,
    /// Weight that was lost.
    lost: AtomicU64,
    /// Weight of processor time that was sampled or lost.
    ticks: AtomicU64,
    /// Since when the thread has been in a wait or a call that is timed; 0 if it is in none.
    open: AtomicU64,
    /// Which one that is: as in the second word of a sample.
    open_in: AtomicU32,
    /// `ticks` when it began.
    open_ticks: AtomicU64,
    /// Time without processor that no sample stands for yet.
    owed: AtomicI64,
    /// When the thread left; 0 while it has not.
    closed: AtomicU64,
}

impl Ring {
    /// An empty one, for samples that stand for `interval` each.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval: i64::try_from(interval.as_nanos())
                .unwrap_or(i64::MAX)
                .max(1),
            words: (0..WORDS).map(|_| AtomicU32::new(0)).collect(),
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            writing: AtomicBool::new(false),
            late: AtomicU32::new(0),
            lost: AtomicU64::new(0),
            ticks: AtomicU64::new(0),
            open: AtomicU64::new(0),
            open_in: AtomicU32::new(0),
            open_ticks: AtomicU64::new(0),
            owed: AtomicI64::new(0),
            closed: AtomicU64::new(0),
        }
    }

    /// Makes it another thread's. It has been read to its end, and its thread has left.
    pub(crate) fn reopen(&self) {
        self.ticks.store(0, Relaxed);
        self.late.store(0, Relaxed);
        self.open.store(0, Relaxed);
        self.owed.store(0, Relaxed);
        self.closed.store(0, Release);
    }

    /// The thread has left: it writes no more.
    pub(crate) fn close(&self, now: u64) {
        self.closed.store(now.max(1), Release);
    }

    /// When the thread left.
    pub(crate) fn closed(&self) -> Option<u64> {
        let at = self.closed.load(Acquire);
        (at != 0).then_some(at)
    }

    /// Weight that was lost so far, which is 0 then.
    pub(crate) fn take_lost(&self) -> u64 {
        self.lost.swap(0, Relaxed)
    }

    /// Writes a sample. `frames` gives its argument the frames, the innermost first, until the
    /// argument says that no more fit. It is for the thread itself, its handlers included: a sample
    /// that comes in the middle of another one counts where that one is.
    pub(crate) fn write(&self, head: SampleHead, frames: impl Fn(&mut dyn FnMut(u32) -> bool)) {
        if head.blocked.is_none() {
            self.ticks.fetch_add(head.weight.into(), Relaxed);
        }
        // Only the thread itself and its handlers store it, and a handler has returned before the
        // thread goes on.
        if self.writing.load(Relaxed) {
            self.late.fetch_add(head.weight, Relaxed);
            return;
        }
        self.writing.store(true, Relaxed);
        compiler_fence(SeqCst);
        self.put(head, &frames);
        loop {
            let weight = self.late.swap(0, Relaxed);
            if weight == 0 {
                break;
            }
            let blocked = None;
            let late = SampleHead {
                weight,
                blocked,
                ..head
            };
            self.put(late, &frames);
        }
        compiler_fence(SeqCst);
        self.writing.store(false, Relaxed);
    }

    fn put(&self, head: SampleHead, frames: &impl Fn(&mut dyn FnMut(u32) -> bool)) {
        let at = self.head.load(Relaxed);
        let used = at.wrapping_sub(self.tail.load(Acquire));
        if used + HEAD + SAMPLED_FRAMES > WORDS {
            self.lost.fetch_add(head.weight.into(), Relaxed);
            return;
        }
        let mut len = 0;
        let mut more = false;
        frames(&mut |frame| {
            if len == SAMPLED_FRAMES {
                more = true;
                return false;
            }
            self.word(at + HEAD + len).store(frame, Relaxed);
            len += 1;
            true
        });
        let lasted = head.blocked.unwrap_or(0);
        let mut within = head.within as u32;
        if head.blocked.is_some() {
            within |= BLOCKED;
        }
        if more || head.cut {
            within |= CUT;
        }
        let words = [
            len as u32,
            within << 16 | u32::from(head.call),
            head.weight,
            (head.at >> 32) as u32,
            head.at as u32,
            (lasted >> 32) as u32,
            lasted as u32,
        ];
        for (index, word) in words.into_iter().enumerate() {
            self.word(at + index).store(word, Relaxed);
        }
        self.head.store(at.wrapping_add(HEAD + len), Release);
    }

    /// Gives each sample to `f`, the oldest first. One reader at a time.
    pub(crate) fn read(&self, mut f: impl FnMut(SampleHead, &[u32])) {
        let mut frames = Vec::new();
        let head = self.head.load(Acquire);
        let mut at = self.tail.load(Relaxed);
        while at != head {
            let word = |index: usize| self.word(at + index).load(Relaxed);
            let long = |index: usize| u64::from(word(index)) << 32 | u64::from(word(index + 1));
            let len = word(0) as usize;
            let within = word(1) >> 16;
            frames.clear();
            frames.extend((0..len).map(|index| word(HEAD + index)));
            let sample = SampleHead {
                within: SampledIn::of(within),
                call: word(1) as u16,
                weight: word(2),
                at: long(3),
                blocked: (within & BLOCKED != 0).then(|| long(5)),
                cut: within & CUT != 0,
            };
            f(sample, &frames);
            at = at.wrapping_add(HEAD + len);
            self.tail.store(at, Release);
        }
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        &self.words[at % WORDS]
    }

    /// The thread begins to wait, or a call that is timed.
    pub(crate) fn begin(&self, within: SampledIn, call: u16, now: u64) {
        self.open_in
            .store((within as u32) << 16 | u32::from(call), Relaxed);
        self.open_ticks.store(self.ticks.load(Relaxed), Relaxed);
        self.open.store(now.max(1), Release);
    }

    /// Ends what has begun. Returns the sample that is due for the time without a processor, if one
    /// is.
    ///
    /// A sample stands for an interval of such time, as one of the timer's stands for an interval
    /// of processor time. The rest counts for the next sample. The timer has counted what the
    /// thread computed meanwhile.
    pub(crate) fn end(&self, now: u64) -> Option<SampleHead> {
        let began = self.open.swap(0, Acquire);
        if began == 0 {
            return None;
        }
        let ticks = self.ticks.load(Relaxed) - self.open_ticks.load(Relaxed);
        let lasted = now.saturating_sub(began);
        let computed = i64::try_from(ticks)
            .unwrap_or(0)
            .saturating_mul(self.interval);
        let owed = (self.owed.load(Relaxed))
            .saturating_add(i64::try_from(lasted).unwrap_or(i64::MAX))
            .saturating_sub(computed);
        let weight = u32::try_from(owed / self.interval).unwrap_or(0);
        self.owed.store(
            owed - i64::from(weight).saturating_mul(self.interval),
            Relaxed,
        );
        (weight > 0).then(|| self.blocked(now, lasted, weight))
    }

    /// What has begun and is not over, for another thread that asks. That one takes the time until
    /// now; the time after that stays the thread's.
    pub(crate) fn split(&self, now: u64) -> Option<SampleHead> {
        let began = self.open.load(Acquire);
        let lasted = now.saturating_sub(began);
        let weight = lasted / self.interval.unsigned_abs();
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        if began == 0 || weight == 0 {
            return None;
        }
        let sample = self.blocked(now, lasted, weight);
        let taken = self.open.compare_exchange(began, now, Acquire, Relaxed);
        taken.is_ok().then_some(sample)
    }

    /// Whether a wait or a call that is timed has begun and is not over.
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Relaxed) != 0
    }

    fn blocked(&self, now: u64, lasted: u64, weight: u32) -> SampleHead {
        let open = self.open_in.load(Relaxed);
        SampleHead {
            within: SampledIn::of(open >> 16),
            call: open as u16,
            weight,
            at: now,
            blocked: Some(lasted),
            cut: false,
        }
    }
}

#[cfg(test)]
mod tests;
