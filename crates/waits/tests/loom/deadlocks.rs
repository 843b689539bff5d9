//! Models of deadlocks: found where there is one, never where a thread is live.

use super::*;

/// For programs in which some thread is always live: the hook must not run. (`stuck` compares the
/// count with the queues as well, which would hide a count that is wrong for a moment.)
fn never_stuck(lot: &Arc<ParkingLot>) {
    let set = lot.on_quiet(|| panic!("quiet, while a thread is live"));
    assert!(set);
}

/// A hook that ends the lot when it finds a deadlock, and says how many
/// threads were in it.
fn end_when_stuck(lot: &Arc<ParkingLot>) -> Arc<AtomicU32> {
    let found = Arc::new(AtomicU32::new(0));
    let weak = Arc::downgrade(lot);
    let set = lot.on_quiet({
        let found = found.clone();
        move || {
            let Some(lot) = weak.upgrade() else { return };
            if let Some(waiting) = lot.stuck() {
                assert_eq!(found.swap(waiting.len() as u32, Ordering::SeqCst), 0);
                lot.end();
            }
        }
    });
    assert!(set);
    found
}

/// Two threads hand over to each other: at every moment one of them is live.
pub(super) fn a_handover_is_no_deadlock() {
    model(|| {
        let lot = lot(true);
        never_stuck(&lot);
        let words = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let (a, b) = (lot.register(1, Role::Guest), lot.register(2, Role::Guest));
        let thread = thread::spawn({
            let words = words.clone();
            move || {
                wait(&a, X, &words[0], 0, -1);
                words[1].store(1, Ordering::SeqCst);
                a.lot().notify_at(Y, 1);
                a.finish();
            }
        });
        words[0].store(1, Ordering::SeqCst);
        lot.notify_at(X, 1);
        wait(&b, Y, &words[1], 0, -1);
        b.finish();
        thread.join().unwrap();
    });
}

/// A thread that is starting counts before it runs.
pub(super) fn a_starting_thread_is_live() {
    model(|| {
        let lot = lot(true);
        never_stuck(&lot);
        let word = Arc::new(AtomicU32::new(0));
        let parent = lot.register(1, Role::Guest);
        let child = lot.register(2, Role::Guest);
        let thread = thread::spawn({
            let word = word.clone();
            move || {
                word.store(1, Ordering::SeqCst);
                child.lot().notify_at(X, 1);
                child.finish();
            }
        });
        wait(&parent, X, &word, 0, -1);
        thread.join().unwrap();
    });
}

/// A thread whose wait has a timeout may still do something.
pub(super) fn a_timed_wait_is_live() {
    model(|| {
        let lot = lot(true);
        never_stuck(&lot);
        let word = Arc::new(AtomicU32::new(0));
        let (a, b) = (lot.register(1, Role::Guest), lot.register(2, Role::Guest));
        let thread = thread::spawn({
            let word = word.clone();
            move || {
                assert_eq!(wait(&b, Y, &word, 0, 1), WaitOutcome::TimedOut);
                word.store(1, Ordering::SeqCst);
                b.lot().notify_at(X, 1);
                b.finish();
            }
        });
        wait(&a, X, &word, 0, -1);
        a.finish();
        thread.join().unwrap();
    });
}

/// An embedder that announces its write.
pub(super) fn a_host_writer_is_live() {
    model(|| {
        let lot = lot(true);
        never_stuck(&lot);
        let writer = lot.host_writer();
        let word = Arc::new(AtomicU32::new(0));
        let a = lot.register(1, Role::Guest);
        let thread = thread::spawn({
            let word = word.clone();
            move || wait(&a, X, &word, 0, -1)
        });
        word.store(1, Ordering::SeqCst);
        lot.notify_at(X, 1);
        drop(writer);
        thread.join().unwrap();
    });
}

/// Two threads that wait for each other are found, once, by the last of them.
pub(super) fn a_deadlock_is_found() {
    model(|| {
        let lot = lot(true);
        let found = end_when_stuck(&lot);
        let word = Arc::new(AtomicU32::new(0));
        let (a, b) = (lot.register(1, Role::Guest), lot.register(2, Role::Guest));
        let thread = thread::spawn({
            let word = word.clone();
            move || wait(&a, X, &word, 0, -1)
        });
        assert_eq!(wait(&b, Y, &word, 0, -1), WaitOutcome::Ended);
        assert_eq!(thread.join().unwrap(), WaitOutcome::Ended);
        assert_eq!(found.load(Ordering::SeqCst), 2);
    });
}

/// The last live thread leaves. The threads it leaves behind are found, whether it goes before or
/// after they sleep. The same holds for a writer that is given back.
pub(super) fn leaving_others_behind_is_found() {
    model(|| {
        let lot = lot(true);
        let found = end_when_stuck(&lot);
        let word = Arc::new(AtomicU32::new(0));
        let (a, b) = (lot.register(1, Role::Guest), lot.register(2, Role::Guest));
        let thread = thread::spawn(move || wait(&a, X, &word, 0, -1));
        let writer = lot.host_writer();
        let leaver = thread::spawn(move || b.finish());
        drop(writer);
        leaver.join().unwrap();
        assert_eq!(thread.join().unwrap(), WaitOutcome::Ended);
        assert_eq!(found.load(Ordering::SeqCst), 1);
    });
}
