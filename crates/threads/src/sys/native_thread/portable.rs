//! Host threads of the standard library.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::Main;
use crate::sys::stacks::portable::Stack;

/// A host thread, to be joined. One that is dropped ends by itself.
#[derive(Debug)]
pub(crate) struct NativeThread {
    thread: JoinHandle<()>,
    stack: Stack,
}

impl NativeThread {
    /// Runs `main` on a new thread. Everything comes back if the system refuses. A panic of `main`
    /// ends the thread and is forgotten.
    pub(crate) fn start(stack: Stack, main: Main) -> Result<Self, (io::Error, Stack, Main)> {
        // The standard library drops what it cannot start, so it is handed over beside it.
        let main = Arc::new(Mutex::new(Some(main)));
        let taken = Arc::clone(&main);
        let take = |main: &Mutex<Option<Main>>| {
            let mut main = main.lock().unwrap_or_else(PoisonError::into_inner);
            main.take()
        };
        let started = std::thread::Builder::new()
            .name("wasi-thread".to_owned())
            .stack_size(stack.size())
            .spawn(move || {
                if let Some(main) = take(&taken) {
                    drop(taken);
                    main();
                }
            });
        match started {
            Ok(thread) => Ok(Self { thread, stack }),
            Err(error) => {
                let nothing: Main = Box::new(|| ());
                Err((error, stack, take(&main).unwrap_or(nothing)))
            }
        }
    }

    /// Waits until the thread has run its last instruction, and returns its stack. `None` for the
    /// calling thread, which is treated as if dropped.
    pub(crate) fn join(self) -> Option<Stack> {
        if self.thread.thread().id() == std::thread::current().id() {
            return None;
        }
        // A panic of what it ran is forgotten: its thread is gone all the same.
        let _ = self.thread.join();
        Some(self.stack)
    }

    /// Those that were dropped end by themselves.
    pub(crate) fn join_dropped() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::stacks::portable::Slab;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn started(stack: Stack, main: impl FnOnce() + Send + 'static) -> NativeThread {
        let started = NativeThread::start(stack, Box::new(main));
        started.map_err(|(error, ..)| error).unwrap()
    }

    #[test]
    fn threads_run_and_give_their_stacks_back() {
        let stacks = Slab::map(4, 1 << 20).unwrap();
        let slab = Arc::downgrade(stacks[0].slab());
        let ran = Arc::new(AtomicUsize::new(0));
        let start = |stack| {
            let ran = Arc::clone(&ran);
            started(stack, move || {
                ran.fetch_add(1, Ordering::SeqCst);
            })
        };
        let threads: Vec<_> = stacks.into_iter().map(start).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        let mut stacks: Vec<_> = joined.collect();
        assert_eq!(ran.load(Ordering::SeqCst), 4);
        assert_eq!(stacks[0].slab().places(), 4);
        // Once more on the same stack, and one that panics.
        let mut stack = stacks.pop().unwrap();
        stack.clear();
        let panics = || std::panic::resume_unwind(Box::new(1));
        stacks.push(started(stack, panics).join().unwrap());
        NativeThread::join_dropped();
        drop(stacks);
        assert!(slab.upgrade().is_none());
    }

    #[test]
    fn what_is_refused_comes_back() {
        // More than any system has.
        let stack = Slab::map(1, 1 << 60).unwrap().pop().unwrap();
        let Err((_, stack, main)) = NativeThread::start(stack, Box::new(|| ())) else {
            panic!("a thread on an exbibyte")
        };
        assert_eq!(stack.size(), 1 << 60);
        main();
    }

    /// As a pool does that is dropped by its last thread: it has that thread's own handle.
    #[test]
    fn a_thread_that_joins_itself_goes_on() {
        let stack = Slab::map(1, 1 << 20).unwrap().pop().unwrap();
        let (give, take) = std::sync::mpsc::channel::<NativeThread>();
        let (said, hear) = std::sync::mpsc::channel();
        let main = move || {
            let own = take.recv().unwrap();
            assert!(own.join().is_none());
            said.send(()).unwrap();
        };
        give.send(started(stack, main)).unwrap();
        hear.recv().unwrap();
    }
}
