//! The time limit of a run. It counts from the beginning, with reading, compiling and linking.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::message::exit::Exit;
use crate::message::{Message, say};
use crate::sys::process;

/// Ends the process if the program is not ready in time.
///
/// Nothing interrupts a compilation, so the process ends at once. No output file is begun before
/// the program is ready.
pub(crate) struct TimeLimit {
    deadline: Option<Instant>,
    watch: Option<Watch>,
}

struct Watch {
    /// Dropped once the program is ready.
    _preparing: Sender<()>,
    /// The thread that ends the process holds it for ever.
    ends: Arc<Mutex<()>>,
}

impl TimeLimit {
    /// The limit of a run that began at `began`. If no thread can be started, the limit only
    /// counts; the program itself would need a thread, too.
    pub(crate) fn start(began: Instant, after: Option<Duration>, name: &str) -> Self {
        let deadline = after.and_then(|after| began.checked_add(after));
        let watch = deadline.zip(after).and_then(|(deadline, after)| {
            let (preparing, prepared) = mpsc::channel();
            let ends = Arc::new(Mutex::new(()));
            let (message, ending) = (message(name, after), Arc::clone(&ends));
            let watch = move || {
                let left = deadline.saturating_duration_since(Instant::now());
                if prepared.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                    let _ends = ending.lock().unwrap_or_else(PoisonError::into_inner);
                    // The program may have become ready just now.
                    if prepared.recv_timeout(Duration::ZERO) == Err(RecvTimeoutError::Timeout) {
                        say(&message);
                        process::exit_now(message.exit().status());
                    }
                }
            };
            let thread = std::thread::Builder::new().name("time limit".into());
            thread.spawn(watch).ok().map(|_| Watch {
                _preparing: preparing,
                ends,
            })
        });
        TimeLimit { deadline, watch }
    }

    /// Notes that the program is ready. Returns the time that is left for it.
    pub(crate) fn left(&mut self) -> Option<Duration> {
        if let Some(watch) = self.watch.take() {
            let ends = Arc::clone(&watch.ends);
            let _not_ended = ends.lock().unwrap_or_else(PoisonError::into_inner);
            drop(watch);
        }
        let deadline = self.deadline?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }
}

fn message(name: &str, after: Duration) -> Message {
    Message::new(Exit::Trap, format!("{name} timed out after {after:?}"))
        .why("it was still being read, compiled or linked")
        .help(
            "the limit is `--timeout` or `-W timeout`; `wasi-threads-run compile` compiles it beforehand",
        )
}
