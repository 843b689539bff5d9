//! Names and numbers of the wasi-threads ABI.
//!
//! Sources: the wasi-threads proposal (`wasi.thread-spawn`, `wasi_thread_start`, thread ids); the
//! `errno` enumeration of `wasi_snapshot_preview1`'s witx, whose values wasi-libc expects; WASI's
//! "application ABI", for the exports of commands and reactors. The names under which a prepared
//! module exports what the rewrite appended are in [`rewrite::names`](crate::rewrite::names).

use std::fmt;

use wasmtime::{FuncType, ValType};

/// Import module of `thread-spawn`.
pub const SPAWN_MODULE: &str = "wasi";
/// Import name of the function that starts a thread: `(param i32) (result i32)`.
pub const SPAWN_NAME: &str = "thread-spawn";
/// The type of `thread-spawn`.
pub const SPAWN_TYPE: I32Function = I32Function {
    params: 1,
    results: 1,
};
/// The export that a new thread calls: `(param $tid i32) (param $arg i32)`.
pub const THREAD_START: &str = "wasi_thread_start";
/// The type of `wasi_thread_start`.
pub const THREAD_START_TYPE: I32Function = I32Function {
    params: 2,
    results: 0,
};
/// The export that runs a command.
pub const START: &str = "_start";
/// The export that initialises a reactor, if it has one.
pub const INITIALIZE: &str = "_initialize";
/// The type of `_start` and of `_initialize`.
pub const START_TYPE: I32Function = I32Function {
    params: 0,
    results: 0,
};
/// The export under which hosts find the memory.
pub const MEMORY: &str = "memory";

/// Whether an import by these names is the function that starts a thread.
pub fn is_spawn(module: &str, name: &str) -> bool {
    (module, name) == (SPAWN_MODULE, SPAWN_NAME)
}

/// Whether an import is a function of WASI preview1 (or of `wasi_unstable`, before it) that may
/// block without a bound.
pub(crate) fn may_block(module: &str, name: &str) -> bool {
    matches!(module, "wasi_snapshot_preview1" | "wasi_unstable")
        && matches!(
            name,
            "fd_read"
                | "fd_write"
                | "path_open"
                | "poll_oneoff"
                | "sock_accept"
                | "sock_recv"
                | "sock_send"
        )
}

/// A function type whose parameters and results are all i32. Displayed as `(i32, i32) -> ()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I32Function {
    /// How many parameters.
    pub params: usize,
    /// How many results.
    pub results: usize,
}

impl I32Function {
    /// Whether `ty` is this type.
    pub fn is(self, ty: &FuncType) -> bool {
        let i32s = |mut types: Box<dyn Iterator<Item = ValType> + '_>, count: usize| {
            (0..count).all(|_| types.next().is_some_and(|ty| ty.is_i32())) && types.next().is_none()
        };
        i32s(Box::new(ty.params()), self.params) && i32s(Box::new(ty.results()), self.results)
    }
}

impl fmt::Display for I32Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |count| ["i32"].repeat(count).join(", ");
        write!(f, "({}) -> ({})", list(self.params), list(self.results))
    }
}

/// Highest thread id: the proposal leaves the top three bits of an `i32` to the guest.
pub(crate) const MAX_TID: u32 = (1 << 29) - 1;

/// Errno values of preview1 that a failed `thread-spawn` returns, negated.
pub(crate) mod errno {
    /// Resource temporarily unavailable.
    pub(crate) const AGAIN: i32 = 6;
    /// The group has ended.
    pub(crate) const CANCELED: i32 = 11;
    /// No entry point, or one of another type.
    pub(crate) const NOTSUP: i32 = 58;
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Engine;

    #[test]
    fn types_are_compared_and_displayed() {
        let engine = Engine::default();
        let type_of = |params: &[ValType], results: &[ValType]| {
            FuncType::new(&engine, params.to_vec(), results.to_vec())
        };
        let start = type_of(&[ValType::I32, ValType::I32], &[]);
        assert!(THREAD_START_TYPE.is(&start));
        assert!(!START_TYPE.is(&start) && !SPAWN_TYPE.is(&start));
        assert!(SPAWN_TYPE.is(&type_of(&[ValType::I32], &[ValType::I32])));
        assert!(!SPAWN_TYPE.is(&type_of(&[ValType::I32], &[ValType::I64])));
        assert!(!SPAWN_TYPE.is(&type_of(&[ValType::I64], &[ValType::I32])));
        let texts = [START_TYPE, SPAWN_TYPE, THREAD_START_TYPE].map(|ty| ty.to_string());
        assert_eq!(texts, ["() -> ()", "(i32) -> (i32)", "(i32, i32) -> ()"]);
    }
}
