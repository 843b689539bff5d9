use super::*;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64 as LoomWord, Ordering};

/// A file: our word, and the system's cursor, which each call moves at once.
struct ModelFile {
    position: Position<LoomWord>,
    cursor: LoomWord,
}

impl ModelFile {
    fn read(&self) {
        let _moving = self.position.moving();
        self.cursor.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self) -> u64 {
        if let Some(known) = self.position.known() {
            return known;
        }
        let moving = self.position.moving();
        let at = self.cursor.load(Ordering::Relaxed);
        moving.ends_at(at);
        at
    }
}

/// Two threads read and ask. Neither is told less than it has read itself or was told before. Once
/// both are done, both are told the true position. Up to three preemptions.
fn model_of(read: fn(&ModelFile)) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let file = Arc::new(ModelFile {
            position: Position(LoomWord::new(UNKNOWN)),
            cursor: LoomWord::new(0),
        });
        let other = Arc::clone(&file);
        let thread = loom::thread::spawn(move || read(&other));
        let first = file.tell();
        read(&file);
        let second = file.tell();
        assert!(second > first, "told {first}, then {second}");
        thread.join().unwrap();
        assert_eq!(file.tell(), 2, "told something else");
        assert_eq!(file.position.known(), Some(2));
    });
}

#[test]
fn model() {
    model_of(ModelFile::read);
}

/// The model must be able to fail: this mover is gone before it moves the cursor.
#[test]
#[should_panic(expected = "told")]
fn model_finds_a_mover_that_does_not_count_itself() {
    model_of(|file| {
        drop(file.position.moving());
        file.cursor.fetch_add(1, Ordering::Relaxed);
    });
}

#[test]
fn a_position_is_kept_until_somebody_moves() {
    let position = Position::new();
    assert_eq!(position.known(), None);
    position.moving().ends_at(7);
    assert_eq!(position.known(), Some(7));
    drop(position.moving());
    assert_eq!(position.known(), None);
}

#[test]
fn what_was_told_while_another_moved_is_not_kept() {
    let position = Position::new();
    let asking = position.moving();
    drop(position.moving());
    asking.ends_at(7);
    assert_eq!(position.known(), None);
    // Both are gone: the next that asks is alone again.
    position.moving().ends_at(8);
    assert_eq!(position.known(), Some(8));
}
