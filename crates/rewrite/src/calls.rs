//! Calls that a detector of data races is told of: those of imported functions, and those of the
//! functions that give memory out and take it back.
//!
//! In place of the call, the code pushes the number of its site and calls an appended function,
//! which tells the host and makes the call. A block that is taken back is told before the call:
//! behind it, another thread may have the block already. A block that is given out is told behind
//! the call, which says where it is.
//!
//! An allocator's functions call each other. Calls within them are left alone, so that each block
//! is told once.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::{BlockType, Function, InstructionSink, MemArg, ValType};
use wasmparser::CompositeInnerType;
use wasmparser::types::TypesRef;

use crate::access_op::AccessOp;
use crate::append::Appendix;
use crate::filter::Filter;
use crate::function_names::FunctionNames;
use crate::recording::Recorder;

/// What is told of a call, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Called {
    /// An imported function: before the call.
    Import,
    /// `malloc(size)`.
    Malloc,
    /// `calloc(count, size)`.
    Calloc,
    /// `aligned_alloc(alignment, size)`.
    AlignedAlloc,
    /// `posix_memalign(where, alignment, size)`, which stores the address and returns 0.
    PosixMemalign,
    /// `realloc(block, size)`: the old block before the call, the new one behind it.
    Realloc,
    /// `free(block)`.
    Free,
}

/// Functions whose calls are told.
const TOLD: [(&str, Called); 14] = [
    ("malloc", Called::Malloc),
    ("__libc_malloc", Called::Malloc),
    ("dlmalloc", Called::Malloc),
    ("calloc", Called::Calloc),
    ("__libc_calloc", Called::Calloc),
    ("dlcalloc", Called::Calloc),
    ("realloc", Called::Realloc),
    ("dlrealloc", Called::Realloc),
    ("aligned_alloc", Called::AlignedAlloc),
    ("memalign", Called::AlignedAlloc),
    ("posix_memalign", Called::PosixMemalign),
    ("free", Called::Free),
    ("__libc_free", Called::Free),
    ("dlfree", Called::Free),
];
/// Other functions of an allocator, which call those.
const INNER: [&str; 6] = [
    "dlmemalign",
    "dlposix_memalign",
    "internal_memalign",
    "dispose_chunk",
    "internal_realloc",
    "__memalign",
];

/// Whether a function with this name may be one of an allocator's.
pub(crate) fn is_name(name: &str) -> bool {
    TOLD.iter().any(|(known, _)| *known == name) || INNER.contains(&name)
}

/// A function's parameters and results.
pub(crate) type Signature = (Vec<ValType>, Vec<ValType>);

/// The functions of a module whose calls are told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Calls {
    by_function: BTreeMap<u32, (Called, Signature)>,
    /// Functions in which no call of the allocator is told: its own.
    allocators: BTreeSet<u32>,
    /// The names by which the allocator's functions were found.
    pub(crate) names: BTreeSet<String>,
    /// The imported function that starts threads.
    spawn: Option<u32>,
    /// Whether that may be called in ways that are not told.
    pub(crate) spawns_untold: bool,
}

impl Calls {
    /// Whether a call of `function` in the function `caller` is told.
    pub(crate) fn told(&self, caller: u32, function: u32) -> Option<Called> {
        let (called, _) = self.by_function.get(&function)?;
        let inner = *called != Called::Import && self.allocators.contains(&caller);
        (!inner).then_some(*called)
    }

    /// A tail call of `function`, which is not told.
    pub(crate) fn tail_call(&mut self, function: u32) {
        self.spawns_untold |= self.spawn == Some(function);
    }

    pub(crate) fn signature(&self, function: u32) -> Option<&Signature> {
        self.by_function
            .get(&function)
            .map(|(_, signature)| signature)
    }

    /// Notes the functions by what the module says of them. `pointer` is the type of addresses,
    /// `None` for a module without an allocator that matters.
    pub(crate) fn of(
        names: &FunctionNames,
        types: &TypesRef<'_>,
        pointer: Option<ValType>,
    ) -> Self {
        let mut calls = Self {
            spawn: names.spawn,
            spawns_untold: names.spawns_untold,
            ..Self::default()
        };
        let signature = |function: u32| {
            let ty = &types[types.core_function_at(function)].composite_type;
            let CompositeInnerType::Func(ty) = &ty.inner else {
                return None;
            };
            let params = ty.params().iter().map(|ty| plain(*ty));
            let results = ty.results().iter().map(|ty| plain(*ty));
            Some((
                params.collect::<Option<_>>()?,
                results.collect::<Option<_>>()?,
            ))
        };
        let count = types.function_count();
        for function in 0..names.imported.min(count) {
            match signature(function) {
                Some(signature) => {
                    let told = (Called::Import, signature);
                    calls.by_function.insert(function, told);
                }
                // Its calls cannot be made by another function here.
                None => calls.spawns_untold |= names.spawn == Some(function),
            }
        }
        let Some(pointer) = pointer else {
            return calls;
        };
        for (name, function) in &names.functions {
            if *function < names.imported || *function >= count {
                continue;
            }
            let told = TOLD.iter().find(|(known, _)| known == name);
            if let Some((_, called)) = told {
                let expected = called.signature(pointer);
                if signature(*function).is_some_and(|signature| signature == expected) {
                    calls.names.insert(name.clone());
                    calls.allocators.insert(*function);
                    let told = (*called, expected);
                    calls.by_function.entry(*function).or_insert(told);
                }
            } else if INNER.contains(&name.as_str()) {
                calls.allocators.insert(*function);
            }
        }
        calls
    }
}

/// The type, if an appended function may hand it on.
fn plain(ty: wasmparser::ValType) -> Option<ValType> {
    match ty {
        wasmparser::ValType::I32 => Some(ValType::I32),
        wasmparser::ValType::I64 => Some(ValType::I64),
        wasmparser::ValType::F32 => Some(ValType::F32),
        wasmparser::ValType::F64 => Some(ValType::F64),
        wasmparser::ValType::V128 => Some(ValType::V128),
        wasmparser::ValType::Ref(_) => None,
    }
}

impl Called {
    /// What is told, in the order of the sites.
    pub(crate) fn ops(self) -> &'static [AccessOp] {
        match self {
            Self::Import => &[AccessOp::HostCall],
            Self::Realloc => &[AccessOp::Free, AccessOp::Allocate],
            Self::Free => &[AccessOp::Free],
            Self::Malloc | Self::Calloc | Self::AlignedAlloc | Self::PosixMemalign => {
                &[AccessOp::Allocate]
            }
        }
    }

    /// The type that a function of the allocator has.
    fn signature(self, pointer: ValType) -> Signature {
        let (params, results) = match self {
            Self::Import => (0, vec![]),
            Self::Malloc => (1, vec![pointer]),
            Self::Calloc | Self::AlignedAlloc | Self::Realloc => (2, vec![pointer]),
            Self::PosixMemalign => (3, vec![ValType::I32]),
            Self::Free => (1, vec![]),
        };
        (vec![pointer; params], results)
    }
}

/// Appends the function that tells of a call and makes it. Its parameters are the operands, and the
/// number of the first site.
pub(crate) fn append(
    appendix: &mut Appendix,
    recorder: Recorder,
    filter: Option<Filter>,
    (function, called): (u32, Called),
    (params, results): &Signature,
) {
    let guest = appendix.function_type(&[params, &[ValType::I32][..]].concat(), results);
    let site = params.len() as u32;
    let result = site + 1;
    let of_result = results.first().copied().unwrap_or(ValType::I32);
    let mut body = Function::new([(1, of_result)]);
    let mut code = body.instructions();
    let wide = |code: &mut InstructionSink<'_>, local: u32| {
        code.local_get(local);
        let ty = params.get(local as usize).copied().unwrap_or(of_result);
        if ty == ValType::I32 {
            code.i64_extend_i32_u();
        }
    };
    // Pushes whether this address is none.
    let is_none = |code: &mut InstructionSink<'_>, local: u32| {
        wide(code, local);
        code.i64_eqz();
    };
    let call = |code: &mut InstructionSink<'_>| {
        for param in 0..site {
            code.local_get(param);
        }
        code.call(function);
    };
    if let Some(filter) = filter {
        filter.begin_anew(&mut code);
    }
    match called {
        Called::Import => {
            code.i64_const(0).i64_const(0);
            recorder.tell(&mut code, site, 0);
            call(&mut code);
            code.end();
            appendix.function(guest, body);
            return;
        }
        Called::Free | Called::Realloc => {
            is_none(&mut code, 0);
            code.i32_eqz().if_(BlockType::Empty);
            wide(&mut code, 0);
            code.i64_const(0);
            recorder.tell(&mut code, site, 0);
            code.end();
        }
        _ => {}
    }
    call(&mut code);
    if called == Called::Free {
        code.end();
        appendix.function(guest, body);
        return;
    }
    code.local_set(result);
    is_none(&mut code, result);
    if called != Called::PosixMemalign {
        code.i32_eqz();
    }
    code.if_(BlockType::Empty);
    match called {
        Called::PosixMemalign => {
            code.local_get(0);
            let at = |align| MemArg {
                offset: 0,
                align,
                memory_index: 0,
            };
            match params[0] {
                ValType::I64 => code.i64_load(at(3)),
                _ => code.i32_load(at(2)).i64_extend_i32_u(),
            };
        }
        _ => wide(&mut code, result),
    }
    match called {
        Called::Malloc => wide(&mut code, 0),
        Called::Calloc => {
            wide(&mut code, 0);
            wide(&mut code, 1);
            code.i64_mul();
        }
        Called::PosixMemalign => wide(&mut code, 2),
        _ => wide(&mut code, 1),
    }
    recorder.tell(&mut code, site, called.ops().len() as i32 - 1);
    code.end().local_get(result).end();
    appendix.function(guest, body);
}
