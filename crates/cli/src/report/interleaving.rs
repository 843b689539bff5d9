//! Which thread accessed what, in which order.

use std::fmt::Display;

use replay_threads::ThreadId;
use replay_threads::conflict::{Access, History, Line};
use wasi_threads::Backtrace;
use wasi_threads::rewrite::AccessSite;

use crate::message::say;
use crate::report::backtraces::Backtraces;

/// The place of an access.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The number of its instruction.
    pub(crate) site: u32,
    pub(crate) instruction: AccessSite,
    /// Where the thread was; `None` if no other thread had accessed the bytes yet.
    pub(crate) backtrace: Option<Backtrace>,
}

impl PartialEq for Seen {
    /// Whether it is the same instruction, regardless of the callers.
    fn eq(&self, other: &Self) -> bool {
        self.site == other.site
    }
}

/// Prints these lines, if there are any.
pub(crate) fn tell(lines: &[impl Display]) {
    if lines.is_empty() {
        return;
    }
    say("interleaving (accesses of bytes that another thread accessed as well):");
    for line in lines {
        say(format_args!("  {line}"));
    }
}

/// The program's conflicting accesses at the end and around a decision, in at most `most` lines of
/// text. One more line says how many others there are. Accesses that libraries make for themselves
/// are left out before the lines are cut, unless there are no others.
pub(crate) fn text(
    history: &History<Seen>,
    decision: Option<(ThreadId, u64)>,
    most: usize,
    backtraces: &Backtraces,
) -> Vec<String> {
    let seen = history
        .conflicting()
        .map(|(_, of)| (of.backtrace.as_ref(), &of.instruction));
    let are_own = backtraces.are_own(seen);
    let left_out = are_own.iter().filter(|own| !**own).count();
    let all = left_out == are_own.len();
    let mut are_own = are_own.into_iter();
    let shown = |_: &Seen| are_own.next().unwrap_or(true) || all;
    let lines = history.around_those(decision, most, shown);
    let mut text = in_words(&lines, backtraces);
    if left_out > 0 && !all {
        text.push(format!(
            "left out: {left_out} by the allocator and other library code"
        ));
    }
    text
}

/// One line of text for each.
fn in_words(lines: &[Line<Seen>], backtraces: &Backtraces) -> Vec<String> {
    let seen = lines.iter().filter_map(|line| match line {
        Line::Access { of, .. } => Some((of.backtrace.as_ref(), &of.instruction)),
        Line::LeftOut(_) => None,
    });
    let mut places = backtraces.own_places(seen).into_iter();
    let text = |line: &Line<Seen>| match line {
        Line::Access { access, of, times } => {
            let Access {
                thread,
                address,
                length,
                ..
            } = access;
            let (thread, op) = (thread.get(), of.instruction.op);
            let place = places.next().unwrap_or_default();
            let times = match times {
                1 => String::new(),
                times => format!(", {times} times"),
            };
            format!("thread {thread}: {op} at {address:#x}, {length} bytes, in {place}{times}")
        }
        Line::LeftOut(count) => format!("... {count} more"),
    };
    lines.iter().map(text).collect()
}
