//! What the tests share.

#![allow(dead_code)]

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use table_sync::{Handle, Table};

/// Reads an entry until its readers publish themselves, however long that takes.
pub(crate) fn bias<T: Send + Sync + 'static>(table: &Table, handle: &Handle<T>) {
    let few = cfg!(any(miri, sanitized));
    for _ in 0..if few { 8 } else { 40_000 } {
        drop(table.get(handle).unwrap());
    }
    // Where a light barrier is a real one, only readers that contend publish themselves.
    for _ in 0..1_000 {
        if table.is_biased(handle.any()) {
            return;
        }
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        drop(table.get(handle).unwrap());
                    }
                });
            }
        });
    }
    panic!("readers that contend are to publish themselves");
}

/// Notes when it is dropped.
pub(crate) struct Noted(
    pub(crate) &'static str,
    pub(crate) Arc<Mutex<Vec<&'static str>>>,
);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[derive(Default)]
pub(crate) struct Count(pub(crate) AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

pub(crate) fn poll<F: Future>(future: Pin<&mut F>, count: &Arc<Count>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(count.clone())))
}
