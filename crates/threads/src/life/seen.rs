//! What the threads of a group are doing, seen from outside.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::life::{Life, Native};
use crate::sys::running::{Doing, Walked};
use crate::types::backtrace::Backtrace;
use crate::types::report::{Others, Report, ThreadReport, ThreadState, WaitingThread};
use crate::types::thread_id::ThreadId;

/// Describes the `most` threads with the lowest ids, and counts the others. Blocks for about
/// `patience` at most. Threads that have not begun to run are left out.
pub(crate) fn report(life: &Life, native: &Native, most: usize, patience: Duration) -> Report {
    let mut all = Vec::new();
    native.look(|seen| all.push((seen.thread, seen.doing)));
    all.sort_unstable_by_key(|(thread, _)| *thread);
    let waiting = life.lot().waiters();
    let waiting: HashMap<_, _> = waiting.iter().map(|one| (one.thread, one)).collect();
    let others = all.split_off(all.len().min(most));
    let wanted: HashSet<_> = all.iter().map(|(thread, _)| *thread).collect();
    let walked = native.walk(most, patience, |thread| wanted.contains(&thread));
    let walked: HashMap<_, _> = walked.iter().map(|one| (one.thread, one)).collect();
    let records = life.records();
    let by_id: HashMap<_, _> = records.iter().map(|one| (one.id(), one)).collect();
    let mut threads = Vec::new();
    // Only main can be idle, and it has the lowest id.
    for record in records.iter().filter(|record| record.is_idle()) {
        threads.push(ThreadReport {
            thread: record.id(),
            state: ThreadState::Idle,
            backtrace: None,
        });
    }
    for (thread, doing) in all {
        let id = ThreadId::of_lot(thread);
        let walk = walked.get(&thread);
        let backtrace = walk.map(|walk| backtrace(life, native, walk));
        let state = match waiting.get(&thread) {
            Some(waiting) => ThreadState::Waiting(WaitingThread {
                backtrace: backtrace.clone(),
                ..life.describe(waiting)
            }),
            None if is_in_host_call(native, doing, walk.copied()) => {
                let call = by_id.get(&id).and_then(|record| record.host_call());
                ThreadState::HostCall {
                    name: call.map(|(name, _)| name),
                    since: call.and_then(|(_, since)| since),
                }
            }
            None => ThreadState::Running,
        };
        threads.push(ThreadReport {
            thread: id,
            state,
            backtrace,
        });
    }
    let mut counts = Others::default();
    for (thread, doing) in others {
        if waiting.contains_key(&thread) {
            counts.waiting += 1;
        } else if is_in_host_call(native, doing, None) {
            counts.in_host_calls += 1;
        } else {
            counts.running += 1;
        }
    }
    Report {
        threads,
        others: counts,
    }
}

/// Whether the thread is in a host function: by its word, or by its stack if host functions have no
/// word.
fn is_in_host_call(native: &Native, doing: Doing, walk: Option<&Walked>) -> bool {
    match doing {
        Doing::HostCode { .. } => true,
        Doing::Frozen => false,
        Doing::Computes => !native.has_word() && walk.is_some_and(|walk| !walk.in_wasm),
    }
}

fn backtrace(life: &Life, native: &Native, walk: &Walked) -> Backtrace {
    let frames = native.frames(walk);
    Backtrace::walked(
        frames,
        !walk.in_wasm,
        walk.cut,
        &Arc::clone(life.appended()),
    )
}
