//! Points: where a thread counts, and asks its host when what it may count is used up.
//!
//! The count is an appended global, `left`. A point subtracts one from it. If it is then below
//! zero, the point calls the host through the appended table, and the host's result is the new
//! count.

use wasm_encoder::{BlockType, Function, InstructionSink};
use wasmparser::MemoryType;

use crate::access::Access;
use crate::append::Appendix;
use crate::bulk::index_type;

/// Where a module passes points ([`RewriteOptions::points`](crate::RewriteOptions::points)). Each
/// value includes the points of the values before it.
///
/// Points are for hosts that run one thread at a time and decide at each point which thread is
/// next. Only accesses of shared memories have points: no other thread sees the other memories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Points {
    /// Before each atomic load, store, read-modify-write, wait and notify. No instruction moves.
    Atomics,
    /// Before each other load and store, too, and before `memory.fill`, `copy` and `init`. No
    /// instruction moves as long as the function behind it has an index below 16,384; beyond that a
    /// load or store of three bytes grows by one.
    Accesses,
    /// At the beginning of each function and of each turn of a loop, too. Code grows.
    Loops,
}

/// What a point stands before: the number with which it calls the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum PointKind {
    /// An atomic load, store or read-modify-write.
    Atomic = 1,
    /// A plain load or store, or a bulk memory operation.
    Access = 2,
    /// A turn of a loop, or a function.
    Loop = 3,
    /// A `memory.atomic.wait`.
    Wait = 4,
    /// A `memory.atomic.notify`.
    Notify = 5,
}

impl PointKind {
    const ALL: [Self; 5] = [
        Self::Atomic,
        Self::Access,
        Self::Loop,
        Self::Wait,
        Self::Notify,
    ];

    /// The number that the module passes.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The kind with this number.
    pub fn of_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// How a host meets the points of a module, where it has any.
///
/// Before it runs any code of an instance, the host puts a function `(kind: i32) -> i64` into the
/// entry `slot` of the appended table ([`Rewritten::wait_table`](crate::Rewritten::wait_table)).
/// `kind` is a [`PointKind`]. The function returns how many more points the instance passes without
/// calling it. The exported global always says how many are left. It begins with 0, so the first
/// point calls the function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointSlot {
    /// The entry of the table.
    pub slot: u32,
    /// The name under which the global is exported: a mutable `i64`.
    pub left: String,
}

/// What an appended function needs to pass a point.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) left: u32,
    pub(crate) table: u32,
    pub(crate) slot: u32,
    /// The type of the host's function.
    pub(crate) host: u32,
}

impl Point {
    /// Passes the point.
    pub(crate) fn pass(&self, code: &mut InstructionSink<'_>, kind: PointKind) {
        code.global_get(self.left)
            .i64_const(1)
            .i64_sub()
            .global_set(self.left)
            .global_get(self.left)
            .i64_const(0)
            .i64_lt_s()
            .if_(BlockType::Empty)
            .i32_const(kind.code())
            .i32_const(self.slot.cast_signed())
            .call_indirect(self.table, self.host)
            .global_set(self.left)
            .end();
    }
}

/// The kind of an access's point.
pub(crate) fn kind_of(access: &Access) -> PointKind {
    match access.atomic {
        true => PointKind::Atomic,
        false => PointKind::Access,
    }
}

/// Appends the function of an access, whose instruction is these bytes: the point, then the
/// instruction.
pub(crate) fn append_access(
    appendix: &mut Appendix,
    point: Point,
    access: &Access,
    ty: &MemoryType,
    instruction: &[u8],
) {
    let (params, results) = access.signature(index_type(ty));
    let guest = appendix.function_type(&params, &results);
    let mut body = Function::new([]);
    point.pass(&mut body.instructions(), kind_of(access));
    for param in 0..params.len() as u32 {
        body.instructions().local_get(param);
    }
    body.raw(instruction.iter().copied());
    body.instructions().end();
    appendix.function(guest, body);
}

/// Appends the function of a loop's turn.
pub(crate) fn append_loop(appendix: &mut Appendix, point: Point) {
    let guest = appendix.function_type(&[], &[]);
    let mut body = Function::new([]);
    point.pass(&mut body.instructions(), PointKind::Loop);
    body.instructions().end();
    appendix.function(guest, body);
}

#[cfg(test)]
mod tests {
    use super::PointKind;

    #[test]
    fn every_kind_has_a_number_of_its_own() {
        for kind in PointKind::ALL {
            assert_eq!(PointKind::of_code(kind.code()), Some(kind));
        }
        assert_eq!(PointKind::of_code(0), None);
        assert_eq!(PointKind::of_code(6), None);
    }
}
