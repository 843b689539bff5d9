//! The functions that stand for `memory.atomic.wait` and `notify`.
//!
//! One for each (instruction, memory, offset). It has the instruction's
//! operands as parameters, adds the offset, and calls the host through the
//! appended table, whose entry is per (instruction, memory).

use wasm_encoder::{Function, ValType};
use wasmparser::MemoryType;

use super::{WaitOp, WaitSlot};
use crate::append::Appendix;
use crate::points::{Point, PointKind};

/// What the host sees where address plus offset overflow: aligned for every
/// access, and beyond the end of every memory. Wasmtime raises the
/// out-of-bounds trap for the overflow before it looks at the alignment
/// (`translate_atomic_wait` in its `code_translator.rs`), and so the host does.
const OVERFLOWED: i64 = -8;

/// The types of the operands behind the address.
pub(crate) fn operands(op: WaitOp) -> &'static [ValType] {
    match op {
        WaitOp::Wait32 => &[ValType::I32, ValType::I64],
        WaitOp::Wait64 => &[ValType::I64, ValType::I64],
        WaitOp::Notify => &[ValType::I32],
    }
}

/// The kind of its point.
pub(crate) fn point_kind(op: WaitOp) -> PointKind {
    match op {
        WaitOp::Wait32 | WaitOp::Wait64 => PointKind::Wait,
        WaitOp::Notify => PointKind::Notify,
    }
}

/// Appends the function for one (instruction, memory, offset).
pub(crate) fn append(
    appendix: &mut Appendix,
    slots: &mut Vec<WaitSlot>,
    op: WaitOp,
    memory: u32,
    ty: &MemoryType,
    offset: u64,
    point: Option<Point>,
) {
    let slot = slots
        .iter()
        .position(|slot| slot.op == op && slot.memory == memory)
        .unwrap_or_else(|| {
            let memory_export = appendix.memory_export(memory);
            slots.push(WaitSlot {
                op,
                memory,
                memory_export,
            });
            slots.len() - 1
        });
    let index = if ty.memory64 {
        ValType::I64
    } else {
        ValType::I32
    };
    let operands = operands(op);
    let with = |address| [&[address], operands].concat();
    let host = appendix.function_type(&with(ValType::I64), &[ValType::I32]);
    let guest = appendix.function_type(&with(index), &[ValType::I32]);

    let sum = operands.len() as u32 + 1;
    let mut body = Function::new(if offset == 0 {
        vec![]
    } else {
        vec![(1, ValType::I64)]
    });
    let mut code = body.instructions();
    if let Some(point) = point {
        point.pass(&mut code, point_kind(op));
    }
    code.local_get(0);
    if !ty.memory64 {
        code.i64_extend_i32_u();
    }
    if offset != 0 {
        code.i64_const(offset.cast_signed())
            .i64_add()
            .local_tee(sum)
            .i64_const(OVERFLOWED)
            .local_get(sum);
        if ty.memory64 {
            code.i64_const(offset.cast_signed()).i64_ge_u();
        } else {
            code.i64_const(i64::from(u32::MAX)).i64_le_u();
        }
        code.select();
    }
    for operand in 1..=operands.len() {
        code.local_get(operand as u32);
    }
    code.i32_const(slot as i32)
        .call_indirect(appendix.table_index(), host)
        .end();
    appendix.function(guest, body);
}
