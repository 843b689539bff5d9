//! Twelve threads of which every frame of their own is known: three each compute, read stdin, wait
//! and sleep, under five calls of `deep`. Main waits. Says `now` on stderr before.

use std::hint::black_box;
use std::io::Read;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

static NEVER: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

#[inline(never)]
fn leaf(at: u64) -> u64 {
    black_box(at.wrapping_mul(3))
}

#[inline(never)]
fn compute() -> u64 {
    let mut at = 1;
    loop {
        at = leaf(at);
        if black_box(false) {
            return at;
        }
    }
}

#[inline(never)]
fn reading() -> u64 {
    // Not `stdin()`, which has a lock.
    let mut stdin = unsafe { <std::fs::File as std::os::fd::FromRawFd>::from_raw_fd(0) };
    let mut byte = [0];
    black_box(stdin.read(&mut byte).unwrap() as u64)
}

#[inline(never)]
fn waiting() -> u64 {
    let (lock, woken) = &NEVER;
    let mut held = lock.lock().unwrap();
    loop {
        held = woken.wait(held).unwrap();
    }
}

#[inline(never)]
fn sleeping() -> u64 {
    std::thread::sleep(Duration::from_secs(600));
    black_box(1)
}

#[inline(never)]
fn deep(n: u32, what: u32) -> u64 {
    let found = match (n, what) {
        (1.., _) => deep(n - 1, what),
        (0, 0) => compute(),
        (0, 1) => reading(),
        (0, 2) => waiting(),
        _ => sleeping(),
    };
    // The call above is no jump.
    black_box(found) + 1
}

fn main() {
    let threads: Vec<_> = (0..12)
        .map(|at| std::thread::spawn(move || deep(4, at & 3)))
        .collect();
    eprintln!("now");
    waiting();
    for thread in threads {
        thread.join().unwrap();
    }
}
