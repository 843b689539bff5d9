//! After a program's end.

use p1_adapter::P1State;
use replay_threads::file::Header;
use wasi_threads::{Outcome, ThreadGroup, ThreadModule};
use wasmtime::Val;

use crate::args::invoke;
use crate::message;
use crate::message::exit::Exit;
use crate::report::backtraces::Backtraces;
use crate::report::interleaving;
use crate::report::outcome::{self, Reporter};
use crate::report::profile::ProfileFile;
use crate::report::stats::{GroupTotals, Stats};
use crate::report::trace::TraceFile;
use crate::run::observers::Observers;
use crate::run::plan::Plan;
use crate::run::races::{self, RaceWatch, RacedRun};
use crate::run::schedule::session::{self, Session};

/// A program that has ended, and what was observed.
pub(crate) struct Ended<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) group: &'a ThreadGroup<P1State>,
    pub(crate) observers: &'a Observers,
    pub(crate) backtraces: &'a Backtraces,
    /// The program.
    pub(crate) module: &'a ThreadModule,
    pub(crate) outcome: Outcome,
    /// The results of the function.
    pub(crate) results: Vec<Val>,
    /// The signal that ended it, if one did.
    pub(crate) signal: Option<u8>,
    pub(crate) stats: Stats,
    /// The schedule, if there is one.
    pub(crate) session: Option<&'a Session>,
    /// What looked for races.
    pub(crate) races: Option<&'a RaceWatch>,
    /// What the run depends on, if the run is to be saved.
    pub(crate) header: Option<Header>,
}

impl Ended<'_> {
    /// Prints and writes everything that the options ask for, and returns the status.
    pub(crate) fn report(self, trace: Option<TraceFile>, profile: Option<ProfileFile>) -> Exit {
        let left = self.group.left_behind();
        outcome::left_behind(&left);
        let totals = GroupTotals::of(self.group);
        let reporter = Reporter {
            name: self.plan.module.display(),
            timeout: self.plan.limits.timeout,
            signal: self.signal,
            divergence: self.session.and_then(Session::divergence),
        };
        let backtrace = self.group.backtrace_of(&self.outcome);
        let mut exit = reporter.outcome(&self.outcome, backtrace, self.backtraces);
        if let Some(report) = self.group.timeout_report() {
            message::say(self.backtraces.at_end(&report));
        }
        // From here on a failure does not change the status.
        if let Some(dump) = &self.observers.dump {
            dump.write(self.group.memory(), &left);
        }
        totals.explain_spawns();
        if let Err(message) = message::print(&invoke::results(&self.results)) {
            message::say(&message);
            // Except for the results, for which the function was called.
            exit = message.exit();
        }
        if let Some(file) = profile {
            file.write(&self.group.handle(), self.backtraces, &self.plan.argv[0]);
        }
        if let Some(recorder) = &self.observers.recorder {
            if let Some(trace) = trace {
                trace.write(recorder, &self.plan.argv[0]);
            }
            if let Some(format) = self.plan.stats {
                self.stats.report(&totals, &recorder.totals(), format);
            }
        }
        if let (Some(session), Some(options)) = (self.session, &self.plan.schedule)
            && let Some(most) = options.show
        {
            interleaving::tell(&session.interleaving(most, self.backtraces));
        }
        if let (Some(session), Some(options)) = (self.session, &self.plan.schedule) {
            exit = session::after(
                (self.plan, options),
                session.summary(),
                (self.header, options.save.as_ref()),
                (outcome::in_a_line(&self.outcome), exit),
            );
        }
        match (self.races, races::options(self.plan)) {
            (Some(watch), Some(races)) => races::after(
                &RacedRun {
                    plan: self.plan,
                    races,
                    module: self.module,
                    backtraces: self.backtraces,
                    seed: self.session.map(Session::seed),
                    took: self.stats.ran_for,
                },
                watch,
                exit,
            ),
            _ => exit,
        }
    }
}
