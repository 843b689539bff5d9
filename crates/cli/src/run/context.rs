//! The program's WASI context: arguments, environment, folders, sockets and standard streams.

use std::net::TcpListener;
use std::sync::Arc;

use p1_adapter::{BuildError, EndSignal, P1Ctx, P1CtxBuilder};
use wasmtime_wasi::FsPerms;

use crate::message::error_text::{first_line, one_line};
use crate::message::{Message, Result};
use crate::module::source::ModuleSource;
use crate::report::calls::Noting;
use crate::report::recorder::Recorder;
use crate::run::budget::Budget;
use crate::run::listen;
use crate::run::plan::Plan;
use crate::run::races::{self, RaceWatch};
use crate::run::schedule::session::Session;
use crate::sys::at_start;
use crate::sys::inherited::Inherited;

/// The observers, what is shared with the group, and the schedule.
type Watched<'a> = (
    Option<&'a Arc<Recorder>>,
    Option<&'a Arc<Budget>>,
    Option<&'a Session>,
    Option<&'a Arc<RaceWatch>>,
);

/// Makes the context. Folders come first among the descriptors, from 3 on, and then the sockets: C
/// libraries stop looking for folders at the first descriptor that is none.
pub(crate) fn context(
    plan: &Plan,
    end: &EndSignal,
    (mut inherited, listeners): (Inherited, Vec<TcpListener>),
    (recorder, budget, session, races): Watched<'_>,
) -> Result<P1Ctx> {
    let mut builder = P1CtxBuilder::new();
    builder
        .args(&plan.argv)
        .envs(&plan.env)
        .end_signal(end.clone())
        .raise_sigpipe(at_start::sigpipe_ends_program());
    match recorder {
        Some(recorder) => builder.call_observer(Arc::clone(recorder) as _),
        None => {
            // A profile needs the names of all calls.
            let timed = plan.profile.is_some();
            builder
                .call_observer(Arc::new(Noting { timed }))
                .observe_waiting_calls_only(!timed)
        }
    };
    // A module that was read from stdin has used it up.
    let has_input = session.is_some_and(Session::has_input);
    if plan.stdio.stdin && plan.module != ModuleSource::Stdin && !has_input {
        builder.inherit_stdin();
    }
    let is_silent = session.is_some_and(Session::is_silent);
    if plan.stdio.stdout && !is_silent {
        builder.inherit_stdout();
    }
    if plan.stdio.stderr && !is_silent {
        builder.inherit_stderr();
    }
    if let Some(max) = plan.limits.descriptors {
        builder.max_descriptors(max.try_into().unwrap_or(u32::MAX));
    }
    if let Some(max) = plan.limits.random {
        builder.max_random_size(max.try_into().unwrap_or(u32::MAX));
    }
    if let Some(budget) = budget {
        builder.memory_budget(Arc::clone(budget) as _);
    }
    if let Some(bytes) = plan.limits.hostcall_fuel {
        builder.hostcall_fuel(bytes);
    }
    if let Some(session) = session {
        session.give_world(&mut builder);
    }
    if let Some(races) = races {
        races::observe_calls(&mut builder, races);
    }
    for dir in session.and_then(Session::folders).unwrap_or(&plan.dirs) {
        let perms = if dir.read_only {
            FsPerms::ReadOnly
        } else {
            FsPerms::ReadWrite
        };
        builder
            .preopened_dir(&dir.host, &dir.guest, perms)
            .map_err(|error| cannot_set_up(&error, plan))?;
    }
    let ctx = builder
        .build()
        .map_err(|error| cannot_set_up(&error, plan))?;
    listen::give_inherited(&ctx, &mut inherited)?;
    listen::give(&ctx, listeners)?;
    Ok(ctx)
}

/// The message about a context that cannot be made.
fn cannot_set_up(error: &BuildError, plan: &Plan) -> Message {
    match error {
        BuildError::Preopen { path, source } => {
            Message::failure(format!("the folder `{}` cannot be opened", path.display()))
                .why(first_line(source))
                .help("check the path: in `--dir HOST::GUEST` the host's comes first, in `--mapdir GUEST::HOST` last")
        }
        other => Message::failure(format!("cannot set up WASI for {}", plan.module.display()))
            .why(one_line(other)),
    }
}
