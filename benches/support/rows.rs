//! What is measured: one row, one guest program with its arguments.

use crate::sides::Side;

/// How a row's guest is built, and so what can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With a shared memory that it imports.
    Threaded,
    /// With a memory of its own and no threads.
    Single,
}

impl Kind {
    /// The sides of this kind's rows, native code first.
    #[must_use]
    pub fn sides(self) -> &'static [Side] {
        match self {
            Self::Threaded => &[Side::Native, Side::Ours, Side::Wasmtime46],
            Self::Single => &[Side::Native, Side::Ours, Side::P1, Side::P1Block],
        }
    }
}

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Row {
    /// The program in `benches/guests`.
    pub program: &'static str,
    /// The operation, for the programs that have several.
    pub operation: Option<&'static str>,
    /// Threads at once.
    pub threads: u32,
    /// Operations of one thread (or what the program counts in), at scale 1.
    pub ops: u64,
    /// Whether all threads use one file instead of one each.
    pub one_file: bool,
    /// How the guest is built.
    pub kind: Kind,
    /// The ratio to native code that is wanted.
    pub reach: Option<f64>,
}

impl Row {
    /// The operation, or the program that has only one.
    #[must_use]
    pub fn operation(&self) -> String {
        let name = self.operation.unwrap_or(self.program);
        if self.one_file {
            format!("{name}, one file")
        } else {
            name.to_owned()
        }
    }

    /// How the row is called in messages and for `BENCH_ONLY`.
    #[must_use]
    pub fn name(&self) -> String {
        let kind = if self.kind == Kind::Single {
            ", own memory"
        } else {
            ""
        };
        format!("{} x{}{kind}", self.operation(), self.threads)
    }

    /// The guest's arguments, with the number of operations scaled (at least one).
    #[must_use]
    pub fn arguments(&self, scale: f64) -> Vec<String> {
        let ops = ((self.ops as f64 * scale) as u64).max(1);
        let mut arguments: Vec<String> = self.operation.map(str::to_owned).into_iter().collect();
        arguments.extend([self.threads.to_string(), ops.to_string()]);
        arguments.extend(self.one_file.then(|| "shared".to_owned()));
        arguments
    }

    fn reach(mut self, ratio: f64) -> Self {
        self.reach = Some(ratio);
        self
    }

    fn one_file(mut self) -> Self {
        self.one_file = true;
        self
    }
}

fn micro(operation: &'static str, threads: u32, ops: u64) -> Row {
    Row {
        program: "micro",
        operation: Some(operation),
        threads,
        ops,
        one_file: false,
        kind: Kind::Threaded,
        reach: None,
    }
}

fn program(program: &'static str, threads: u32, ops: u64) -> Row {
    Row {
        program,
        operation: None,
        ..micro("", threads, ops)
    }
}

/// The calls that a single-threaded guest is measured with too.
fn each_call() -> [(&'static str, u64, f64); 14] {
    [
        ("clock", 1_000_000, 1.7),
        ("random", 200_000, 1.2),
        ("yield", 200_000, 1.2),
        ("fdstat", 200_000, 1.2),
        ("tell", 200_000, 1.2),
        ("write64", 60_000, 1.15),
        ("pread4k", 60_000, 1.15),
        ("pread64k", 8_000, 1.05),
        ("pwrite4k", 40_000, 1.15),
        ("openclose", 20_000, 1.4),
        ("stat", 40_000, 1.3),
        // Two calls and more an operation; most of it is the file system's.
        ("mkdir", 1_000, 1.3),
        ("unlink", 8_000, 1.3),
        ("rename", 8_000, 1.3),
    ]
}

/// Host calls: one thread, two threads on files of their own, two on one file,
/// and a guest with a memory of its own.
#[must_use]
pub fn calls() -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, ops, reach) in each_call() {
        rows.push(micro(name, 1, ops).reach(reach));
        rows.push(micro(name, 2, ops));
        if ["fdstat", "pread4k"].contains(&name) {
            rows.push(micro(name, 2, ops).one_file());
        }
    }
    for (name, ops, _) in each_call() {
        rows.push(Row {
            kind: Kind::Single,
            ..micro(name, 1, ops)
        });
    }
    rows.push(micro("compute", 1, 30_000_000));
    rows
}

/// Threads: starting and joining them, and waiting for one another.
#[must_use]
pub fn spawn() -> Vec<Row> {
    vec![
        micro("spawn", 1, 1_000).reach(1.0),
        micro("spawn", 8, 150).reach(0.7),
        micro("notify", 1, 500_000),
        micro("mutex", 1, 2_000_000),
        micro("mutex", 2, 400_000).reach(1.1),
        micro("mutex", 8, 100_000).reach(1.3),
        micro("pingpong", 2, 10_000).reach(1.1),
    ]
}

/// Whole programs, with one thread and with more.
#[must_use]
pub fn programs() -> Vec<Row> {
    let mut rows = Vec::new();
    for threads in [1, 2, 4] {
        rows.push(program("compress", threads, 24));
        rows.push(program("search", threads, 1_500));
        rows.push(program("records", threads, 60_000));
    }
    for (name, ops) in [("compress", 24), ("search", 1_500), ("records", 60_000)] {
        rows.push(Row {
            kind: Kind::Single,
            ..program(name, 1, ops)
        });
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::{calls, programs, spawn};
    use std::collections::HashSet;

    #[test]
    fn names_tell_rows_apart() {
        let rows: Vec<_> = [calls(), spawn(), programs()].concat();
        let names: HashSet<String> = rows.iter().map(super::Row::name).collect();
        assert_eq!(names.len(), rows.len());
    }

    #[test]
    fn scaling_leaves_at_least_one_operation() {
        let row = &spawn()[0];
        assert_eq!(row.arguments(1.0), ["spawn", "1", "1000"]);
        assert_eq!(row.arguments(0.000_1), ["spawn", "1", "1"]);
    }
}
