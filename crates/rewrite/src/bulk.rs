//! The functions that do bulk memory operations in chunks.
//!
//! Each has the instruction's operands as parameters. An operation no longer than a chunk is done
//! by the instruction itself. For a longer one the bounds are checked first. If it would leave
//! them, the instruction is run as it was, and traps before it writes anything. After the check
//! nothing can trap, since a memory never shrinks; so the chunks do what the whole would have done.
//! (If another thread grows the memory in just that moment, the instruction succeeds instead, in
//! one piece.)

use wasm_encoder::{BlockType, Function, InstructionSink, ValType};
use wasmparser::MemoryType;

use crate::append::Appendix;
use crate::points::{Point, PointKind};

/// The type of addresses in this memory.
pub(crate) fn index_type(memory: &MemoryType) -> ValType {
    if memory.memory64 {
        ValType::I64
    } else {
        ValType::I32
    }
}

/// The operands of `memory.fill`.
pub(crate) fn fill_operands(memory: &MemoryType) -> [ValType; 3] {
    let index = index_type(memory);
    [index, ValType::I32, index]
}

/// The operands of `memory.copy`.
pub(crate) fn copy_operands(to: &MemoryType, from: &MemoryType) -> [ValType; 3] {
    let length = match to.memory64 && from.memory64 {
        true => ValType::I64,
        false => ValType::I32,
    };
    [index_type(to), index_type(from), length]
}

/// The operands of `memory.init`.
pub(crate) fn init_operands(memory: &MemoryType) -> [ValType; 3] {
    [index_type(memory), ValType::I32, ValType::I32]
}

/// Pushes a local of either index type as an `i64`.
fn get_wide(code: &mut InstructionSink<'_>, local: u32, ty: ValType) {
    code.local_get(local);
    if ty == ValType::I32 {
        code.i64_extend_i32_u();
    }
}

/// Pushes the `i64` on top as `ty`, which it is known to fit.
fn narrow(code: &mut InstructionSink<'_>, ty: ValType) {
    if ty == ValType::I32 {
        code.i32_wrap_i64();
    }
}

/// Pushes whether `[start, start + length)`, both `i64` locals, leaves the
/// memory. Overflow-free: `length > size || start > size - length`.
fn out_of_bounds(
    code: &mut InstructionSink<'_>,
    memory: u32,
    ty: &MemoryType,
    start: u32,
    length: u32,
    size: u32,
) {
    code.memory_size(memory);
    if !ty.memory64 {
        code.i64_extend_i32_u();
    }
    let page = i64::from(ty.page_size_log2.unwrap_or(16));
    code.i64_const(page)
        .i64_shl()
        .local_set(size)
        .local_get(length)
        .local_get(size)
        .i64_gt_u()
        .local_get(start)
        .local_get(size)
        .local_get(length)
        .i64_sub()
        .i64_gt_u()
        .i32_or();
}

fn pass(code: &mut InstructionSink<'_>, point: Option<Point>) {
    if let Some(point) = point {
        point.pass(code, PointKind::Access);
    }
}

/// Appends `(to, value, length)`: `memory.fill`. Each way to do the operation passes `point` first.
pub(crate) fn append_fill(
    appendix: &mut Appendix,
    memory: u32,
    ty: &MemoryType,
    chunk: u32,
    point: Option<Point>,
) {
    let index = index_type(ty);
    let chunk = i64::from(chunk.max(1));
    let (to, value, length) = (0, 1, 2);
    let (to64, length64, size) = (3, 4, 5);
    let guest = appendix.function_type(&fill_operands(ty), &[]);
    let mut body = Function::new([(3, ValType::I64)]);
    let mut code = body.instructions();
    pass(&mut code, point);

    code.block(BlockType::Empty);
    get_wide(&mut code, length, index);
    code.local_tee(length64)
        .i64_const(chunk)
        .i64_le_u()
        .br_if(0);
    get_wide(&mut code, to, index);
    code.local_set(to64);
    out_of_bounds(&mut code, memory, ty, to64, length64, size);
    code.br_if(0);

    code.loop_(BlockType::Empty).local_get(to64);
    narrow(&mut code, index);
    code.local_get(value).i64_const(chunk);
    narrow(&mut code, index);
    code.memory_fill(memory)
        .local_get(to64)
        .i64_const(chunk)
        .i64_add()
        .local_set(to64)
        .local_get(length64)
        .i64_const(chunk)
        .i64_sub()
        .local_tee(length64)
        .i64_const(chunk)
        .i64_gt_u()
        .br_if(0)
        .end();

    code.local_get(to64);
    narrow(&mut code, index);
    code.local_get(value).local_get(length64);
    narrow(&mut code, index);
    code.memory_fill(memory).return_().end();

    code.local_get(to)
        .local_get(value)
        .local_get(length)
        .memory_fill(memory)
        .end();
    appendix.function(guest, body);
}

/// Appends `(to, from, length)`: `memory.copy`.
///
/// The direction is that of `memmove` whatever the two memories are: two
/// indices may name one memory, if it was imported twice.
pub(crate) fn append_copy(
    appendix: &mut Appendix,
    (to_memory, to_ty): (u32, &MemoryType),
    (from_memory, from_ty): (u32, &MemoryType),
    chunk: u32,
    point: Option<Point>,
) {
    let operands = copy_operands(to_ty, from_ty);
    let [to_index, from_index, length_type] = operands;
    let chunk = i64::from(chunk.max(1));
    let (to, from, length) = (0, 1, 2);
    let (to64, from64, length64, size) = (3, 4, 5, 6);
    let guest = appendix.function_type(&operands, &[]);
    let mut body = Function::new([(4, ValType::I64)]);
    let mut code = body.instructions();
    pass(&mut code, point);

    code.block(BlockType::Empty);
    get_wide(&mut code, length, length_type);
    code.local_tee(length64)
        .i64_const(chunk)
        .i64_le_u()
        .br_if(0);
    get_wide(&mut code, to, to_index);
    code.local_set(to64);
    get_wide(&mut code, from, from_index);
    code.local_set(from64);
    out_of_bounds(&mut code, to_memory, to_ty, to64, length64, size);
    code.br_if(0);
    out_of_bounds(&mut code, from_memory, from_ty, from64, length64, size);
    code.br_if(0);

    // From the front, where the destination is not behind the source.
    code.local_get(to64)
        .local_get(from64)
        .i64_le_u()
        .if_(BlockType::Empty)
        .loop_(BlockType::Empty)
        .local_get(to64);
    narrow(&mut code, to_index);
    code.local_get(from64);
    narrow(&mut code, from_index);
    code.i64_const(chunk);
    narrow(&mut code, length_type);
    code.memory_copy(to_memory, from_memory);
    for local in [to64, from64] {
        code.local_get(local)
            .i64_const(chunk)
            .i64_add()
            .local_set(local);
    }
    code.local_get(length64)
        .i64_const(chunk)
        .i64_sub()
        .local_tee(length64)
        .i64_const(chunk)
        .i64_gt_u()
        .br_if(0)
        .end();

    // From the back; the rest is at the front then.
    code.else_()
        .loop_(BlockType::Empty)
        .local_get(length64)
        .i64_const(chunk)
        .i64_sub()
        .local_set(length64);
    for (local, ty) in [(to64, to_index), (from64, from_index)] {
        code.local_get(local).local_get(length64).i64_add();
        narrow(&mut code, ty);
    }
    code.i64_const(chunk);
    narrow(&mut code, length_type);
    code.memory_copy(to_memory, from_memory)
        .local_get(length64)
        .i64_const(chunk)
        .i64_gt_u()
        .br_if(0)
        .end()
        .end();

    code.local_get(to64);
    narrow(&mut code, to_index);
    code.local_get(from64);
    narrow(&mut code, from_index);
    code.local_get(length64);
    narrow(&mut code, length_type);
    code.memory_copy(to_memory, from_memory).return_().end();

    code.local_get(to)
        .local_get(from)
        .local_get(length)
        .memory_copy(to_memory, from_memory)
        .end();
    appendix.function(guest, body);
}

/// Appends `(to, from, length)`: `memory.init`.
///
/// A module cannot ask for a segment's length (it is zero once dropped). But a `memory.init` of no
/// bytes, taken from where the segment should end, traps if that is beyond its end.
pub(crate) fn append_init(
    appendix: &mut Appendix,
    segment: u32,
    memory: u32,
    ty: &MemoryType,
    chunk: u32,
    point: Option<Point>,
) {
    let index = index_type(ty);
    let chunk = i64::from(chunk.max(1));
    let (to, from, length) = (0, 1, 2);
    let (to64, from64, length64, size) = (3, 4, 5, 6);
    let guest = appendix.function_type(&init_operands(ty), &[]);
    let mut body = Function::new([(4, ValType::I64)]);
    let mut code = body.instructions();
    pass(&mut code, point);

    code.block(BlockType::Empty);
    get_wide(&mut code, length, ValType::I32);
    code.local_tee(length64)
        .i64_const(chunk)
        .i64_le_u()
        .br_if(0);
    get_wide(&mut code, to, index);
    code.local_set(to64);
    get_wide(&mut code, from, ValType::I32);
    code.local_set(from64);
    out_of_bounds(&mut code, memory, ty, to64, length64, size);
    code.br_if(0)
        .local_get(from64)
        .local_get(length64)
        .i64_add()
        .i64_const(i64::from(u32::MAX))
        .i64_gt_u()
        .br_if(0);
    code.local_get(to)
        .local_get(from)
        .local_get(length)
        .i32_add()
        .i32_const(0)
        .memory_init(memory, segment);

    code.loop_(BlockType::Empty).local_get(to64);
    narrow(&mut code, index);
    code.local_get(from64)
        .i32_wrap_i64()
        .i64_const(chunk)
        .i32_wrap_i64()
        .memory_init(memory, segment);
    for local in [to64, from64] {
        code.local_get(local)
            .i64_const(chunk)
            .i64_add()
            .local_set(local);
    }
    code.local_get(length64)
        .i64_const(chunk)
        .i64_sub()
        .local_tee(length64)
        .i64_const(chunk)
        .i64_gt_u()
        .br_if(0)
        .end();

    code.local_get(to64);
    narrow(&mut code, index);
    code.local_get(from64)
        .i32_wrap_i64()
        .local_get(length64)
        .i32_wrap_i64()
        .memory_init(memory, segment)
        .return_()
        .end();

    code.local_get(to)
        .local_get(from)
        .local_get(length)
        .memory_init(memory, segment)
        .end();
    appendix.function(guest, body);
}
