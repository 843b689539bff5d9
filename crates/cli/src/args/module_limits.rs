//! How large a module may be.

use wasi_threads::rewrite::ModuleLimits;

use crate::args::values::number;

/// Limits on what is compiled, for hosts that compile what others give.
#[derive(clap::Args)]
pub(crate) struct ModuleLimitArgs {
    /// The most bytes that a module may have, in the binary format.
    #[arg(long, value_name = "BYTES", value_parser = number::<usize>)]
    max_module_size: Option<usize>,

    /// The most functions that a module may have, with those that it imports.
    #[arg(long, value_name = "N", value_parser = number::<u32>)]
    max_functions: Option<u32>,

    /// The most bytes that the code of one function may have.
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
