//! Steps of the protocols that the models can leave out on purpose.
//!
//! A model that cannot fail shows nothing. So each step that an argument in DESIGN.md rests on has
//! a mutant that leaves it out or weakens it: a line of [`mutant!`] beside the step.
//! `tests/loom/mutants.rs` runs a model of each and expects loom to find it. Outside of models such
//! a line is nothing.

/// `mutant!(Name: statements)` runs the statements if the models run the mutant of that name;
/// `mutant!(Name: let variable = value)` gives a variable another value then.
#[cfg(not(loom))]
macro_rules! mutant {
    ($($line:tt)*) => {};
}
#[cfg(loom)]
macro_rules! mutant {
    ($name:ident: let $variable:ident = $value:expr) => {
        let $variable = if $crate::mutants::on($crate::mutants::Mutant::$name) {
            #[allow(unused_imports)]
            use $crate::sync::atomic::Ordering::Relaxed;
            $value
        } else {
            $variable
        };
    };
    ($name:ident: $($statements:tt)*) => {
        if $crate::mutants::on($crate::mutants::Mutant::$name) {
            $($statements)*
        }
    };
}
pub(crate) use mutant;

#[cfg(loom)]
macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A step left out or weakened. Named by `TABLE_SYNC_MUTANT` when a model runs.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

#[cfg(loom)]
mutants! {
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
    /// A thread that ends a drain without taking the lock leaves it at that.
    DrainEndedUnsettled,
    /// An entry is detached as if published readers were none.
    DetachWithoutDrain,
    /// A waiter sleeps without another look after it has joined the queue.
    JoinWithoutLook,
    /// A waiter that was called and could not go in does not ask to be called again.
    CalledOnce,
    /// A waiter that was called and gives up does not call the next.
    QuitterCallsNobody,
    /// A thread that leaves an entry calls no waiter.
    LeaverCallsNobody,
    /// An entry is removed without a look at its children under their lock.
    KinNotLocked,
    /// An access to a waitable value ends and no waiter is told.
    AccessEndsUnseen,
    /// An event during a poll that ends pending is not seen.
    EventDuringPollUnseen,
    /// A wait for readiness that was called and is dropped does not call the next.
    ReadinessQuitterCallsNobody,
}

/// Whether the models run this mutant.
#[cfg(loom)]
pub(crate) fn on(mutant: Mutant) -> bool {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<Mutant>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("TABLE_SYNC_MUTANT").ok()?;
        let mut all = Mutant::ALL.iter().copied();
        let found = all.find(|it| format!("{it:?}") == name);
        Some(found.expect("TABLE_SYNC_MUTANT names a mutant"))
    });
    *chosen == Some(mutant)
}
