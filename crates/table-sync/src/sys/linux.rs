//! `membarrier(2)`.

use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static REGISTERED: OnceLock<bool> = OnceLock::new();
/// What `REGISTERED` holds, for one plain load. A stale `false` costs a fence, no more.
static LIGHT: AtomicBool = AtomicBool::new(false);

/// Whether the process may use `membarrier`; registers it for that, once.
pub(crate) fn register() -> bool {
    *REGISTERED.get_or_init(|| {
        let has = membarrier_query().contains(
            MembarrierQuery::PRIVATE_EXPEDITED | MembarrierQuery::REGISTER_PRIVATE_EXPEDITED,
        );
        let done = has && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
        LIGHT.store(done, Ordering::Relaxed);
        done
    })
}

#[inline]
pub(crate) fn light_is_free() -> bool {
    LIGHT.load(Ordering::Relaxed)
}

pub(crate) fn barrier() {
    // After a registration that succeeded the kernel does not refuse, but a seccomp filter
    // installed since may. `Global` needs no registration.
    let done = membarrier(MembarrierCommand::PrivateExpedited)
        .or_else(|_| membarrier(MembarrierCommand::Global));
    assert!(
        done.is_ok(),
        "membarrier(2) was available and is now refused: {done:?}"
    );
}
