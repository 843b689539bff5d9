//! An engine with its modules and linkers, and a guest made of them.

use super::emulated::emulated;
use super::table::text;
use p1_adapter::{P1Ctx, P1State, add_to_linker_async, add_to_linker_sync};
use std::borrow::Cow;
use std::sync::LazyLock;
use wasmtime::{
    Config, Engine, Extern, Instance, Linker, Memory, MemoryTypeBuilder, Module, SharedMemory,
    Store, Val,
};
use wiggle::{GuestMemory, GuestPtr};

/// One engine, and what its guests are made of.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pages: u32,
    own: Module,
    shared: Module,
    pub(crate) linker: Linker<P1State>,
    /// The async one.
    pub(crate) tasks: Linker<P1State>,
}

/// Of guests with 4 pages.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| World::of(4));

impl World {
    /// Of guests with `pages` pages of memory.
    pub(crate) fn of(pages: u32) -> Self {
        let mut config = Config::new();
        config.wasm_threads(true).shared_memory(true);
        if emulated() {
            // qemu keeps a part of what was ever reserved.
            config
                .memory_reservation(1 << 20)
                .memory_guard_size(1 << 16);
        }
        let engine = Engine::new(&config).unwrap();
        let module = |memory: &str| Module::new(&engine, text(memory)).unwrap();
        let own = module(&format!(r#"(memory (export "memory") {pages})"#));
        let shared = module(&format!(
            r#"(import "env" "memory" (memory {pages} {pages} shared)) (export "memory" (memory 0))"#
        ));
        let mut linker = Linker::new(&engine);
        add_to_linker_sync(&mut linker, |state| state).unwrap();
        let mut tasks = Linker::new(&engine);
        add_to_linker_async(&mut tasks, |state| state).unwrap();
        World {
            engine,
            pages,
            own,
            shared,
            linker,
            tasks,
        }
    }

    /// A memory that several guests may share.
    pub(crate) fn memory(&self) -> SharedMemory {
        let pages = u64::from(self.pages);
        let ty = MemoryTypeBuilder::new()
            .shared(true)
            .min(pages)
            .max(Some(pages))
            .build()
            .unwrap();
        SharedMemory::new(&self.engine, ty).unwrap()
    }

    /// A guest of `linker` with a memory of its own, or in `memory`.
    pub(crate) fn guest<T: 'static>(
        &self,
        linker: &Linker<T>,
        state: T,
        memory: Option<&SharedMemory>,
    ) -> Guest<T> {
        let mut store = Store::new(&self.engine, state);
        let (linker, module) = self.parts(linker, &store, memory);
        let instance = linker.instantiate(&mut store, module).unwrap();
        Guest::of(store, instance)
    }

    /// As `guest`, of an async linker.
    pub(crate) async fn task<T: Send + 'static>(
        &self,
        linker: &Linker<T>,
        state: T,
        memory: Option<&SharedMemory>,
    ) -> Guest<T> {
        let mut store = Store::new(&self.engine, state);
        let (linker, module) = self.parts(linker, &store, memory);
        let instance = linker.instantiate_async(&mut store, module).await.unwrap();
        Guest::of(store, instance)
    }

    fn parts<'a, T: 'static>(
        &'a self,
        linker: &'a Linker<T>,
        store: &Store<T>,
        memory: Option<&SharedMemory>,
    ) -> (Cow<'a, Linker<T>>, &'a Module) {
        let Some(memory) = memory else {
            return (Cow::Borrowed(linker), &self.own);
        };
        let mut linker = linker.clone();
        linker
            .define(store, "env", "memory", memory.clone())
            .unwrap();
        (Cow::Owned(linker), &self.shared)
    }
}

/// What the memory of a guest is.
enum Bytes {
    Own(Memory),
    Shared(SharedMemory),
}

/// One thread of a guest program, or one task.
pub(crate) struct Guest<T: 'static = P1State> {
    pub(crate) store: Store<T>,
    instance: Instance,
    memory: Bytes,
}

impl Guest {
    /// A guest with a memory of its own.
    pub(crate) fn new(ctx: &P1Ctx) -> Self {
        WORLD.guest(&WORLD.linker, P1State::new(ctx.clone()), None)
    }

    /// A guest whose memory others may share.
    pub(crate) fn shared(ctx: &P1Ctx) -> Self {
        Self::with_memory(ctx, &WORLD.memory())
    }

    /// A guest with a memory of its own of `pages` pages.
    pub(crate) fn sized(ctx: &P1Ctx, pages: u32) -> Self {
        let memory = format!(r#"(memory (export "memory") {pages})"#);
        let module = Module::new(&WORLD.engine, text(&memory)).unwrap();
        let mut store = Store::new(&WORLD.engine, P1State::new(ctx.clone()));
        let instance = WORLD.linker.instantiate(&mut store, &module).unwrap();
        Self::of(store, instance)
    }

    fn with_memory(ctx: &P1Ctx, memory: &SharedMemory) -> Self {
        let state = P1State::with_memory(ctx.clone(), memory.clone());
        WORLD.guest(&WORLD.linker, state, Some(memory))
    }

    /// Another thread of the same program: same context, same memory.
    pub(crate) fn thread(&self) -> Self {
        match &self.memory {
            Bytes::Shared(memory) => Self::with_memory(self.store.data().ctx(), memory),
            Bytes::Own(_) => panic!("only a shared memory can be shared"),
        }
    }
}

impl<T> Guest<T> {
    /// A guest of an instance that exports its memory.
    pub(crate) fn of(mut store: Store<T>, instance: Instance) -> Self {
        let memory = match instance.get_export(&mut store, "memory").unwrap() {
            Extern::SharedMemory(memory) => Bytes::Shared(memory),
            memory => Bytes::Own(memory.into_memory().unwrap()),
        };
        Self {
            store,
            instance,
            memory,
        }
    }

    /// Calls a function; the errno, or what ended the guest.
    pub(crate) fn try_call(&mut self, name: &str, args: &[Val]) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let mut result = [Val::I32(-1)];
        let results = usize::from(name != "proc_exit");
        function.call(&mut self.store, args, &mut result[..results])?;
        Ok(result[0].unwrap_i32())
    }

    /// Calls a function that must not trap.
    pub(crate) fn call(&mut self, name: &str, args: &[Val]) -> i32 {
        self.try_call(name, args)
            .unwrap_or_else(|e| panic!("{name} trapped: {e:?}"))
    }

    pub(crate) fn write(&mut self, at: u32, bytes: &[u8]) {
        match &self.memory {
            Bytes::Own(memory) => memory.write(&mut self.store, at as usize, bytes).unwrap(),
            Bytes::Shared(memory) => GuestMemory::Shared(memory.data())
                .copy_from_slice(bytes, GuestPtr::new((at, bytes.len() as u32)))
                .unwrap(),
        }
    }

    pub(crate) fn bytes(&self, at: u32, len: u32) -> Cow<'_, [u8]> {
        match &self.memory {
            Bytes::Own(memory) => memory.data(&self.store)[at as usize..][..len as usize].into(),
            Bytes::Shared(memory) => GuestMemory::Shared(memory.data())
                .to_vec(GuestPtr::new((at, len)))
                .unwrap()
                .into(),
        }
    }

    pub(crate) fn read(&self, at: u32, len: u32) -> Vec<u8> {
        self.bytes(at, len).into_owned()
    }

    pub(crate) fn u32(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4)[..].try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u32) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8)[..].try_into().unwrap())
    }
}

impl<T: Send> Guest<T> {
    /// As `try_call`, for a guest of an async linker.
    pub(crate) async fn try_call_async(
        &mut self,
        name: &str,
        args: &[Val],
    ) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let mut result = [Val::I32(-1)];
        let results = usize::from(name != "proc_exit");
        let result_of = &mut result[..results];
        function
            .call_async(&mut self.store, args, result_of)
            .await?;
        Ok(result[0].unwrap_i32())
    }
}
