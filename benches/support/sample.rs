//! One run of a guest, and what several runs come to.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::feed::Feed;

/// The longest one run may take; then it is killed and the bench fails.
pub const LIMIT: Duration = Duration::from_secs(120);

/// What a guest prints: `NAME THREADS OPS NANOSECONDS CHECK`.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Operations of all threads together.
    pub ops: u64,
    /// Wall time of all of them, in nanoseconds.
    pub nanoseconds: u64,
    /// What must be the same on every side.
    pub check: String,
}

impl Report {
    /// Reads a guest's line; `None` when it is not one.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().skip(2);
        let report = Self {
            ops: words.next()?.parse().ok().filter(|ops| *ops > 0)?,
            nanoseconds: words.next()?.parse().ok()?,
            check: words.next()?.to_owned(),
        };
        words.next().is_none().then_some(report)
    }
}

/// Runs a guest once, with what `feed` has for it, and reads its report.
///
/// # Errors
///
/// When it cannot be started, fails, takes longer than [`LIMIT`], or prints
/// something else than one report; the message has what it said.
pub fn run(mut command: Command, feed: &mut Feed) -> Result<Report, Failure> {
    let mut child = command
        .stdin(feed.stdin())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{command:?}: {error}"))?;
    // A copy of the other end of a pipe would keep it open.
    command.stdin(Stdio::null());
    // A guest prints one line, so the pipes cannot fill while they are not read.
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begin.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Err(format!("{command:?}: killed after {LIMIT:?}").into());
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let (mut said, mut complained) = (String::new(), String::new());
    child
        .stdout
        .take()
        .ok_or("no stdout")?
        .read_to_string(&mut said)?;
    child
        .stderr
        .take()
        .ok_or("no stderr")?
        .read_to_string(&mut complained)?;
    match Report::parse(&said) {
        Some(report) if status.success() => Ok(report),
        _ => Err(format!("{command:?}: {status}: {said}{complained}").into()),
    }
}

/// What one side took for one row, run by run.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Nanoseconds per operation, sorted.
    sorted: Vec<f64>,
    /// The check values seen; more than one when the runs disagree.
    checks: Vec<String>,
}

impl Samples {
    /// Adds a run.
    pub fn push(&mut self, report: Report) {
        let value = report.nanoseconds as f64 / report.ops as f64;
        let at = self.sorted.partition_point(|other| *other < value);
        self.sorted.insert(at, value);
        if !self.checks.contains(&report.check) {
            self.checks.push(report.check);
        }
    }

    /// The middle value (of an even number, the lower of the two), in
    /// nanoseconds per operation; zero when there are none.
    #[must_use]
    pub fn median(&self) -> f64 {
        self.at(0.5)
    }

    /// The smallest value; zero when there are none.
    #[must_use]
    pub fn best(&self) -> f64 {
        self.at(0.0)
    }

    /// Half the distance of the quartiles over the median: how far the runs lie
    /// apart.
    #[must_use]
    pub fn spread(&self) -> f64 {
        (self.at(0.75) - self.at(0.25)) / 2.0 / self.median().max(f64::MIN_POSITIVE)
    }

    /// The check values of all runs; one, unless the side contradicts itself.
    #[must_use]
    pub fn check(&self) -> &[String] {
        &self.checks
    }

    fn at(&self, part: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted
            .get((last as f64 * part) as usize)
            .copied()
            .unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Samples, run};
    use crate::feed::Feed;
    use std::process::Command;

    fn samples(values: &[u64]) -> Samples {
        let mut samples = Samples::default();
        for value in values {
            samples.push(Report {
                ops: 2,
                nanoseconds: value * 2,
                check: "0".into(),
            });
        }
        samples
    }

    #[test]
    fn the_median_does_not_follow_one_bad_run() {
        assert_eq!(samples(&[7, 5, 900, 6, 4]).median(), 6.0);
        assert_eq!(samples(&[7, 5, 900, 6, 4]).best(), 4.0);
        assert_eq!(samples(&[3]).median(), 3.0);
        assert_eq!(samples(&[10, 20]).median(), 10.0);
    }

    #[test]
    fn the_spread_is_of_the_middle_half() {
        assert_eq!(samples(&[8, 9, 10, 11, 12]).spread(), 0.1);
        assert_eq!(samples(&[5, 5, 5]).spread(), 0.0);
    }

    #[test]
    fn only_a_whole_report_is_one() {
        let report = Report {
            ops: 10,
            nanoseconds: 99,
            check: "ab".into(),
        };
        assert_eq!(Report::parse("clock 1 10 99 ab\n"), Some(report));
        for line in [
            "",
            "clock 1 10 99",
            "clock 1 0 99 ab",
            "clock 1 10 x ab",
            "clock 1 10 99 ab more",
        ] {
            assert_eq!(Report::parse(line), None, "{line}");
        }
    }

    #[test]
    fn runs_that_disagree_are_seen() {
        let mut samples = samples(&[1, 2]);
        assert_eq!(samples.check().len(), 1);
        samples.push(Report {
            ops: 1,
            nanoseconds: 1,
            check: "other".into(),
        });
        assert_eq!(samples.check().len(), 2);
    }

    #[test]
    fn a_program_that_fails_is_an_error_with_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo clock 1 10 99 ab; echo broken >&2; exit 3"]);
        let error = run(command, &mut Feed::Nothing).expect_err("the status is 3");
        let error = error.to_string();
        assert!(error.contains("broken"), "{error}");
    }
}
