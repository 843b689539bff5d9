//! Which thread accessed what, in which order.

use std::fmt::Display;

use replay_threads::conflict::{Access, Line};
use wasi_threads::Backtrace;
use wasi_threads::rewrite::AccessSite;

use crate::message::say;
use crate::report::backtraces::Backtraces;

/// What is known of an access besides its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The number of its instruction.
    pub(crate) site: u32,
    pub(crate) instruction: AccessSite,
    /// Where the thread was; `None` where no other had touched the bytes yet.
    pub(crate) backtrace: Option<Backtrace>,
}

impl PartialEq for Seen {
    /// Whether it is the same instruction, whatever called its function.
    fn eq(&self, other: &Self) -> bool {
        self.site == other.site
    }
}

/// Says it, if there is anything.
pub(crate) fn tell(lines: &[Line<Seen>], backtraces: &Backtraces) {
    tell_text(&text(lines, backtraces));
}

/// Says these lines, if there are any.
pub(crate) fn tell_text(lines: &[impl Display]) {
    if lines.is_empty() {
        return;
    }
    say("interleaving (accesses of bytes that another thread accessed as well):");
    for line in lines {
        say(format_args!("  {line}"));
    }
}

/// One line of text for each.
pub(crate) fn text(lines: &[Line<Seen>], backtraces: &Backtraces) -> Vec<String> {
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
