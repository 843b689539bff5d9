//! `-D coredump=FILE`: a core dump when a thread traps.
//!
//! Wasmtime makes the dump of the trapped thread's store (tool-conventions, Coredump.md). It leaves
//! out shared memories, which belong to no store, calls every thread `main`, and copies the
//! modules' names unescaped. This file corrects that.

use std::fmt::Display;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use p1_adapter::P1State;
use wasi_threads::{LeftBehind, ThreadId};
use wasm_encoder::{ConstExpr, CustomSection, DataSection, MemorySection, RawSection};
use wasm_symbols::{NAME_CHARS, escape};
use wasmparser::{BinaryReader, BinaryReaderError, KnownCustom, Parser, Payload};
use wasmtime::{HeapType, MemoryType, Module, SharedMemory, StoreContextMut, Trap, WasmCoreDump};

use crate::message::{say, warn};
use crate::output::Output;
use crate::report::events::thread_name;
use crate::report::outcome;

/// A memory is saved in pieces of so many bytes. Zeros at their ends are left out.
const PIECE: usize = 4096;

/// The section that names the threads whose system calls may still write to the memory. The
/// contents of their buffers are neither those before the call nor those after it.
const UNFINISHED: &str = "wasi-threads-run.left-behind";

/// The core dump of a run, if the options ask for one.
#[derive(Debug)]
pub(crate) struct CoreDump {
    output: Output,
    /// The module's name in the dump.
    module: String,
    taken: Mutex<Option<Taken>>,
}

/// The data from the trapped thread's store.
#[derive(Debug)]
struct Taken {
    thread: ThreadId,
    /// The dump as Wasmtime makes it; `None` if it cannot.
    dump: Option<Vec<u8>>,
    /// For each of its instances, whether it imports a shared memory.
    sharing: Vec<bool>,
}

impl CoreDump {
    /// A core dump that will be written to `output`.
    pub(crate) fn new(output: Output, module: String) -> Self {
        CoreDump {
            output,
            module,
            taken: Mutex::default(),
        }
    }

    /// Where it goes.
    pub(crate) fn output(&self) -> &Output {
        &self.output
    }

    /// Takes the data from the store of the thread that trapped, on that thread.
    pub(crate) fn take(
        &self,
        thread: ThreadId,
        error: &wasmtime::Error,
        mut store: StoreContextMut<'_, P1State>,
    ) {
        // Like Wasmtime, not for the error of a host function.
        if error.is::<Trap>()
            && let Some(dump) = error.downcast_ref::<WasmCoreDump>()
        {
            let shares = |module: &Module| {
                let mut imports = module.imports();
                imports.any(|import| import.ty().memory().is_some_and(MemoryType::is_shared))
            };
            let taken = Taken {
                thread,
                sharing: dump
                    .instances()
                    .iter()
                    .map(|instance| shares(instance.module(&store)))
                    .collect(),
                dump: can_be_dumped(dump, &store).then(|| dump.serialize(&mut store, &self.module)),
            };
            *self.taken.lock().unwrap_or_else(PoisonError::into_inner) = Some(taken);
        }
    }

    /// Writes the file, if there was a trap, and prints where it is or why it could not be written.
    /// The threads have ended: `memory` is as the last of them left it, except for the buffers of
    /// system calls of threads in `left`.
    pub(crate) fn write(&self, memory: Option<&SharedMemory>, left: &[LeftBehind]) {
        let taken = self
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(taken) = taken else {
            return;
        };
        let name = thread_name(taken.thread.get());
        let output = self.output.name();
        let cannot = |why: &dyn Display| {
            warn(
                format_args!("the core dump {output} cannot be written"),
                why,
            );
        };
        let Some(dump) = &taken.dump else {
            let why = "the module has a global for exceptions or continuations, which Wasmtime cannot dump";
            return cannot(&why);
        };
        match complete(dump, &taken.sharing, memory, &name, &unfinished(left)) {
            Err(error) => cannot(&error),
            Ok(dump) => match self.output.write(|out| out.write_all(&dump)) {
                Err(error) => cannot(&error),
                Ok(()) => say(format_args!("note: the core dump is in {output}")),
            },
        }
    }
}

/// Whether Wasmtime can write `dump`: it panics at a global of an unexpected type
/// (bytecodealliance/wasmtime#14102).
fn can_be_dumped(dump: &WasmCoreDump, store: &StoreContextMut<'_, P1State>) -> bool {
    let expected = |ty: &HeapType| {
        [HeapType::Extern, HeapType::Func, HeapType::Any]
            .iter()
            .any(|top| ty.matches(top))
    };
    dump.globals().iter().all(|global| {
        let ty = global.ty(store);
        ty.content()
            .as_ref()
            .is_none_or(|ty| expected(ty.heap_type()))
    })
}

/// A part of `dump`. wasmparser has positions as `usize` up to the version that Wasmtime 48 uses,
/// and later as `u64`; each fits, as the dump is in memory.
fn part(dump: &[u8], range: Range<impl TryInto<usize>>) -> &[u8] {
    match (range.start.try_into(), range.end.try_into()) {
        (Ok(start), Ok(end)) => &dump[start..end],
        _ => &[],
    }
}

/// The dump with the shared memory as its first, and with the thread's name.
fn complete(
    dump: &[u8],
    sharing: &[bool],
    memory: Option<&SharedMemory>,
    thread: &str,
    unfinished: &str,
) -> Result<Vec<u8>, BinaryReaderError> {
    let mut module = wasm_encoder::Module::new();
    for payload in Parser::new(0).parse_all(dump) {
        let payload = payload?;
        match &payload {
            Payload::MemorySection(section) => {
                let mut memories = MemorySection::new();
                if let Some(shared) = memory {
                    memories.memory(type_of(shared));
                }
                for theirs in section.clone() {
                    let theirs = theirs?;
                    memories.memory(wasm_encoder::MemoryType {
                        minimum: theirs.initial,
                        maximum: theirs.maximum,
                        memory64: theirs.memory64,
                        shared: theirs.shared,
                        page_size_log2: theirs.page_size_log2,
                    });
                }
                module.section(&memories);
            }
            Payload::DataSection(section) => {
                let mut data = DataSection::new();
                for segment in section.clone() {
                    let segment = segment?;
                    let wasmparser::DataKind::Active {
                        memory_index,
                        offset_expr,
                    } = segment.kind
                    else {
                        continue;
                    };
                    // Without the `end`, which the encoder adds.
                    let mut offset = offset_expr.get_binary_reader();
                    let len = offset.bytes_remaining().saturating_sub(1);
                    let offset = ConstExpr::raw(offset.read_bytes(len)?.iter().copied());
                    let index = memory_index + u32::from(memory.is_some());
                    data.active(index, &offset, segment.data.iter().copied());
                }
                if let Some(shared) = memory {
                    save(shared, &mut data);
                }
                module.section(&data);
            }
            Payload::CustomSection(section) => match section.as_known() {
                KnownCustom::CoreDumpInstances(instances) => {
                    let mut all = wasm_encoder::CoreDumpInstancesSection::new();
                    for (index, instance) in instances.instances.into_iter().enumerate() {
                        let theirs = instance.memories.iter();
                        let shares = sharing.get(index) == Some(&true);
                        let ours = memory.filter(|_| shares).map(|_| 0);
                        let shift = u32::from(memory.is_some());
                        let memories: Vec<u32> = ours
                            .into_iter()
                            .chain(theirs.map(|index| index + shift))
                            .collect();
                        all.instance(instance.module_index, memories, instance.globals);
                    }
                    module.section(&all);
                }
                KnownCustom::CoreDumpModules(modules) => {
                    // The names from the modules' name sections.
                    let mut all = wasm_encoder::CoreDumpModulesSection::new();
                    for name in modules.modules {
                        all.module(escape(name, NAME_CHARS).to_string());
                    }
                    module.section(&all);
                }
                KnownCustom::CoreDumpStack(_) => {
                    // A zero, the thread's name, and the frames, which stay unchanged.
                    let mut reader = BinaryReader::new(section.data(), section.data_offset());
                    reader.read_u8()?;
                    reader.read_string()?;
                    let mut data = vec![0];
                    wasm_encoder::Encode::encode(thread, &mut data);
                    data.extend_from_slice(reader.read_bytes(reader.bytes_remaining())?);
                    module.section(&CustomSection {
                        name: section.name().into(),
                        data: data.into(),
                    });
                }
                _ => {
                    module.section(&CustomSection {
                        name: section.name().into(),
                        data: section.data().into(),
                    });
                }
            },
            other => {
                if let Some((id, range)) = other.as_section() {
                    module.section(&RawSection {
                        id,
                        data: part(dump, range),
                    });
                }
            }
        }
    }
    if !unfinished.is_empty() {
        module.section(&CustomSection {
            name: UNFINISHED.into(),
            data: unfinished.as_bytes().into(),
        });
    }
    Ok(module.finish())
}

/// The text of the section [`UNFINISHED`], a line for each thread.
fn unfinished(left: &[LeftBehind]) -> String {
    let line = |left: &LeftBehind| {
        let place = outcome::place(left);
        format!("{} is in {place}\n", thread_name(left.thread.get()))
    };
    left.iter().map(line).collect()
}

fn type_of(memory: &SharedMemory) -> wasm_encoder::MemoryType {
    let ty = memory.ty();
    wasm_encoder::MemoryType {
        minimum: memory.size(),
        maximum: ty.maximum(),
        memory64: ty.is_64(),
        shared: true,
        page_size_log2: (ty.page_size_log2() != 16).then(|| ty.page_size_log2().into()),
    }
}

/// Adds the content of `memory`, memory 0 of the dump.
fn save(memory: &SharedMemory, data: &mut DataSection) {
    let wide = memory.ty().is_64();
    for start in (0..memory.data_size()).step_by(PIECE) {
        let len = PIECE.min(memory.data_size() - start);
        // A memory does not shrink, so the range is still inside.
        let Ok(cells) = wasi_threads::memory::bytes(memory, start as u64, len) else {
            return;
        };
        let piece: Vec<u8> = cells
            .iter()
            .map(|cell| cell.load(Ordering::Relaxed))
            .collect();
        let Some(first) = piece.iter().position(|byte| *byte != 0) else {
            continue;
        };
        let last = piece.iter().rposition(|byte| *byte != 0).unwrap_or(first);
        let offset = (start + first) as u64;
        let offset = match wide {
            true => ConstExpr::i64_const(offset.cast_signed()),
            // A 32-bit memory has only 32-bit addresses.
            false => ConstExpr::i32_const((offset as u32).cast_signed()),
        };
        data.active(0, &offset, piece[first..=last].iter().copied());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Threads that are left behind may still write: the dump names them.
    #[test]
    fn the_dump_names_whose_buffers_are_unfinished() {
        let empty = wasm_encoder::Module::new().finish();
        let sections = |unfinished: &str| {
            let dump = complete(&empty, &[], None, "main", unfinished).unwrap();
            let mut found = Vec::new();
            for payload in Parser::new(0).parse_all(&dump) {
                if let Payload::CustomSection(section) = payload.unwrap() {
                    found.push((section.name().to_owned(), section.data().to_vec()));
                }
            }
            found
        };
        assert_eq!(sections(&unfinished(&[])), []);
        let said = "thread 3 is in fd_read\n";
        assert_eq!(
            sections(said),
            [(UNFINISHED.to_owned(), said.as_bytes().to_vec())]
        );
    }
}
