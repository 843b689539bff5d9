//! The second run: where threads were at accesses whose stacks the first run did not keep.
//!
//! A process of its own makes it: this binary, with the same command line and the seed. It is asked
//! for moments on standard input, and answers with frames on standard output. What the program
//! writes goes nowhere, and the program finds standard input empty. If the program reads standard
//! input, the second run may differ from the first. So each answer names its instruction.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wasi_threads::ThreadModule;

use crate::run::races::watch::{Moment, RaceWatch};

/// The most frames of a stack.
pub(super) const FRAMES: usize = 24;
/// How much longer than the first one the second run may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frame: a function's index, and where in the module that was prepared.
pub(super) type RawFrame = (u32, Option<usize>);

/// Makes the second run. Returns where threads were at these moments, as far as the run says. Waits
/// for twice the time that the first run took, and some seconds.
pub(super) fn find(
    moments: &[Moment],
    seed: u64,
    took: Duration,
) -> std::io::Result<HashMap<Moment, Vec<RawFrame>>> {
    let mut args: Vec<_> = std::env::args_os().skip(1).collect();
    let at = usize::from(args.first().is_some_and(|arg| arg == "run"));
    args.insert(at, format!("--races-again={seed}").into());
    let mut child = Command::new(std::env::current_exe()?)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let answer = ask(&mut child, moments, Instant::now() + 2 * took + PATIENCE);
    // It may have ended.
    let _ = child.kill();
    let _ = child.wait();
    Ok(parse(&answer?))
}

fn ask(child: &mut Child, moments: &[Moment], until: Instant) -> std::io::Result<String> {
    let mut text = String::new();
    for moment in moments {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} {}", moment.serial, moment.number);
    }
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes())?;
    }
    let stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.map(|mut stdout| stdout.read_to_string(&mut text));
        read.transpose().map(|_| text)
    });
    while !reader.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(2));
    }
    if !reader.is_finished() {
        child.kill()?;
    }
    reader.join().unwrap_or_else(|_| Ok(String::new()))
}

/// The moments that this process, which makes the second run, is asked for.
pub(super) fn asked(module: &ThreadModule) -> Option<RaceWatch> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).ok()?;
    let moments = text.lines().filter_map(|line| {
        let (serial, number) = line.split_once(' ')?;
        Some(Moment {
            serial: serial.parse().ok()?,
            number: number.parse().ok()?,
        })
    });
    RaceWatch::finding(module, moments)
}

/// Answers, in the process that makes the second run.
pub(super) fn answer(watch: &RaceWatch) {
    let mut text = String::new();
    for (moment, trace) in watch.traces() {
        let _ = write!(text, "{} {}", moment.serial, moment.number);
        for frame in trace.to_frames().iter().take(FRAMES) {
            let _ = write!(text, " {}", frame.func_index());
            if let Some(offset) = frame.module_offset() {
                let _ = write!(text, ":{offset}");
            }
        }
        text.push('\n');
    }
    // A failed write is no error: its reader has gone.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn parse(text: &str) -> HashMap<Moment, Vec<RawFrame>> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let mut number = || words.next()?.parse().ok();
        let moment = Moment {
            serial: number()?,
            number: number()?,
        };
        let frame = |word: &str| match word.split_once(':') {
            Some((function, offset)) => Some((function.parse().ok()?, offset.parse().ok())),
            None => Some((word.parse().ok()?, None)),
        };
        Some((moment, words.map_while(frame).collect()))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Moment, parse};

    #[test]
    fn answers_are_read_and_what_is_none_is_left_out() {
        let moment = |serial, number| Moment { serial, number };
        let found = parse("0 7 3:100 4\n1 2\nx\n2 9 5:6 y 7\n");
        assert_eq!(found.len(), 3);
        assert_eq!(found[&moment(0, 7)], [(3, Some(100)), (4, None)]);
        assert!(found[&moment(1, 2)].is_empty());
        assert_eq!(found[&moment(2, 9)], [(5, Some(6))]);
    }
}
