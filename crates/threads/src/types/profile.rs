//! Where the threads of a group spent their time.

use std::time::{Duration, SystemTime};

use crate::types::frames::Frame;
use crate::types::thread_id::ThreadId;

/// Where the threads of a group spent their time: samples of their stacks.
///
/// A sample of processor time is taken each time a thread has used [`interval`](Profile::interval) of it; what the
/// kernel cannot deliver in time, because its clock ticks more slowly, is in the [weight](Sample::weight) of the next
/// one. Time in waits on words of memory, and in host calls that are timed
/// ([`time_host_call`](crate::time_host_call)), is sampled likewise, as far as the thread did not run in it:
/// [`Sample::blocked`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// What a sample of weight 1 stands for.
    pub interval: Duration,
    /// When the first thread began.
    pub began: SystemTime,
    /// How long ago that is.
    pub lasted: Duration,
    /// The threads by id. An id that was given again is one thread here.
    pub threads: Vec<ProfiledThread>,
    /// The guest's functions, and where in them threads were.
    pub frames: Vec<Frame>,
    /// Where threads were, each stack once.
    pub stacks: Vec<SampledStack>,
    /// Weight of the samples that found no room: those of a thread that were not collected in time,
    /// and what a profile has too much of (1,048,576 samples, 16 million frames).
    pub lost: u64,
    /// Threads whose processor time is not sampled, because the system refused a timer (`RLIMIT_SIGPENDING`, seccomp).
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
    /// When it left, likewise; `None` if it has not.
    pub ended: Option<Duration>,
    /// By time.
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
    /// The thread did not run: it was in a wait or a host call that lasted so long, up to `at`. The weight may be more, and
    /// then stands for shorter ones before it.
    pub blocked: Option<Duration>,
    /// Which of [`Profile::stacks`]: the guest's frames that the thread was in, or had called from.
    pub stack: usize,
}

/// What a sampled thread did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// It ran wasm.
    Wasm,
    /// It ran what the runtime does for wasm: bulk memory operations, growing memories, tables. Or a host function
    /// that does not say so: see [`GroupBuilder::host_word`](crate::GroupBuilder::host_word).
    Runtime,
    /// It was in a host function; its name, where that is noted by number
    /// ([`note_host_call`](crate::note_host_call)). The group's own are `memory.atomic.notify` and `thread-spawn`.
    HostCall(Option<&'static str>),
    /// It was in a `memory.atomic.wait`.
    Wait,
}

/// A stack.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SampledStack {
    /// Which of [`Profile::frames`], the innermost first.
    pub frames: Vec<u32>,
    /// There were more: the outermost frame here is not the outermost of all.
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

    /// Samples of processor time, all threads together.
    pub fn samples(&self) -> usize {
        self.ran().count()
    }

    /// Processor time that these stand for.
    pub fn processor_time(&self) -> Duration {
        let weight: u64 = self.ran().map(|sample| u64::from(sample.weight)).sum();
        Duration::from_nanos_u128(self.interval.as_nanos().saturating_mul(weight.into()))
    }

    /// Samples in a second of processor time, as the kernel really delivered them; `None` without any.
    pub fn rate(&self) -> Option<f64> {
        let time = self.processor_time().as_secs_f64();
        (time > 0.0).then(|| self.samples() as f64 / time)
    }

    fn ran(&self) -> impl Iterator<Item = &Sample> {
        let all = self.threads.iter().flat_map(|thread| &thread.samples);
        all.filter(|sample| sample.blocked.is_none())
    }
}
