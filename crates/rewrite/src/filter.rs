//! A filter before the host: a plain access that a thread has told, and does again, is not told
//! again.
//!
//! A detector of data races learns nothing from the same instruction at the same address, as long
//! as the thread has neither released nor learned anything in between. Most accesses of a program
//! that computes are such, and a call of the host costs more than a look at a table. The table is a
//! memory of the instance, so of the thread. An entry is an instruction with an address, and the
//! generation in which it was told. An atomic, a wait, a notify and a told call begin a new
//! generation.

use wasm_encoder::{BlockType, InstructionSink, MemArg};

/// Entries of the table.
const ENTRIES: u32 = 1 << 18;
/// Bytes of an entry: instruction and address in 8, the generation in 8.
const ENTRY: u32 = 16;
/// The size of the memory, in wasm's pages.
pub(crate) const PAGES: u64 = (ENTRIES * ENTRY / 65536) as u64;
/// The generation with which an instance begins. Entries of a new memory are of generation 0.
pub(crate) const FIRST_GENERATION: i64 = 1;
/// Instructions that have neighbouring numbers access neighbouring places. This odd number keeps
/// their entries apart.
const SPREAD: i32 = 0x9e37_79b1_u32.cast_signed();
/// Most accesses are of words of this many bytes or more, as a power of two. Neighbouring words
/// have neighbouring entries, and the bytes of a word are a quarter of the table apart.
const WORD_BITS: i32 = 2;

/// What appended functions need to look at the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    /// The memory.
    pub(crate) memory: u32,
    /// The global with the generation.
    pub(crate) generation: u32,
}

/// Locals of a function that uses the filter.
#[derive(Clone, Copy)]
pub(crate) struct Locals {
    /// An `i64` with the address.
    pub(crate) address: u32,
    /// An `i32` with the site.
    pub(crate) site: u32,
    /// An `i64` of the filter's.
    pub(crate) key: u32,
    /// An `i32` of the filter's.
    pub(crate) at: u32,
}

impl Filter {
    /// From now on all is told again.
    pub(crate) fn begin_anew(self, code: &mut InstructionSink<'_>) {
        code.global_get(self.generation)
            .i64_const(1)
            .i64_add()
            .global_set(self.generation);
    }

    /// Begins a block that is entered if the access was not told in this generation, and notes that
    /// it is told now. The address has to be below 2^32: one beyond that may be taken for another,
    /// and its access traps.
    pub(crate) fn if_new(self, code: &mut InstructionSink<'_>, locals: Locals) {
        let word = |offset| MemArg {
            offset,
            align: 3,
            memory_index: self.memory,
        };
        code.local_get(locals.site)
            .i64_extend_i32_u()
            .i64_const(32)
            .i64_shl()
            .local_get(locals.address)
            .i64_or()
            .local_set(locals.key)
            .local_get(locals.address)
            .i32_wrap_i64()
            .local_tee(locals.at)
            .i32_const(WORD_BITS)
            .i32_shr_u()
            .local_get(locals.at)
            .i32_const(ENTRIES.trailing_zeros().cast_signed() - WORD_BITS)
            .i32_shl()
            .i32_add()
            .local_get(locals.site)
            .i32_const(SPREAD)
            .i32_mul()
            .i32_add()
            .i32_const((ENTRIES - 1).cast_signed())
            .i32_and()
            .i32_const(ENTRY.trailing_zeros().cast_signed())
            .i32_shl()
            .local_tee(locals.at)
            .i64_load(word(0))
            .local_get(locals.key)
            .i64_ne()
            .local_get(locals.at)
            .i64_load(word(8))
            .global_get(self.generation)
            .i64_ne()
            .i32_or()
            .if_(BlockType::Empty)
            .local_get(locals.at)
            .local_get(locals.key)
            .i64_store(word(0))
            .local_get(locals.at)
            .global_get(self.generation)
            .i64_store(word(8));
    }
}
