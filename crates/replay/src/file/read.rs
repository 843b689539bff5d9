//! Reading a file, strictly.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use serde::Deserialize;

use crate::file::format::{DecisionLine, EndLine, HeaderLine};
use crate::file::{End, Header, Replay, VERSION};
use crate::keyed::decision::why_of;
use crate::keyed::{Decision, MOST_DECISIONS};

/// The most bytes that a line may have.
pub const LONGEST_LINE: u64 = 1 << 20;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system's reason.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A line is not what it should be.
    #[error("line {line}: {fault}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file ends before its last line, the one with `end`.
    #[error("the file is cut short: its last line, with `end`, is missing")]
    CutShort,
    /// The line has no end: the file was cut within it.
    #[error("the file is cut short within this line")]
    NoNewline,
    /// The line has more than [`LONGEST_LINE`] bytes.
    #[error("it is longer than {LONGEST_LINE} bytes")]
    TooLong,
    /// No JSON, or not the fields that belong there.
    #[error("{message} (column {column})")]
    Json {
        /// What the parser says.
        message: String,
        /// Where, from 1.
        column: usize,
    },
    /// The format is of another version.
    #[error("the format is version {0}, and only version {VERSION} can be read")]
    Version(u32),
    /// A decision has not the number that is next.
    #[error("decision {expected} should come here, not {found}")]
    Order {
        /// The number that is next.
        expected: usize,
        /// The number that is there.
        found: usize,
    },
    /// Two decisions at one point.
    #[error("thread {thread} has a decision at its point {point} already, on line {line}")]
    Twice {
        /// The thread.
        thread: u32,
        /// Its point.
        point: u64,
        /// The other line.
        line: usize,
    },
    /// A reason to stop that there is not.
    #[error("`{0}` is no reason for a stop")]
    Why(String),
    /// What should be 16 hexadecimal digits is not.
    #[error("`{0}` is no trace hash, which has 16 hexadecimal digits")]
    Trace(String),
    /// More decisions than are ever written.
    #[error("there are more than {MOST_DECISIONS} decisions")]
    TooMany,
    /// Something follows the last line.
    #[error("nothing may follow the line with `end`")]
    AfterEnd,
}

impl Fault {
    fn on(self, line: usize) -> ReadError {
        ReadError::Line { line, fault: self }
    }
}

pub(super) fn read(from: impl BufRead) -> Result<Replay, ReadError> {
    let mut lines = Lines {
        from,
        line: 0,
        text: Vec::new(),
    };
    let header = header(&lines.some()?).map_err(|fault| fault.on(1))?;
    let mut decisions = Vec::new();
    let mut seen = BTreeMap::new();
    loop {
        let text = lines.some()?;
        let line = lines.line;
        if is_end(&text) {
            let end = end(&text).map_err(|fault| fault.on(line))?;
            return match lines.next()? {
                None => Ok(Replay::new(header, decisions, end)),
                Some(_) => Err(Fault::AfterEnd.on(line + 1)),
            };
        }
        let decision = decision(&text, decisions.len() + 1).map_err(|fault| fault.on(line))?;
        let (thread, point) = (decision.thread, decision.point);
        if let Some(first) = seen.insert((thread, point), line) {
            let twice = Fault::Twice {
                thread,
                point,
                line: first,
            };
            return Err(twice.on(line));
        }
        decisions.push(decision);
    }
}

struct Lines<R> {
    from: R,
    /// The number of the line that was read last.
    line: usize,
    text: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        self.text.clear();
        let mut bounded = (&mut self.from).take(LONGEST_LINE + 1);
        if bounded.read_until(b'\n', &mut self.text)? == 0 {
            return Ok(None);
        }
        self.line += 1;
        match self.text.pop() {
            Some(b'\n') => Ok(Some(std::mem::take(&mut self.text))),
            _ if self.text.len() as u64 >= LONGEST_LINE => Err(Fault::TooLong.on(self.line)),
            _ => Err(Fault::NoNewline.on(self.line)),
        }
    }

    /// The next line, which must be there.
    fn some(&mut self) -> Result<Vec<u8>, ReadError> {
        let next = self.next()?;
        next.ok_or_else(|| Fault::CutShort.on(self.line + 1))
    }
}

fn json<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(text).map_err(|error| {
        let message = error.to_string();
        // Its line is always 1.
        let place = format!(" at line {} column {}", error.line(), error.column());
        Fault::Json {
            message: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
            column: error.column(),
        }
    })
}

fn header(text: &[u8]) -> Result<Header, Fault> {
    /// Of every version.
    #[derive(Deserialize)]
    struct AnyVersion {
        replay: u32,
    }
    match json::<AnyVersion>(text)?.replay {
        VERSION => {}
        other => return Err(Fault::Version(other)),
    }
    let line: HeaderLine<'_> = json(text)?;
    Ok(Header {
        tool: line.tool.into_owned(),
        schedule: line.schedule.into_owned(),
        hashes: line.hashes.into_owned(),
    })
}

/// Whether a line is meant to be the last: it begins as that does.
fn is_end(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    let inner = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    inner.is_some_and(|inner| inner.starts_with(b"\"end\""))
}

fn end(text: &[u8]) -> Result<End, Fault> {
    let line: EndLine<'_> = json(text)?;
    let digits = line.trace.len() == 16 && line.trace.bytes().all(|byte| byte.is_ascii_hexdigit());
    let trace = u64::from_str_radix(&line.trace, 16).ok().filter(|_| digits);
    let trace = trace.ok_or_else(|| Fault::Trace(line.trace.to_string()))?;
    Ok(End::new(line.end, line.status, line.points, trace))
}

fn decision(text: &[u8], number: usize) -> Result<Decision, Fault> {
    let line: DecisionLine<'_> = json(text)?;
    if line.decision != number {
        return Err(Fault::Order {
            expected: number,
            found: line.decision,
        });
    }
    if number > MOST_DECISIONS {
        return Err(Fault::TooMany);
    }
    let why = why_of(&line.why).ok_or_else(|| Fault::Why(line.why.to_string()))?;
    Ok(Decision {
        thread: line.thread,
        point: line.point,
        why,
        next: line.next,
        early: line.early,
    })
}
