//! What is said of races after a run.

use std::collections::HashMap;
use std::time::Duration;

use wasi_threads::ThreadModule;
use wasi_threads::rewrite::AccessSite;
use wasm_races::{Origin, Race, Side, ThreadInfo};

use crate::message::exit::Exit;
use crate::message::{say, warn};
use crate::report::backtraces::{Backtraces, Spot};
use crate::report::races::{self, Stack, ToldRace};
use crate::run::plan::Plan;
use crate::run::races::again::{self, RawFrame};
use crate::run::races::places::What;
use crate::run::races::watch::{Found, FoundRace, Moment, RaceWatch, guest_address};
use crate::run::schedule_options::RacesPlan;

/// The run, and how it was made.
pub(crate) struct RacedRun<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) races: &'a RacesPlan,
    pub(crate) module: &'a ThreadModule,
    pub(crate) backtraces: &'a Backtraces,
    /// The seed that makes the run again; `None`: the threads ran at once.
    pub(crate) seed: Option<u64>,
    pub(crate) took: Duration,
}

/// Where something was, to be looked up.
struct Where {
    spots: Vec<Spot>,
    cut: bool,
    function: Option<&'static str>,
}

/// Prints which races were found, and returns the status. In a process that makes the second run,
/// it answers instead.
pub(crate) fn after(run: &RacedRun<'_>, watch: &RaceWatch, exit: Exit) -> Exit {
    if run.races.is_again() {
        again::answer(watch);
        return exit;
    }
    let found = watch.found();
    notes(&found);
    if found.races.is_empty() {
        return exit;
    }
    let earlier = earlier(run, &found);
    let told = stacks(run, watch, found, &earlier);
    let texts = races::texts(&told, &run.races.lists, run.races.strict);
    for text in &texts.texts {
        say(text);
    }
    let harmless = texts.texts.len() - texts.harmful;
    let mut summary = format!("data races: {} told", texts.texts.len());
    if harmless > 0 {
        summary.push_str(&format!(", {harmless} of them harmless"));
    }
    if texts.suppressed > 0 {
        summary.push_str(&format!(
            "; {} pairs of instructions left out, as a list says",
            texts.suppressed
        ));
    }
    if !texts.texts.is_empty() {
        say(summary);
        if run.seed.is_none() {
            say(
                "note: the threads ran at once, so of the earlier access only the instruction is known, \
                 and another run may tell others",
            );
        }
    }
    match (exit, run.races.exit) {
        // It ended by itself.
        (Exit::Success | Exit::Guest(_), status @ 1..) if texts.harmful > 0 => Exit::Guest(status),
        _ => exit,
    }
}

/// Says what the detector could not keep.
fn notes(found: &Found) {
    let counts = found.counts;
    for (count, what) in [
        (
            counts.races_not_kept,
            "races were only counted, as there are so many",
        ),
        (
            counts.pages_forgotten,
            "pages of accesses were forgotten: `--races=memory=MIB` gives more room",
        ),
        (
            counts.accesses_forgotten,
            "accesses were forgotten, as so many threads read the same",
        ),
        (
            counts.blocks_not_kept,
            "blocks of memory were not noted, as there are so many",
        ),
        (
            counts.words_merged,
            "atomics were taken for accesses of one word, as there are so many",
        ),
        (
            found.left_out + counts.threads_merged,
            "threads were not told apart from others, as there are so many",
        ),
    ] {
        if count > 0 {
            say(format_args!("note: {count} {what}: races may be missing"));
        }
    }
}

/// The moment of an access.
fn moment(side: &Side) -> Moment {
    Moment {
        serial: side.thread.serial,
        number: side.number,
    }
}

/// Where the block that a race is in was allocated and freed.
fn of_block(race: &Race) -> impl Iterator<Item = Origin> {
    let block = race.block.into_iter();
    block.flat_map(|block| std::iter::once(block.allocated).chain(block.freed))
}

fn moment_of(origin: &Origin) -> Moment {
    Moment {
        serial: origin.thread.serial,
        number: origin.number,
    }
}

/// The moment at which a thread was created.
fn created(thread: &ThreadInfo) -> Option<Moment> {
    let ((_, serial), (_, number)) = (thread.parent?, thread.created?);
    Some(Moment { serial, number })
}

/// Where threads were at moments that the first run did not keep, as a second run finds out.
fn earlier(run: &RacedRun<'_>, found: &Found) -> HashMap<Moment, Vec<RawFrame>> {
    let Some(seed) = run.seed.filter(|_| run.races.stacks) else {
        return HashMap::new();
    };
    if run.plan.dirs.iter().any(|dir| !dir.read_only) {
        say(
            "note: the program can write to a folder, so it is not run again to find out where the earlier access was",
        );
        return HashMap::new();
    }
    let mut moments = Vec::new();
    for FoundRace { race, trace, .. } in &found.races {
        moments.push(moment(&race.previous));
        if trace.is_none() {
            moments.push(moment(&race.current));
        }
        moments.extend(created(&race.current.thread));
        moments.extend(created(&race.previous.thread));
        moments.extend(of_block(race).map(|origin| moment_of(&origin)));
    }
    moments.sort();
    moments.dedup();
    again::find(&moments, seed, run.took).unwrap_or_else(|error| {
        warn("where the earlier accesses were is not known", &error);
        HashMap::new()
    })
}

/// The races, with all their places looked up at once.
fn stacks(
    run: &RacedRun<'_>,
    watch: &RaceWatch,
    found: Found,
    earlier: &HashMap<Moment, Vec<RawFrame>>,
) -> Vec<ToldRace> {
    let sites = run.module.access_sites();
    let mut all: Vec<Where> = Vec::new();
    for FoundRace { race, trace, .. } in &found.races {
        let current = match trace {
            Some(trace) => Where {
                spots: trace.to_frames().into_iter().map(Spot::Frame).collect(),
                cut: false,
                function: None,
            },
            None => of_moment(
                run,
                moment(&race.current),
                watch.what(race.current.place),
                sites,
                earlier,
            ),
        };
        let previous = watch.what(race.previous.place);
        all.push(current);
        all.push(of_moment(
            run,
            moment(&race.previous),
            previous,
            sites,
            earlier,
        ));
        for side in [&race.current, &race.previous] {
            let place = side.thread.created.map(|(place, _)| watch.what(place));
            let moment = created(&side.thread);
            all.push(match (moment, place) {
                (Some(moment), Some(place)) => of_moment(run, moment, place, sites, earlier),
                _ => Where {
                    spots: Vec::new(),
                    cut: false,
                    function: None,
                },
            });
        }
        all.extend(of_block(race).map(|origin| {
            let place = watch.what(origin.place);
            of_moment(run, moment_of(&origin), place, sites, earlier)
        }));
    }
    let spots: Vec<&[Spot]> = all.iter().map(|one| &*one.spots).collect();
    let frames = run.backtraces.frames_of(&spots);
    let mut looked_up = all.iter().zip(frames).map(|(one, frames)| Stack {
        frames,
        cut: one.cut,
        function: one.function,
    });
    let mut next = || looked_up.next().unwrap_or_default();
    let mut told = Vec::new();
    for found in &found.races {
        let (current, previous) = (next(), next());
        let created = [&found.race.current, &found.race.previous]
            .map(|side| Some(next()).filter(|_| side.thread.parent.is_some()));
        let block = of_block(&found.race).map(|_| next()).collect();
        let mut race = found.race;
        if let Some(block) = &mut race.block {
            block.address = guest_address(block.address);
        }
        for address in [
            &mut race.address,
            &mut race.current.address,
            &mut race.previous.address,
        ] {
            *address = guest_address(*address);
        }
        told.push(ToldRace {
            race,
            times: found.times,
            sequence_lock: found.sequence_lock.map(guest_address),
            current,
            previous,
            created,
            block,
        });
    }
    told
}

/// Where a thread was: the stack from the second run, or only the instruction if there is none.
fn of_moment(
    run: &RacedRun<'_>,
    moment: Moment,
    place: What,
    sites: &[AccessSite],
    earlier: &HashMap<Moment, Vec<RawFrame>>,
) -> Where {
    let site = match place {
        What::Instruction(site) => sites.get(site as usize),
        _ => None,
    };
    let function = match place {
        What::Function(name) => Some(name),
        _ => None,
    };
    let frames = earlier.get(&moment).filter(|frames| {
        // Another instruction: another run.
        let first = frames.first().and_then(|(_, offset)| *offset);
        let original = first.map(|offset| run.module.original_offset(offset) as u64);
        site.is_none_or(|site| original == Some(site.offset))
    });
    match frames {
        Some(frames) => Where {
            spots: frames
                .iter()
                .map(|(function, offset)| Spot::Prepared(*function, *offset))
                .collect(),
            cut: false,
            function,
        },
        None => Where {
            spots: site.map(|site| Spot::Site(*site)).into_iter().collect(),
            cut: true,
            function,
        },
    }
}
