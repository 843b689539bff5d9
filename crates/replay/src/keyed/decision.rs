//! One decision.

use std::fmt;

use crate::interface::Why;

/// A departure from the default schedule: at this point of this thread the turn goes there.
///
/// Threads are named by their ids, the main thread being 0. A thread that got the id of one that
/// has ended goes on counting its points, so thread and point name one moment of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision {
    /// The thread that had the turn.
    pub thread: u32,
    /// How many points it had passed, this one included.
    pub point: u64,
    /// Why it stopped.
    pub why: Why,
    /// The thread that gets the turn.
    pub next: u32,
    /// Whether `next` slept, and its deadline came by this.
    pub early: bool,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision {
            thread,
            point,
            next,
            ..
        } = self;
        let why = why_name(self.why);
        write!(
            f,
            "thread {thread} at its point {point} ({why}), then thread {next}"
        )?;
        match self.early {
            true => f.write_str(" by its deadline"),
            false => Ok(()),
        }
    }
}

/// All of them, and their names in files and messages.
const NAMES: [(Why, &str); 11] = [
    (Why::Start, "start"),
    (Why::Atomic, "atomic"),
    (Why::Access, "access"),
    (Why::Loop, "loop"),
    (Why::Wait, "wait"),
    (Why::Notify, "notify"),
    (Why::HostCall, "host call"),
    (Why::Spawn, "spawn"),
    (Why::Sleep, "sleep"),
    (Why::Yield, "yield"),
    (Why::End, "end"),
];

/// The name of a reason.
pub(crate) fn why_name(why: Why) -> &'static str {
    let found = NAMES.iter().find(|(of, _)| *of == why);
    found.map_or("another", |(_, name)| name)
}

/// The reason of this name.
pub(crate) fn why_of(name: &str) -> Option<Why> {
    let found = NAMES.iter().find(|(_, of)| *of == name);
    found.map(|(why, _)| *why)
}
