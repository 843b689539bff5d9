//! How large a module may be.

use wasi_threads::rewrite::ModuleLimits;

use crate::args::values::number;

/// Limits on what is compiled, for hosts that compile what others give.
#[derive(clap::Args)]
pub(crate) struct ModuleLimitArgs {
    /// Most bytes that a module may have, in the binary format.
    #[arg(long, value_name = "BYTES", value_parser = number::<usize>)]
    max_module_size: Option<usize>,

    /// Most functions that a module may have, those that it imports included.
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    max_functions: Option<u32>,

    /// Most bytes that one function's code may have.
    #[arg(long, value_name = "BYTES", value_parser = number::<usize>)]
    max_function_size: Option<usize>,
}

impl From<ModuleLimitArgs> for ModuleLimits {
    fn from(typed: ModuleLimitArgs) -> Self {
        let mut limits = ModuleLimits::default();
        limits.size = typed.max_module_size;
        limits.functions = typed.max_functions;
        limits.function_size = typed.max_function_size;
        limits
    }
}
