//! Host threads and their stacks: where the platform lets the group choose, many stacks to a mapping.
//!
//! On Linux a group maps stacks in slabs that double, up to 64 to a slab, and gives a slab back once all its threads
//! have been joined. A thousand threads that end at once are then some twenty `munmap`s, and not three thousand, in each of
//! which the kernel would stop the other processors for a moment. Elsewhere the standard library starts the threads.

use std::io;

/// What a host thread runs.
pub(crate) type Main = Box<dyn FnOnce() + Send>;

#[cfg(target_os = "linux")]
pub(crate) use on_slabs::{HostThread, Joined, Stacks};

#[cfg(not(target_os = "linux"))]
pub(crate) use by_std::{HostThread, Joined, Stacks};

#[cfg(target_os = "linux")]
mod on_slabs {
    use super::{Main, io};
    use crate::sys::raw::{NativeThread, Slab, Stack};
    use std::sync::Arc;

    /// Most stacks in one slab.
    const MOST: usize = 64;

    /// The stacks of one pool.
    #[derive(Debug)]
    pub(crate) struct Stacks {
        size: usize,
        slabs: Vec<Shelf>,
    }

    /// The stacks of one slab that no thread has.
    #[derive(Debug)]
    struct Shelf {
        slab: Arc<Slab>,
        free: Vec<Stack>,
    }

    /// A thread of a pool.
    #[derive(Debug)]
    pub(crate) struct HostThread(NativeThread);

    /// What a joined thread leaves: its stack.
    #[derive(Debug)]
    pub(crate) struct Joined(Option<Stack>);

    impl Stacks {
        /// No stacks yet, later of `size` bytes each.
        pub(crate) fn new(size: usize) -> Self {
            NativeThread::join_dropped();
            Self {
                size,
                slabs: Vec::new(),
            }
        }

        /// Starts a thread; `main` comes back when the system refuses.
        pub(crate) fn start(&mut self, main: Main) -> Result<HostThread, (io::Error, Main)> {
            let stack = match self.take() {
                Ok(stack) => stack,
                Err(error) => return Err((error, main)),
            };
            NativeThread::start(stack, main)
                .map(HostThread)
                .map_err(|(error, stack, main)| {
                    // A slab that was mapped for it may go with it: nothing ran on it.
                    drop(self.put(stack));
                    (error, main)
                })
        }

        fn take(&mut self) -> io::Result<Stack> {
            // The newest has most room.
            for shelf in self.slabs.iter_mut().rev() {
                if let Some(stack) = shelf.free.pop() {
                    return Ok(stack);
                }
            }
            let newest = self.slabs.last().map_or(0, |shelf| shelf.slab.places());
            let mut places = (newest * 2).clamp(1, MOST);
            loop {
                match Slab::map(places, self.size) {
                    Ok(mut free) => {
                        let Some(stack) = free.pop() else {
                            unreachable!("a slab has at least one place")
                        };
                        let slab = Arc::clone(stack.slab());
                        self.slabs.push(Shelf { slab, free });
                        return Ok(stack);
                    }
                    // Little address space is left, perhaps enough for fewer.
                    Err(_) if places > 1 => places /= 2,
                    Err(error) => return Err(error),
                }
            }
        }

        /// Takes back what joined threads left. The result is to be dropped without a lock: it unmaps slabs that no
        /// thread is on.
        pub(crate) fn take_back(&mut self, joined: Vec<Joined>) -> impl Sized + use<> {
            let stacks = joined.into_iter().filter_map(|joined| joined.0);
            stacks
                .filter_map(|stack| self.put(stack))
                .collect::<Vec<_>>()
        }

        /// Puts one back; its whole slab, if that was the last.
        fn put(&mut self, stack: Stack) -> Option<Shelf> {
            let here = |shelf: &Shelf| Arc::ptr_eq(&shelf.slab, stack.slab());
            let index = self.slabs.iter().position(here)?;
            let shelf = &mut self.slabs[index];
            shelf.free.push(stack);
            (shelf.free.len() == shelf.slab.places()).then(|| self.slabs.swap_remove(index))
        }
    }

    impl HostThread {
        /// Waits until the thread has run its last instruction.
        pub(crate) fn join(self) -> Joined {
            Joined(self.0.join())
        }
    }

    impl Joined {
        /// Gives back the memory that the thread touched, but not its place.
        pub(crate) fn clear(&mut self) {
            if let Some(stack) = &mut self.0 {
                stack.clear();
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn slabs_double_and_go_when_all_their_threads_have() {
            let start = |stacks: &mut Stacks| {
                let started = stacks.start(Box::new(|| ()));
                started.map_err(|(error, _)| error).unwrap()
            };
            let places = |stacks: &Stacks| -> Vec<usize> {
                let slabs = stacks.slabs.iter();
                slabs.map(|shelf| shelf.slab.places()).collect()
            };
            let mut stacks = Stacks::new(1 << 20);
            let mut threads = Vec::new();
            for _ in 0..200 {
                threads.push(start(&mut stacks));
            }
            assert_eq!(places(&stacks), [1, 2, 4, 8, 16, 32, 64, 64, 64]);
            // Some are left on every slab but the first three.
            let ended: Vec<_> = threads.drain(..100).map(HostThread::join).collect();
            drop(stacks.take_back(ended));
            assert_eq!(
                stacks.slabs.iter().map(|s| s.free.len()).sum::<usize>(),
                55 + 100 - 63
            );
            // Those that are free are taken before more are mapped.
            for _ in 0..55 + 100 - 63 {
                threads.push(start(&mut stacks));
            }
            assert!(stacks.slabs.iter().all(|shelf| shelf.free.is_empty()));
            let most: usize = places(&stacks).iter().sum();
            assert_eq!(most, 64 * 3);
            let rest: Vec<_> = threads.into_iter().map(HostThread::join).collect();
            drop(stacks.take_back(rest));
            assert!(stacks.slabs.is_empty());
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod by_std {
    use super::{Main, io};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::thread::JoinHandle;

    /// How large the stacks of one pool are.
    #[derive(Debug)]
    pub(crate) struct Stacks {
        size: usize,
    }

    /// A thread of a pool.
    #[derive(Debug)]
    pub(crate) struct HostThread(JoinHandle<()>);

    /// A thread has been joined.
    #[derive(Debug)]
    pub(crate) struct Joined(());

    impl Stacks {
        /// Stacks of `size` bytes each.
        pub(crate) fn new(size: usize) -> Self {
            Self { size }
        }

        /// Starts a thread; `main` comes back when the system refuses.
        pub(crate) fn start(&mut self, main: Main) -> Result<HostThread, (io::Error, Main)> {
            // The standard library drops what it cannot start, so it is handed over beside it.
            let main = Arc::new(Mutex::new(Some(main)));
            let taken = Arc::clone(&main);
            let take = |main: &Mutex<Option<Main>>| {
                let mut main = main.lock().unwrap_or_else(PoisonError::into_inner);
                main.take()
            };
            let started = std::thread::Builder::new()
                .name("wasi-thread".to_owned())
                .stack_size(self.size)
                .spawn(move || {
                    if let Some(main) = take(&taken) {
                        drop(taken);
                        main();
                    }
                });
            started.map(HostThread).map_err(|error| {
                let nothing: Main = Box::new(|| ());
                (error, take(&main).unwrap_or(nothing))
            })
        }

        /// The standard library has taken back what there was.
        pub(crate) fn take_back(&mut self, _: Vec<Joined>) -> impl Sized + use<> {}
    }

    impl HostThread {
        /// Waits until the thread has run its last instruction.
        pub(crate) fn join(self) -> Joined {
            // What it ran does not panic; if it did, its thread is gone all the same.
            let _ = self.0.join();
            Joined(())
        }
    }

    impl Joined {
        /// The standard library has given it back.
        pub(crate) fn clear(&mut self) {}
    }
}
