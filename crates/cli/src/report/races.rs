//! Data races as text.

use std::fmt::Write as _;

use wasm_races::{AccessKind, Frame as Names, Race, Suppressions, ThreadInfo, Verdict};
use wasm_symbols::Frame;

/// Frames that are shown of a stack.
const SHOWN: usize = 16;

/// Where an access was made, or a thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    /// The innermost first.
    pub(crate) frames: Vec<Frame>,
    /// Whether only the innermost is known.
    pub(crate) cut: bool,
    /// The function of WASI that made the access for the program, soon after the program was where
    /// the frames say.
    pub(crate) function: Option<&'static str>,
}

/// A race, and where all that it speaks of was.
pub(crate) struct ToldRace {
    /// With the guest's addresses.
    pub(crate) race: Race,
    /// How often its pair of places raced.
    pub(crate) times: u64,
    /// The word of the sequence lock that it seems to be of.
    pub(crate) sequence_lock: Option<u64>,
    pub(crate) current: Stack,
    pub(crate) previous: Stack,
    /// Where the threads of the current and of the previous access were made.
    pub(crate) created: [Option<Stack>; 2],
    /// Where the block of memory that it is in was allocated, and where it was freed; nothing if no
    /// block is known.
    pub(crate) block: Vec<Stack>,
}

/// Where a stack's innermost function is, in the source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Top {
    function: String,
    file: String,
    line: u32,
}

/// What is told of the races of a run.
pub(crate) struct RacesText {
    /// A text for each reported race, harmless ones included.
    pub(crate) texts: Vec<String>,
    /// How many of them do harm.
    pub(crate) harmful: usize,
    /// How many a list leaves out.
    pub(crate) suppressed: usize,
}

/// The texts of the races that the lists do not leave out. There is one for each pair of lines, and
/// one more if a pair is both harmless and harmful. With `strict`, a race that looks like a
/// sequence lock's is not taken for harmless.
pub(crate) fn texts(races: &[ToldRace], lists: &Suppressions, strict: bool) -> RacesText {
    let mut told = RacesText {
        texts: Vec::new(),
        harmful: 0,
        suppressed: 0,
    };
    let mut lines: Vec<([Top; 2], bool)> = Vec::new();
    for race in races {
        let stacks = [&race.current, &race.previous].map(names);
        let (verdict, rule) = lists.judge([&stacks[0], &stacks[1]]);
        if verdict == Verdict::Suppressed {
            told.suppressed += 1;
            continue;
        }
        // An increment is a load and a store: all pairs of two such lines are one fault.
        let rule = rule.filter(|_| verdict == Verdict::Harmless);
        let sequence_lock = race.sequence_lock.filter(|_| rule.is_none());
        let harmless = rule.is_some() || sequence_lock.is_some() && !strict;
        let mut pair = [top(&race.current), top(&race.previous)];
        pair.sort();
        let known = (pair, harmless);
        if lines.contains(&known) {
            continue;
        }
        lines.push(known);
        let class = match (rule, sequence_lock) {
            (Some(rule), _) => format!(", harmless by `{rule}`"),
            (None, Some(_)) => ", harmless in practice: a sequence lock's, as it seems".to_owned(),
            (None, None) => String::new(),
        };
        told.harmful += usize::from(!harmless);
        told.texts.push(text(race, &class, sequence_lock));
    }
    told
}

fn text(told: &ToldRace, class: &str, sequence_lock: Option<u64>) -> String {
    let Race {
        current, previous, ..
    } = &told.race;
    let mut text = "==================\n".to_owned();
    let _ = writeln!(
        text,
        "WARNING: data race{}{class}",
        about_memory(&told.race)
    );
    for (title, side, stack) in [
        ("", current, &told.current),
        ("previous ", previous, &told.previous),
    ] {
        let (at, size) = match told.race.block {
            Some(block) if side.kind == AccessKind::Free => (block.address, block.size),
            _ => (side.address, side.size.into()),
        };
        let kind = kind(side.kind);
        let who = who(&side.thread, &told.race);
        let size = bytes(size);
        let _ = writeln!(
            text,
            "  {} of {size} at {at:#x} by {who}{}:",
            capital(&format!("{title}{kind}")),
            host(stack)
        );
        write_stack(&mut text, stack);
    }
    write_block(&mut text, told);
    let mut seen = Vec::new();
    for (thread, stack) in [&current.thread, &previous.thread]
        .into_iter()
        .zip(&told.created)
    {
        if let (Some(stack), false) = (stack, seen.contains(&thread.serial)) {
            seen.push(thread.serial);
            let by = match thread.parent {
                Some((0, _)) => "the main thread".to_owned(),
                Some((id, _)) => format!("thread {id}"),
                None => "the host".to_owned(),
            };
            let _ = writeln!(
                text,
                "  {} was created by {by}:",
                capital(&who(thread, &told.race))
            );
            write_stack(&mut text, stack);
        }
    }
    if let Some(word) = sequence_lock {
        let _ = writeln!(
            text,
            "  Each time, the reader looked at {word:#x} right before and right after, and the writer changed it\n  \
             right before and right after. A reader that compares throws away what was written meanwhile."
        );
    }
    if told.times > 1 {
        let _ = writeln!(
            text,
            "  This pair of instructions raced {} times.",
            told.times
        );
    }
    let Top {
        function,
        file,
        line,
    } = top(&told.current);
    let place = match (file.is_empty(), line) {
        (true, _) => function,
        (false, 0) => format!("{file} in {function}"),
        (false, line) => format!("{file}:{line} in {function}"),
    };
    let _ = write!(text, "SUMMARY: data race {place}\n==================");
    text
}

fn kind(kind: AccessKind) -> &'static str {
    match kind {
        AccessKind::Read => "read",
        AccessKind::Write => "write",
        AccessKind::AtomicRead => "atomic read",
        AccessKind::AtomicWrite => "atomic write",
        AccessKind::AtomicUpdate => "atomic read-modify-write",
        AccessKind::Free => "free",
    }
}

fn bytes(count: u64) -> String {
    match count {
        1 => "1 byte".to_owned(),
        count => format!("{count} bytes"),
    }
}

/// What is wrong about memory that is given back.
fn about_memory(race: &Race) -> &'static str {
    let (current, previous) = (race.current.kind, race.previous.kind);
    match (current, previous) {
        (AccessKind::Free, AccessKind::Free) => ": freed twice",
        (AccessKind::Free, kind) if kind.writes() => ": free of memory that is written",
        (AccessKind::Free, _) => ": free of memory that is read",
        (kind, AccessKind::Free) if kind.writes() => ": write of freed memory",
        (_, AccessKind::Free) => ": read of freed memory",
        _ => "",
    }
}

/// The block of memory that a race is in.
fn write_block(text: &mut String, told: &ToldRace) {
    let (Some(block), Some(allocated)) = (&told.race.block, told.block.first()) else {
        return;
    };
    let _ = writeln!(
        text,
        "  {:#x} is {} into a block of {} at {:#x}, allocated by {}:",
        told.race.address,
        bytes(told.race.address - block.address),
        bytes(block.size),
        block.address,
        who(&block.allocated.thread, &told.race)
    );
    write_stack(text, allocated);
    // The free may be one of the two accesses.
    let sides = [&told.race.current, &told.race.previous];
    let shown = sides.iter().any(|side| side.kind == AccessKind::Free);
    if let (Some(freed), Some(stack), false) = (&block.freed, told.block.get(1), shown) {
        let who = who(&freed.thread, &told.race);
        let _ = writeln!(text, "  The block was freed by {who}:");
        write_stack(text, stack);
    }
}

/// One of a race's threads. If it has ended, another thread may have its number by now.
fn who(thread: &ThreadInfo, race: &Race) -> String {
    let both = [race.current.thread, race.previous.thread];
    let again = |other: &ThreadInfo| other.id == thread.id && other.serial > thread.serial;
    match thread.parent {
        None => "the main thread".to_owned(),
        Some(_) if both.iter().any(again) => format!("an earlier thread {}", thread.id),
        Some(_) => format!("thread {}", thread.id),
    }
}

fn host(stack: &Stack) -> String {
    match stack.function {
        None => String::new(),
        Some(function) => format!(" in `{function}`, called soon after"),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

fn write_stack(text: &mut String, stack: &Stack) {
    for (index, frame) in stack.frames.iter().take(SHOWN).enumerate() {
        let _ = writeln!(text, "    {index:>3}: {frame}");
    }
    if stack.frames.len() > SHOWN {
        let _ = writeln!(text, "    ... {} more", stack.frames.len() - SHOWN);
    }
    if stack.frames.is_empty() {
        text.push_str("    [it is not known where]\n");
    } else if stack.cut {
        text.push_str("    [who called it is not known]\n");
    }
}

/// The functions of a stack, inlined ones as well.
fn names(stack: &Stack) -> Vec<Names<'_>> {
    let mut names = Vec::new();
    if let Some(function) = stack.function {
        names.push(Names {
            function: Some(function),
            file: None,
            inlined: false,
        });
    }
    for frame in &stack.frames {
        if frame.sources().is_empty() {
            names.push(Names {
                function: frame.function_name(),
                file: None,
                inlined: false,
            });
        }
        let last = frame.sources().len().saturating_sub(1);
        let sources = frame.sources().iter().enumerate();
        names.extend(sources.map(|(at, source)| Names {
            function: source.name().or(frame.function_name()),
            file: source.file(),
            inlined: at < last,
        }));
    }
    names
}

fn top(stack: &Stack) -> Top {
    let Some(frame) = stack.frames.first() else {
        return Top {
            function: stack.function.unwrap_or("?").to_owned(),
            file: String::new(),
            line: 0,
        };
    };
    let source = frame.sources().first();
    let name = source.and_then(|source| source.name());
    let name = name.or(frame.function_name());
    let unnamed = || match frame.offset() {
        Some(offset) => format!("function {} at {offset:#x}", frame.function()),
        None => format!("function {}", frame.function()),
    };
    let known = source.and_then(|source| Some((source.file()?, source.line()?)));
    let function = match (name, known) {
        (Some(name), Some(_)) => name.to_owned(),
        // Without lines each instruction is a place.
        (Some(name), None) => match frame.offset() {
            Some(offset) => format!("{name} at {offset:#x}"),
            None => name.to_owned(),
        },
        (None, _) => unnamed(),
    };
    let (file, line) = known.unwrap_or_default();
    Top {
        function,
        file: file.to_owned(),
        line,
    }
}
