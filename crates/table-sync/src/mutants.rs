//! Steps of the protocols that the models can break on purpose.
//!
//! A model that cannot fail shows nothing. So for each step that an argument in DESIGN.md rests on
//! there is a mutant here that leaves it out, and `tests/loom/mutants.rs` runs a model with it and expects
//! loom to find it. Outside loom [`on`] is `false` at compile time.

use crate::sync::atomic::Ordering;

/// A step left out or weakened. Named by `TABLE_SYNC_MUTANT` when a model runs.
#[cfg_attr(not(loom), allow(unreachable_pub))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutant {
    /// An entry is made present without release.
    PushRelaxed,
    /// The kind of a slot's next entry is stored without release.
    KindRelaxed,
    /// The generation in the word is not compared.
    GenerationIgnored,
    /// A slot with no generation left goes back to a free list.
    WornOutSlotReused,
    /// Two threads may use a free list at once.
    FreeListUnlocked,
    /// "Full" is answered after a look at one list.
    FullAtFirstSight,
    /// A counted reader leaves without release.
    ReaderLeavesRelaxed,
    /// A writer leaves without release.
    WriterLeavesRelaxed,
    /// A reader publishes itself and looks at the word without a barrier in between.
    PublishWithoutBarrier,
    /// A reader publishes itself and does not look at the word again.
    PublishWithoutLook,
    /// A published reader goes and looks for `DRAIN` without a barrier in between.
    RetractWithoutBarrier,
    /// A published reader goes and does not look for `DRAIN`.
    RetractWithoutLook,
    /// A published reader goes without release.
    RetractRelaxed,
    /// Readers are looked for without a barrier before.
    ScanWithoutBarrier,
    /// Who ends a drain and does not go in leaves it at that.
    DrainEndedUnsettled,
    /// An entry is detached as if published readers were none.
    DetachWithoutDrain,
    /// A waiter sleeps without another look after it has joined the queue.
    JoinWithoutLook,
    /// A waiter that was called and could not go in does not ask to be called again.
    CalledOnce,
    /// A waiter that gives up does not wake the next.
    QuitterCallsNobody,
    /// Whoever leaves an entry wakes nobody.
    LeaverWakesNobody,
    /// An entry is removed without a look at its children under their lock.
    KinNotLocked,
    /// An access to a waitable value ends and no waiter is told.
    AccessEndsUnseen,
    /// An event during a poll that ends pending is not seen.
    EventDuringPollUnseen,
    /// A wait for readiness that was called and is dropped does not call the next.
    ReadinessQuitterCallsNobody,
}

#[cfg(loom)]
impl Mutant {
    /// All of them.
    pub const ALL: [Self; 24] = [
        Self::PushRelaxed,
        Self::KindRelaxed,
        Self::GenerationIgnored,
        Self::WornOutSlotReused,
        Self::FreeListUnlocked,
        Self::FullAtFirstSight,
        Self::ReaderLeavesRelaxed,
        Self::WriterLeavesRelaxed,
        Self::PublishWithoutBarrier,
        Self::PublishWithoutLook,
        Self::RetractWithoutBarrier,
        Self::RetractWithoutLook,
        Self::RetractRelaxed,
        Self::ScanWithoutBarrier,
        Self::DrainEndedUnsettled,
        Self::DetachWithoutDrain,
        Self::JoinWithoutLook,
        Self::CalledOnce,
        Self::QuitterCallsNobody,
        Self::LeaverWakesNobody,
        Self::KinNotLocked,
        Self::AccessEndsUnseen,
        Self::EventDuringPollUnseen,
        Self::ReadinessQuitterCallsNobody,
    ];
}

/// Whether this step is to be left out.
#[cfg(not(loom))]
#[inline(always)]
pub(crate) const fn on(_: Mutant) -> bool {
    false
}

/// Whether this step is to be left out.
#[cfg(loom)]
pub(crate) fn on(mutant: Mutant) -> bool {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<Mutant>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("TABLE_SYNC_MUTANT").ok()?;
        let found = Mutant::ALL.into_iter().find(|it| format!("{it:?}") == name);
        Some(found.expect("TABLE_SYNC_MUTANT names a mutant"))
    });
    *chosen == Some(mutant)
}

/// The ordering, or `Relaxed` if it is to be left out.
#[inline(always)]
pub(crate) fn order(mutant: Mutant, ordering: Ordering) -> Ordering {
    if on(mutant) {
        Ordering::Relaxed
    } else {
        ordering
    }
}
