//! From the typed options to a plan.
//!
//! Every error that can be found before the module is read is found here.

use std::path::Path;
use std::time::Duration;

use wasi_threads::rewrite::ModuleLimits;
use wasmtime::{Cache, Config};
use wasmtime_cli_flags::CommonOptions;

use crate::args::listenfd;
use crate::args::profiling::{self, Profiling, ThreadProfile};
use crate::args::refused_options;
use crate::args::run_args::RunArgs;
use crate::args::values::{DirOption, OnDeadlock, StatsFormat};
use crate::message::{Message, Result};
use crate::module::engine;
use crate::module::source::ModuleSource;
use crate::output::{self, Output};
use crate::run::dump_option::coredump;
use crate::run::environment::environment;
use crate::run::limits::LimitOptions;
use crate::run::schedule_options::{RacesPlan, ScheduleOptions};
use crate::sys::inherited::Inherited;

/// What to do, with every default filled in.
pub(crate) struct Plan {
    pub(crate) module: ModuleSource,
    /// Libraries beneath it, by the names they are imported under.
    pub(crate) preloads: Vec<(String, ModuleSource)>,
    /// The program's arguments, its own name first.
    pub(crate) argv: Vec<String>,
    /// Variables in the given order; a later one replaces an earlier one with its name.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) dirs: Vec<DirOption>,
    /// The addresses to listen on.
    pub(crate) tcplisten: Vec<String>,
    /// The sockets of a service manager that the program gets.
    pub(crate) listenfd: Inherited,
    pub(crate) stdio: StdioOptions,
    pub(crate) entry: EntryFunction,
    pub(crate) engine: Config,
    /// Where prepared modules are kept.
    pub(crate) cache: Option<Cache>,
    pub(crate) limits: LimitOptions,
    /// How large each module may be.
    pub(crate) module_limits: ModuleLimits,
    pub(crate) thread_spawn: bool,
    /// Whether WASI is also there under its name before preview1.
    pub(crate) preview0: bool,
    /// Whether code checks for interrupts, if an option says so.
    pub(crate) epochs: Option<bool>,
    pub(crate) unknown_imports: UnknownImports,
    /// Where a core dump goes after a trap.
    pub(crate) coredump: Option<Output>,
    pub(crate) allow_precompiled: bool,
    pub(crate) shutdown_grace: Duration,
    pub(crate) detect_deadlock: bool,
    pub(crate) stats: Option<StatsFormat>,
    /// Where the timeline goes.
    pub(crate) trace: Option<Output>,
    /// How the threads are sampled.
    pub(crate) profile: Option<ThreadProfile>,
    /// Where the profile goes.
    pub(crate) profile_output: Option<Output>,
    /// How the threads take turns, if they do.
    pub(crate) schedule: Option<ScheduleOptions>,
    /// How races of threads that run at once are looked for, if they are.
    pub(crate) races_in_parallel: Option<RacesPlan>,
    /// How many arguments at the end of the command line are the module and its own arguments.
    pub(crate) typed_after: usize,
}

/// Which standard streams the program shares with this process. Any other stream reads as empty, or
/// drops what is written.
pub(crate) struct StdioOptions {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    pub(crate) stderr: bool,
}

/// The function to run.
pub(crate) enum EntryFunction {
    /// `_start`, or the export with the empty name, as `wasmtime run` does.
    Default,
    /// `--invoke`.
    Named(String),
}

/// What happens to imports that nothing provides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownImports {
    /// The module is refused.
    Refuse,
    /// A call of one traps.
    Trap,
    /// A call of one returns zeros.
    Default,
}

impl Plan {
    /// The plan for `args`, or why there is none.
    pub(crate) fn from_args(mut args: RunArgs) -> Result<Self> {
        let common = &mut args.common;
        args.legacy.apply_logging(common);
        engine::fill_in(common)?;
        args.legacy.apply(common);
        refused_options::check(common, refused_options::For::Run)?;
        if args.gdbstub.is_some() {
            return Err(refused_options::debugger("--gdbstub"));
        }
        // This comes before the process opens anything, which could get the number of a descriptor
        // that they name.
        let coredump = coredump(common)?;
        let trace = Output::asked_for("the trace", args.trace.as_deref())?;
        let profiling = args.profile.as_deref().map(profiling::parse).transpose()?;
        let file = profiling.as_ref().and_then(Profiling::file);
        let profile_output = Output::asked_for("the profile", file)?;
        let save = Output::asked_for("the replay file", args.schedule.save.as_deref())?;
        output::differ(&[
            ("--save", save.as_ref()),
            ("-D coredump", coredump.as_ref()),
            ("--trace", trace.as_ref()),
            ("--profile", profile_output.as_ref()),
        ])?;
        // Before the cache, which starts a thread.
        let listenfd = match listenfd::is_asked(&args) {
            true => Inherited::take(),
            false => Inherited::default(),
        };
        let common = &mut args.common;
        let epochs = common.wasm.epoch_interruption;
        let (engine, cache) = engine::configure(common, profiling.as_ref(), args.timeout)?;
        let (module, argv) = module_and_argv(&args.module_and_args, args.argv0.as_deref())?;
        let typed_after = args.module_and_args.len();
        let schedule = ScheduleOptions::of(&args, save)?;
        let common = &args.common;
        let wasm = &common.wasm;

        Ok(Plan {
            module,
            preloads: args
                .preload
                .into_iter()
                .map(|(name, path)| (name, ModuleSource::File(path)))
                .collect(),
            argv,
            env: environment(common, &args.vars, &listenfd)?,
            dirs: args.dirs.into_iter().chain(args.legacy.dirs()).collect(),
            tcplisten: common.wasi.tcplisten.clone(),
            listenfd,
            stdio: StdioOptions {
                stdin: common.wasi.inherit_stdin.unwrap_or(true),
                stdout: common.wasi.inherit_stdout.unwrap_or(true),
                stderr: common.wasi.inherit_stderr.unwrap_or(true),
            },
            entry: match args.invoke {
                Some(name) => EntryFunction::Named(name),
                None => EntryFunction::Default,
            },
            engine,
            cache,
            module_limits: args.module_limits.into(),
            limits: LimitOptions {
                threads: args.max_threads,
                host_stack: args.thread_stack_size,
                memory: wasm.max_memory_size,
                memories: wasm.max_memories,
                total_memory: args.max_total_memory,
                table_elements: wasm.max_table_elements,
                tables: wasm.max_tables,
                instances: wasm.max_instances,
                fuel: wasm.fuel,
                // The shorter one, if both are given.
                timeout: args.timeout.into_iter().chain(wasm.timeout).min(),
                descriptors: common.wasi.max_resources,
                random: common.wasi.max_random_size,
                hostcall_fuel: common.wasi.hostcall_fuel,
                trap_on_grow_failure: wasm.trap_on_grow_failure == Some(true),
            },
            thread_spawn: common.wasi.threads != Some(false),
            preview0: common.wasi.preview0 != Some(false),
            epochs,
            unknown_imports: unknown_imports(common)?,
            coredump,
            allow_precompiled: args.allow_precompiled,
            shutdown_grace: args.shutdown_grace,
            detect_deadlock: args.deadlock == OnDeadlock::Report,
            stats: args.stats,
            trace,
            profile: profiling.and_then(Profiling::of_threads),
            profile_output,
            schedule,
            races_in_parallel: RacesPlan::in_parallel(&args.schedule)?,
            typed_after,
        })
    }
}

fn module_and_argv(
    typed: &[std::ffi::OsString],
    argv0: Option<&str>,
) -> Result<(ModuleSource, Vec<String>)> {
    let (module, rest) = typed.split_first().expect("clap requires the module");
    let source = ModuleSource::typed(module);
    // Only the file's name, as in Wasmtime: its folder does not concern the program.
    let name = match argv0 {
        Some(name) => name.to_owned(),
        None => text(Path::new(module).file_name().unwrap_or(module))?,
    };
    let mut argv = vec![name];
    for arg in rest {
        argv.push(text(arg)?);
    }
    Ok((source, argv))
}

fn text(arg: &std::ffi::OsStr) -> Result<String> {
    arg.to_str().map(str::to_owned).ok_or_else(|| {
        Message::usage(format!("the argument {arg:?} is not UTF-8")).why("WASI's strings are UTF-8")
    })
}

fn unknown_imports(common: &CommonOptions) -> Result<UnknownImports> {
    match (
        common.wasm.unknown_imports_trap == Some(true),
        common.wasm.unknown_imports_default == Some(true),
    ) {
        (true, true) => Err(Message::usage(
            "`-W unknown-imports-trap` and `-W unknown-imports-default` contradict each other",
        )
        .help("give one of them")),
        (true, false) => Ok(UnknownImports::Trap),
        (false, true) => Ok(UnknownImports::Default),
        (false, false) => Ok(UnknownImports::Refuse),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use clap::Parser;

    fn plan(line: &str) -> Result<Plan> {
        let args = std::iter::once("wasi-threads-run").chain(line.split_whitespace());
        let cli = Cli::try_parse_from(args).map_err(|e| Message::usage(e.to_string()))?;
        let mut args = match cli.command {
            Some(crate::args::Command::Run(run)) => *run,
            _ => cli.run,
        };
        // A process has one log, and this one has many command lines.
        args.common.debug.logging = Some(false);
        Plan::from_args(args)
    }

    fn argv(line: &str) -> Vec<String> {
        match plan(line) {
            Ok(plan) => plan.argv,
            Err(message) => panic!("{line}: {message}"),
        }
    }

    #[test]
    fn arguments_go_to_the_program() {
        for line in [
            "a/x.wasm one --two -S three",
            "run a/x.wasm one --two -S three",
            "-- a/x.wasm one --two -S three",
            "run -- a/x.wasm one --two -S three",
            "run -W timeout=1s --dir . -- a/x.wasm one --two -S three",
        ] {
            assert_eq!(
                argv(line),
                ["x.wasm", "one", "--two", "-S", "three"],
                "{line}"
            );
        }
        assert_eq!(argv("x.wasm -- -a"), ["x.wasm", "--", "-a"]);
        assert_eq!(argv("--argv0 tool x.wasm"), ["tool"]);
    }

    /// The command lines of existing build scripts, word for word.
    #[test]
    fn old_command_lines() {
        for line in [
            // tokio's CI, as the runner of wasm32-wasip1-threads
            "run -W bulk-memory=y -W threads=y -W shared-memory=y -S threads=y -- x.wasm",
            "run -S threads x.wasm",
            // wasi-libc's tests
            "run --wasi threads --wasm shared-memory --dir . -- x.wasm",
            // from 46's documentation
            "run -W threads=y,shared-memory=y -S threads=y x.wasm",
            "-W=threads,shared-memory -S=threads x.wasm",
            // before 14
            "run --wasm-features=threads --wasi-modules=experimental-wasi-threads x.wasm",
            "--wasm-features threads --wasi-modules experimental-wasi-threads x.wasm",
            "run --wasm-features all --wasi-modules=default,experimental-wasi-threads x.wasm",
            "--disable-cache --mapdir /::. --wasm-timeout 5 --trap-unknown-imports x.wasm",
            "run --tcplisten 127.0.0.1:8080 --listenfd --fuel 1000 x.wasm",
            // one line for programs of preview1 and of preview2
            "run -S inherit-network,tcp,udp,allow-ip-name-lookup x.wasm",
            // when preview2 had to be switched off for threads
            "run -S preview2=n -S threads x.wasm",
        ] {
            let plan = plan(line).unwrap_or_else(|message| panic!("{line}: {message}"));
            assert!(plan.thread_spawn, "{line}");
            assert_eq!(plan.module, ModuleSource::File("x.wasm".into()), "{line}");
            assert_eq!(plan.argv, ["x.wasm"], "{line}");
        }
    }

    #[test]
    fn what_old_options_mean() {
        let line =
            "--mapdir /data::. --tcplisten [::1]:80 --listenfd --wasm-timeout 5 --fuel 9 x.wasm";
        let plan = plan(line).unwrap_or_else(|message| panic!("{message}"));
        let dir = &plan.dirs[0];
        assert_eq!((&*dir.host, &*dir.guest), (".", "/data"));
        assert_eq!(plan.tcplisten, ["[::1]:80"]);
        assert_eq!(plan.limits.timeout, Some(Duration::from_secs(5)));
        assert_eq!(plan.limits.fuel, Some(9));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for line in [
            "-S nn x.wasm",
            "-S http=y x.wasm",
            "-S cwd=/ x.wasm",
            "-g 1234 x.wasm",
            "-D coredump=core.%p x.wasm",
            "-D coredump= x.wasm",
            "-D guest-debug x.wasm",
            "--profile guest,x,never x.wasm",
            "--profile nonsense x.wasm",
            "--preload b.wasm x.wasm",
            "--target riscv64 x.wasm",
            "-W unknown-imports-trap,unknown-imports-default x.wasm",
            "--wasi-modules experimental-wasi-nn x.wasm",
            "-W shared-everything-threads x.wasm",
            "-W component-model x.wasm",
            "-W component-model-async=y x.wasm",
            "-O pooling-total-memories=3 x.wasm",
            "-W max-wasm-stack=18446744073709551615 x.wasm",
            "-W no-such-option x.wasm",
            "--no-such-option x.wasm",
        ] {
            let message = match plan(line) {
                Ok(_) => panic!("{line}: taken"),
                Err(message) => message,
            };
            assert_eq!(
                message.exit(),
                crate::message::exit::Exit::Usage,
                "{line}: {message}"
            );
        }
    }

    /// On platforms that stop computing threads without epoch checks; elsewhere a timeout needs
    /// them.
    #[test]
    fn a_timeout_needs_no_epochs_where_threads_are_stopped_without() {
        for line in [
            "-W timeout=1s,epoch-interruption=n x.wasm",
            "--timeout 1s -W epoch-interruption=n x.wasm",
        ] {
            assert_eq!(
                plan(line).is_ok(),
                wasi_threads::Termination::CAN_EXIT,
                "{line}"
            );
        }
    }

    #[test]
    fn the_shorter_timeout_counts() {
        let timeout = |line| plan(line).map(|plan| plan.limits.timeout).ok().flatten();
        assert_eq!(
            timeout("-W timeout=2s x.wasm"),
            Some(Duration::from_secs(2))
        );
        assert_eq!(
            timeout("--timeout 1 -W timeout=2s x.wasm"),
            Some(Duration::from_secs(1))
        );
        assert_eq!(timeout("x.wasm"), None);
    }

    #[test]
    fn later_variables_replace_earlier_ones() {
        let plan = plan("--env A=1 --env B=2 --env A=3 x.wasm").unwrap_or_else(|m| panic!("{m}"));
        assert_eq!(
            plan.env,
            [("A".into(), "3".into()), ("B".into(), "2".into())]
        );
    }
}
