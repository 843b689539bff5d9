//! The lines as they are written.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use crate::file::{End, Header, VERSION};
use crate::keyed::Decision;
use crate::keyed::decision::why_name;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HeaderLine<'a> {
    pub(super) replay: u32,
    pub(super) tool: Cow<'a, str>,
    pub(super) schedule: Cow<'a, str>,
    pub(super) hashes: Cow<'a, BTreeMap<String, String>>,
}

/// A line of a decision.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DecisionLine<'a> {
    pub(super) decision: usize,
    pub(super) thread: u32,
    pub(super) point: u64,
    pub(super) why: Cow<'a, str>,
    pub(super) next: u32,
    pub(super) early: bool,
}

/// The last line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndLine<'a> {
    pub(super) end: Cow<'a, str>,
    pub(super) status: u8,
    pub(super) points: u64,
    /// In hexadecimal, as many programs read numbers of 64 bits with the loss of some.
    pub(super) trace: Cow<'a, str>,
}

pub(super) fn write_header(header: &Header, to: &mut impl Write) -> io::Result<()> {
    let line = HeaderLine {
        replay: VERSION,
        tool: Cow::Borrowed(&header.tool),
        schedule: Cow::Borrowed(&header.schedule),
        hashes: Cow::Borrowed(&header.hashes),
    };
    write_line(&line, to)
}

pub(super) fn write_decision(number: usize, of: &Decision, to: &mut impl Write) -> io::Result<()> {
    let line = DecisionLine {
        decision: number,
        thread: of.thread,
        point: of.point,
        why: Cow::Borrowed(why_name(of.why)),
        next: of.next,
        early: of.early,
    };
    write_line(&line, to)
}

pub(super) fn write_end(end: &End, to: &mut impl Write) -> io::Result<()> {
    let line = EndLine {
        end: Cow::Borrowed(&end.outcome),
        status: end.status,
        points: end.points,
        trace: Cow::Owned(format!("{:016x}", end.trace)),
    };
    write_line(&line, to)
}

fn write_line(line: &impl Serialize, to: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}
