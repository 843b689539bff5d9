//! Making the group of threads from the options.

use p1_adapter::{EndSignal, P1Ctx, P1State};
use wasi_threads::{GroupBuilder, Termination, ThreadGroup};
use wasmtime::Linker;
use wasmtime_wasi::I32Exit;

use crate::run::modules::PreparedModules;
use crate::run::plan::Plan;

/// How many threads are described when the time limit passes, and on SIGQUIT. The others are
/// counted.
pub(crate) const DESCRIBED: usize = 100;

/// Whether threads that compute are stopped where they are: unless checks are asked for.
pub(crate) fn stops_where_they_are(plan: &Plan) -> bool {
    plan.epochs != Some(true) && Termination::CAN_EXIT
}

/// How threads that compute are stopped.
fn termination(plan: &Plan, modules: &PreparedModules<'_>) -> Termination {
    match (stops_where_they_are(plan), modules.has_checks) {
        (true, _) => Termination::ProcessExit,
        (false, true) => Termination::Epochs,
        (false, false) => Termination::AtHostCalls,
    }
}

/// A builder of a group whose threads share `ctx`, and whose end raises `end`.
pub(crate) fn builder(
    plan: &Plan,
    modules: &PreparedModules<'_>,
    linker: Linker<P1State>,
    ctx: P1Ctx,
    end: EndSignal,
) -> GroupBuilder<P1State> {
    let several = !modules.preloads.is_empty();
    let mut group = ThreadGroup::builder(&modules.engine, &modules.main, linker)
        .termination(termination(plan, modules))
        // With both ways of ending, reports ask no thread, and count threads that they do not
        // describe.
        .see_threads(Termination::CAN_EXIT)
        .host_word(p1_adapter::host_word)
        .report_at_timeout(DESCRIBED)
        .exit_code(|error| error.downcast_ref::<I32Exit>().map(|exit| exit.0))
        .on_end(move || end.raise())
        // WASI works on the memory exported as `memory`, which need not be the one that the threads
        // share. The state looks it up at the first call, or at every call if libraries have
        // memories of their own.
        .state(move |_| match several {
            true => P1State::with_lookup(ctx.clone()),
            false => P1State::new(ctx.clone()),
        })
        .detect_deadlock(plan.detect_deadlock)
        // A thread may sit in a system call that nothing interrupts, such as reading
        // from a dead network file system.
        .grace(plan.shutdown_grace);
    if let Some(profile) = &plan.profile {
        group = group.profile(profile.interval);
    }
    for (import, library) in &modules.preloads {
        group = group.preload(import, library);
    }
    group
}
