//! What a program gets and may use. Settings are kept as they were given, so that one configuration
//! serves any number of groups.

use std::io;
use std::time::Duration;

use p1_adapter::fd::OwnedFd;
use p1_adapter::{FsPerms, P1Ctx, P1CtxBuilder, P1State};
use wasi_threads::{Limits, Termination, ThreadGroup, ThreadModule};

use crate::words::words;

/// A configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) preopens: Vec<Preopen>,
    pub(crate) stdio: [Stdio; 3],
    pub(crate) max_threads: u32,
    pub(crate) max_memory: Option<u64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) detect_deadlock: bool,
}

/// A folder of the host, and its name for the guest.
#[derive(Debug)]
pub(crate) struct Preopen {
    pub(crate) host: String,
    pub(crate) guest: String,
    pub(crate) perms: FsPerms,
}

/// A standard stream.
#[derive(Debug)]
pub(crate) enum Stdio {
    /// An input at its end, or an output that drops what is written.
    Null,
    /// The stream of the process.
    Inherit,
    Given(OwnedFd),
}

/// The default for the most threads beside the main one.
const THREADS: u32 = 1000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            args: Vec::new(),
            env: Vec::new(),
            preopens: Vec::new(),
            stdio: [Stdio::Null, Stdio::Null, Stdio::Null],
            max_threads: THREADS,
            max_memory: None,
            timeout: None,
            grace: wasi_threads::DEFAULT_GRACE,
            detect_deadlock: false,
        }
    }
}

impl Settings {
    /// A group with these settings, with a context of its own.
    pub(crate) fn group(
        &self,
        module: &ThreadModule,
        termination: Termination,
    ) -> Result<ThreadGroup<P1State>, String> {
        let engine = module.module().engine();
        let ctx = self.context()?;
        let group = wasi_threads_p1::program(engine, module, &ctx)
            .map_err(|error| format!("{error:#}"))?
            .limits(self.limits())
            .termination(termination)
            .detect_deadlock(self.detect_deadlock)
            .grace(self.grace);
        group.build().map_err(|error| words(&error))
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::new().threads(self.max_threads);
        if let Some(bytes) = self.max_memory {
            limits = limits
                .shared_memory(bytes)
                .clamp_shared_memory(true)
                .memory(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        match self.timeout {
            Some(timeout) => limits.timeout(timeout),
            None => limits,
        }
    }

    fn context(&self) -> Result<P1Ctx, String> {
        let mut ctx = P1CtxBuilder::new();
        ctx.args(&self.args).envs(&self.env);
        for preopen in &self.preopens {
            ctx.preopened_dir(&preopen.host, &preopen.guest, preopen.perms)
                .map_err(|error| words(&error))?;
        }
        self.standard_streams(&mut ctx)
            .map_err(|error| format!("cannot give the program its standard streams: {error}"))?;
        ctx.build().map_err(|error| words(&error))
    }

    fn standard_streams(&self, ctx: &mut P1CtxBuilder) -> io::Result<()> {
        match &self.stdio[0] {
            Stdio::Null => {}
            Stdio::Inherit => drop(ctx.inherit_stdin()),
            Stdio::Given(fd) => drop(ctx.stdin_fd(fd.try_clone()?)),
        }
        match &self.stdio[1] {
            Stdio::Null => {}
            Stdio::Inherit => drop(ctx.inherit_stdout()),
            Stdio::Given(fd) => drop(ctx.stdout_fd(fd.try_clone()?)),
        }
        match &self.stdio[2] {
            Stdio::Null => {}
            Stdio::Inherit => drop(ctx.inherit_stderr()),
            Stdio::Given(fd) => drop(ctx.stderr_fd(fd.try_clone()?)),
        }
        Ok(())
    }
}
