//! Groups that are made again and again of the same module and linker.

use std::fmt;
use std::sync::Arc;

use wasmtime::{Engine, ExternType, ImportType, Linker};

use crate::group::builder::GroupBuilder;
use crate::group::store_data::NoThreadData;
use crate::group::thread_group::ThreadGroup;
use crate::module::thread_module::ThreadModule;
use crate::thread::linked;
use crate::types::abi;
use crate::types::error::GroupError;

/// A module and a linker that were checked against each other, for any number of groups: to groups
/// what [`wasmtime::InstancePre`] is to instances.
///
/// A host that makes a group for each request or connection makes one of these when it starts: what
/// is wrong with the module it hears then, and not at the first request, and no group registers
/// host functions of its own. A group still has a memory, a parking lot and stores of its own, and
/// links in its own copy of the linker, which is most of what is left of
/// [`build`](GroupBuilder::build).
///
/// Cheap to clone.
///
/// ```
/// use wasi_threads::{GroupPre, prepare};
/// use wasmtime::{Config, Engine, Linker};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
/// let bytes = wat::parse_str(
///     r#"(module
///          (import "host" "request" (func $request (result i32)))
///          (func (export "_start") (if (i32.eqz (call $request)) (then unreachable))))"#,
/// )?;
/// let mut linker = Linker::<i32>::new(&engine);
/// linker.func_wrap("host", "request", |caller: wasmtime::Caller<'_, i32>| *caller.data())?;
/// let pre = GroupPre::new(&engine, &prepare(&engine, &bytes)?, linker)?;
/// for request in 1..=3 {
///     let group = pre.builder().state(move |_| request).build()?;
///     group.run("_start")?.into_exit_status()?;
/// }
/// # Ok(())
/// # }
/// ```
pub struct GroupPre<T: 'static> {
    parts: Arc<Parts<T>>,
}

struct Parts<T: 'static> {
    engine: Engine,
    module: ThreadModule,
    preloads: Vec<(String, ThreadModule)>,
    linker: Linker<T>,
}

impl<T: Send + 'static> GroupPre<T> {
    /// Checks that `linker` has the functions that `module` imports, apart from
    /// `wasi.thread-spawn`, and that its threads could share its memory. All three are of `engine`.
    /// Blocks on nothing, and makes no memory and no store.
    ///
    /// # Errors
    ///
    /// Those of [`GroupError`] that engine, module and linker alone decide. A function of another
    /// type than the module imports it with is found by [`build`](GroupBuilder::build) only, as are
    /// a memory, a table or a global that the linker lacks: what a linker has under a name,
    /// Wasmtime tells to a store.
    pub fn new(
        engine: &Engine,
        module: &ThreadModule,
        linker: Linker<T>,
    ) -> Result<Self, GroupError> {
        Self::with_preloads(engine, module, &[], linker)
    }

    /// [`new`](Self::new) with modules beneath `module`, as [`GroupBuilder::preload`] puts them
    /// there.
    ///
    /// # Errors
    ///
    /// As there, and the `Preload` ones.
    pub fn with_preloads(
        engine: &Engine,
        module: &ThreadModule,
        preloads: &[(&str, &ThreadModule)],
        linker: Linker<T>,
    ) -> Result<Self, GroupError> {
        let preloads = preloads.iter();
        let parts = Parts {
            engine: engine.clone(),
            module: module.clone(),
            preloads: preloads
                .map(|&(name, module)| (name.to_owned(), module.clone()))
                .collect(),
            linker,
        };
        let pre = Self {
            parts: Arc::new(parts),
        };
        pre.check()?;
        Ok(pre)
    }

    /// Starts to make a group.
    pub fn builder(&self) -> GroupBuilder<T, NoThreadData> {
        let Parts {
            engine,
            module,
            preloads,
            linker,
        } = &*self.parts;
        let builder = ThreadGroup::builder(engine, module, linker.clone());
        preloads.iter().fold(builder, |builder, (name, module)| {
            builder.preload(name, module)
        })
    }

    /// The engine of the groups.
    pub fn engine(&self) -> &Engine {
        &self.parts.engine
    }

    /// The module of the groups.
    pub fn module(&self) -> &ThreadModule {
        &self.parts.module
    }

    fn check(&self) -> Result<(), GroupError> {
        let mut settings = self.builder().settings;
        settings.check_one_engine()?;
        let modules = settings.look_at_modules()?;
        // A linker says whether it has a name by refusing a second one.
        let mut linker = settings.linker;
        linker.allow_shadowing(false);
        let mut has = |import: &ImportType<'_>| match import.ty() {
            ExternType::Func(_) if abi::is_spawn(import.module(), import.name()) => true,
            ExternType::Func(ty) => linker
                .func_new(import.module(), import.name(), ty, |_, _, _| Ok(()))
                .is_err(),
            _ => true,
        };
        linked::check_all(&modules.module, &modules.preloads, modules.spawns, &mut has)
    }
}

impl<T: 'static> Clone for GroupPre<T> {
    fn clone(&self) -> Self {
        Self {
            parts: Arc::clone(&self.parts),
        }
    }
}

impl<T: 'static> fmt::Debug for GroupPre<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupPre")
            .field("module", &self.parts.module)
            .finish_non_exhaustive()
    }
}
