//! What an exploring process and its jobs say to each other, over a pair of sockets.

use std::io::{self, BufRead, Read, Write};

/// What is said first: what the program finds on standard input.
pub(super) fn write_input(to: &mut impl Write, input: &[u8]) -> io::Result<()> {
    write_blob(to, input)
}

pub(super) fn read_input(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    read_blob(from)
}

/// Said by a job whose run takes long: it is not stuck.
const BEAT: &str = "beat\n";

pub(super) fn write_beat(to: &mut impl Write) -> io::Result<()> {
    to.write_all(BEAT.as_bytes())
}

/// A run that is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) seed: u64,
    /// A replay file's bytes. Its decisions are made as far as they can be, instead of the
    /// policy's.
    pub(super) decisions: Option<Vec<u8>>,
    /// Whether the decisions are wanted back.
    pub(super) keep: bool,
    /// How many lines are wanted of which thread accessed what.
    pub(super) lines: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The exit status.
    pub(super) status: u8,
    /// A text that identifies the failure; empty if nothing failed.
    pub(super) failure: String,
    /// How it ended, in words.
    pub(super) outcome: String,
    pub(super) points: u64,
    pub(super) moves: u64,
    /// Of the memory at the end.
    pub(super) memory: u64,
    /// A replay file's bytes, if they were wanted; empty if there are too many decisions.
    pub(super) decisions: Vec<u8>,
    /// The order of conflicting accesses, where orders are counted.
    pub(super) order: u64,
    /// Which thread accessed what, if that was wanted.
    pub(super) interleaving: String,
}

impl Request {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (given, keep) = (u8::from(self.decisions.is_some()), u8::from(self.keep));
        let numbers = format!("{} {given} {keep} {}\n", self.seed, self.lines);
        to.write_all(numbers.as_bytes())?;
        match &self.decisions {
            Some(decisions) => write_blob(to, decisions),
            None => Ok(()),
        }
    }

    /// `None`: there are no more.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let Some(numbers) = read_numbers(from)? else {
            return Ok(None);
        };
        let [seed, given, keep, lines] = numbers[..] else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let decisions = (given == 1).then(|| read_blob(from)).transpose()?;
        Ok(Some(Request {
            seed,
            decisions,
            keep: keep == 1,
            lines: lines.try_into().unwrap_or(usize::MAX),
        }))
    }
}

impl Answer {
    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let numbers = [
            self.status.into(),
            self.points,
            self.moves,
            self.memory,
            self.order,
        ];
        let numbers = numbers.map(|number: u64| number.to_string()).join(" ");
        to.write_all(format!("{numbers}\n").as_bytes())?;
        write_blob(to, self.failure.as_bytes())?;
        write_blob(to, self.outcome.as_bytes())?;
        write_blob(to, &self.decisions)?;
        write_blob(to, self.interleaving.as_bytes())
    }

    /// Waits for as long as beats come before it.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut line = BEAT.to_owned();
        while line == BEAT {
            line.clear();
            from.read_line(&mut line)?;
        }
        let numbers = numbers(&line)?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let [status, points, moves, memory, order] = numbers[..] else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let text = |bytes| String::from_utf8(bytes).map_err(|_| io::ErrorKind::InvalidData);
        Ok(Answer {
            status: status.try_into().map_err(|_| io::ErrorKind::InvalidData)?,
            failure: text(read_blob(from)?)?,
            outcome: text(read_blob(from)?)?,
            points,
            moves,
            memory,
            decisions: read_blob(from)?,
            order,
            interleaving: text(read_blob(from)?)?,
        })
    }
}

fn write_blob(to: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    to.write_all(format!("{}\n", bytes.len()).as_bytes())?;
    to.write_all(bytes)
}

fn read_blob(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let numbers = read_numbers(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    let [len] = numbers[..] else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let mut bytes = Vec::new();
    let read = from.take(len).read_to_end(&mut bytes)?;
    match read as u64 == len {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn read_numbers(from: &mut impl BufRead) -> io::Result<Option<Vec<u64>>> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    numbers(&line)
}

/// `None`: there was no line any more.
fn numbers(line: &str) -> io::Result<Option<Vec<u64>>> {
    let numbers = line.split_whitespace().map(str::parse);
    let numbers = numbers.collect::<Result<_, _>>();
    let numbers = numbers.map_err(|_| io::ErrorKind::InvalidData)?;
    Ok((!line.is_empty()).then_some(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard() {
        let requests = [(None, true), (Some(b"a\nb".to_vec()), false)];
        let requests = requests.map(|(decisions, keep)| Request {
            seed: u64::MAX,
            decisions,
            keep,
            lines: 20,
        });
        let answer = Answer {
            status: 134,
            failure: "a\nb".into(),
            outcome: String::new(),
            points: 1,
            moves: u64::MAX,
            memory: 3,
            decisions: vec![0, 10, 13],
            order: 7,
            interleaving: "a\nb".into(),
        };
        let mut bytes = Vec::new();
        write_input(&mut bytes, b"x\n").unwrap();
        requests
            .iter()
            .for_each(|request| request.write(&mut bytes).unwrap());
        write_beat(&mut bytes).unwrap();
        write_beat(&mut bytes).unwrap();
        answer.write(&mut bytes).unwrap();
        let from = &mut &bytes[..];
        assert_eq!(read_input(from).unwrap(), b"x\n");
        for request in requests {
            assert_eq!(Request::read(from).unwrap(), Some(request));
        }
        assert_eq!(Answer::read(from).unwrap(), answer);
        assert_eq!(Request::read(from).unwrap(), None);
        assert!(Answer::read(&mut &bytes[..bytes.len() - 1]).is_err());
    }
}
