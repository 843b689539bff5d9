//! What Wasmtime's compiler cannot do on some processors.

/// What to do if Wasmtime's compiler panics. On riscv64 it does so at SIMD, if the processor has no
/// vectors.
pub(crate) const IF_IT_PANICS: &str = if cfg!(target_arch = "riscv64") {
    "if this processor has no vectors, build the program without SIMD; otherwise report it to Wasmtime, \
     with the module"
} else {
    "report it to Wasmtime, with the module"
};
