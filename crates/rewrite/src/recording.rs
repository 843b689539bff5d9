//! Accesses that a module tells its host of, each before it is done.
//!
//! In place of a recorded instruction, the code pushes the number of its site behind the operands
//! and calls an appended function. That function passes the instruction's point, if it has one,
//! tells the host, and does what the instruction did. So the points are those that the module has
//! without records, and only the host runs between telling and doing.

use wasm_encoder::{BlockType, Encode, Function, InstructionSink, ValType};
use wasmparser::MemoryType;

use crate::WaitOp;
use crate::access_op::AccessOp;
use crate::append::Appendix;
use crate::filter::{Filter, Locals};
use crate::points::{Point, PointKind};
use crate::scan::{Scan, Site, SiteKind};

/// Which accesses of shared memories a module tells its host of
/// ([`RewriteOptions::recorded`](crate::RewriteOptions::recorded)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Recorded {
    /// Atomic loads, stores, read-modify-writes, waits and notifies.
    Atomics,
    /// The other loads and stores, too, and `memory.fill`, `copy` and `init`.
    Accesses,
    /// What a detector of data races needs: the same, calls of imported functions, and what the
    /// module's allocator gives out and takes back
    /// ([`Rewritten::allocator`](crate::Rewritten::allocator)).
    ///
    /// A load or store is not told again if the thread has told the same instruction with the same
    /// address, and has done no atomic, wait or notify and no told call since. The module gets a
    /// memory for that ([`Rewritten::filter_bytes`](crate::Rewritten::filter_bytes)). Each instance
    /// has its own: what a thread does in another module does not count, so a detector that is told
    /// of several modules of a thread may miss races.
    Races,
}

/// An instruction that tells its host what it accesses: an entry of
/// [`Rewritten::access_sites`](crate::Rewritten::access_sites).
///
/// A `memory.copy` has two sites, the source first, or one if the other memory is not shared. A
/// compare-exchange has two, [`AtomicCmpxchg`](AccessOp::AtomicCmpxchg) first, and tells the one
/// that it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct AccessSite {
    /// The function it is in, in the module's index space, which the rewrite keeps.
    pub function: u32,
    /// Where it is in the original file, in bytes from its beginning.
    pub offset: u64,
    /// What it does.
    pub op: AccessOp,
    /// How many bytes it accesses; 0 if that is an operand, as for `memory.fill`. A notify has the
    /// width of a `wait32`'s word, although a `wait64` may wait there.
    pub width: u32,
    /// The memory, in the module's index space.
    pub memory: u32,
}

impl AccessSite {
    /// A site that was kept elsewhere, from its fields.
    pub fn new(function: u32, offset: u64, op: AccessOp, width: u32, memory: u32) -> Self {
        Self {
            function,
            offset,
            op,
            width,
            memory,
        }
    }
}

/// What an appended function needs to tell its host something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorder {
    pub(crate) table: u32,
    pub(crate) slot: u32,
    /// The type of the host's function.
    pub(crate) host: u32,
}

impl Recorder {
    /// The parameters of the host's function: address, length, site.
    pub(crate) const PARAMETERS: [ValType; 3] = [ValType::I64, ValType::I64, ValType::I32];

    /// Tells the host of the address and the length on the stack, and of the site that is so many
    /// behind the one in a local.
    pub(crate) fn tell(self, code: &mut InstructionSink<'_>, site: u32, behind: i32) {
        code.local_get(site);
        if behind > 0 {
            code.i32_const(behind).i32_add();
        }
        code.i32_const(self.slot.cast_signed())
            .call_indirect(self.table, self.host);
    }
}

/// What is told of an instruction: an operation and its bytes.
pub(crate) struct Told {
    op: AccessOp,
    pub(crate) memory: u32,
    pub(crate) width: u32,
    /// The operand that is the address.
    address: u32,
    offset: u64,
    /// The operand that is the length, where it is one.
    length: Option<u32>,
}

/// What is told of a kind of instruction, in the order of the sites; nothing if the kind is not
/// recorded.
pub(crate) fn told(scan: &Scan, recorded: Option<Recorded>, kind: &SiteKind) -> Vec<Told> {
    let Some(recorded) = recorded else {
        return Vec::new();
    };
    let plain = recorded >= Recorded::Accesses;
    let word = |op, memory, width, offset| Told {
        op,
        memory,
        width,
        address: 0,
        offset,
        length: None,
    };
    let bulk = |op, memory, address| {
        (plain && scan.is_shared(memory)).then_some(Told {
            op,
            memory,
            width: 0,
            address,
            offset: 0,
            length: Some(2),
        })
    };
    match *kind {
        SiteKind::Access(access) if plain || access.atomic => {
            let one = |op| word(op, access.memory, access.width(), access.offset);
            match access.op() {
                op @ AccessOp::AtomicCmpxchg => vec![one(op), one(AccessOp::AtomicCompare)],
                op => vec![one(op)],
            }
        }
        SiteKind::Access(_) | SiteKind::Loop => Vec::new(),
        SiteKind::Call(called, _) => {
            let ops = called.ops().iter();
            ops.map(|op| word(*op, 0, 0, 0)).collect()
        }
        SiteKind::Wait { op, memory, offset } => {
            let (op, width) = match op {
                WaitOp::Wait32 => (AccessOp::Wait, 4),
                WaitOp::Wait64 => (AccessOp::Wait, 8),
                WaitOp::Notify => (AccessOp::Notify, 4),
            };
            vec![word(op, memory, width, offset)]
        }
        SiteKind::Fill { memory } => Vec::from_iter(bulk(AccessOp::Fill, memory, 0)),
        SiteKind::Init { memory, .. } => Vec::from_iter(bulk(AccessOp::Init, memory, 0)),
        SiteKind::Copy { to, from } => [
            bulk(AccessOp::CopyFrom, from, 1),
            bulk(AccessOp::CopyTo, to, 0),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

impl Told {
    /// The entry for the instruction at `site`.
    pub(crate) fn site(&self, site: &Site) -> AccessSite {
        AccessSite {
            function: site.function,
            offset: site.at.start as u64,
            op: self.op,
            width: self.width,
            memory: self.memory,
        }
    }
}

/// The instruction that pushes the number of a site.
pub(crate) fn push_site(site: u32) -> Vec<u8> {
    const I32_CONST: u8 = 0x41;
    let mut out = vec![I32_CONST];
    site.cast_signed().encode(&mut out);
    out
}

/// What a recorded instruction does once its host knows.
pub(crate) enum Doing<'a> {
    /// The instruction itself.
    Instruction(&'a [u8]),
    /// An appended function, with the same operands.
    Call(u32),
}

/// What a recorded instruction needs of the host: what tells it, the filter before that, and its
/// point.
#[derive(Clone, Copy)]
pub(crate) struct Telling {
    pub(crate) recorder: Recorder,
    pub(crate) filter: Option<Filter>,
    pub(crate) point: Option<(Point, PointKind)>,
}

/// Appends the function of a recorded instruction: its point, what is told of it, and what it does.
/// Its parameters are the operands, and the number of the first site.
pub(crate) fn append(
    appendix: &mut Appendix,
    scan: &Scan,
    telling: Telling,
    told: &[Told],
    (params, results): (&[ValType], &[ValType]),
    doing: &Doing<'_>,
) {
    let Telling {
        recorder,
        filter,
        point,
    } = telling;
    let guest = appendix.function_type(&[params, &[ValType::I32]].concat(), results);
    let site = params.len() as u32;
    let sum = site + 1;
    let mut body = Function::new([(2, ValType::I64), (1, ValType::I32)]);
    let mut code = body.instructions();
    if let Some((point, kind)) = point {
        point.pass(&mut code, kind);
    }
    // Whether this is an access that need not be told twice.
    let filtered = filter.filter(|_| match told {
        [one] => {
            let plain = matches!(one.op, AccessOp::Load | AccessOp::Store);
            plain && !scan.memories[one.memory as usize].memory64
        }
        _ => false,
    });
    if let Some(filter) = filter.filter(|_| told.iter().any(|one| one.op.is_atomic())) {
        filter.begin_anew(&mut code);
    }
    for (number, one) in told.iter().enumerate() {
        let ty = &scan.memories[one.memory as usize];
        effective_address(&mut code, one, ty, sum);
        if let Some(filter) = filtered {
            code.local_set(sum);
            let locals = Locals {
                address: sum,
                site,
                key: sum + 1,
                at: sum + 2,
            };
            filter.if_new(&mut code, locals);
            code.local_get(sum);
        }
        match one.length {
            None => {
                code.i64_const(one.width.into());
            }
            Some(length) => {
                code.local_get(length);
                if params[length as usize] == ValType::I32 {
                    code.i64_extend_i32_u();
                }
            }
        }
        recorder.tell(&mut code, site, number as i32);
        if filtered.is_some() {
            code.end();
        }
    }
    for param in 0..site {
        code.local_get(param);
    }
    match doing {
        Doing::Instruction(bytes) => {
            body.raw(bytes.iter().copied());
            body.instructions().end();
        }
        Doing::Call(function) => {
            code.call(*function).end();
        }
    }
    appendix.function(guest, body);
}

/// Pushes where the bytes begin, as an `i64`, or the largest number if the sum overflows. `sum` is
/// a local for that.
pub(crate) fn effective_address(
    code: &mut InstructionSink<'_>,
    told: &Told,
    memory: &MemoryType,
    sum: u32,
) {
    code.local_get(told.address);
    if !memory.memory64 {
        code.i64_extend_i32_u();
    }
    if told.offset == 0 {
        return;
    }
    let offset = told.offset.cast_signed();
    code.i64_const(offset).i64_add();
    if memory.memory64 {
        code.local_tee(sum)
            .i64_const(offset)
            .i64_lt_u()
            .if_(BlockType::Empty)
            .i64_const(-1)
            .local_set(sum)
            .end()
            .local_get(sum);
    }
}
