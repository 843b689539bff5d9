//! Calls of a guest's exports: by a thread's entry, and by the holder of a reactor.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use wasmtime::{
    AsContextMut, Error, Func, Instance, StoreContextMut, TypedFunc, Val, WasmParams, WasmResults,
};

use crate::module::extern_type::describe;
#[cfg(feature = "async")]
use crate::thread::block_on::block_on;
use crate::thread::entry_point::Stopped;
use crate::thread::guest_thread::Guest;
use crate::thread::program::{is_async_forgotten, named_if_async};
use crate::types::error::{CallError, GroupEnded, RunError};
use crate::types::outcome::Outcome;

impl<T: Send + 'static> Guest<T> {
    /// Calls an export.
    pub(super) fn call<P: WasmParams + Sync, R: WasmResults + Send + Sync + 'static>(
        &mut self,
        instance: Instance,
        name: &str,
        params: P,
    ) -> Result<R, Stopped> {
        let function = instance
            .get_typed_func::<P, R>(&mut self.store, name)
            .map_err(Stopped::NotMade)?;
        let result = self.call_function(&function, params);
        result.map_err(|error| self.stop(error))
    }

    /// Calls an export with values whose types fit the export's.
    pub(super) fn call_values(
        &mut self,
        instance: Instance,
        name: &str,
        params: &[Val],
    ) -> Result<Vec<Val>, Stopped> {
        let function = instance
            .get_func(&mut self.store, name)
            .ok_or_else(|| Stopped::NotMade(Error::msg("no such function")))?;
        // The values before the call do not matter.
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let result = self.call_dynamic(&function, params, &mut results);
        result.map_err(|error| self.stop(error))?;
        Ok(results)
    }

    fn call_dynamic(
        &mut self,
        function: &Func,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<(), Error> {
        self.store.spend(|store| {
            #[cfg(feature = "async")]
            if self.program.async_calls {
                let call = function.call_async(store, params, results);
                return block_on(self.program.life.token(), call)
                    .unwrap_or_else(|| Err(GroupEnded.into()));
            }
            function.call(store, params, results)
        })
    }

    /// What stopped a call that failed with `error`.
    fn stop(&self, error: Error) -> Stopped {
        match error.downcast_ref::<GroupEnded>() {
            Some(GroupEnded) if self.program.life.is_ended() => Stopped::Ended,
            // Nothing of the guest's has run.
            _ if is_async_forgotten(&error) => Stopped::NotMade(named_if_async(error)),
            _ => Stopped::Guest(error),
        }
    }

    fn call_function<P: WasmParams + Sync, R: WasmResults + Send + Sync + 'static>(
        &mut self,
        function: &TypedFunc<P, R>,
        params: P,
    ) -> Result<R, Error> {
        self.store.spend(|store| {
            #[cfg(feature = "async")]
            if self.program.async_calls {
                let call = function.call_async(store, params);
                return block_on(self.program.life.token(), call)
                    .unwrap_or_else(|| Err(GroupEnded.into()));
            }
            function.call(store, params)
        })
    }
}

impl<T: Send + 'static> Guest<T> {
    /// Begins the life of a reactor's main instance.
    pub(crate) fn begin_reactor(&mut self) -> Result<(), CallError> {
        self.place.record().begin();
        let result = self.told(|guest| {
            let instance = guest.begin()?;
            guest.initialize(instance)
        });
        self.settle(result)
    }

    /// [`call_export`](Self::call_export) with values whose types fit the export's.
    pub(crate) fn invoke_export(
        &mut self,
        name: &str,
        params: &[Val],
    ) -> Result<Vec<Val>, CallError> {
        let Some(instance) = self.instances.as_ref().map(|made| made.main) else {
            return self.settle(Err(Stopped::Ended));
        };
        let result = self.told(|guest| {
            if guest.program.life.is_ended() {
                return Err(Stopped::Ended);
            }
            guest.call_values(instance, name, params)
        });
        self.settle(result)
    }

    /// Runs `f` on the store of a reactor's main instance.
    pub(crate) fn with_main<R>(
        &mut self,
        f: impl FnOnce(StoreContextMut<'_, T>, &Instance) -> R,
    ) -> Result<R, CallError> {
        let instance = self.instances.as_ref().map(|made| made.main);
        match instance {
            Some(instance) if !self.program.life.is_ended() => {
                Ok(self.inside(|guest| f(guest.store.as_context_mut(), &instance)))
            }
            _ => self.settle(Err(Stopped::Ended)),
        }
    }

    /// [`inside`](Self::inside), and tells the observer before and after.
    fn told<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let life = Arc::clone(&self.program.life);
        let Some(watch) = life.watch() else {
            return self.inside(f);
        };
        let id = self.place.id();
        watch.observer().thread_began(id);
        let result = catch_unwind(AssertUnwindSafe(|| self.inside(f)));
        watch.observer().thread_ended(id);
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Calls an export of a reactor's main instance.
    pub(crate) fn call_export<P: WasmParams + Sync, R: WasmResults + Send + Sync + 'static>(
        &mut self,
        name: &str,
        params: P,
    ) -> Result<R, CallError> {
        let Some(instance) = self.instances.as_ref().map(|made| made.main) else {
            return self.settle(Err(Stopped::Ended));
        };
        let module = self.program.module();
        let ty = module.module().get_export(name);
        let Some(ty) = ty.filter(|_| module.is_guest_export(name)) else {
            return Err(CallError::NoExport(name.to_owned()));
        };
        if instance
            .get_typed_func::<P, R>(&mut self.store, name)
            .is_err()
        {
            return Err(CallError::ExportType {
                name: name.to_owned(),
                found: describe(&ty),
            });
        }
        let result = self.told(|guest| {
            if guest.program.life.is_ended() {
                return Err(Stopped::Ended);
            }
            guest.call::<P, R>(instance, name, params)
        });
        self.settle(result)
    }

    /// What a reactor's caller gets. If something stopped the call, it ends the group.
    fn settle<R>(&mut self, result: Result<R, Stopped>) -> Result<R, CallError> {
        let life = Arc::clone(&self.program.life);
        match result {
            Ok(value) => return Ok(value),
            Err(Stopped::Ended) => {}
            Err(Stopped::NotMade(error)) => {
                life.end(Outcome::Cancelled);
                return Err(RunError::Instantiate(error).into());
            }
            Err(Stopped::Guest(error)) => self.failed(error),
        }
        Err(CallError::Ended(
            life.outcome().unwrap_or(Outcome::Cancelled),
        ))
    }
}
