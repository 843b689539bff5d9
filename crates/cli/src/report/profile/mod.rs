//! `--profile guest` and `--profile flamegraph`: where the threads spent their time.

#[cfg(feature = "profile")]
mod firefox;
#[cfg(feature = "profile")]
mod flamegraph;
#[cfg(feature = "profile")]
mod named;

use wasi_threads::GroupHandle;

use crate::args::profiling::{ProfileFormat, ThreadProfile};
#[cfg(feature = "profile")]
use crate::message::say;
use crate::message::warn;
use crate::output::Output;
use crate::report::backtraces::Backtraces;

/// The output of a profile. It is prepared before the program runs.
#[derive(Debug)]
pub(crate) struct ProfileFile {
    output: Output,
    format: ProfileFormat,
}

impl ProfileFile {
    /// A profile that goes to `output`, which is prepared.
    pub(crate) fn new(output: Output, plan: Option<&ThreadProfile>) -> Self {
        ProfileFile {
            output,
            format: plan.map_or(ProfileFormat::Firefox, |plan| plan.format),
        }
    }

    /// Writes the profile of the program `name`, or prints why it cannot be written.
    #[cfg(feature = "profile")]
    pub(crate) fn write(self, group: &GroupHandle, backtraces: &Backtraces, name: &str) {
        let Some(profile) = group.profile() else {
            return say("note: there is no profile, because no thread has run");
        };
        let named = named::Named::of(&profile, backtraces);
        let written = self.output.write(|out| match self.format {
            ProfileFormat::Firefox => firefox::write(out, &profile, &named, name),
            ProfileFormat::Flamegraph => flamegraph::write(out, &profile, &named, name),
        });
        if let Err(error) = written {
            warn(what_failed(self.output.name()), &error);
            return;
        }
        if let Some(bound) = named.exceeded {
            say(format_args!(
                "note: functions, files or lines are missing in the profile: {bound}"
            ));
        }
        if profile.lost > 0 {
            say(format_args!(
                "note: {} samples are missing in the profile, because there was no space for them",
                profile.lost
            ));
        }
        if profile.without_timer > 0 {
            say(format_args!(
                "note: the processor time of {} threads is missing in the profile: the system refused timers (`ulimit -i`)",
                profile.without_timer
            ));
        }
    }

    /// Never called: the option is refused.
    #[cfg(not(feature = "profile"))]
    pub(crate) fn write(self, _: &GroupHandle, _: &Backtraces, _: &str) {
        let _ = self.format;
        let unsupported = std::io::Error::from(std::io::ErrorKind::Unsupported);
        warn(what_failed(self.output.name()), &unsupported);
    }
}

fn what_failed(name: &str) -> String {
    format!("the profile {name} cannot be written")
}

/// How often threads were sampled, in words.
#[cfg(feature = "profile")]
fn rate(profile: &wasi_threads::Profile) -> String {
    let asked = 1.0 / profile.interval.as_secs_f64();
    match profile.rate() {
        Some(rate) => format!(
            "{} samples, {rate:.0} in a second of processor time ({asked:.0} were asked for)",
            profile.samples()
        ),
        None => {
            format!("no samples of processor time ({asked:.0} in a second of it were asked for)")
        }
    }
}
