//! Running the binary under test.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{PoisonError, RwLock, mpsc};
use std::time::{Duration, Instant};

use crate::emulated::slower;
use crate::guest::{Guest, repository};
use crate::record::record;

/// How long a program may take unless the test says otherwise; longer in an emulator. Generous: it
/// is there so that a hang is a failure, not to measure anything.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The status of a program that trapped, as wasmtime has it: the C library's for an abort.
pub const TRAPPED: i32 = if cfg!(windows) { 3 } else { 134 };

/// Held shared by every run, alone by one that measures time.
static MACHINE: RwLock<()> = RwLock::new(());

/// What a program finds on stdin.
#[derive(Clone, Debug, Default)]
pub enum Input {
    /// Nothing: `/dev/null`.
    #[default]
    Null,
    /// A pipe with these bytes, then its end.
    Bytes(Vec<u8>),
    /// A pipe that stays open and silent for as long as the program runs.
    Silent,
}

/// A command line of the binary, to be run once.
pub struct Program {
    binary: PathBuf,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    input: Input,
    timeout: Duration,
    alone: bool,
    signal: Option<&'static str>,
    ignored: bool,
    #[cfg(target_os = "linux")]
    filter: Option<crate::seccomp::Filter>,
    meanwhile: Option<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("binary", &self.binary)
            .field("args", &self.args)
            .finish_non_exhaustive()
    }
}

impl Program {
    /// The binary at `binary`, without arguments.
    pub fn new(binary: impl AsRef<Path>) -> Self {
        // The tests' own cache of compiled modules: nothing of the user's is read
        // or written.
        let caches = repository().join("target/guests/cache");
        Program {
            binary: binary.as_ref().to_owned(),
            args: Vec::new(),
            envs: vec![
                ("XDG_CACHE_HOME".into(), caches.clone().into()),
                ("XDG_CONFIG_HOME".into(), caches.into()),
            ],
            folder: None,
            input: Input::Null,
            timeout: TIMEOUT,
            alone: false,
            signal: None,
            ignored: false,
            #[cfg(target_os = "linux")]
            filter: None,
            meanwhile: None,
        }
    }

    /// Adds arguments, split at blanks.
    pub fn args(mut self, line: &str) -> Self {
        self.args
            .extend(line.split_whitespace().map(OsString::from));
        self
    }

    /// Adds one argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds a guest's path.
    pub fn guest(self, guest: &Guest) -> Self {
        self.arg(guest.path())
    }

    /// Adds `-`, and gives it this module on stdin, as text or binary.
    pub fn on_stdin(self, module: impl Into<Vec<u8>>) -> Self {
        self.arg("-").input(Input::Bytes(module.into()))
    }

    /// Sets an environment variable of the binary's process.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Runs in this folder.
    pub fn in_folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// Sets what stdin is.
    pub fn input(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    /// Sets how long it may take.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it when no other program of this test process runs, so that the time it
    /// takes is its own.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Sends it this signal (`TERM`), a moment after it has begun to write to stdout.
    pub fn signal(mut self, name: &'static str) -> Self {
        self.signal = Some(name);
        self
    }

    /// Has it started with that signal ignored, as shells do for jobs in the background.
    pub fn ignored(mut self) -> Self {
        self.ignored = true;
        self
    }

    /// Has the kernel refuse it these system calls with `errno`.
    #[cfg(target_os = "linux")]
    pub fn refused(mut self, calls: &[crate::seccomp::Refused], errno: i32) -> Self {
        self.filter = Some(crate::seccomp::Filter::new(calls, errno));
        self
    }

    /// The binary. The signal that it will be sent is at its default or ignored, whatever the tests
    /// themselves were started with: `nohup` and jobs in the background pass ignored signals on.
    fn command(&self) -> Command {
        let Some(signal) = self.signal.filter(|_| cfg!(target_os = "linux")) else {
            return Command::new(&self.binary);
        };
        let how = if self.ignored { "ignore" } else { "default" };
        let mut command = Command::new("env");
        command
            .arg(format!("--{how}-signal={signal}"))
            .arg(&self.binary);
        command
    }

    /// Does `work` once it has begun to write to stdout, and before the signal, if there is one.
    pub fn meanwhile(mut self, work: impl FnOnce() + Send + 'static) -> Self {
        self.meanwhile = Some(Box::new(work));
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// If it cannot be started, or takes too long. In the second case it is killed, and the message
    /// shows what it had written.
    pub fn run(self) -> Finished {
        // A test that failed while holding it has broken nothing.
        let (_alone, _shared);
        if self.alone {
            _alone = MACHINE.write().unwrap_or_else(PoisonError::into_inner);
        } else {
            _shared = MACHINE.read().unwrap_or_else(PoisonError::into_inner);
        }
        let mut command = self.command();
        command
            .args(&self.args)
            .envs(self.envs.iter().cloned())
            .stdin(match &self.input {
                Input::Null => Stdio::null(),
                Input::Bytes(_) | Input::Silent => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        #[cfg(target_os = "linux")]
        if let Some(filter) = self.filter {
            filter.before(&mut command);
        }
        let line = format!("{command:?}");
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{line}: {e}"));

        let given = match &self.input {
            Input::Bytes(bytes) => bytes.clone(),
            Input::Null | Input::Silent => Vec::new(),
        };
        let stdin = child.stdin.take();
        // Dropped, and so closed, only after the program's end.
        let _silent = match self.input {
            Input::Null => None,
            Input::Silent => stdin,
            Input::Bytes(bytes) => {
                // A thread writes, because a program that reads nothing would block us. A program
                // that ends before it has read everything breaks the pipe, which is no fault.
                std::thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(&bytes)));
                None
            }
        };
        let process = child.id();
        let (signalled, when_signalled) = mpsc::channel();
        let signal = self.signal;
        let meanwhile = self.meanwhile;
        let stdout = collect(child.stdout.take(), move || {
            if let Some(work) = meanwhile {
                work();
            }
            if let Some(name) = signal {
                // Time for the other threads to get to where the test wants them.
                std::thread::sleep(Duration::from_millis(50));
                // No receiver is left once the test has failed.
                let _ = signalled.send(Instant::now());
                send_signal(name, process);
            }
        });
        let stderr = collect(child.stderr.take(), || {});
        let timeout = slower(self.timeout);
        let (status, elapsed) = wait(&mut child, started, timeout);
        let after_signal = when_signalled.try_recv().ok().map(|sent| sent.elapsed());
        let text = |from: mpsc::Receiver<Vec<u8>>| {
            // The pipes close with the process. If a child of it holds them open, their content no
            // longer matters.
            let bytes = from
                .recv_timeout(Duration::from_secs(10))
                .unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let finished = Finished {
            line,
            status,
            stdout: text(stdout),
            stderr: text(stderr),
            elapsed,
            after_signal,
        };
        let code = finished.status.and_then(|status| status.code());
        record(&finished.line, &given, code, &finished.stderr);
        assert!(
            finished.status.is_some(),
            "no end within {timeout:?}: {finished}"
        );
        finished
    }
}

fn send_signal(name: &str, process: u32) {
    // The shell's own: a `kill` of its own is not on every machine.
    let sent = Command::new("sh")
        .args(["-c", "kill -\"$0\" \"$1\"", name, &process.to_string()])
        .status();
    assert!(
        sent.is_ok_and(|status| status.success()),
        "kill -{name} {process}"
    );
}

/// Reads to the end on a thread; calls `at_first` when there is something.
fn collect(
    pipe: Option<impl Read + Send + 'static>,
    at_first: impl FnOnce() + Send + 'static,
) -> mpsc::Receiver<Vec<u8>> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // An error ends what can be read, as the end of the pipe does.
            let mut first = [0; 1];
            if pipe.read_exact(&mut first).is_ok() {
                bytes.extend(first);
                at_first();
                let _ = pipe.read_to_end(&mut bytes);
            }
        }
        // No receiver is left once the test has failed.
        let _ = send.send(bytes);
    });
    receive
}

/// The status, or `None` if the process had to be killed.
fn wait(child: &mut Child, started: Instant, timeout: Duration) -> (Option<ExitStatus>, Duration) {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return (Some(status), started.elapsed()),
            Ok(None) if started.elapsed() < timeout => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(None) => {
                // By the child's own process id. Both can only fail if it is gone.
                let _ = child.kill();
                let _ = child.wait();
                return (None, started.elapsed());
            }
            Err(error) => panic!("waiting for process {}: {error}", child.id()),
        }
    }
}

/// A run that has ended.
#[derive(Debug)]
pub struct Finished {
    line: String,
    status: Option<ExitStatus>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
    /// Wall-clock time from before it was started.
    pub elapsed: Duration,
    /// Wall-clock time from the signal that [`Program::signal`] sent.
    pub after_signal: Option<Duration>,
}

impl Finished {
    /// The exit status, 0 to 255.
    ///
    /// # Panics
    ///
    /// If a signal ended it.
    #[track_caller]
    pub fn code(&self) -> i32 {
        match self.status.and_then(|status| status.code()) {
            Some(code) => code,
            None => panic!("ended by a signal: {self}"),
        }
    }

    /// Fails the test unless the exit status is `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert!(self.code() == code, "not status {code}: {self}");
        self
    }

    /// Fails the test unless stderr has all these texts in it.
    #[track_caller]
    pub fn expect_stderr(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "no `{text}` on stderr: {self}");
        }
        self
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The last lines say most, and a threaded program can write a lot.
        let tail = |text: &str| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(40)..].join("\n")
        };
        write!(
            f,
            "{}\nstatus: {:?}, after {:?}\n--- stdout\n{}\n--- stderr\n{}\n---",
            self.line,
            self.status,
            self.elapsed,
            tail(&self.stdout),
            tail(&self.stderr)
        )
    }
}
