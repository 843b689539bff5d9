//! Signals that ask something of the program.

use std::io;
#[cfg(unix)]
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, atomic::AtomicBool};

#[cfg(unix)]
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
#[cfg(unix)]
use signal_hook::{flag, iterator::Signals};

#[cfg(unix)]
use crate::sys::{at_start, own_thread};

/// The signals that ask for a report: SIGQUIT (Ctrl-\\), and where the system has it, SIGINFO
/// (Ctrl-T).
#[cfg(all(unix, not(any(target_vendor = "apple", target_os = "freebsd"))))]
pub(super) const REPORTS: &[i32] = &[SIGQUIT];
/// Likewise.
#[cfg(any(target_vendor = "apple", target_os = "freebsd"))]
pub(super) const REPORTS: &[i32] = &[SIGQUIT, libc::SIGINFO];

/// What a signal asks for.
#[cfg_attr(not(unix), allow(dead_code, reason = "not all are told here"))]
pub(crate) enum Asked {
    /// What the program is doing: one of [`REPORTS`].
    Report,
    /// The end: SIGINT or SIGTERM, by its number.
    End(u8),
}

/// While it lives, its signals are blocked for the thread that made it, and for those that it
/// starts. They stay pending. Dropping it unblocks them for that thread.
#[derive(Debug)]
pub(crate) struct Held {
    _private: (),
}

#[cfg(unix)]
impl Held {
    /// Blocks them: before the process has another thread.
    ///
    /// A signal that was ignored when this process started stays ignored. Shells do that for jobs
    /// in the background.
    pub(crate) fn new() -> Self {
        own_thread::block(&wanted());
        Self { _private: () }
    }
}

#[cfg(unix)]
impl Drop for Held {
    fn drop(&mut self) {
        own_thread::unblock(&wanted());
    }
}

/// What the thread that takes signals does once it is told to.
#[cfg(unix)]
type Task = Box<dyn FnOnce() + Send>;

/// The one thread of this process that takes these signals.
///
/// Every other thread is started with them blocked. So the system wakes this thread for each, and
/// never waits for the turn of a thread that computes.
#[derive(Debug)]
pub(crate) struct SignalThread {
    #[cfg(unix)]
    task: Sender<Task>,
}

#[cfg(unix)]
impl SignalThread {
    /// Starts the thread. The signals stay blocked for ever for the calling thread, and for those
    /// that it starts. Until [`receive`](Self::receive) they have their usual effect. The process
    /// may have been started with them blocked, so this thread unblocks them.
    pub(crate) fn start(held: Held) -> io::Result<Self> {
        let (task, tasks) = mpsc::channel::<Task>();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                own_thread::unblock(&wanted());
                let _raised = wasi_threads::RaisedPriority::of_this_thread();
                if let Ok(task) = tasks.recv() {
                    task();
                }
                // The program could not be run, or its signals could not be received. No other
                // thread takes them.
                loop {
                    std::thread::park();
                }
            })?;
        std::mem::forget(held);
        Ok(Self { task })
    }

    /// Tells `asked` of each signal from now on. The first signal that asks for the end sets the
    /// returned flag; the caller may set it earlier. Once it is set, the next such signal ends the
    /// process in its handler, with the status that `status` gives, whatever any thread is doing.
    /// The reason: the message about the end may be blocked in writing to a full pipe.
    pub(crate) fn receive(
        self,
        status: fn(u8) -> u8,
        asked: impl Fn(Asked) + Send + 'static,
    ) -> io::Result<Arc<AtomicBool>> {
        let told = Arc::new(AtomicBool::new(false));
        let (ready, registered) = mpsc::channel();
        let task = {
            let told = Arc::clone(&told);
            move || {
                // What comes meanwhile waits: a handler alone would swallow it.
                own_thread::block(&wanted());
                let signals = register(status, &told);
                own_thread::unblock(&wanted());
                let mut signals = match signals {
                    Ok(signals) => signals,
                    Err(error) => {
                        let _ = ready.send(Err(error));
                        return;
                    }
                };
                let _ = ready.send(Ok(()));
                for signal in signals.forever() {
                    asked(match signal {
                        signal if REPORTS.contains(&signal) => Asked::Report,
                        // Both are below 32.
                        signal => Asked::End(u8::try_from(signal).unwrap_or(u8::MAX)),
                    });
                }
            }
        };
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        // It waits for the task as long as there is this sender.
        self.task.send(Box::new(task)).map_err(|_| gone(()))?;
        registered.recv().map_err(|_| gone(()))??;
        Ok(told)
    }
}

/// Installs the handlers.
#[cfg(unix)]
fn register(status: fn(u8) -> u8, told: &Arc<AtomicBool>) -> io::Result<Signals> {
    let wanted = wanted();
    // First: where it is refused, nothing is changed.
    let signals = Signals::new(&wanted)?;
    for signal in wanted.iter().filter(|signal| !REPORTS.contains(signal)) {
        let number = u8::try_from(*signal).unwrap_or(u8::MAX);
        // In this order: the first signal only sets the flag.
        flag::register_conditional_shutdown(*signal, status(number).into(), Arc::clone(told))?;
        flag::register(*signal, Arc::clone(told))?;
    }
    Ok(signals)
}

/// The signals that are not ignored.
#[cfg(unix)]
fn wanted() -> Vec<i32> {
    let ends = [SIGINT, SIGTERM].into_iter();
    let wanted = ends.chain(REPORTS.iter().copied());
    wanted
        .filter(|signal| !at_start::was_ignored(*signal))
        .collect()
}

/// No signals here.
#[cfg(not(unix))]
impl Held {
    pub(crate) fn new() -> Self {
        Self { _private: () }
    }
}

/// Makes a write beyond the limit on a file's size (`ulimit -f`) fail, instead of ending this
/// process. The program then gets `fbig`, and a run whose cache cannot be written goes on without
/// it.
#[cfg(unix)]
pub(crate) fn outlive_size_limits() {
    own_thread::ignore(libc::SIGXFSZ);
}

/// No such signal.
#[cfg(not(unix))]
pub(crate) fn outlive_size_limits() {}

/// No signals here, but Ctrl-C on Windows: otherwise the system's own way to end a process applies.
#[cfg(not(unix))]
impl SignalThread {
    pub(crate) fn start(_: Held) -> io::Result<Self> {
        Ok(Self {})
    }

    /// Tells of the first Ctrl-C, as if it were a SIGINT. The next one ends the process.
    #[cfg(windows)]
    pub(crate) fn receive(
        self,
        _: fn(u8) -> u8,
        asked: impl Fn(Asked) + Send + 'static,
    ) -> io::Result<Arc<AtomicBool>> {
        const SIGINT: u8 = 2;
        crate::sys::ctrl_c::receive(move || asked(Asked::End(SIGINT)))
    }

    #[cfg(not(windows))]
    pub(crate) fn receive(
        self,
        _: fn(u8) -> u8,
        _: impl Fn(Asked) + Send + 'static,
    ) -> io::Result<Arc<AtomicBool>> {
        Ok(Arc::default())
    }
}
