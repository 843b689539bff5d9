//! Bugs of programs with threads, each with its mended twin.
//!
//! usage: zoo NAME [mended]
//!
//! A bug shows as a panic or as a deadlock. Each file says where the bug is described.

use std::sync::{Mutex, MutexGuard};

/// What each of these has is `run(mended)`.
macro_rules! bugs {
    ($($name:ident)*) => {
        $(mod $name;)*

        fn run(name: &str, mended: bool) -> bool {
            match name {
                $(stringify!($name) => $name::run(mended),)*
                _ => return false,
            }
            true
        }
    };
}

bugs! {
    aba bakery barrier_reuse channel_close check_then_act condvar_if double_checked double_init
    drop_order hazard_pointer lock_order_2 lock_order_3 lost_update missed_wakeup narrow_window
    nested_monitor notify_one one_condvar peterson pool_shutdown reader_upgrade refcount
    ring_publish semaphore seqlock size_then_get stale_index stop_before_start timeout_race
    waker_race
}

/// Runs each on a thread of its own, and waits for all.
fn together<const N: usize>(mended: bool, tasks: [fn(bool); N]) {
    let threads = tasks.map(|task| std::thread::spawn(move || task(mended)));
    for thread in threads {
        thread.join().unwrap();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

fn main() {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_default();
    let mended = args.next().is_some_and(|arg| arg == "mended");
    if !run(&name, mended) {
        eprintln!("zoo: no bug {name:?}");
        std::process::exit(2);
    }
}
