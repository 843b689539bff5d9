//! What the models share.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use table_sync::{Handle, Table};

/// Runs a model. The bound is `LOOM_MAX_PREEMPTIONS`, or `bound` if that is unset.
pub(crate) fn model(bound: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(bound));
    builder.max_branches = 20_000;
    builder.check(body);
}

/// Runs a model of a table that has one entry.
pub(crate) fn with_entry(
    bound: usize,
    value: u32,
    body: impl Fn(&Arc<Table>, Handle<u32>) + Sync + Send + 'static,
) {
    model(bound, move || {
        let table = Arc::new(Table::new());
        let handle = table.push(value).unwrap();
        body(&table, handle);
    });
}

/// What one thread does with the table.
pub(crate) type Body = Box<dyn FnOnce(&Table) + Send>;

/// Locks the entry exclusively and adds 1.
pub(crate) fn increment(handle: Handle<u32>) -> Body {
    Box::new(move |table| *table.get_mut(&handle).unwrap() += 1)
}

/// Runs the bodies at the same time, the last on this thread.
pub(crate) fn race<const N: usize>(table: &Arc<Table>, bodies: [Body; N]) {
    let mut bodies = Vec::from(bodies);
    let here = bodies.pop();
    let threads: Vec<_> = bodies
        .into_iter()
        .map(|body| {
            let table = table.clone();
            thread::spawn(move || body(&table))
        })
        .collect();
    if let Some(here) = here {
        here(table);
    }
    for thread in threads {
        thread.join().unwrap();
    }
}

/// Lets any other thread go on, without that being counted as a preemption.
pub(crate) fn pause() {
    thread::spawn(|| {}).join().unwrap();
}

/// A value whose drops are counted.
pub(crate) struct DropCounted(pub Arc<AtomicUsize>);

impl Drop for DropCounted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
