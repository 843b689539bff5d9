//! A process that runs seeds, as seen by the one that explores.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use replay_threads::explore::Runner;

use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::run::explore::protocol::{Answer, Request, write_input};
use crate::run::schedule::temporary::TemporaryFolder;
use crate::sys::job::{self, Socket};

/// How long a run may pass no point before it is killed. Nothing is heard of it meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a run failed: its status, and a text that identifies the failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: u8,
    pub(super) what: String,
}

/// Runs what it is asked for, in a process that is started when it is needed.
pub(super) struct Job<'a> {
    number: usize,
    with: &'a Common,
    orders: Option<&'a Orders>,
    process: Option<Process>,
}

/// What all jobs have.
pub(super) struct Common {
    /// What the program finds on standard input.
    pub(super) input: Vec<u8>,
    /// Where they have their copies of folders, if they have some.
    pub(super) folders: Option<TemporaryFolder>,
}

/// The orders that were seen, each with the first seed that had it, counted from the first of the
/// search.
#[derive(Debug)]
pub(super) struct Orders {
    first: u64,
    seen: Mutex<HashMap<u64, u64>>,
}

impl Orders {
    pub(super) fn new(first: u64) -> Self {
        Orders {
            first,
            seen: Mutex::default(),
        }
    }

    fn saw(&self, order: u64, seed: u64) {
        let at = seed.wrapping_sub(self.first);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = seen.entry(order).or_insert(at);
        *before = at.min(*before);
    }

    /// How many there are among the first `ran` seeds.
    pub(super) fn among(&self, ran: u64) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.values().filter(|at| **at < ran).count()
    }
}

struct Process {
    child: Child,
    socket: BufReader<Socket>,
    outputs: [File; 2],
}

impl<'a> Job<'a> {
    pub(super) fn new(number: usize, with: &'a Common, orders: Option<&'a Orders>) -> Self {
        Job {
            number,
            with,
            orders,
            process: None,
        }
    }

    /// Makes a run.
    ///
    /// # Errors
    ///
    /// A process that cannot be started, or that fails before it runs the program.
    pub(super) fn ask(&mut self, request: &Request) -> Result<Answer> {
        let mut process = match self.process.take() {
            Some(process) => process,
            None => Process::start(self.number, self.with)
                .map_err(|error| Message::failure("a run cannot be started").why(error))?,
        };
        match process.ask(request) {
            Ok(answer) => {
                self.process = Some(process);
                Ok(answer)
            }
            // What a read says whose time has passed: on Windows the second.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                // No status of its own: it is killed as it is dropped.
                Ok(Answer {
                    status: Exit::Endless.status(),
                    failure: "no point reached".to_owned(),
                    outcome: format!("no point was reached within {PATIENCE:?}"),
                    points: 0,
                    moves: 0,
                    memory: 0,
                    decisions: Vec::new(),
                    order: 0,
                    interleaving: String::new(),
                })
            }
            Err(error) => Err(process.failed(&error)),
        }
    }

    /// What the last run wrote to stdout and to stderr.
    pub(super) fn outputs(&mut self) -> io::Result<[Vec<u8>; 2]> {
        let mut texts = [Vec::new(), Vec::new()];
        if let Some(process) = &mut self.process {
            for (file, text) in process.outputs.iter_mut().zip(&mut texts) {
                file.seek(SeekFrom::Start(0))?;
                file.read_to_end(text)?;
            }
        }
        Ok(texts)
    }
}

impl Runner for Job<'_> {
    type Failure = Failure;
    type Error = Message;

    fn run(&mut self, seed: u64) -> Result<Option<Failure>> {
        let answer = self.ask(&Request {
            seed,
            decisions: None,
            keep: false,
            lines: 0,
        })?;
        if let Some(orders) = self.orders {
            orders.saw(answer.order, seed);
        }
        let failed = !answer.failure.is_empty();
        Ok(failed.then_some(Failure {
            status: answer.status,
            what: answer.failure,
        }))
    }
}

impl Process {
    fn start(number: usize, with: &Common) -> io::Result<Self> {
        let (ours, theirs) = job::pair()?;
        let outputs = [unnamed()?, unnamed()?];
        let [stdout, stderr] = [outputs[0].try_clone()?, outputs[1].try_clone()?];
        let mut args: Vec<_> = std::env::args_os().skip(1).collect();
        let at = usize::from(args.first().is_some_and(|arg| arg == "run"));
        args.insert(at, format!("--explore-job={number}").into());
        if let Some(temporary) = &with.folders {
            let mut folders = OsString::from("--explore-folders=");
            folders.push(temporary.path());
            args.insert(at, folders);
        }
        let child = Command::new(std::env::current_exe()?)
            .args(args)
            .stdin(theirs)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()?;
        ours.set_read_timeout(Some(PATIENCE))?;
        let mut process = Process {
            child,
            socket: BufReader::new(ours),
            outputs,
        };
        write_input(process.socket.get_mut(), &with.input)?;
        Ok(process)
    }

    fn ask(&mut self, request: &Request) -> io::Result<Answer> {
        for output in &self.outputs {
            output.set_len(0)?;
        }
        request.write(self.socket.get_mut())?;
        Answer::read(&mut self.socket)
    }

    /// It has ended by itself, and has said why.
    fn failed(mut self, error: &io::Error) -> Message {
        let status = self.child.wait();
        let mut said = String::new();
        let _ = self.outputs[1].seek(SeekFrom::Start(0));
        let _ = self.outputs[1].read_to_string(&mut said);
        let why = match said.trim_end() {
            "" => format!("{error}"),
            said => said.to_owned(),
        };
        let ended = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Message::failure(format!("a process that explores has ended ({ended})")).why(why)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file without a name, whose writes go to its end.
fn unnamed() -> io::Result<File> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("wasi-threads-run-{}-{count}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let file = File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}
