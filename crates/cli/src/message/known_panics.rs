//! Panics of libraries that this program reports as errors.

use std::any::Any;
use std::panic::{self, UnwindSafe};
use std::sync::Arc;

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// What a panic says, if it says anything.
pub(crate) fn words(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or_default()
}

/// Runs `work`. A panic that is `known` is returned, and the panic hook does not print it. Every
/// other panic goes on as usual.
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
    // This hook holds the other reference to `hook`.
    drop(panic::take_hook());
    if let Ok(hook) = Arc::try_unwrap(hook) {
        panic::set_hook(hook);
    }
    done.map_err(|panic| match known(&*panic) {
        true => panic,
        false => panic::resume_unwind(panic),
    })
}
