//! `table-sync` side by side with its alternatives, on 1, 2, 4 and 8 threads, in one run.
//!
//! `cargo bench -p benches --bench table` prints the tables of `crates/table-sync/DESIGN.md`.
//! `TABLE_ROUNDS` (default 15) and `TABLE_MILLIS` (default 20, per measurement) set how long it
//! takes; `TABLE_ROW` runs the rows whose name contains it.
//!
//! Every subject holds values of any type, boxed, as a resource table has to, and checks the type
//! at each access. In every round each subject runs each row once, so that other work of the
//! machine affects all alike. The best round is the one that was disturbed least. "native" is
//! arithmetic on nothing shared: it shows what a second thread is worth on this machine at this
//! moment.

#[path = "table/measure.rs"]
mod measure;
#[path = "table/subjects.rs"]
mod subjects;

use std::hint::black_box;
use std::io::{self, Write as _};
use subjects::{Bare, Dash, Mutexed, Native, Ours, RwLocked, Slab, Subject};

/// Rows, in the order of the tables. What an operation is, is in [`operations`].
const ROWS: [&str; 7] = [
    "own entry, shared",
    "one entry, find only",
    "one entry, shared",
    "one entry, exclusive",
    "own entry, exclusive",
    "push + delete",
    "90 % shared of 64, 10 % push + delete",
];

/// One thread's work on one row: as many operations as asked for.
fn operations<S: Subject>(
    row: usize,
    subject: &S,
    keys: &[S::Key],
    thread: usize,
) -> impl FnMut(u64) {
    let own = keys[thread % keys.len()];
    let one = keys[0];
    let mut random = thread as u64 + 1;
    move |count| match row {
        0 => (0..count).for_each(|_| {
            black_box(subject.read(own));
        }),
        1 => (0..count).for_each(|_| assert!(subject.find(black_box(one)))),
        2 => (0..count).for_each(|_| {
            black_box(subject.read(one));
        }),
        3 => (0..count).for_each(|_| subject.write(one)),
        4 => (0..count).for_each(|_| subject.write(own)),
        5 => (0..count).for_each(|at| subject.push_delete(at)),
        _ => (0..count).for_each(|at| {
            random = random.wrapping_mul(6_364_136_223_846_793_005) + 1;
            if at % 10 == 0 {
                subject.push_delete(at);
            } else {
                black_box(subject.read(keys[(random >> 40) as usize % keys.len()]));
            }
        }),
    }
}

/// Throughput of one row, in operations per nanosecond over all threads.
fn throughput<S: Subject>(row: usize, threads: usize) -> Option<f64> {
    if threads > S::MAX_THREADS {
        return None;
    }
    let subject = S::new();
    let keys: Vec<_> = (0..64).map(|value| subject.push(value)).collect();
    let (subject, keys) = (&subject, &keys);
    Some(measure::throughput(threads, |thread| {
        operations(row, subject, keys, thread)
    }))
}

/// A subject's name and how to measure it.
type Entry = (&'static str, fn(usize, usize) -> Option<f64>);

const SUBJECTS: [Entry; 7] = [
    ("native", throughput::<Native>),
    ("table-sync", throughput::<Ours>),
    ("ResourceTable", throughput::<Bare>),
    ("Mutex<ResourceTable>", throughput::<Mutexed>),
    ("RwLock<ResourceTable>", throughput::<RwLocked>),
    ("dashmap", throughput::<Dash>),
    ("sharded-slab", throughput::<Slab>),
];

const THREADS: [usize; 4] = [1, 2, 4, 8];

/// A cell's measurements, one a round; none if the subject cannot do it.
type Cells = Vec<[Vec<f64>; THREADS.len()]>;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    if !std::env::args().any(|word| word == "--bench") {
        return writeln!(out, "table: measured only by `cargo bench`");
    }
    let rounds = measure::setting("TABLE_ROUNDS", 15);
    let only = std::env::var("TABLE_ROW").unwrap_or_default();
    writeln!(
        out,
        "ns per operation and thread (wall time, best of {rounds} rounds; median in brackets), then \
         what that many threads do together, as a multiple of what one does (best rounds)\n"
    )?;
    for (row, name) in ROWS.iter().enumerate() {
        if !name.contains(&only) {
            continue;
        }
        let mut cells: Cells = SUBJECTS.map(|_| Default::default()).into();
        for _ in 0..rounds {
            for (subject, (_, throughput)) in SUBJECTS.iter().enumerate() {
                for (at, threads) in THREADS.into_iter().enumerate() {
                    cells[subject][at].extend(throughput(row, threads));
                }
            }
        }
        write_table(&mut out, name, &mut cells)?;
    }
    Ok(())
}

fn write_table(out: &mut impl io::Write, name: &str, cells: &mut Cells) -> io::Result<()> {
    writeln!(out, "| {name} | 1 | 2 | 4 | 8 | x2 | x4 | x8 |")?;
    writeln!(out, "|---|---|---|---|---|---|---|---|")?;
    for ((subject, _), cells) in SUBJECTS.iter().zip(cells) {
        write!(out, "| {subject} |")?;
        let mut bests = [None; THREADS.len()];
        for (at, threads) in THREADS.into_iter().enumerate() {
            let cell = &mut cells[at];
            cell.sort_by(f64::total_cmp);
            let (Some(median), Some(best)) = (cell.get(cell.len() / 2), cell.last()) else {
                write!(out, " - |")?;
                continue;
            };
            bests[at] = Some(*best);
            let nanos = |throughput: f64| threads as f64 / throughput;
            write!(out, " {:.1} ({:.1}) |", nanos(*best), nanos(*median))?;
        }
        for many in &bests[1..] {
            match (bests[0], many) {
                (Some(one), Some(many)) => write!(out, " {:.2} |", many / one)?,
                _ => write!(out, " - |")?,
            }
        }
        writeln!(out)?;
    }
    writeln!(out)
}
