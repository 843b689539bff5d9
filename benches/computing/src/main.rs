//! Eleven programs that compute. Each is a number of tasks, which threads take one after the other.
//! The sum of the tasks' results is the same on every side and for every number of threads.
//!
//! ```text
//! computing PROGRAM THREADS TASKS      prints: PROGRAM THREADS TASKS NANOSECONDS CHECK
//! ```

mod churn;
mod data;
mod dispatch;
mod numeric;
mod random;
mod ray;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

/// A program: what its task of a number returns.
type Task = fn(u32) -> u64;

const PROGRAMS: [(&str, Task); 11] = [
    ("ray", ray::task),
    ("sort", data::sort),
    ("matrix", numeric::matrix),
    ("deflate", data::deflate),
    ("hash", data::hash),
    ("nbody", numeric::nbody),
    ("json", data::json),
    ("btree", churn::btree),
    ("regex", data::regex),
    ("alloc", churn::alloc),
    ("calls", dispatch::calls),
];

fn main() -> ExitCode {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let [program, threads, tasks] = typed.as_slice() else {
        return usage();
    };
    let found = PROGRAMS.iter().find(|(name, _)| name == program);
    let (Some((name, task)), Ok(threads), Ok(tasks)) = (found, threads.parse(), tasks.parse())
    else {
        return usage();
    };
    let begin = Instant::now();
    let check = run(*task, threads, tasks);
    let took = begin.elapsed().as_nanos();
    println!("{name} {threads} {tasks} {took} {check:016x}");
    ExitCode::SUCCESS
}

/// All tasks, on so many threads; one is the calling one.
fn run(task: Task, threads: u32, tasks: u32) -> u64 {
    let next = Arc::new(AtomicU32::new(0));
    let work = move |next: &AtomicU32| {
        let mut sum = 0_u64;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= tasks {
                return sum;
            }
            sum = sum.wrapping_add(task(at));
        }
    };
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let next = Arc::clone(&next);
            std::thread::spawn(move || work(&next))
        })
        .collect();
    let own = work(&next);
    others
        .into_iter()
        .fold(own, |sum, other| sum.wrapping_add(other.join().unwrap()))
}

fn usage() -> ExitCode {
    let names: Vec<_> = PROGRAMS.iter().map(|(name, _)| *name).collect();
    eprintln!("usage: computing PROGRAM THREADS TASKS\nprograms: {}", names.join(", "));
    ExitCode::from(2)
}
