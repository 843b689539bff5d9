//! Loads, stores and read-modify-writes: what they take, and what they give.

use wasm_encoder::ValType;
use wasmparser::{MemArg, Operator};

use crate::access_op::AccessOp;

/// An instruction that accesses a word of a memory. Equal ones do the same, however they are
/// encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Access {
    /// The first field, so that plain accesses, which have shorter encodings, are ordered before
    /// the others.
    pub(crate) atomic: bool,
    /// The name of the operator.
    op: &'static str,
    pub(crate) memory: u32,
    pub(crate) offset: u64,
    lane: u8,
}

/// The operators with a memory argument, their names and their lanes.
macro_rules! define_memory_operator {
    ($( @$proposal:ident $op:ident $({ $($arg:ident: $ty:ty),* })? => $visit:ident ($($rest:tt)*) )*) => {
        fn memory_operator(operator: &Operator<'_>) -> Option<(&'static str, MemArg, u8)> {
            match operator {
                $( define_memory_operator!(pattern $op $($($arg)* [$($arg)*])?) =>
                    define_memory_operator!(value $op $($($arg)* [$($arg)*])?), )*
                _ => None,
            }
        }
    };
    // The macro matches the names, then uses them as they came, so that they keep their scope.
    (pattern $op:ident memarg [$memarg:ident]) => { Operator::$op { $memarg } };
    (pattern $op:ident memarg lane [$memarg:ident $lane:ident]) => { Operator::$op { $memarg, $lane } };
    (pattern $op:ident $($other:tt)*) => { Operator::$op { .. } };
    (value $op:ident memarg [$memarg:ident]) => { Some((stringify!($op), *$memarg, 0)) };
    (value $op:ident memarg lane [$memarg:ident $lane:ident]) => { Some((stringify!($op), *$memarg, *$lane)) };
    (value $op:ident $($other:tt)*) => { None };
}
wasmparser::for_each_operator!(define_memory_operator);

impl Access {
    /// The access that an operator is; `None` for every other one, waits and notifies included.
    pub(crate) fn of(operator: &Operator<'_>) -> Option<Self> {
        let (op, memarg, lane) = memory_operator(operator)?;
        let access = Self {
            atomic: op.contains("Atomic"),
            op,
            memory: memarg.memory,
            offset: memarg.offset,
            lane,
        };
        (!op.starts_with("Memory")).then_some(access)
    }

    /// What it does to its bytes.
    pub(crate) fn op(&self) -> AccessOp {
        let has = |part: &str| self.op.contains(part);
        match self.atomic {
            true if has("Cmpxchg") => AccessOp::AtomicCmpxchg,
            true if has("Rmw") => AccessOp::AtomicRmw,
            true if has("Store") => AccessOp::AtomicStore,
            true => AccessOp::AtomicLoad,
            false if has("Store") => AccessOp::Store,
            false => AccessOp::Load,
        }
    }

    /// How many bytes it accesses: the bits that its name has behind the verb (`8`, `32x2`), or
    /// else those of its value.
    pub(crate) fn width(&self) -> u32 {
        let verbs = ["Load", "Store", "Rmw"];
        let behind = verbs
            .iter()
            .find_map(|verb| self.op.split_once(verb))
            .map_or("", |(_, behind)| behind);
        let number = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit());
            text[..end.unwrap_or(text.len())].parse::<u32>().ok()
        };
        let lanes = behind
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .strip_prefix('x')
            .and_then(number);
        match number(behind) {
            Some(bits) => bits / 8 * lanes.unwrap_or(1),
            None => match &self.op[..3] {
                "I32" | "F32" => 4,
                "I64" | "F64" => 8,
                _ => 16,
            },
        }
    }

    /// The types of its operands, on a memory with addresses of this type, and of its results.
    pub(crate) fn signature(&self, address: ValType) -> (Vec<ValType>, Vec<ValType>) {
        let value = match &self.op[..3] {
            "I32" => ValType::I32,
            "I64" => ValType::I64,
            "F32" => ValType::F32,
            "F64" => ValType::F64,
            _ => ValType::V128,
        };
        let has = |part: &str| self.op.contains(part);
        if has("Cmpxchg") {
            (vec![address, value, value], vec![value])
        } else if has("Store") {
            (vec![address, value], vec![])
        } else if has("Rmw") || has("Lane") {
            (vec![address, value], vec![value])
        } else {
            (vec![address], vec![value])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memarg() -> MemArg {
        MemArg {
            align: 0,
            max_align: 0,
            offset: 12,
            memory: 1,
        }
    }

    #[test]
    fn each_kind_has_its_operands() {
        use ValType::{F32, F64, I32, I64, V128};
        let memarg = memarg();
        let lane = 3;
        for (operator, atomic, params, results) in [
            (Operator::I32Load8S { memarg }, false, vec![I64], vec![I32]),
            (Operator::F32Load { memarg }, false, vec![I64], vec![F32]),
            (Operator::F64Store { memarg }, false, vec![I64, F64], vec![]),
            (
                Operator::I64Store32 { memarg },
                false,
                vec![I64, I64],
                vec![],
            ),
            (
                Operator::I32AtomicLoad16U { memarg },
                true,
                vec![I64],
                vec![I32],
            ),
            (
                Operator::I64AtomicRmw8XorU { memarg },
                true,
                vec![I64, I64],
                vec![I64],
            ),
            (
                Operator::I32AtomicRmwCmpxchg { memarg },
                true,
                vec![I64, I32, I32],
                vec![I32],
            ),
            (Operator::V128Load { memarg }, false, vec![I64], vec![V128]),
            (
                Operator::V128Load32Splat { memarg },
                false,
                vec![I64],
                vec![V128],
            ),
            (
                Operator::V128Load8Lane { memarg, lane },
                false,
                vec![I64, V128],
                vec![V128],
            ),
            (
                Operator::V128Store64Lane { memarg, lane },
                false,
                vec![I64, V128],
                vec![],
            ),
        ] {
            let access = Access::of(&operator).expect("an access");
            assert_eq!(access.atomic, atomic, "{access:?}");
            assert_eq!((access.memory, access.offset), (1, 12));
            assert_eq!(access.signature(I64), (params, results), "{access:?}");
        }
    }

    #[test]
    fn each_kind_has_its_width_and_says_what_it_does() {
        let memarg = memarg();
        let lane = 1;
        for (operator, op, width) in [
            (Operator::I32Load { memarg }, AccessOp::Load, 4),
            (Operator::I64Load16S { memarg }, AccessOp::Load, 2),
            (Operator::F64Load { memarg }, AccessOp::Load, 8),
            (Operator::I32Store8 { memarg }, AccessOp::Store, 1),
            (Operator::F32Store { memarg }, AccessOp::Store, 4),
            (Operator::V128Load { memarg }, AccessOp::Load, 16),
            (Operator::V128Store { memarg }, AccessOp::Store, 16),
            (Operator::V128Load8x8S { memarg }, AccessOp::Load, 8),
            (Operator::V128Load16x4U { memarg }, AccessOp::Load, 8),
            (Operator::V128Load32x2S { memarg }, AccessOp::Load, 8),
            (Operator::V128Load64Splat { memarg }, AccessOp::Load, 8),
            (Operator::V128Load32Zero { memarg }, AccessOp::Load, 4),
            (Operator::V128Load8Lane { memarg, lane }, AccessOp::Load, 1),
            (
                Operator::V128Store16Lane { memarg, lane },
                AccessOp::Store,
                2,
            ),
            (Operator::I64AtomicLoad { memarg }, AccessOp::AtomicLoad, 8),
            (
                Operator::I64AtomicLoad8U { memarg },
                AccessOp::AtomicLoad,
                1,
            ),
            (
                Operator::I32AtomicStore16 { memarg },
                AccessOp::AtomicStore,
                2,
            ),
            (
                Operator::I64AtomicRmw32XchgU { memarg },
                AccessOp::AtomicRmw,
                4,
            ),
            (Operator::I32AtomicRmwAdd { memarg }, AccessOp::AtomicRmw, 4),
            (
                Operator::I64AtomicRmw8CmpxchgU { memarg },
                AccessOp::AtomicCmpxchg,
                1,
            ),
            (
                Operator::I64AtomicRmwCmpxchg { memarg },
                AccessOp::AtomicCmpxchg,
                8,
            ),
        ] {
            let access = Access::of(&operator).expect("an access");
            assert_eq!((access.op(), access.width()), (op, width), "{access:?}");
        }
    }

    #[test]
    fn others_are_none() {
        let memarg = memarg();
        for operator in [
            Operator::MemoryAtomicNotify { memarg },
            Operator::MemoryAtomicWait64 { memarg },
            Operator::AtomicFence,
            Operator::MemoryFill { mem: 0 },
            Operator::MemoryGrow { mem: 0 },
            Operator::Nop,
        ] {
            assert_eq!(Access::of(&operator), None);
        }
    }
}
