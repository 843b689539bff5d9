//! Makes a group's profile from what was collected: positions in the code become frames.

use std::collections::HashMap;
use std::time::Duration;

use crate::life::profiler::CollectedThread;
use crate::life::{Life, Native};
use crate::sys::running::{self, SampleHead, SampledIn};
use crate::types::profile::{Activity, Profile, ProfiledThread, Sample, SampledStack};
use crate::types::thread_id::ThreadId;

/// The number that a thread notes while it notifies. The embedder's host calls have lower numbers.
pub(crate) const NOTIFY: u16 = u16::MAX;
/// The number that a thread notes while it starts another thread.
pub(crate) const SPAWN: u16 = u16::MAX - 1;

/// How long threads may take to say where they wait.
const PATIENCE: Duration = Duration::from_millis(200);

/// The profile until now; `None` if no thread is sampled, or nothing ran.
pub(crate) fn profile(life: &Life, native: &Native) -> Option<Profile> {
    let taken = native.profiler()?.take(|waits| {
        let walked = native.walk(usize::MAX, PATIENCE, waits);
        let positions = walked
            .iter()
            .map(|one| (one.thread, native.positions(one), one.cut));
        positions.collect()
    })?;
    let now = running::now();
    let since = |at: u64| Duration::from_nanos(at.saturating_sub(taken.began));
    let mut frames = Vec::new();
    let mut numbers: HashMap<u32, Option<u32>> = HashMap::new();
    let mut number = |position: u32| {
        *numbers.entry(position).or_insert_with(|| {
            let frame = native.frame_at(position)?;
            // Frames of functions that the rewrite appended are left out.
            let number = u32::try_from(frames.len()).ok()?;
            life.appended().has_guest(&frame).then(|| {
                frames.push(frame);
                number
            })
        })
    };
    let stacks = taken.collected.stacks.iter().map(|stack| {
        let (cut, positions) = stack.split_first().unwrap_or((&0, &[]));
        SampledStack {
            frames: positions.iter().filter_map(|at| number(*at)).collect(),
            cut: *cut != 0,
        }
    });
    let stacks = stacks.collect();
    let sample = |(head, stack): &(SampleHead, u32)| Sample {
        at: since(head.at),
        weight: head.weight,
        activity: activity(life, head),
        blocked: head.blocked.map(Duration::from_nanos),
        stack: *stack as usize,
    };
    let threads = taken.collected.threads.iter();
    let threads = threads.map(|(thread, of): (&u32, &CollectedThread)| {
        let mut samples: Vec<Sample> = of.samples.iter().map(sample).collect();
        samples.sort_by_key(|sample| sample.at);
        ProfiledThread {
            thread: ThreadId::of_lot(*thread),
            began: since(of.began),
            ended: of.ended.map(since),
            samples,
        }
    });
    Some(Profile {
        threads: threads.collect(),
        interval: taken.interval,
        began: taken.time,
        lasted: since(now),
        frames,
        stacks,
        lost: taken.collected.lost,
        without_timer: taken.without_timer,
    })
}

fn activity(life: &Life, head: &SampleHead) -> Activity {
    match head.within {
        SampledIn::Wasm => Activity::Wasm,
        SampledIn::Runtime => Activity::Runtime,
        SampledIn::Wait => Activity::Wait,
        SampledIn::HostCode => Activity::HostCall(match head.call {
            NOTIFY => Some("memory.atomic.notify"),
            SPAWN => Some("thread-spawn"),
            number => life.call_name(number),
        }),
    }
}
