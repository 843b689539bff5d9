//! The store of each thread, with every limit on it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use wasmtime::{Engine, Error, ResourceLimiter, SharedMemory, Store};

use crate::life::Life;
use crate::life::handle::GroupHandle;
use crate::memory::host::HostMemory;
use crate::module::thread_module::ThreadModule;
use crate::thread::interrupt;
use crate::thread::thread_store::ThreadStore;
use crate::types::budget::{GroupBudget, Tally};
use crate::types::end_token::EndToken;
use crate::types::fuel::{Account, Fuel, Member};
use crate::types::limits::Limits;
use crate::types::thread_id::ThreadId;

/// What a thread's store data is made from: the thread's id, and the group's memory, handle and
/// token.
///
/// Cheap to clone, and may be kept in the store's data.
#[derive(Clone, Debug)]
pub struct ThreadInfo {
    pub(crate) id: ThreadId,
    pub(crate) memory: Option<HostMemory>,
    pub(crate) handle: GroupHandle,
}

impl ThreadInfo {
    /// The thread's id; [`ThreadId::MAIN`] for the main thread.
    pub fn id(&self) -> ThreadId {
        self.id
    }

    /// The memory the group's threads share; `None` when the module imports none.
    pub fn memory(&self) -> Option<&SharedMemory> {
        self.memory.as_ref().map(HostMemory::memory)
    }

    /// Waits, notifies, loads and stores on that memory from host code, as
    /// [`ThreadGroup::host_memory`](crate::ThreadGroup::host_memory) has them.
    pub fn host_memory(&self) -> Option<&HostMemory> {
        self.memory.as_ref()
    }

    /// A handle that can end the group, for host functions.
    pub fn handle(&self) -> &GroupHandle {
        &self.handle
    }

    /// The token by which host functions learn that the group has ended.
    pub fn token(&self) -> &EndToken {
        self.handle.life().token()
    }
}

/// Makes the embedder's data for one thread's store.
pub(crate) type MakeState<T> = Box<dyn Fn(&ThreadInfo) -> Result<T, Error> + Send + Sync>;

/// Sets up a thread's store for the embedder.
pub(crate) type SetUpStore<T> =
    Box<dyn Fn(&ThreadInfo, &mut Store<T>) -> Result<(), Error> + Send + Sync>;

/// Makes the stores of a group's threads.
pub(crate) struct Stores<T: 'static> {
    engine: Engine,
    life: Arc<Life>,
    memory: Option<HostMemory>,
    make_state: MakeState<T>,
    set_up: Option<SetUpStore<T>>,
    caps: Caps,
    counts: Counts,
    fuel: Option<Arc<Fuel>>,
    budget: Option<Arc<GroupBudget>>,
    /// What a thread takes of the budget for its stacks, in bytes.
    host_stack: usize,
}

impl<T: Send + 'static> Stores<T> {
    pub(crate) fn new(
        engine: &Engine,
        life: &Arc<Life>,
        memory: Option<HostMemory>,
        (make_state, set_up): (MakeState<T>, Option<SetUpStore<T>>),
        limits: &Limits,
        appended: AppendedParts,
        host_stack: usize,
    ) -> Self {
        Self {
            engine: engine.clone(),
            life: Arc::clone(life),
            memory,
            make_state,
            set_up,
            caps: Caps {
                memory: limits.memory,
                table_elements: limits.table_elements,
                appended_table: appended.longest_table,
                appended_memory: appended.largest_memory,
                trap: limits.trap_on_grow_failure,
            },
            counts: Counts {
                memories: (limits.memories.unwrap_or(wasmtime::DEFAULT_MEMORY_LIMIT))
                    .saturating_add(appended.memories),
                tables: (limits.tables.unwrap_or(wasmtime::DEFAULT_TABLE_LIMIT))
                    .saturating_add(appended.tables),
                instances: limits.instances.unwrap_or(wasmtime::DEFAULT_INSTANCE_LIMIT),
            },
            fuel: limits.fuel.map(Fuel::new),
            budget: limits.budget.clone(),
            host_stack,
        }
    }

    /// The size caps. A caller that runs or instantiates a store puts them in place with
    /// [`Caps::apply`].
    pub(crate) fn caps(&self) -> Caps {
        self.caps
    }

    /// A store for thread `id`: the embedder's data, epochs, limits, and no fuel before it runs.
    pub(crate) fn make(&self, id: ThreadId) -> Result<ThreadStore<T>, Error> {
        let tally = match &self.budget {
            None => None,
            Some(budget) => Some(Tally::new(budget, self.host_stack as u64).ok_or_else(|| {
                Error::msg("the memory budget has too little left for the stack of a thread")
            })?),
        };
        let info = ThreadInfo {
            id,
            memory: self.memory.clone(),
            handle: GroupHandle::new(&self.life),
        };
        let data = (self.make_state)(&info)?;
        let mut store = Store::try_new(&self.engine, data)?;
        interrupt::arm(&mut store, &self.life, id);
        let counts = self.counts;
        store.limiter(move |_| limiter(counts, tally.as_ref()));
        let mut account = None;
        if self.engine.get_consume_fuel() {
            match &self.fuel {
                // Wasmtime's default is no fuel, and without a limit the store needs some.
                None => store.set_fuel(u64::MAX)?,
                Some(fuel) => account = Some(Account::open(fuel, &mut store)?),
            }
        }
        if let Some(set_up) = &self.set_up {
            set_up(&info, &mut store)?;
            // Last, so that the end of the group reaches the store whatever `set_up` did about
            // epochs.
            interrupt::arm(&mut store, &self.life, id);
        }
        Ok(ThreadStore::new(store, account))
    }

    /// Counts one thread more among those that draw fuel.
    pub(crate) fn join_fuel(&self) -> Option<Member> {
        self.fuel.as_ref().map(Fuel::join)
    }

    /// The group's fuel, where it has a limit.
    pub(crate) fn fuel(&self) -> Option<&Arc<Fuel>> {
        self.fuel.as_ref()
    }
}

/// The tables and memories that the rewrite appended to the modules of a group. Each store has them
/// beside those of the guest.
#[derive(Clone, Copy, Default)]
pub(crate) struct AppendedParts {
    tables: usize,
    /// The number of elements of the longest one.
    longest_table: usize,
    memories: usize,
    /// The size of the largest one, in bytes.
    largest_memory: usize,
}

impl AppendedParts {
    /// What was appended to these modules.
    pub(crate) fn of<'a>(modules: impl Iterator<Item = &'a ThreadModule>) -> Self {
        let mut parts = Self::default();
        for module in modules {
            if let Some(elements) = module.appended_table() {
                parts.tables += 1;
                parts.longest_table = parts.longest_table.max(elements);
            }
            if let Some(bytes) = module.appended_memory() {
                parts.memories += 1;
                parts.largest_memory = parts.largest_memory.max(bytes);
            }
        }
        parts
    }
}

/// The size of a table's element, in bytes.
const ELEMENT: u64 = 8;

/// Sizes a store may grow to.
#[derive(Clone, Copy)]
pub(crate) struct Caps {
    memory: Option<usize>,
    table_elements: Option<usize>,
    /// Elements of the longest table that the rewrite appended.
    appended_table: usize,
    /// Bytes of the largest memory that the rewrite appended.
    appended_memory: usize,
    /// Whether a growth that is not allowed is a trap.
    trap: bool,
}

/// How many of each a store may hold.
#[derive(Clone, Copy)]
struct Counts {
    memories: usize,
    tables: usize,
    instances: usize,
}

thread_local! {
    /// The caps of the group whose store this host thread works on.
    static CAPS: Cell<Caps> = const { Cell::new(Caps { memory: None, table_elements: None, appended_table: 0, appended_memory: 0, trap: false }) };
    /// The counts that a limiter reports while it is installed. Wasmtime asks for them once, then.
    static COUNTS: Cell<Option<Counts>> = const { Cell::new(None) };
    /// What the store for which a limiter was asked for last has taken of a budget.
    static TALLY: RefCell<Option<Arc<Tally>>> = const { RefCell::new(None) };
}

impl Caps {
    /// Puts the caps in place on this host thread while `f` runs.
    pub(crate) fn apply<R>(self, f: impl FnOnce() -> R) -> R {
        struct RestoreCaps(Caps);
        impl Drop for RestoreCaps {
            fn drop(&mut self) {
                CAPS.set(self.0);
                // Kept, the tally would hold its bytes beyond the store's end.
                drop(TALLY.replace(None));
            }
        }
        let _restore = RestoreCaps(CAPS.replace(self));
        f()
    }
}

/// A limiter that reads this host thread's caps.
///
/// `Store::limiter` wants a reference into the store's data, whose type is the embedder's. A value
/// without size needs no place there: leaking its box allocates nothing.
struct Limiter;

fn limiter(counts: Counts, tally: Option<&Arc<Tally>>) -> &'static mut Limiter {
    COUNTS.set(Some(counts));
    // Wasmtime calls this before each question to the limiter.
    let others = TALLY.with_borrow(|last| match (last, tally) {
        (None, None) => false,
        (Some(last), Some(tally)) => !Arc::ptr_eq(last, tally),
        _ => true,
    });
    if others {
        drop(TALLY.replace(tally.cloned()));
    }
    if let Some(tally) = tally {
        tally.begin();
    }
    Box::leak(Box::new(Limiter))
}

impl Limiter {
    fn counts() -> Counts {
        COUNTS.get().unwrap_or(Counts {
            memories: wasmtime::DEFAULT_MEMORY_LIMIT,
            tables: wasmtime::DEFAULT_TABLE_LIMIT,
            instances: wasmtime::DEFAULT_INSTANCE_LIMIT,
        })
    }
}

/// Whether `desired` is within the group's cap and the declared maximum. If it is not, and that is
/// to be a trap, an error.
fn allows(
    cap: Option<usize>,
    desired: usize,
    maximum: Option<usize>,
    what: &str,
) -> Result<bool, Error> {
    let allowed =
        cap.is_none_or(|cap| desired <= cap) && maximum.is_none_or(|maximum| desired <= maximum);
    if !allowed && CAPS.get().trap {
        return Err(Error::msg(format!("growing to {desired} {what} failed")));
    }
    Ok(allowed)
}

/// Takes the bytes out of the budget, if there is one; false if fewer are left.
fn charge(current: u64, desired: u64) -> Result<bool, Error> {
    let taken = TALLY.with_borrow(|tally| {
        tally
            .as_ref()
            .is_none_or(|tally| tally.grow(current, desired))
    });
    if !taken && CAPS.get().trap {
        return Err(Error::msg("the memory budget has too little left"));
    }
    Ok(taken)
}

/// What to do when an allowed growth failed.
fn failed(error: Error, what: &str) -> Result<(), Error> {
    TALLY.with_borrow(|tally| {
        if let Some(tally) = tally {
            tally.failed();
        }
    });
    match CAPS.get().trap {
        true => Err(error.context(format!("growing the {what} failed"))),
        false => Ok(()),
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, Error> {
        let Caps {
            memory,
            appended_memory,
            ..
        } = CAPS.get();
        // As for tables, below.
        let appended = current == 0 && maximum == Some(desired) && desired <= appended_memory;
        let cap = memory.filter(|_| !appended);
        Ok(allows(cap, desired, maximum, "bytes of memory")?
            && charge(current as u64, desired as u64)?)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<(), Error> {
        failed(error, "memory")
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, Error> {
        let Caps {
            table_elements,
            appended_table,
            ..
        } = CAPS.get();
        // A new table that can never grow, as the rewrite makes them. Nothing else tells it from a
        // table of the guest's.
        let appended = current == 0 && maximum == Some(desired) && desired <= appended_table;
        let cap = table_elements.filter(|_| !appended);
        let bytes = |elements: usize| (elements as u64).saturating_mul(ELEMENT);
        Ok(allows(cap, desired, maximum, "table elements")?
            && charge(bytes(current), bytes(desired))?)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<(), Error> {
        failed(error, "table")
    }

    fn instances(&self) -> usize {
        Self::counts().instances
    }

    fn tables(&self) -> usize {
        Self::counts().tables
    }

    fn memories(&self) -> usize {
        Self::counts().memories
    }
}
