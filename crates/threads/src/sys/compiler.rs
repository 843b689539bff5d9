//! What Wasmtime's compiler cannot do on some processors.

/// Whether the compiler makes vector instructions of small copies, and panics if the processor has
/// none.
///
/// It does so for `memory.copy` and `memory.init` of a constant length of 16 to 128 bytes
/// (`emit_inline_memcpy` of wasmtime-internal-cranelift 48.0.8). Of the processors only riscv64
/// may lack vectors. From Wasmtime 50 on the compiler looks first.
pub(crate) const SMALL_COPIES_NEED_VECTORS: bool =
    cfg!(all(target_arch = "riscv64", not(wasmtime_50)));
