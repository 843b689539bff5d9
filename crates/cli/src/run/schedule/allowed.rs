//! What a run may go on with, though it is not the same each time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::message::say;

/// The names of it, and which of them the run has met.
#[derive(Clone)]
pub(crate) struct Allowed {
    names: Arc<[String]>,
    met: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl Allowed {
    /// Of one run.
    pub(crate) fn new(names: &[String]) -> Self {
        Self {
            names: names.into(),
            met: Arc::default(),
        }
    }

    /// Whether this is among it, which is said once.
    pub(crate) fn passes(&self, name: &'static str) -> bool {
        let passes = self.names.iter().any(|allowed| allowed == name);
        if passes {
            let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
            if met.insert(name) {
                say(format_args!(
                    "warning: `{name}` was met, so the run need not be the same again"
                ));
            }
        }
        passes
    }
}
