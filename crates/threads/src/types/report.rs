//! What the threads of a group are doing: on demand, when they are stuck, and when one stays behind.

use std::fmt;
use std::time::Instant;

use crate::types::backtrace::Backtrace;
use crate::types::thread_id::ThreadId;
use crate::waits::Width;

/// A thread that waits in `memory.atomic.wait32` or `wait64`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitingThread {
    /// The thread.
    pub thread: ThreadId,
    /// Which of the module's shared memory imports the word is in, counted without duplicates;
    /// `None` when it is in a memory the module defines itself.
    pub memory: Option<usize>,
    /// The guest's address of the word, offset included.
    pub address: Option<u64>,
    /// The width of the word.
    pub width: Width,
    /// When it began to wait.
    pub since: Instant,
    /// Whether the wait has a timeout.
    pub timed: bool,
    /// Where in the program it waits; `None` when it could not be asked.
    pub backtrace: Option<Backtrace>,
}

/// A group all of whose threads wait for one another.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deadlock {
    /// Every thread of the group, by id.
    pub threads: Vec<WaitingThread>,
}

/// What a thread is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ThreadState {
    /// It runs wasm.
    Running,
    /// It waits on a word of the memory.
    Waiting(WaitingThread),
    /// It is in a host call, or in wasm that no epoch interrupts: it did not answer in time.
    HostCall {
        /// The call's name, where it is said with [`host_call`](crate::host_call) or
        /// [`note_host_call`](crate::note_host_call).
        name: Option<&'static str>,
        /// Since when, where it is said with `host_call`.
        since: Option<Instant>,
    },
    /// It is the main instance of a [`Reactor`](crate::Reactor), between two calls.
    Idle,
}

/// One thread in a [`Report`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ThreadReport {
    /// The thread.
    pub thread: ThreadId,
    /// What it is doing.
    pub state: ThreadState,
    /// Where in the program; `None` when it did not answer in time.
    pub backtrace: Option<Backtrace>,
}

/// What every thread of a group is doing, by thread id.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The threads that had not ended, as far as they are described.
    pub threads: Vec<ThreadReport>,
    /// The others, in figures.
    pub others: Others,
}

/// Threads that a [`Report`] counts only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Others {
    /// They run wasm.
    pub running: usize,
    /// They wait on words of the memory.
    pub waiting: usize,
    /// They are in host calls.
    pub in_host_calls: usize,
}

impl Others {
    /// How many they are.
    pub fn count(&self) -> usize {
        self.running + self.waiting + self.in_host_calls
    }
}

/// A thread that was still in host code when the grace period was over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeftBehind {
    /// The thread.
    pub thread: ThreadId,
    /// The host call it is in, where it is said with [`host_call`](crate::host_call) or
    /// [`note_host_call`](crate::note_host_call).
    pub host_call: Option<&'static str>,
}

impl fmt::Display for WaitingThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = match self.width {
            Width::W32 => 32,
            Width::W64 => 64,
        };
        write!(f, "thread {} waits on {bits} bits", self.thread)?;
        match self.address {
            Some(address) => write!(f, " at {address:#x}")?,
            None => f.write_str(" of a memory of its own")?,
        }
        if let Some(memory @ 1..) = self.memory {
            write!(f, " of shared memory {memory}")?;
        }
        write!(f, ", since {:.1?}", self.since.elapsed())?;
        if self.timed {
            f.write_str(", with a timeout")?;
        }
        Ok(())
    }
}

/// How a backtrace becomes text.
type Text<'a> = &'a mut dyn FnMut(&Backtrace) -> String;

/// The backtrace, indented, on lines of its own.
fn write_backtrace(
    f: &mut impl fmt::Write,
    backtrace: Option<&Backtrace>,
    text: Text<'_>,
) -> fmt::Result {
    if let Some(backtrace) = backtrace {
        for line in text(backtrace).lines() {
            write!(f, "\n  {line}")?;
        }
    }
    Ok(())
}

impl Deadlock {
    /// The backtraces that there are, in the order of their threads.
    pub fn backtraces(&self) -> impl Iterator<Item = &Backtrace> {
        let threads = self.threads.iter();
        threads.filter_map(|thread| thread.backtrace.as_ref())
    }

    /// As it is displayed, with what `text` makes of each of its [`backtraces`](Self::backtraces), in their order.
    pub fn display_with(&self, mut text: impl FnMut(&Backtrace) -> String) -> String {
        let mut to = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut to, &mut text);
        to
    }

    fn write(&self, f: &mut impl fmt::Write, text: Text<'_>) -> fmt::Result {
        let count = self.threads.len();
        let s = if count == 1 { "" } else { "s" };
        write!(
            f,
            "deadlock: {count} thread{s}, and nobody left to wake any"
        )?;
        for thread in &self.threads {
            write!(f, "\n{thread}")?;
            write_backtrace(f, thread.backtrace.as_ref(), text)?;
        }
        Ok(())
    }
}

impl Report {
    /// The backtraces that there are, in the order of their threads.
    pub fn backtraces(&self) -> impl Iterator<Item = &Backtrace> {
        let threads = self.threads.iter();
        threads.filter_map(|thread| thread.backtrace.as_ref())
    }

    /// As it is displayed, with what `text` makes of each of its [`backtraces`](Self::backtraces), in their order.
    pub fn display_with(&self, mut text: impl FnMut(&Backtrace) -> String) -> String {
        let mut to = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut to, &mut text);
        to
    }

    fn write(&self, f: &mut impl fmt::Write, text: Text<'_>) -> fmt::Result {
        let count = self.threads.len() + self.others.count();
        let s = if count == 1 { "" } else { "s" };
        write!(f, "{count} thread{s}")?;
        for thread in &self.threads {
            match &thread.state {
                ThreadState::Running => write!(f, "\nthread {} runs", thread.thread)?,
                ThreadState::Idle => write!(f, "\nthread {} is not being called", thread.thread)?,
                ThreadState::Waiting(waiting) => write!(f, "\n{waiting}")?,
                ThreadState::HostCall { name, since } => {
                    write!(f, "\nthread {} is in ", thread.thread)?;
                    match name {
                        Some(name) => write!(f, "the host call `{name}`")?,
                        None => f.write_str("a host call")?,
                    }
                    if let Some(since) = since {
                        write!(f, ", since {:.1?}", since.elapsed())?;
                    }
                }
            }
            write_backtrace(f, thread.backtrace.as_ref(), text)?;
        }
        let Others {
            running,
            waiting,
            in_host_calls,
        } = self.others;
        if self.others.count() > 0 {
            write!(
                f,
                "\nand {}: {running} run, {waiting} wait, {in_host_calls} are in host calls",
                self.others.count()
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display_with(Backtrace::to_string))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display_with(Backtrace::to_string))
    }
}
