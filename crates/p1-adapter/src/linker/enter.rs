//! What stands around every call: finding the memory, making the [`Call`], looking at the end
//! signal, telling the observer.

use crate::call::Call;
use crate::call::host_word;
use crate::call::retry::Retry;
use crate::ctx::P1Ctx;
use crate::ctx::observe::{self, Returned};
use crate::ctx::state::{MemoryOf, P1State, Scratch};
use wasmtime::{AsContextMut as _, Caller, Extern, Memory, Result};
use wiggle::GuestMemory;

/// Runs `function` for the calling instance. With a `name` the context's observer is told of it;
/// beside the name, whether it may have to wait.
#[inline(always)]
pub(super) fn enter<T: 'static, R: Returned>(
    caller: &mut Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut P1State,
    name: Option<(&'static str, bool)>,
    retry: Option<&mut Retry>,
    function: impl FnOnce(&mut Call<'_>, &mut GuestMemory<'_>) -> Result<R>,
) -> Result<R> {
    let entering = Entering {
        fuel: caller.as_context_mut().hostcall_fuel(),
        name,
        retry,
        function,
    };
    entering.run(caller, get)
}

/// A function that is about to be called.
struct Entering<'a, F> {
    fuel: usize,
    name: Option<(&'static str, bool)>,
    retry: Option<&'a mut Retry>,
    function: F,
}

impl<R, F> Entering<'_, F>
where
    R: Returned,
    F: FnOnce(&mut Call<'_>, &mut GuestMemory<'_>) -> Result<R>,
{
    /// Runs it in the calling instance's memory.
    #[inline(always)]
    fn run<T: 'static>(
        self,
        caller: &mut Caller<'_, T>,
        get: impl Fn(&mut T) -> &mut P1State,
    ) -> Result<R> {
        let state = get(caller.data_mut());
        match &state.memory {
            MemoryOf::Shared(memory) => {
                let mut memory = GuestMemory::Shared(memory.data());
                self.call(&mut memory, &state.ctx, &mut state.scratch)
            }
            MemoryOf::Own(memory) => {
                let memory = *memory;
                self.with_own(memory, caller, get)
            }
            MemoryOf::First | MemoryOf::Every => match find(caller, &get)? {
                MemoryOf::Shared(memory) => {
                    let P1State { ctx, scratch, .. } = get(caller.data_mut());
                    let mut memory = GuestMemory::Shared(memory.data());
                    self.call(&mut memory, ctx, scratch)
                }
                MemoryOf::Own(memory) => self.with_own(memory, caller, get),
                MemoryOf::First | MemoryOf::Every => unreachable!("`find` finds a memory or fails"),
            },
        }
    }

    #[inline(always)]
    fn with_own<T: 'static>(
        self,
        memory: Memory,
        caller: &mut Caller<'_, T>,
        get: impl Fn(&mut T) -> &mut P1State,
    ) -> Result<R> {
        let (bytes, data) = memory.data_and_store_mut(caller);
        let P1State { ctx, scratch, .. } = get(data);
        self.call(&mut GuestMemory::Unshared(bytes), ctx, scratch)
    }

    #[inline(always)]
    fn call(self, memory: &mut GuestMemory<'_>, ctx: &P1Ctx, scratch: &mut Scratch) -> Result<R> {
        // Before the end signal is looked at: `host_word` says why.
        let _inside = host_word::enter();
        let shared = &*ctx.shared;
        let told = match self.name {
            Some((name, waits)) if shared.attended.of(waits) => {
                observe::start(shared, name, waits)?.map(|token| (name, token))
            }
            _ => None,
        };
        let result = shared.end.check().map_err(Into::into).and_then(
            #[inline(always)]
            |()| {
                let mut call = Call {
                    shared,
                    scratch,
                    fuel: shared.limits.fuel.unwrap_or(self.fuel),
                    retry: self.retry,
                };
                (self.function)(&mut call, memory)
            },
        );
        if let Some((name, token)) = told {
            observe::end(shared, name, token, &result);
        }
        result
    }
}

/// Looks the calling instance's memory up, and keeps it if it is the store's only one.
#[cold]
fn find<T: 'static>(
    caller: &mut Caller<'_, T>,
    get: &impl Fn(&mut T) -> &mut P1State,
) -> Result<MemoryOf> {
    let found = match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => MemoryOf::Own(memory),
        Some(Extern::SharedMemory(memory)) => MemoryOf::Shared(memory),
        _ => {
            return Err(wasmtime::Error::msg(
                "missing required memory export `memory`",
            ));
        }
    };
    let state = get(caller.data_mut());
    if let MemoryOf::First = state.memory {
        state.memory = found.clone();
    }
    Ok(found)
}
