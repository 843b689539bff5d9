//! Signals that ask something of the program.

use std::io;

#[cfg(unix)]
use crate::sys::{at_start, own_thread};

/// What a signal asks for.
#[cfg_attr(not(unix), expect(dead_code, reason = "no signals here"))]
pub(crate) enum Asked {
    /// What the program is doing: SIGQUIT.
    Report,
    /// The end: SIGINT or SIGTERM, by its number.
    End(u8),
}

/// What the thread that takes signals does once it is told to.
#[cfg(unix)]
type Task = Box<dyn FnOnce() + Send>;

/// The one thread of this process that takes the three signals.
///
/// Every other thread is started with them blocked. So the system wakes this thread for each, and never waits for the turn
/// of a thread that computes.
pub(crate) struct SignalThread {
    #[cfg(unix)]
    task: std::sync::mpsc::Sender<Task>,
}

#[cfg(unix)]
impl SignalThread {
    /// Starts it, and blocks the signals for the calling thread and those that it starts. Until [`receive`](Self::receive)
    /// they do what they would do without it.
    ///
    /// A signal that this process was started with ignored, as shells do for jobs in
    /// the background, stays ignored. One that was blocked is not: this thread lets it through.
    pub(crate) fn start() -> io::Result<Self> {
        let (task, tasks) = std::sync::mpsc::channel::<Task>();
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                own_thread::unblock(&wanted());
                let _raised = wasi_threads::RaisedPriority::of_this_thread();
                if let Ok(task) = tasks.recv() {
                    task();
                }
                // The program could not be run, or its signals could not be received. No other thread takes them.
                loop {
                    std::thread::park();
                }
            })?;
        own_thread::block(&wanted());
        Ok(Self { task })
    }

    /// Tells `asked` of each signal from now on. After the first that asks for the end, another one ends the
    /// process in its handler, with the status that `status` says, whatever any thread is doing: what is said about the first
    /// end may be blocked in writing to a full pipe.
    pub(crate) fn receive(
        self,
        status: fn(u8) -> u8,
        asked: impl Fn(Asked) + Send + 'static,
    ) -> io::Result<()> {
        use signal_hook::consts::SIGQUIT;
        use signal_hook::flag;
        use signal_hook::iterator::Signals;
        use std::sync::Arc;
        use std::sync::atomic::AtomicBool;

        let wanted = wanted();
        // First: where it is refused, nothing is changed.
        let mut signals = Signals::new(&wanted)?;
        let told = Arc::new(AtomicBool::new(false));
        for signal in wanted.iter().filter(|signal| **signal != SIGQUIT) {
            let number = u8::try_from(*signal).unwrap_or(u8::MAX);
            // In this order: the first signal only sets the flag.
            flag::register_conditional_shutdown(*signal, status(number).into(), Arc::clone(&told))?;
            flag::register(*signal, Arc::clone(&told))?;
        }
        let task = move || {
            for signal in signals.forever() {
                asked(match signal {
                    SIGQUIT => Asked::Report,
                    // Both are below 32.
                    signal => Asked::End(u8::try_from(signal).unwrap_or(u8::MAX)),
                });
            }
        };
        // It waits for the task as long as there is this sender.
        let sent = self.task.send(Box::new(task));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// The signals that are not ignored.
#[cfg(unix)]
fn wanted() -> Vec<i32> {
    use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
    let wanted = [SIGINT, SIGTERM, SIGQUIT];
    let wanted = wanted.into_iter();
    wanted
        .filter(|signal| !at_start::was_ignored(*signal))
        .collect()
}

/// Has a write beyond the limit of a file's size (`ulimit -f`) fail, and not end this process: the program is told `fbig`,
/// and a cache that cannot be written is done without.
#[cfg(unix)]
pub(crate) fn outlive_size_limits() {
    own_thread::ignore(libc::SIGXFSZ);
}

/// No such signal.
#[cfg(not(unix))]
pub(crate) fn outlive_size_limits() {}

/// No signals here: the system's own way to end a process applies.
#[cfg(not(unix))]
impl SignalThread {
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(crate) fn receive(
        self,
        _: fn(u8) -> u8,
        _: impl Fn(Asked) + Send + 'static,
    ) -> io::Result<()> {
        Ok(())
    }
}
