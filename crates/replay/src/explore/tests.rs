use std::time::Duration;

use super::*;

/// Seeds fail if they are multiples of one of these; each multiple takes its time.
struct Multiples {
    of: &'static [u64],
    error_at: Option<u64>,
    slow: bool,
}

impl Runner for Multiples {
    type Failure = u64;
    type Error = u64;

    fn run(&mut self, seed: u64) -> Result<Option<u64>, u64> {
        if self.slow && seed.is_multiple_of(7) {
            std::thread::sleep(Duration::from_millis(2));
        }
        match self.error_at {
            Some(at) if at == seed => Err(seed),
            _ => Ok(self.of.iter().copied().find(|of| seed.is_multiple_of(*of))),
        }
    }
}

fn search(first: u64, count: u64, jobs: usize, all: bool) -> Search {
    let jobs = NonZeroUsize::new(jobs).unwrap();
    Search {
        first,
        count,
        jobs,
        all,
    }
}

fn run(search: &Search, of: &'static [u64], error_at: Option<u64>) -> Result<Explored<u64>, u64> {
    let runner = |job| Multiples {
        of,
        error_at,
        slow: job % 2 == 0,
    };
    let mut last = 0;
    let explored = explore(search, runner, |progress| {
        assert_eq!(progress.ran, last + 1);
        last = progress.ran;
    });
    assert!(last <= search.count);
    explored
}

#[test]
fn the_lowest_seed_that_fails_whatever_the_jobs() {
    for jobs in [1, 2, 3, 8] {
        for _ in 0..20 {
            let explored = run(&search(1, 1_000, jobs, false), &[35, 36], None).unwrap();
            assert_eq!(explored.ran, 35);
            assert_eq!(explored.failures.len(), 1);
            assert_eq!(
                (explored.failures[0].seed, explored.failures[0].failure),
                (35, 35)
            );
        }
    }
}

#[test]
fn all_of_them() {
    for jobs in [1, 4] {
        let explored = run(&search(1, 100, jobs, true), &[35, 36], None).unwrap();
        assert_eq!(explored.ran, 100);
        let found: Vec<_> = explored
            .failures
            .iter()
            .map(|found| (found.seed, found.times))
            .collect();
        assert_eq!(found, [(35, 2), (36, 2)]);
    }
}

#[test]
fn none() {
    let explored = run(&search(1, 30, 4, false), &[100], None).unwrap();
    assert_eq!((explored.ran, explored.failures.len()), (30, 0));
    let explored = run(&search(1, 0, 4, false), &[1], None).unwrap();
    assert_eq!((explored.ran, explored.failures.len()), (0, 0));
}

#[test]
fn seeds_go_on_at_zero() {
    let explored = run(&search(u64::MAX, 2, 2, false), &[100], None).unwrap();
    assert_eq!(explored.failures[0].seed, 0);
    assert_eq!(explored.ran, 2);
}

#[test]
fn an_error_counts_as_its_seed_does() {
    for jobs in [1, 4] {
        assert_eq!(run(&search(1, 100, jobs, false), &[50], Some(40)), Err(40));
        assert!(run(&search(1, 100, jobs, false), &[50], Some(60)).is_ok());
        assert_eq!(run(&search(1, 100, jobs, true), &[50], Some(60)), Err(60));
    }
}
