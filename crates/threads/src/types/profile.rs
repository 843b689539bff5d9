//! Where the threads of a group spent their time.

use std::time::{Duration, SystemTime};

use crate::types::frames::Frame;
use crate::types::thread_id::ThreadId;

/// Where the threads of a group spent their time: samples of their stacks.
///
/// A sample is taken each time a thread has used [`interval`](Profile::interval) of processor time.
/// If the kernel's clock ticks more slowly, the next sample has a larger [weight](Sample::weight).
/// Time in waits on words of memory, and in host calls that are timed
/// ([`time_host_call`](crate::time_host_call)), is sampled likewise, without the part in which the
/// thread ran: [`Sample::blocked`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// What a sample of weight 1 stands for.
    pub interval: Duration,
    /// When the first thread began.
    pub began: SystemTime,
    /// How long ago that was, when the profile was made.
    pub lasted: Duration,
    /// The threads, by id. Threads that had the same id one after another are one here.
    pub threads: Vec<ProfiledThread>,
    /// The frames: functions of the guest, and places in them.
    pub frames: Vec<Frame>,
    /// The stacks, each once.
    pub stacks: Vec<SampledStack>,
    /// Weight of the samples that were lost: those of a thread that were not collected in time, and
    /// those beyond the bounds of a profile (1,048,576 samples, 16 million frames).
    pub lost: u64,
    /// Threads whose processor time is not sampled, because the system refused a timer
    /// (`RLIMIT_SIGPENDING`, seccomp).
    pub without_timer: u64,
}

/// The samples of one thread.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProfiledThread {
    /// The thread.
    pub thread: ThreadId,
    /// When it began to run, since [`Profile::began`].
    pub began: Duration,
    /// When it ended, since [`Profile::began`]; `None` if it has not.
    pub ended: Option<Duration>,
    /// Its samples, by time.
    pub samples: Vec<Sample>,
}

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sample {
    /// When it was taken, since [`Profile::began`].
    pub at: Duration,
    /// How many intervals it stands for.
    pub weight: u32,
    /// What the thread did.
    pub activity: Activity,
    /// How long the thread did not run, up to `at`: the length of a wait or a host call. `None` for
    /// a sample of processor time. The weight may stand for more: shorter waits or calls before it.
    pub blocked: Option<Duration>,
    /// The index in [`Profile::stacks`] of the guest's frames that the thread was in, or had called
    /// from.
    pub stack: usize,
}

/// What a sampled thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It ran wasm.
    Wasm,
    /// It ran code of the runtime for wasm: a bulk memory operation, the growth of a memory or a
    /// table. Or it was in a host function without a host word: see
    /// [`GroupBuilder::host_word`](crate::GroupBuilder::host_word).
    Runtime,
    /// It was in a host function. The name is there if it is noted by number
    /// ([`note_host_call`](crate::note_host_call)). The group's own host functions are
    /// `memory.atomic.notify` and `thread-spawn`.
    HostCall(Option<&'static str>),
    /// It was in a `memory.atomic.wait`.
    Wait,
}

/// A stack.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SampledStack {
    /// Indices in [`Profile::frames`], the innermost first.
    pub frames: Vec<u32>,
    /// Whether frames are missing: the outermost one here is not the outermost of the thread.
    pub cut: bool,
}

impl Profile {
    /// The frames of a sample, the innermost first.
    pub fn frames_of(&self, sample: &Sample) -> impl DoubleEndedIterator<Item = &Frame> {
        let stack = self.stacks.get(sample.stack);
        let frames = stack.map_or(&[][..], |stack| &stack.frames);
        frames
            .iter()
            .filter_map(|frame| self.frames.get(*frame as usize))
    }

    /// How many samples of processor time there are, all threads together.
    pub fn samples(&self) -> usize {
        self.ran().count()
    }

    /// The processor time that the samples stand for.
    pub fn processor_time(&self) -> Duration {
        let weight: u64 = self.ran().map(|sample| u64::from(sample.weight)).sum();
        Duration::from_nanos_u128(self.interval.as_nanos().saturating_mul(weight.into()))
    }

    /// How many samples the kernel delivered in a second of processor time; `None` without any.
    pub fn rate(&self) -> Option<f64> {
        let time = self.processor_time().as_secs_f64();
        (time > 0.0).then(|| self.samples() as f64 / time)
    }

    fn ran(&self) -> impl Iterator<Item = &Sample> {
        let all = self.threads.iter().flat_map(|thread| &thread.samples);
        all.filter(|sample| sample.blocked.is_none())
    }
}
