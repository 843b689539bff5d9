//! The registry of threads that run wasm: append-only, in blocks that are never freed.
//!
//! So a thread that signals another needs no lock. A slot that is read a moment too late is free or
//! another thread's, but it is still memory of this registry. A host thread keeps its slot from the
//! first guest thread it runs to its own end.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{
    AtomicI32, AtomicPtr, AtomicU16, AtomicU32, AtomicUsize, Ordering, compiler_fence,
};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::{Code, Doing, HARMLESS, Key, Ring, Sampled, Seen, Word};
use super::sample::{self, Timer};
use super::stack_bounds;

/// Frames that are kept of one thread.
pub(super) const FRAMES: usize = 64;

/// Slots in one block.
const BLOCK: usize = 32;

/// No thread runs the guest here.
pub(super) const OUT: u32 = 0;
/// The thread runs a guest thread.
pub(super) const IN: u32 = 1;
/// The thread has stopped for good.
pub(super) const FROZEN: u32 = 2;

/// One host thread.
#[derive(Debug)]
pub(super) struct HostSlot {
    /// [`OUT`], [`IN`] or [`FROZEN`].
    pub(super) state: AtomicU32,
    pub(super) key: AtomicUsize,
    pub(super) thread: AtomicU32,
    /// The system's id, of tgkill(2).
    pub(super) tid: AtomicI32,
    /// The stack that the thread runs on: its lowest address, and the one behind it. The end of a
    /// fiber's stack is not known: it is somewhere before `high`, and not before `sure`.
    pub(super) low: AtomicUsize,
    pub(super) high: AtomicUsize,
    pub(super) sure: AtomicUsize,
    /// The thread's word: a `Word`, never null while the thread is in.
    word: AtomicPtr<AtomicUsize>,
    /// Where it is kept if none was given.
    own_word: AtomicUsize,
    /// The code of the group, alive while the thread is in.
    pub(super) code: AtomicPtr<Code>,
    /// Where samples of the thread go, and where it notes its host calls. Null if it is not
    /// sampled.
    ring: AtomicPtr<Ring>,
    noted: AtomicPtr<AtomicU16>,
    /// What the thread is asked, 0 for nothing; its handler takes it.
    pub(super) request: AtomicU32,
    /// The last request that was answered.
    pub(super) answer: AtomicU32,
    /// The answer: 1 for a walk that began in wasm.
    pub(super) in_wasm: AtomicU32,
    pub(super) len: AtomicUsize,
    pub(super) frames: [AtomicUsize; FRAMES],
}

impl HostSlot {
    fn new() -> Self {
        Self {
            state: AtomicU32::new(OUT),
            key: AtomicUsize::new(0),
            thread: AtomicU32::new(0),
            tid: AtomicI32::new(0),
            low: AtomicUsize::new(0),
            high: AtomicUsize::new(0),
            sure: AtomicUsize::new(0),
            word: AtomicPtr::new(ptr::null_mut()),
            own_word: AtomicUsize::new(0),
            code: AtomicPtr::new(ptr::null_mut()),
            ring: AtomicPtr::new(ptr::null_mut()),
            noted: AtomicPtr::new(ptr::null_mut()),
            request: AtomicU32::new(0),
            answer: AtomicU32::new(0),
            in_wasm: AtomicU32::new(0),
            len: AtomicUsize::new(0),
            frames: [const { AtomicUsize::new(0) }; FRAMES],
        }
    }

    /// The thread's word.
    pub(super) fn word(&self) -> usize {
        self.word_ref()
            .map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn word_ref(&self) -> Option<Word> {
        // SAFETY: only `set_word` stores it, from a reference that lives for ever, or null.
        unsafe { self.word.load(Ordering::Acquire).as_ref() }
    }

    fn set_word(&self, word: Option<Word>) {
        let pointer = word.map_or(ptr::null_mut(), |word| ptr::from_ref(word).cast_mut());
        self.word.store(pointer, Ordering::Release);
    }

    /// Whether a thread of group `key` is in here, running or frozen.
    pub(super) fn is_of(&self, key: Key) -> bool {
        self.state.load(Ordering::Acquire) != OUT && self.key.load(Ordering::Relaxed) == key
    }

    /// The code of the group, for the thread itself and its handlers, while it is in.
    pub(super) fn code(&self) -> Option<&Code> {
        // SAFETY: `enter` set it from an `Arc` that the guard keeps until it has cleared this. Only
        // the calling thread enters and leaves, and it is between the two.
        unsafe { self.code.load(Ordering::Acquire).as_ref() }
    }

    /// Where samples go, for the thread itself and its handlers, while it is in.
    pub(super) fn ring(&self) -> Option<&Ring> {
        // SAFETY: as with the code: the guard keeps an `Arc` of it, too.
        unsafe { self.ring.load(Ordering::Acquire).as_ref() }
    }

    /// What the thread has noted of its host call.
    pub(super) fn noted_call(&self) -> u16 {
        // SAFETY: null, or from a reference that lives for ever.
        let word = unsafe { self.noted.load(Ordering::Acquire).as_ref() };
        word.map_or(0, |word| word.load(Ordering::Relaxed))
    }
}

#[derive(Debug)]
struct Block {
    slots: [HostSlot; BLOCK],
    next: *const Block,
}

// SAFETY: `next` is set before the block is published and is a reference that lives for ever; slots
// are atomics.
unsafe impl Sync for Block {}
// SAFETY: as above.
unsafe impl Send for Block {}

/// The newest block.
static BLOCKS: AtomicPtr<Block> = AtomicPtr::new(ptr::null_mut());

/// Slots that no host thread has. Taken and given back only by host threads, as they begin and end.
static FREE: Mutex<Vec<&'static HostSlot>> = Mutex::new(Vec::new());

thread_local! {
    /// The calling thread's slot, for its handlers: no destructor, no lazy start.
    static MINE: Cell<*const HostSlot> = const { Cell::new(ptr::null()) };
    /// Gives it back with the thread.
    static OWNED: Owned = Owned(take());
}

struct Owned(&'static HostSlot);

impl Drop for Owned {
    fn drop(&mut self) {
        MINE.set(ptr::null());
        compiler_fence(Ordering::SeqCst);
        free().push(self.0);
    }
}

fn free() -> std::sync::MutexGuard<'static, Vec<&'static HostSlot>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn take() -> &'static HostSlot {
    let slot = {
        let mut free = free();
        if free.is_empty() {
            let block: &'static Block = Box::leak(Box::new(Block {
                slots: std::array::from_fn(|_| HostSlot::new()),
                next: BLOCKS.load(Ordering::Acquire),
            }));
            // The lock is held, so no other thread publishes one.
            BLOCKS.store(ptr::from_ref(block).cast_mut(), Ordering::Release);
            free.extend(&block.slots);
        }
        free.pop()
    };
    let Some(slot) = slot else {
        unreachable!("a new block has slots")
    };
    stack_bounds::set_own(slot);
    slot.tid.store(own_thread_number(), Ordering::Relaxed);
    slot
}

/// The number of the calling thread, of the system itself and not of the C library: in a static
/// program with `lto = "fat"` (musl, `rust-lld`) `libc::gettid` was not linked, and was address 0.
pub(super) fn own_thread_number() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Each slot that was ever made.
pub(super) fn each(mut f: impl FnMut(&'static HostSlot)) {
    let mut next: *const Block = BLOCKS.load(Ordering::Acquire);
    // SAFETY: blocks are published once they are made, and never freed.
    while let Some(block) = unsafe { next.as_ref() } {
        block.slots.iter().for_each(&mut f);
        next = block.next;
    }
}

/// The slot of the calling thread, if it is registered. For handlers, too.
pub(super) fn mine() -> Option<&'static HostSlot> {
    // SAFETY: null, or a slot, which lives for ever.
    unsafe { MINE.get().as_ref() }
}

/// What a slot says of its thread.
#[derive(Clone, Copy, Debug)]
struct Says {
    state: u32,
    key: Key,
    thread: u32,
    word: Option<Word>,
    code: *mut Code,
    ring: *mut Ring,
    noted: *mut AtomicU16,
}

/// The registration of the calling thread; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Inside {
    slot: &'static HostSlot,
    before: Says,
    /// Read by the handlers until this is dropped.
    _code: Arc<Code>,
    /// The same. The timer goes first.
    sampled: Option<(Option<Timer>, Arc<Ring>)>,
    /// A registration is the thread's.
    _not_send: std::marker::PhantomData<*const ()>,
}

/// Registers the calling thread as thread `thread` of group `key`, whose code is `code`, until the
/// result is dropped. Its word is `word`, or one of the registry's own. With `sampled` its
/// processor time is sampled. Calls nest.
pub(crate) fn enter(
    code: &Arc<Code>,
    key: Key,
    thread: u32,
    word: Option<Word>,
    sampled: Option<&Sampled>,
) -> Inside {
    let slot = OWNED.with(|owned| owned.0);
    let before = Says {
        state: slot.state.load(Ordering::Relaxed),
        key: slot.key.load(Ordering::Relaxed),
        thread: slot.thread.load(Ordering::Relaxed),
        word: slot.word_ref(),
        code: slot.code.load(Ordering::Relaxed),
        ring: slot.ring.load(Ordering::Relaxed),
        noted: slot.noted.load(Ordering::Relaxed),
    };
    let says = Says {
        state: IN,
        key,
        thread,
        word: Some(word.unwrap_or(&slot.own_word)),
        code: Arc::as_ptr(code).cast_mut(),
        ring: sampled.map_or(ptr::null_mut(), |to| Arc::as_ptr(&to.ring).cast_mut()),
        noted: sampled.map_or(ptr::null_mut(), |to| ptr::from_ref(to.noted).cast_mut()),
    };
    set(slot, says);
    MINE.set(slot);
    Inside {
        slot,
        before,
        _code: Arc::clone(code),
        sampled: sampled.map(|to| (Timer::start(to), Arc::clone(&to.ring))),
        _not_send: std::marker::PhantomData,
    }
}

impl Inside {
    /// Whether the system has given the thread a timer, if it is to be sampled.
    pub(crate) fn has_timer(&self) -> bool {
        self.sampled
            .as_ref()
            .is_none_or(|(timer, _)| timer.is_some())
    }
}

/// Changes what a slot says. A handler that runs in between finds no thread in.
fn set(slot: &HostSlot, says: Says) {
    slot.state.store(OUT, Ordering::Release);
    compiler_fence(Ordering::SeqCst);
    slot.key.store(says.key, Ordering::Relaxed);
    slot.thread.store(says.thread, Ordering::Relaxed);
    slot.set_word(says.word);
    slot.code.store(says.code, Ordering::Relaxed);
    slot.ring.store(says.ring, Ordering::Relaxed);
    slot.noted.store(says.noted, Ordering::Relaxed);
    compiler_fence(Ordering::SeqCst);
    slot.state.store(says.state, Ordering::Release);
}

impl Drop for Inside {
    fn drop(&mut self) {
        set(self.slot, self.before);
        if let Some((timer, ring)) = self.sampled.take() {
            // What it may still have sent finds another ring, or none.
            drop(timer);
            ring.close(sample::now());
        }
    }
}

/// Marks the calling thread as in host code until the result is dropped. With `harmless` it only
/// waits there, and an end does not wait for it. Costs two stores; does nothing on a thread that is
/// not registered.
#[inline]
pub(crate) fn mark(harmless: bool) -> Marked {
    let word = mine().and_then(HostSlot::word_ref);
    let here = 0_u8;
    let before = word.map_or(0, |word| {
        let before = word.load(Ordering::Relaxed);
        let here = std::hint::black_box(&raw const here).addr() & !HARMLESS;
        word.store(here | usize::from(harmless), Ordering::Relaxed);
        before
    });
    Marked { word, before }
}

/// See [`mark`].
#[derive(Debug)]
#[must_use = "the mark is gone when this is dropped"]
pub(crate) struct Marked {
    word: Option<Word>,
    before: usize,
}

impl Drop for Marked {
    #[inline]
    fn drop(&mut self) {
        if let Some(word) = self.word {
            word.store(self.before, Ordering::Relaxed);
        }
    }
}

/// The registered threads of group `key`, in no order. Takes no lock.
pub(crate) fn look(key: Key, mut f: impl FnMut(Seen)) {
    each(|slot| {
        if !slot.is_of(key) {
            return;
        }
        let doing = match (slot.state.load(Ordering::Acquire), slot.word()) {
            (FROZEN, _) => Doing::Frozen,
            (_, 0) => Doing::Computes,
            (_, word) => Doing::HostCode {
                harmless: word & HARMLESS != 0,
            },
        };
        f(Seen {
            thread: slot.thread.load(Ordering::Relaxed),
            doing,
        });
    });
}
