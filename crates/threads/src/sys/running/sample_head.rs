//! What a sample says, but for its frames.

/// What a thread did when it was sampled. A number in the first half of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampledIn {
    /// It ran wasm.
    Wasm,
    /// It ran what Wasmtime does for wasm.
    Runtime,
    /// It was in a host function.
    HostCode,
    /// It was in a wait on a word of memory.
    Wait,
}

/// One sample, but for its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SampleHead {
    pub(crate) within: SampledIn,
    /// The number that the thread had noted of its host call.
    pub(crate) call: u16,
    /// How many intervals it stands for.
    pub(crate) weight: u32,
    /// When, on the clock of [`now`](super::now).
    pub(crate) at: u64,
    /// The thread did not run for so many nanoseconds, up to `at`; `None` if it ran.
    pub(crate) blocked: Option<u64>,
    /// There were more frames.
    pub(crate) cut: bool,
}

impl SampledIn {
    /// That of a number, whose other bits mean something else.
    pub(super) fn of(number: u32) -> Self {
        match number & 0xff {
            0 => Self::Wasm,
            1 => Self::Runtime,
            2 => Self::HostCode,
            _ => Self::Wait,
        }
    }
}
