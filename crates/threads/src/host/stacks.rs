//! The stacks of host threads, many to a mapping if the platform lets the group choose.
//!
//! Stacks are mapped in slabs that double, up to 64 stacks to a slab. A slab is given back once all
//! its threads have been joined. So on Linux, a thousand threads that end at once cost some twenty
//! `munmap`s instead of three thousand. In each of them the kernel stops the other processors for a
//! moment.

use std::io;
use std::sync::Arc;

use crate::sys::native_thread::{Main, NativeThread};
use crate::sys::stacks::{Slab, Stack};

/// Host stack a thread must have beyond the engine's `max_wasm_stack`, in bytes.
///
/// A host function may be called when the guest has used its stack to the last byte. Without space
/// of its own it would hit the guard page, which aborts the process instead of trapping.
pub const HOST_STACK_HEADROOM: usize = 256 * 1024;

/// Host stack beyond the engine's wasm stack when [`Limits::host_stack`](crate::Limits::host_stack)
/// is not given.
const DEFAULT_HEADROOM: usize = 1 << 20;

/// The default size of a host thread's stack, in bytes.
pub(crate) fn default_size(wasm_stack: usize) -> usize {
    wasm_stack.saturating_add(DEFAULT_HEADROOM)
}

/// The least size of a host thread's stack, in bytes.
pub(crate) fn least_size(wasm_stack: usize) -> usize {
    wasm_stack.saturating_add(HOST_STACK_HEADROOM)
}

/// The most stacks in one slab.
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

impl Stacks {
    /// An empty pool for stacks of `size` bytes.
    pub(crate) fn new(size: usize) -> Self {
        NativeThread::join_dropped();
        Self {
            size,
            slabs: Vec::new(),
        }
    }

    /// Starts a thread; `main` comes back when the system refuses.
    pub(crate) fn start(&mut self, main: Main) -> Result<NativeThread, (io::Error, Main)> {
        let stack = match self.take() {
            Ok(stack) => stack,
            Err(error) => return Err((error, main)),
        };
        NativeThread::start(stack, main).map_err(|(error, stack, main)| {
            // A slab that was mapped for this stack may be unmapped with it: nothing ran on it.
            drop(self.put(stack));
            (error, main)
        })
    }

    fn take(&mut self) -> io::Result<Stack> {
        // The newest slab first: it is mostly the largest.
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
                // Little address space is left; a smaller slab may fit.
                Err(_) if places > 1 => places /= 2,
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes back the stacks of joined threads. Drop the result without a lock: it unmaps slabs
    /// that no thread is on.
    pub(crate) fn take_back(&mut self, joined: Vec<Stack>) -> impl Sized + use<> {
        joined
            .into_iter()
            .filter_map(|stack| self.put(stack))
            .collect::<Vec<_>>()
    }

    /// Puts a stack back. Returns its slab, if no thread is on it any more.
    fn put(&mut self, stack: Stack) -> Option<Shelf> {
        let here = |shelf: &Shelf| Arc::ptr_eq(&shelf.slab, stack.slab());
        let index = self.slabs.iter().position(here)?;
        let shelf = &mut self.slabs[index];
        shelf.free.push(stack);
        (shelf.free.len() == shelf.slab.places()).then(|| self.slabs.swap_remove(index))
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
        let joined = |threads: Vec<NativeThread>| -> Vec<Stack> {
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.collect()
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
        // Some threads are left on every slab except the first three.
        let rest = threads.split_off(100);
        drop(stacks.take_back(joined(threads)));
        assert_eq!(
            stacks.slabs.iter().map(|s| s.free.len()).sum::<usize>(),
            55 + 100 - 63
        );
        // Free stacks are taken before more are mapped.
        let mut threads = rest;
        for _ in 0..55 + 100 - 63 {
            threads.push(start(&mut stacks));
        }
        assert!(stacks.slabs.iter().all(|shelf| shelf.free.is_empty()));
        let most: usize = places(&stacks).iter().sum();
        assert_eq!(most, 64 * 3);
        drop(stacks.take_back(joined(threads)));
        assert!(stacks.slabs.is_empty());
    }
}
