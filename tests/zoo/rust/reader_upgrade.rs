//! Two readers become writers: each waits for the other to leave. Courtois, Heymans and Parnas,
//! CACM 1971, have the locks; java.util.concurrent's ReentrantReadWriteLock says why it has no
//! upgrade. Mended: the second one leaves, and comes again.

use std::sync::{Condvar, Mutex};

/// How many read, and whether one of them is to write.
static STATE: Mutex<(u32, bool)> = Mutex::new((0, false));
static CHANGED: Condvar = Condvar::new();

fn read(state: &mut (u32, bool)) {
    state.0 += 1;
}

fn leave(state: &mut (u32, bool)) {
    state.0 -= 1;
    CHANGED.notify_all();
}

fn upgrade(mended: bool) {
    read(&mut crate::lock(&STATE));
    let mut state = crate::lock(&STATE);
    if mended && state.1 {
        leave(&mut state);
        while state.1 {
            state = CHANGED.wait(state).unwrap();
        }
        read(&mut state);
    }
    state.1 = true;
    while state.0 > 1 {
        state = CHANGED.wait(state).unwrap();
    }
    state.1 = false;
    leave(&mut state);
}

pub fn run(mended: bool) {
    crate::together(mended, [upgrade, upgrade]);
}
