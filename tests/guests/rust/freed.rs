//! A thread reads a block that another one gives back, at the same time. With an argument, only
//! after that thread has read it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{spawn, yield_now};

type Block = [u64; 20];

static READY: AtomicU32 = AtomicU32::new(0);

/// Waits for the other thread. Nothing is ordered behind it.
fn meet() {
    READY.fetch_add(1, Ordering::SeqCst);
    while READY.load(Ordering::SeqCst) < 2 {
        yield_now();
    }
}

#[inline(never)]
fn read(first: *const u64) -> u64 {
    // SAFETY: none: without the argument this is the fault.
    unsafe { first.add(9).read_volatile() }
}

#[inline(never)]
fn give_back(block: *mut Block) {
    // SAFETY: the block came from `into_raw`, and nothing else gives it back.
    drop(unsafe { Box::from_raw(block) });
}

fn main() {
    let mended = std::env::args().len() > 1;
    let block = Box::into_raw(Box::new([7_u64; 20])) as usize;
    if mended {
        let reader = spawn(move || read(block as *const u64));
        assert_eq!(reader.join().unwrap(), 7);
        spawn(move || give_back(block as *mut Block)).join().unwrap();
        return;
    }
    let reader = spawn(move || {
        meet();
        read(block as *const u64);
    });
    let owner = spawn(move || {
        meet();
        give_back(block as *mut Block);
    });
    owner.join().unwrap();
    reader.join().unwrap();
}
