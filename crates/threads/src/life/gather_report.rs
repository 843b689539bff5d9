//! Asking every thread of a group what it is doing.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Life;
use crate::types::backtrace::Backtrace;
use crate::types::report::{Others, Report, ThreadReport, ThreadState, WaitingThread};
use crate::types::thread_id::ThreadId;

/// Answers as they come in.
#[derive(Default)]
struct Answers {
    got: Mutex<Vec<(ThreadId, Option<Backtrace>)>>,
    more: Condvar,
}

/// Asks the `most` threads with the lowest ids what they are doing, and counts the others. Threads
/// that wait or run wasm answer themselves; one that has not answered after `patience` is in a host
/// call. A counted thread that neither waits nor has noted a host call counts as running.
pub(crate) fn gather(life: &Life, most: usize, patience: Duration) -> Report {
    // A thread that runs nothing cannot answer.
    let (idle, mut records): (Vec<_>, Vec<_>) =
        life.records().into_iter().partition(|one| one.is_idle());
    records.sort_unstable_by_key(|record| record.id());
    let counted = records.split_off(records.len().min(most));
    let answers = Arc::new(Answers::default());
    let keys: Vec<_> = records
        .iter()
        .map(|record| {
            let id = record.id();
            let answers = Arc::clone(&answers);
            let appended = Arc::clone(life.appended());
            record.ask(Box::new(move |backtrace| {
                let backtrace = backtrace.map(|trace| Backtrace::taken(trace, &appended));
                let mut got = answers.got.lock().unwrap_or_else(PoisonError::into_inner);
                got.push((id, backtrace));
                answers.more.notify_all();
            }))
        })
        .collect();
    if let Some(turns) = life.turns() {
        for record in &records {
            turns.ask(record.id());
        }
    }
    life.interrupt();
    let deadline = Instant::now().checked_add(patience);
    let mut got = answers.got.lock().unwrap_or_else(PoisonError::into_inner);
    while got.len() < records.len() {
        let Some(deadline) = deadline else {
            got = answers
                .more
                .wait(got)
                .unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        got = answers
            .more
            .wait_timeout(got, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
    let answered: HashMap<_, _> = got.drain(..).collect();
    drop(got);
    for (record, key) in records.iter().zip(keys) {
        record.forget(key);
    }
    let waiting = life.lot().waiters();
    let waiting = waiting.iter().map(|one| life.describe(one));
    let blocked = life.turns().map_or(Vec::new(), |turns| turns.blocked());
    let blocked = blocked.iter().map(|one| life.describe_blocked(one));
    let waiting: HashMap<_, _> = waiting
        .chain(blocked)
        .map(|one| (one.thread, one))
        .collect();
    // Only main can be idle, and it has the lowest id.
    let idle = idle.iter().map(|record| ThreadReport {
        thread: record.id(),
        state: ThreadState::Idle,
        backtrace: None,
    });
    let mut threads: Vec<_> = idle.collect();
    for record in &records {
        let thread = record.id();
        let answer = answered.get(&thread);
        // It ended while it was asked.
        if let Some(None) = answer {
            continue;
        }
        let backtrace = answer.and_then(Clone::clone);
        let wait = waiting.get(&thread);
        let state = match (wait, &backtrace) {
            (Some(wait), _) => ThreadState::Waiting(WaitingThread {
                backtrace: backtrace.clone(),
                ..wait.clone()
            }),
            (None, Some(_)) => ThreadState::Running,
            (None, None) => {
                let call = record.host_call();
                ThreadState::HostCall {
                    name: call.map(|(name, _)| name),
                    since: call.and_then(|(_, since)| since),
                }
            }
        };
        threads.push(ThreadReport {
            thread,
            state,
            backtrace,
        });
    }
    let mut others = Others::default();
    for record in counted {
        if waiting.contains_key(&record.id()) {
            others.waiting += 1;
        } else if record.host_call().is_some() {
            others.in_host_calls += 1;
        } else {
            others.running += 1;
        }
    }
    Report { threads, others }
}
