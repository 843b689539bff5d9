//! Asking every thread of a group what it is doing.

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

/// Asks every thread what it is doing. Threads that wait or run wasm answer themselves; whoever has not
/// answered after `patience` is in a host call.
pub(crate) fn gather(life: &Life, patience: Duration) -> Report {
    // A thread that runs nothing answers nothing.
    let (idle, records): (Vec<_>, Vec<_>) =
        life.records().into_iter().partition(|one| one.is_idle());
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
    let answered = std::mem::take(&mut *got);
    drop(got);
    for (record, key) in records.iter().zip(keys) {
        record.forget(key);
    }
    let waiting = life.lot().waiters();
    // The only one is main, whose id is the lowest.
    let idle = idle.iter().map(|record| ThreadReport {
        thread: record.id(),
        state: ThreadState::Idle,
        backtrace: None,
    });
    let mut threads: Vec<_> = idle.collect();
    for record in &records {
        let thread = record.id();
        let answer = answered.iter().find(|(id, _)| *id == thread);
        // It ended while it was asked.
        if let Some((_, None)) = answer {
            continue;
        }
        let backtrace = answer.and_then(|(_, backtrace)| backtrace.clone());
        let wait = waiting.iter().find(|one| one.thread == thread.get());
        let state = match (wait, &backtrace) {
            (Some(wait), _) => ThreadState::Waiting(WaitingThread {
                backtrace: backtrace.clone(),
                ..life.describe(wait)
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
    Report {
        threads,
        others: Others::default(),
    }
}
