//! `memmove` of a binary whose C library is musl.
//!
//! A guest's `memory.copy` ends in it. musl copies upwards over itself byte by byte (on x86-64 with
//! `std; rep movsb`, elsewhere in C), which takes some ten times as long as glibc's
//! (docs/platforms.md). Programs that insert into arrays do that all the time.
//!
//! The linker takes this function instead of musl's, because it comes first. It must not call
//! itself: reads and writes of single values, and `memcpy`, are no calls of `memmove`; arrays and
//! loops are kept from becoming one ([`get_turn`], [`no_call`]).
//!
//! Other threads may access a guest's shared memory at the same time. As with any `memmove`, they
//! may see the bytes in any order, and this function may read some old and some new ones. It makes
//! nothing of them but a copy.
#![allow(unsafe_code)]

use std::sync::atomic::{Ordering, compiler_fence};

#[cfg(target_arch = "aarch64")]
use std::arch::aarch64::uint8x16_t as Block;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m128i as Block;
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
use u128 as Block;

const BLOCK: usize = size_of::<Block>();
/// What a turn of a loop copies.
const TURN: usize = 4 * BLOCK;
/// From here on what does not overlap is left to musl's `memcpy`: on x86-64 an instruction that is
/// quick for many bytes.
const LONG: usize = 4096;

/// Copies `length` bytes to `to`; they may overlap. Returns `to`.
///
/// # Safety
///
/// The bytes at `from` can be read, and those at `to` can be written.
#[cfg_attr(target_env = "musl", unsafe(export_name = "memmove"))]
unsafe extern "C" fn move_bytes(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: each access is within the `length` bytes at `from` and at `to`: an arm's accesses
    // begin at 0 or end at `length`, and are no longer than the least length of the arm. What
    // a step writes was read by it, or by a step before.
    unsafe {
        match length {
            0 => {}
            1..4 => {
                let middle = length / 2;
                let (first, second) = (*from, *from.add(middle));
                let last = *from.add(length - 1);
                *to = first;
                *to.add(middle) = second;
                *to.add(length - 1) = last;
            }
            4..8 => both_ends::<u32>(to, from, length),
            8..16 => both_ends::<u64>(to, from, length),
            16..=32 => both_ends::<Block>(to, from, length),
            33..=64 => {
                let half = length - 2 * BLOCK;
                let begin = (get::<Block>(from), get::<Block>(from.add(BLOCK)));
                both_ends::<Block>(to.add(half), from.add(half), 2 * BLOCK);
                put(to, begin.0);
                put(to.add(BLOCK), begin.1);
            }
            65..=128 => {
                let (begin, end) = (get_turn(from), get_turn(from.add(length - TURN)));
                put_turn(to, begin);
                put_turn(to.add(length - TURN), end);
            }
            _ if to.addr().wrapping_sub(from.addr()) < length => downwards(to, from, length),
            LONG.. if from.addr().wrapping_sub(to.addr()) >= length => {
                to.copy_from_nonoverlapping(from, length);
            }
            _ => upwards(to, from, length),
        }
    }
    to
}

/// Copies the first and the last `T` of `length` bytes, which are all.
///
/// # Safety
///
/// As for [`move_bytes`]. `length` is between once and twice the size of `T`.
#[inline(always)]
unsafe fn both_ends<T: Copy>(to: *mut u8, from: *const u8, length: usize) {
    let last = length - size_of::<T>();
    // SAFETY: the caller's. Both are read before one is written.
    unsafe {
        let ends = (get::<T>(from), get::<T>(from.add(last)));
        put(to, ends.0);
        put(to.add(last), ends.1);
    }
}

/// Copies from the beginning to the end: `to` is not within the bytes at `from`.
///
/// # Safety
///
/// As for [`move_bytes`]. `length` is more than [`TURN`].
unsafe fn upwards(to: *mut u8, from: *const u8, length: usize) {
    let last = length - TURN;
    // SAFETY: the caller's. A turn writes before what later turns read. The last bytes are read
    // first.
    unsafe {
        let end = get_turn(from.add(last));
        let mut at = 0;
        while at < last {
            put_turn(to.add(at), get_turn(from.add(at)));
            at += TURN;
            no_call();
        }
        put_turn(to.add(last), end);
    }
}

/// Copies from the end to the beginning: `to` may be within the bytes at `from`.
///
/// # Safety
///
/// As for [`move_bytes`]. `length` is more than [`TURN`].
unsafe fn downwards(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's. A turn writes behind what later turns read. The first bytes are read
    // first.
    unsafe {
        let begin = get_turn(from);
        let mut at = length;
        while at > TURN {
            at -= TURN;
            put_turn(to.add(at), get_turn(from.add(at)));
            no_call();
        }
        put_turn(to, begin);
    }
}

/// # Safety
///
/// The bytes of a `T` at `from` can be read.
#[inline(always)]
unsafe fn get<T: Copy>(from: *const u8) -> T {
    // SAFETY: the caller's; any bytes are a `T`, for all are integers or vectors of these.
    unsafe { from.cast::<T>().read_unaligned() }
}

/// # Safety
///
/// The bytes of a `T` at `to` can be written.
#[inline(always)]
unsafe fn put<T: Copy>(to: *mut u8, value: T) {
    // SAFETY: the caller's.
    unsafe { to.cast::<T>().write_unaligned(value) }
}

/// Reads the blocks of a turn one by one: of an array the compiler might make a call of `memmove`.
///
/// # Safety
///
/// [`TURN`] bytes at `from` can be read.
#[inline(always)]
unsafe fn get_turn(from: *const u8) -> [Block; 4] {
    // SAFETY: the caller's.
    unsafe {
        [
            get(from),
            get(from.add(BLOCK)),
            get(from.add(2 * BLOCK)),
            get(from.add(3 * BLOCK)),
        ]
    }
}

/// Writes the blocks of a turn one by one.
///
/// # Safety
///
/// [`TURN`] bytes at `to` can be written.
#[inline(always)]
unsafe fn put_turn(to: *mut u8, turn: [Block; 4]) {
    let [first, second, third, fourth] = turn;
    // SAFETY: the caller's.
    unsafe {
        put(to, first);
        put(to.add(BLOCK), second);
        put(to.add(2 * BLOCK), third);
        put(to.add(3 * BLOCK), fourth);
    }
}

/// Keeps the compiler from making a call of `memmove` of a loop, which would be this function.
#[inline(always)]
fn no_call() {
    compiler_fence(Ordering::SeqCst);
}

#[cfg(test)]
mod tests {
    use super::{LONG, move_bytes};

    /// Moves within a buffer, and looks at all of it.
    fn check(from: usize, to: usize, length: usize) {
        let size = from.max(to) + length + 70;
        let mut moved: Vec<u8> = (0..size).map(|at| (at * 7 + at / 256) as u8).collect();
        let mut expected = moved.clone();
        expected.copy_within(from..from + length, to);
        let start = moved.as_mut_ptr();
        // SAFETY: both are within the buffer.
        let returned = unsafe { move_bytes(start.add(to), start.add(from), length) };
        assert_eq!(returned.addr() - start.addr(), to);
        assert!(moved == expected, "{length} from {from} to {to}");
    }

    #[test]
    fn every_length_and_distance() {
        for length in 0..=330 {
            for distance in (0..20).chain([31, 32, 33, 63, 64, 65, 127, 128, 129, 200, 329, 400]) {
                check(70, 70 + distance, length);
                check(70 + distance, 70, length);
            }
        }
    }

    #[test]
    fn long_ones() {
        for length in [1023, LONG - 1, LONG, LONG + 1, 70_001] {
            for distance in [0, 1, 8, 63, 64, 100, 1024, length - 1, length, length + 1] {
                check(70, 70 + distance, length);
                check(70 + distance, 70, length);
            }
        }
    }
}
