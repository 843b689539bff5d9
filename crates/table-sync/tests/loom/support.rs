//! What the models share.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use table_sync::Table;

/// Runs a model. The bound is `LOOM_MAX_PREEMPTIONS`, or `bound` if that is unset.
pub(crate) fn model(bound: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(bound));
    builder.max_branches = 20_000;
    builder.check(body);
}

/// Runs the closures at the same time, the last on this thread.
pub(crate) fn race<const N: usize>(
    table: &Arc<Table>,
    bodies: [Box<dyn FnOnce(&Table) + Send>; N],
) {
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
