//! Making many groups from one module and one linker.

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

/// A module and a linker that were checked against each other, for any number of groups. It is for
/// groups what [`wasmtime::InstancePre`] is for instances.
///
/// A host that makes a group for each request or connection makes one of these when it starts. So
/// it finds errors of the module then, and not at the first request, and registers host functions
/// only once. A group still has a memory, a parking lot and stores of its own, and links in its own
/// copy of the linker; that is most of the work of [`build`](GroupBuilder::build).
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
    /// `wasi.thread-spawn`, and that its threads could share its memory. Module and linker belong
    /// to `engine`. Does not block, and makes no memory and no store.
    ///
    /// # Errors
    ///
    /// Those of [`GroupError`] that depend on engine, module and linker alone. Only
    /// [`build`](GroupBuilder::build) finds a function of another type than the module imports, and
    /// a memory, a table or a global that the linker lacks. The reason: Wasmtime needs a store to
    /// tell what a linker has under a name.
    pub fn new(
        engine: &Engine,
        module: &ThreadModule,
        linker: Linker<T>,
    ) -> Result<Self, GroupError> {
        Self::with_preloads(engine, module, &[], linker)
    }

    /// [`new`](Self::new) with modules to preload, as by [`GroupBuilder::preload`].
    ///
    /// # Errors
    ///
    /// Those of [`new`](Self::new), and the `Preload` errors.
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

    /// A builder for a group.
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
        // A linker tells that it has a name only by refusing a second definition.
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
