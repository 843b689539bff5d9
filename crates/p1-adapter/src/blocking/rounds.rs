//! Waits that let others run in between, where threads run one at a time.

use super::deadline::Deadline;
use super::end::{BlockingError, EndSignal};
use super::wait::{Interest, wait_in_place};
use std::time::Duration;

/// The most that one look takes, of the host's time.
pub(crate) const ROUND: Duration = Duration::from_millis(1);

type LetOthersRun = Box<dyn Fn() -> wasmtime::Result<()> + Send + Sync>;

/// How waits without a deadline of their own are made.
pub(crate) struct Rounds {
    pub(crate) let_others_run: LetOthersRun,
    /// Whether streams that others write from outside are waited for in place, so that the guest
    /// does not see how long they take.
    pub(crate) only_shared: bool,
}

impl Rounds {
    /// # Errors
    ///
    /// What the embedder ends the wait with.
    pub(super) fn let_others_run(&self) -> Result<(), BlockingError> {
        (self.let_others_run)().map_err(BlockingError::Hook)
    }

    /// Waits until one of `interests` is ready, and lets others run before each look but the first.
    pub(super) fn wait(
        &self,
        interests: &mut [Interest<'_>],
        end: &EndSignal,
    ) -> Result<usize, BlockingError> {
        let mut most = Deadline::NOW;
        loop {
            let ready = wait_in_place(interests, &most, end)?;
            if ready > 0 {
                return Ok(ready);
            }
            self.let_others_run()?;
            most = Deadline::after(ROUND);
        }
    }
}
