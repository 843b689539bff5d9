//! What a process that runs seeds says while a run takes long.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::run::explore::protocol::write_beat;

/// How often it is looked whether there is something to say.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Reports that the process is at work, for as long as it is. Otherwise the exploring process would
/// take it for stuck.
pub(super) struct Pulse {
    at_work: Arc<Mutex<AtWork>>,
}

enum AtWork {
    /// Before the first run the module is prepared, which takes as long as it takes.
    Preparing,
    /// While the clock of a run moves, points are passed.
    Running {
        clock: Box<dyn Fn() -> u64 + Send>,
        seen: Option<u64>,
    },
    /// The other process does not wait for this one.
    No,
}

impl AtWork {
    fn moves(&mut self) -> bool {
        match self {
            AtWork::Preparing => true,
            AtWork::Running { clock, seen } => {
                let now = Some(clock());
                std::mem::replace(seen, now) != now
            }
            AtWork::No => false,
        }
    }
}

impl Pulse {
    /// Begins, with the module that is prepared.
    ///
    /// # Errors
    ///
    /// The system has no thread for it.
    pub(super) fn start(
        mut socket: impl Write + Send + 'static,
        every: Duration,
    ) -> io::Result<Self> {
        let at_work = Arc::new(Mutex::new(AtWork::Preparing));
        let looked_at = Arc::clone(&at_work);
        thread::Builder::new()
            .name("pulse".to_owned())
            .spawn(move || {
                loop {
                    thread::sleep(every);
                    // Locked while it writes: nothing comes between an answer's bytes.
                    let mut at_work = lock(&looked_at);
                    if at_work.moves() && write_beat(&mut socket).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Pulse { at_work })
    }

    /// A module is prepared once more.
    pub(super) fn preparing(&self) {
        *lock(&self.at_work) = AtWork::Preparing;
    }

    /// A run begins, with this clock.
    pub(super) fn running(&self, clock: impl Fn() -> u64 + Send + 'static) {
        *lock(&self.at_work) = AtWork::Running {
            clock: Box::new(clock),
            seen: None,
        };
    }

    /// The run is over: from here on nothing is said.
    pub(super) fn over(&self) {
        *lock(&self.at_work) = AtWork::No;
    }
}

fn lock(at_work: &Mutex<AtWork>) -> MutexGuard<'_, AtWork> {
    at_work.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn running(clock: impl Fn() -> u64 + Send + 'static) -> AtWork {
        AtWork::Running {
            clock: Box::new(clock),
            seen: None,
        }
    }

    #[test]
    fn a_clock_that_stands_still_moves_once() {
        let mut stuck = running(|| 7);
        assert_eq!(
            [stuck.moves(), stuck.moves(), stuck.moves()],
            [true, false, false]
        );
        let points = std::cell::Cell::new(0);
        let mut counting = running(move || {
            points.set(points.get() + 1);
            points.get()
        });
        assert!((0..5).all(|_| counting.moves()));
        assert!(AtWork::Preparing.moves() && AtWork::Preparing.moves());
        assert!(!AtWork::No.moves());
    }

    #[test]
    fn a_run_that_takes_long_is_heard_of() {
        let (mut ours, theirs) = io::pipe().unwrap();
        let pulse = Pulse::start(theirs, Duration::from_millis(1)).unwrap();
        let mut heard = [0; 50];
        ours.read_exact(&mut heard).unwrap();
        let points = std::cell::Cell::new(0);
        pulse.running(move || {
            points.set(points.get() + 1);
            points.get()
        });
        // More than can have been said before.
        for _ in 0..20 {
            ours.read_exact(&mut heard).unwrap();
        }
        pulse.over();
        drop(pulse);
    }
}
