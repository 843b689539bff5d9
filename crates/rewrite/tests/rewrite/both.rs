//! A module and what the rewrite made of it, side by side.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use interruptible_wasm::{PointKind, RewriteOptions, Rewritten, WaitOp, rewrite_with};
use wasmtime::{
    Config, Engine, Func, Instance, Linker, Module, Ref, SharedMemory, Store, Trap, Val, WaitResult,
};

/// Whether the compiler can do SIMD, and small copies of a constant length. Wasmtime 48's panics at
/// both on riscv64 without vectors.
pub(crate) const VECTORS: bool = !cfg!(target_arch = "riscv64");

/// The text of a module with plain accesses instead of those of vectors, where the compiler can do
/// none.
pub(crate) fn for_this_compiler(text: &str) -> String {
    if VECTORS {
        return text.to_owned();
    }
    [
        ("v128.store offset=80 (local.get 0) (v128.const i64x2 1 2)",
         "i64.store offset=80 (local.get 0) (i64.const 2)"),
        ("v128.store32_lane offset=96 1 (local.get 0) (v128.const i32x4 1 2 3 4)",
         "i32.store offset=96 (local.get 0) (i32.const 2)"),
        ("i64x2.extract_lane 1 (v128.load offset=80 (local.get 0))",
         "i64.load offset=80 (local.get 0)"),
        ("i64x2.extract_lane 0\n        (v128.load8_lane offset=96 3 (local.get 0) (v128.const i64x2 0 0))",
         "i64.load8_u offset=96 (local.get 0)"),
        ("i64x2.extract_lane 1 (v128.load32x2_u offset=64 (local.get 0))",
         "i64.load offset=64 (local.get 0)"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (vector, plain)| text.replace(vector, plain))
}

/// An engine with everything on that the tests' modules use.
pub(crate) fn engine() -> Engine {
    let mut config = Config::new();
    config
        .shared_memory(true)
        .wasm_threads(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_custom_page_sizes(true)
        .memory_reservation(1 << 20)
        .cranelift_opt_level(wasmtime::OptLevel::None);
    Engine::new(&config).expect("an engine")
}

/// The bytes of a module in the text format.
/// A position in a module. wasmparser has them as `usize` up to the version that Wasmtime 48 uses,
/// and later as `u64`.
pub(crate) fn place(at: impl TryInto<usize>) -> usize {
    at.try_into().ok().expect("within the module")
}

pub(crate) fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("a module in the text format")
}

/// The rewrite with chunks of `chunk` bytes.
pub(crate) fn chunked(bytes: &[u8], chunk: u32) -> Rewritten<'_> {
    let mut options = RewriteOptions::default();
    options.bulk_chunk = Some(chunk);
    rewrite_with(bytes, &options).expect("a module that can be rewritten")
}

/// How a call went, with what can be compared: the bits of its results, or its
/// trap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Came {
    Values(Vec<String>),
    Trapped(Trap),
    Other(String),
}

impl Came {
    pub(crate) fn of(result: wasmtime::Result<Vec<Val>>) -> Came {
        match result {
            Ok(values) => Came::Values(values.iter().map(bits).collect()),
            Err(error) => match error.downcast_ref::<Trap>() {
                Some(trap) => Came::Trapped(*trap),
                None => Came::Other(error.root_cause().to_string()),
            },
        }
    }

    pub(crate) fn i32(value: i32) -> Came {
        Came::Values(vec![bits(&Val::I32(value))])
    }
}

/// A value so that equal bits compare equal; of a reference, whether it is null.
pub(crate) fn bits(value: &Val) -> String {
    match value {
        Val::I32(_) | Val::I64(_) | Val::F32(_) | Val::F64(_) | Val::V128(_) => {
            format!("{value:?}")
        }
        Val::FuncRef(f) => format!("func null={}", f.is_none()),
        Val::ExternRef(e) => format!("extern null={}", e.is_none()),
        other => format!("ref null={:?}", other.ref_().is_some_and(|r| r.is_null())),
    }
}

/// Fills the table of an instance with functions that do what the instructions
/// did, as the documentation of `WaitSlot` says.
pub(crate) fn bind<T: 'static>(
    rewritten: &Rewritten<'_>,
    store: &mut Store<T>,
    instance: Instance,
) {
    let Some(name) = &rewritten.wait_table else {
        assert!(rewritten.wait_slots.is_empty() && rewritten.point_slot.is_none());
        assert!(rewritten.access_slot.is_none());
        return;
    };
    let table = instance.get_table(&mut *store, name).expect("the table");
    let more = [
        rewritten.point_slot.is_some(),
        rewritten.access_slot.is_some(),
    ];
    let slots = rewritten.wait_slots.len() + more.into_iter().filter(|one| *one).count();
    assert_eq!(table.size(&*store), slots as u64, "one entry a slot");
    if let Some(point) = &rewritten.point_slot {
        let asked = AtomicI64::new(0);
        let function = Func::wrap(&mut *store, move |kind: i32| {
            assert!(PointKind::of_code(kind).is_some(), "{kind}");
            asked.fetch_add(1, Ordering::Relaxed) % 3
        });
        table
            .set(&mut *store, point.slot.into(), Ref::Func(Some(function)))
            .expect("room for the entry");
    }
    if let Some(slot) = rewritten.access_slot {
        let widths: Vec<_> = rewritten
            .access_sites
            .iter()
            .map(|site| site.width)
            .collect();
        let function = Func::wrap(&mut *store, move |_: i64, length: i64, site: i32| {
            let width = i64::from(widths[site as usize]);
            assert!(width == 0 || width == length, "{width} {length}");
        });
        table
            .set(&mut *store, slot.into(), Ref::Func(Some(function)))
            .expect("room for the entry");
    }
    for (index, slot) in rewritten.wait_slots.iter().enumerate() {
        let memory = instance
            .get_shared_memory(&mut *store, &slot.memory_export)
            .expect("the memory of a slot");
        let function = match slot.op {
            WaitOp::Wait32 => wait32(store, memory),
            WaitOp::Wait64 => wait64(store, memory),
            WaitOp::Notify => notify(store, memory),
        };
        table
            .set(&mut *store, index as u64, Ref::Func(Some(function)))
            .expect("room for the entry");
    }
}

fn timeout(nanoseconds: i64) -> Option<Duration> {
    u64::try_from(nanoseconds).ok().map(Duration::from_nanos)
}

fn code(result: WaitResult) -> i32 {
    match result {
        WaitResult::Ok => 0,
        WaitResult::Mismatch => 1,
        WaitResult::TimedOut => 2,
    }
}

fn wait32<T: 'static>(store: &mut Store<T>, memory: SharedMemory) -> Func {
    Func::wrap(
        store,
        move |at: i64, expected: i32, ns: i64| -> wasmtime::Result<i32> {
            Ok(code(memory.atomic_wait32(
                at as u64,
                expected as u32,
                timeout(ns),
            )?))
        },
    )
}

fn wait64<T: 'static>(store: &mut Store<T>, memory: SharedMemory) -> Func {
    Func::wrap(
        store,
        move |at: i64, expected: i64, ns: i64| -> wasmtime::Result<i32> {
            Ok(code(memory.atomic_wait64(
                at as u64,
                expected as u64,
                timeout(ns),
            )?))
        },
    )
}

fn notify<T: 'static>(store: &mut Store<T>, memory: SharedMemory) -> Func {
    Func::wrap(store, move |at: i64, count: i32| -> wasmtime::Result<i32> {
        Ok(memory.atomic_notify(at as u64, count as u32)? as i32)
    })
}

/// One instance, of the original or of the rewritten module.
pub(crate) struct Running {
    pub(crate) store: Store<()>,
    pub(crate) instance: Instance,
}

impl Running {
    /// Calls an export.
    pub(crate) fn call(&mut self, name: &str, params: &[Val]) -> Came {
        let function = self
            .instance
            .get_func(&mut self.store, name)
            .unwrap_or_else(|| panic!("no function {name}"));
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let result = function.call(&mut self.store, params, &mut results);
        Came::of(result.map(|()| results))
    }
}

/// Instantiates the module as it is.
pub(crate) fn original(
    engine: &Engine,
    linker: &Linker<()>,
    bytes: &[u8],
) -> wasmtime::Result<Running> {
    let module = Module::from_binary(engine, bytes).expect("a module that compiles");
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    Ok(Running { store, instance })
}

/// Instantiates what the rewrite made of it: binds the waits, then calls what
/// was the start function.
pub(crate) fn rewritten(
    engine: &Engine,
    linker: &Linker<()>,
    rewritten: &Rewritten<'_>,
) -> wasmtime::Result<Running> {
    let module = Module::from_binary(engine, &rewritten.bytes).expect("a module that compiles");
    let mut store = Store::new(engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    bind(rewritten, &mut store, instance);
    if let Some(start) = &rewritten.start_export {
        instance
            .get_typed_func::<(), ()>(&mut store, start)
            .expect("the start function")
            .call(&mut store, ())?;
    }
    Ok(Running { store, instance })
}
