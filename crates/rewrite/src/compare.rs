//! Compare-exchanges that tell their host what they do. One that finds another value than it
//! expects only reads.
//!
//! The function loads the word first. If it loads another value, the instruction would fail. The
//! function tells the host that, and the value is the result. The threads may have had that order,
//! with the whole instruction where the load was. If it loads the expected value, it tells the host
//! that the word is written, and does the instruction. If threads run at once, another one may have
//! written meanwhile, and the instruction fails after all. If threads take turns, none has.

use wasm_encoder::{BlockType, Function, ValType};

use crate::append::Appendix;
use crate::encode::take_u32;
use crate::recording::{self, Telling, Told};
use crate::scan::Scan;

/// The byte in front of atomic instructions' numbers.
const ATOMIC: u8 = 0xfe;
/// The number of `i32.atomic.rmw.cmpxchg`. The seven are in the order of the loads.
const FIRST_CMPXCHG: u32 = 0x48;
/// The number of `i32.atomic.load`.
const FIRST_LOAD: u8 = 0x10;

/// The atomic load of the word that a compare-exchange is about; `None` for another instruction.
fn load_of(instruction: &[u8]) -> Option<Vec<u8>> {
    let (ATOMIC, rest) = instruction
        .split_first()
        .map(|(byte, rest)| (*byte, rest))?
    else {
        return None;
    };
    let (number, memarg) = take_u32(rest)?;
    let which = u8::try_from(number.checked_sub(FIRST_CMPXCHG)?).ok()?;
    (which < 7).then(|| [&[ATOMIC, FIRST_LOAD + which], memarg].concat())
}

/// Appends the function of a recorded compare-exchange, and returns whether the instruction is one.
/// The parameters are the operands (address, expected, new) and the number of the first site. The
/// second site is that of compare-exchanges that fail.
pub(crate) fn append(
    appendix: &mut Appendix,
    scan: &Scan,
    telling: Telling,
    told: &Told,
    (params, results): (&[ValType], &[ValType]),
    instruction: &[u8],
) -> bool {
    let (Some(load), [value]) = (load_of(instruction), results) else {
        return false;
    };
    let guest = appendix.function_type(&[params, &[ValType::I32]].concat(), results);
    let (expected, site, sum, found) = (1, 3, 4, 5);
    let mut body = Function::new([(1, ValType::I64), (1, *value)]);
    let differs = |body: &mut Function| {
        let mut code = body.instructions();
        code.local_get(found).local_get(expected);
        match value {
            ValType::I64 => code.i64_ne(),
            _ => code.i32_ne(),
        };
    };
    if let Some((point, kind)) = telling.point {
        point.pass(&mut body.instructions(), kind);
    }
    if let Some(filter) = telling.filter {
        filter.begin_anew(&mut body.instructions());
    }
    body.instructions().local_get(0);
    body.raw(load);
    body.instructions().local_set(found);
    let memory = &scan.memories[told.memory as usize];
    recording::effective_address(&mut body.instructions(), told, memory, sum);
    body.instructions()
        .i64_const(told.width.into())
        .local_get(site);
    differs(&mut body);
    body.instructions()
        .i32_add()
        .i32_const(telling.recorder.slot.cast_signed())
        .call_indirect(telling.recorder.table, telling.recorder.host);
    differs(&mut body);
    body.instructions()
        .if_(BlockType::Result(*value))
        .local_get(found)
        .else_();
    for param in 0..site {
        body.instructions().local_get(param);
    }
    body.raw(instruction.iter().copied());
    body.instructions().end().end();
    appendix.function(guest, body);
    true
}

#[cfg(test)]
mod tests {
    use super::load_of;

    #[test]
    fn each_has_the_load_of_its_word() {
        assert_eq!(load_of(&[0xfe, 0x48, 2, 0]), Some(vec![0xfe, 0x10, 2, 0]));
        assert_eq!(load_of(&[0xfe, 0x4e, 2, 9]), Some(vec![0xfe, 0x16, 2, 9]));
        // A number may be written longer than it needs.
        let long = [0xfe, 0xcb, 0x80, 0x00, 1, 4];
        assert_eq!(load_of(&long), Some(vec![0xfe, 0x13, 1, 4]));
        for other in [
            &[0xfe, 0x47, 2, 0][..],
            &[0xfe, 0x4f, 2, 0],
            &[0x28, 2, 0],
            &[],
        ] {
            assert_eq!(load_of(other), None);
        }
    }
}
