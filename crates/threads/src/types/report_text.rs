//! Reports as text: what the binary prints about each thread at SIGQUIT, a deadlock and a time
//! limit.

use std::fmt;

use crate::types::backtrace::Backtrace;
use crate::types::report::{Deadlock, Others, Report, ThreadState, WaitingThread};
use crate::waits::Width;

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
        if let Some(since) = self.since {
            write!(f, ", since {:.1?}", since.elapsed())?;
        }
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
    /// How many threads the displayed text describes: those with the lowest ids. The others are
    /// counted.
    pub const DESCRIBED: usize = 100;

    /// The backtraces that there are of the threads that are [described](Self::DESCRIBED), in the
    /// order of the threads.
    pub fn backtraces(&self) -> impl Iterator<Item = &Backtrace> {
        let threads = self.threads.iter().take(Self::DESCRIBED);
        threads.filter_map(|thread| thread.backtrace.as_ref())
    }

    /// As it is displayed, with what `text` makes of each of its [`backtraces`](Self::backtraces),
    /// in their order.
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
            "deadlock: {count} thread{s}, and no thread left to wake them"
        )?;
        for thread in self.threads.iter().take(Self::DESCRIBED) {
            write!(f, "\n{thread}")?;
            write_backtrace(f, thread.backtrace.as_ref(), text)?;
        }
        match count.saturating_sub(Self::DESCRIBED) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl Report {
    /// The backtraces that there are, in the order of the threads.
    pub fn backtraces(&self) -> impl Iterator<Item = &Backtrace> {
        let threads = self.threads.iter();
        threads.filter_map(|thread| thread.backtrace.as_ref())
    }

    /// As it is displayed, with what `text` makes of each of its [`backtraces`](Self::backtraces),
    /// in their order.
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
                ThreadState::Running => {
                    write!(f, "\nthread {} runs", thread.thread)?;
                    if thread.backtrace.is_none() {
                        // It had no turn on a processor in all that time.
                        f.write_str(", and did not say in time where")?;
                    }
                }
                ThreadState::Idle => {
                    write!(f, "\nthread {} is idle between two calls", thread.thread)?
                }
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

#[cfg(test)]
mod tests {
    use crate::types::report::{Others, Report, ThreadReport, ThreadState};
    use crate::types::thread_id::ThreadId;

    /// The text once only said that it runs, as if it had answered without a backtrace.
    #[test]
    fn a_thread_that_has_not_answered_is_told_apart() {
        let silent = ThreadReport {
            thread: ThreadId::MAIN,
            state: ThreadState::Running,
            backtrace: None,
        };
        let report = Report {
            threads: vec![silent],
            others: Others::default(),
        };
        let text = report.display_with(|_| String::new());
        assert!(
            text.contains(" runs, and did not say in time where"),
            "{text}"
        );
    }
}
