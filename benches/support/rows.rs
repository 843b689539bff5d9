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
            Self::Threaded => &[Side::Native, Side::Ours, Side::Other, Side::Wasmtime46],
            Self::Single => &[
                Side::Native,
                Side::Ours,
                Side::Other,
                Side::P1,
                Side::P1Block,
            ],
        }
    }
}

/// What a guest gets from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Given {
    /// A folder.
    Nothing,
    /// A folder, and a pipe for stdin that holds a mebibyte.
    Pipe,
    /// A listening socket, and a client that connects to it.
    Client,
}

/// The longest that an operation is wanted to take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// So many times native code.
    Times(f64),
    /// So many nanoseconds beyond native code and the floor together.
    Beyond(f64),
}

impl Limit {
    /// In nanoseconds, of what native code and an empty host function take; `None` where the latter
    /// is not known.
    #[must_use]
    pub fn nanoseconds(self, native: f64, floor: Option<f64>) -> Option<f64> {
        match self {
            Self::Times(ratio) => Some(native * ratio),
            Self::Beyond(more) => Some(native + floor? + more),
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
    /// How long it is wanted to take at most.
    pub limit: Option<Limit>,
    /// What the guest gets from outside.
    pub given: Given,
    /// The one call that the operation consists of, for the floor: a letter for each parameter, `i`
    /// of 32 bits, `I` of 64. `None` for an operation of several calls, or of none.
    pub signature: Option<&'static str>,
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
        // A pipe holds so much, and memory has a maximum.
        let bounded = self.given == Given::Pipe || self.operation == Some("grow");
        let scale = if bounded { scale.min(1.0) } else { scale };
        let ops = ((self.ops as f64 * scale) as u64).max(1);
        let mut arguments: Vec<String> = self.operation.map(str::to_owned).into_iter().collect();
        arguments.extend([self.threads.to_string(), ops.to_string()]);
        arguments.extend(self.one_file.then(|| "shared".to_owned()));
        arguments
    }

    /// The arguments of the floor's program for as many calls; `None` where the row has no floor.
    #[must_use]
    pub fn floor_arguments(&self, scale: f64) -> Option<Vec<String>> {
        let signature = self.signature.filter(|_| self.threads == 1)?;
        // Calls that do nothing: of fewer the clock would be a part.
        let calls = ((5_000_000.0 * scale) as u64).max(1);
        Some(vec![signature.to_owned(), calls.to_string()])
    }

    fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    fn calls(mut self, signature: &'static str) -> Self {
        self.signature = Some(signature);
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
        limit: None,
        given: Given::Nothing,
        signature: None,
    }
}

fn system(operation: &'static str, ops: u64) -> Row {
    Row {
        program: "system",
        ..micro(operation, 1, ops)
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
fn each_call() -> [Row; 19] {
    use Limit::{Beyond, Times};
    [
        micro("clock", 1, 1_000_000).calls("iIi").limit(Beyond(3.0)),
        micro("random", 1, 200_000).calls("ii").limit(Times(1.2)),
        micro("yield", 1, 200_000).calls("").limit(Times(1.2)),
        micro("fdstat", 1, 200_000).calls("ii").limit(Times(1.2)),
        micro("tell", 1, 200_000).calls("ii").limit(Times(1.2)),
        micro("write64", 1, 60_000).calls("iiii").limit(Beyond(5.0)),
        micro("pread4k", 1, 60_000)
            .calls("iiiIi")
            .limit(Beyond(5.0)),
        micro("pread64k", 1, 8_000)
            .calls("iiiIi")
            .limit(Times(1.05)),
        micro("pwrite4k", 1, 40_000)
            .calls("iiiIi")
            .limit(Beyond(5.0)),
        micro("openclose", 1, 20_000).limit(Times(1.4)),
        micro("stat", 1, 40_000).calls("iiiii").limit(Times(1.3)),
        // Two calls and more an operation; most of it is the file system's.
        micro("mkdir", 1, 1_000).limit(Times(1.3)),
        micro("unlink", 1, 8_000).limit(Times(1.3)),
        micro("rename", 1, 8_000).limit(Times(1.3)),
        system("random64k", 200).calls("ii").limit(Times(1.1)),
        system("filestat", 100_000).calls("ii").limit(Times(1.3)),
        // As many as a full pipe has messages.
        Row {
            given: Given::Pipe,
            ..system("pipe", 16_000).calls("iiii").limit(Times(1.2))
        },
        system("readdir", 4_000).calls("iiiIi").limit(Times(1.5)),
        system("grow", 4_000).limit(Times(1.5)),
    ]
}

/// What only a guest with shared memory is measured with: sockets, which nothing else gives to a
/// program, and waits.
fn threaded_only() -> [Row; 6] {
    use Limit::Times;
    let client = |row: Row| Row {
        given: Given::Client,
        ..row
    };
    [
        client(system("accept", 2_000).calls("iii").limit(Times(1.2))),
        client(system("recv", 4_000).calls("iiiiii").limit(Times(1.2))),
        client(system("send", 4_000).calls("iiiii").limit(Times(1.2))),
        client(system("poll1", 50_000).calls("iiii").limit(Times(1.3))),
        client(system("poll100", 5_000).calls("iiii").limit(Times(1.3))),
        // The same call again and again, for a word that stays the same.
        system("differs", 200_000).calls("IiI").limit(Times(1.0)),
    ]
}

/// Host calls: one thread, two threads on files of their own, two on one file,
/// and a guest with a memory of its own.
#[must_use]
pub fn calls() -> Vec<Row> {
    let mut rows = Vec::new();
    for row in each_call() {
        rows.push(row.clone());
        if row.program != "micro" {
            continue;
        }
        let two = Row {
            threads: 2,
            limit: None,
            ..row
        };
        rows.push(two.clone());
        if ["fdstat", "pread4k"].map(Some).contains(&two.operation) {
            rows.push(two.one_file());
        }
    }
    rows.extend(threaded_only());
    for row in each_call() {
        rows.push(Row {
            kind: Kind::Single,
            limit: None,
            signature: None,
            ..row
        });
    }
    rows.push(micro("compute", 1, 30_000_000));
    rows
}

/// Threads: starting and joining them, and waiting for one another.
#[must_use]
pub fn spawn() -> Vec<Row> {
    vec![
        micro("spawn", 1, 1_000).limit(Limit::Times(0.9)),
        micro("spawn", 8, 150).limit(Limit::Times(0.7)),
        micro("notify", 1, 500_000),
        micro("mutex", 1, 2_000_000),
        micro("mutex", 2, 400_000).limit(Limit::Times(1.1)),
        micro("mutex", 8, 100_000).limit(Limit::Times(1.3)),
        micro("pingpong", 2, 10_000).limit(Limit::Times(1.1)),
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
    use super::{Limit, calls, programs, spawn};
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

    #[test]
    fn a_limit_above_the_floor_needs_the_floor() {
        assert_eq!(Limit::Times(1.5).nanoseconds(10.0, None), Some(15.0));
        assert_eq!(Limit::Beyond(3.0).nanoseconds(10.0, Some(6.0)), Some(19.0));
        assert_eq!(Limit::Beyond(3.0).nanoseconds(10.0, None), None);
    }
}
