//! Panics of libraries that are errors here.

use std::any::Any;
use std::panic::{self, UnwindSafe};
use std::sync::Arc;

/// What a panic left.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Does `work`. A panic that is `known` comes back, and the hook of panics does not tell it. Every other panic goes its way.
pub(crate) fn caught<T>(
    known: fn(&(dyn Any + Send)) -> bool,
    work: impl FnOnce() -> T + UnwindSafe,
) -> Result<T, Payload> {
    let hook = Arc::new(panic::take_hook());
    let others = Arc::clone(&hook);
    panic::set_hook(Box::new(move |panic| {
        if !known(panic.payload()) {
            others(panic);
        }
    }));
    let done = panic::catch_unwind(work);
    // The one that is dropped here has the other half of `hook`.
    drop(panic::take_hook());
    if let Ok(hook) = Arc::try_unwrap(hook) {
        panic::set_hook(hook);
    }
    done.map_err(|panic| match known(&*panic) {
        true => panic,
        false => panic::resume_unwind(panic),
    })
}
