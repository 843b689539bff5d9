//! Options of `wasmtime run` that do not work here.
//!
//! `wasmtime-cli-flags` accepts them all. Ignoring an option would be worse than not having it, so
//! each is refused, with the reason.

use wasmtime_cli_flags::{
    CommonOptions, DebugOptions, OptimizeOptions, RecordOptions, WasiOptions, WasmOptions,
};

use crate::message::{Message, Result};

const COMPONENTS: &str = "it concerns components; this program runs core modules on WASI preview1";
const DEBUGGER: &str = "the debugger stops one thread's store, and a threaded program has many";

/// The message that refuses an option of the debugger.
pub(crate) fn debugger(option: &str) -> Message {
    Message::usage(format!("`{option}` cannot work here"))
        .why(DEBUGGER)
        .help("leave the option out; `-D coredump=FILE` keeps what there is at a trap")
}

/// What the options are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Run,
    Compile,
}

/// Whether an option asks for anything of the component model.
fn components(wasm: &WasmOptions) -> bool {
    [
        wasm.component_model,
        wasm.component_model_async,
        wasm.component_model_more_async_builtins,
        wasm.component_model_async_stackful,
        wasm.component_model_threading,
        wasm.component_model_error_context,
        wasm.component_model_gc,
        wasm.component_model_map,
        wasm.component_model_memory64,
        wasm.component_model_fixed_length_lists,
        wasm.component_model_implements,
    ]
    .contains(&Some(true))
}

/// Whether a setting of the pooling allocator is given.
fn pooling(opts: &OptimizeOptions) -> bool {
    [
        opts.pooling_decommit_batch_size,
        opts.pooling_memory_keep_resident,
        opts.pooling_table_keep_resident,
        opts.pooling_max_memory_size,
        opts.pooling_table_elements,
        opts.pooling_max_core_instance_size,
        opts.pooling_async_stack_keep_resident,
        opts.pooling_max_component_instance_size,
    ]
    .iter()
    .any(Option::is_some)
        || [
            opts.pooling_total_core_instances,
            opts.pooling_total_component_instances,
            opts.pooling_total_memories,
            opts.pooling_total_tables,
            opts.pooling_total_stacks,
            opts.pooling_max_unused_warm_slots,
            opts.pooling_max_core_instances_per_component,
            opts.pooling_max_memories_per_component,
            opts.pooling_max_tables_per_component,
            opts.pooling_max_tables_per_module,
            opts.pooling_max_memories_per_module,
            opts.pooling_total_gc_heaps,
        ]
        .iter()
        .any(Option::is_some)
        || opts.pooling_pagemap_scan.is_some()
}

/// An option that does not work here.
struct Refused {
    option: &'static str,
    /// Whether it was given.
    given: bool,
    why: &'static str,
}

fn refused(option: &'static str, given: bool, why: &'static str) -> Refused {
    Refused { option, given, why }
}

fn on(option: Option<bool>) -> bool {
    option == Some(true)
}

/// Refuses the first option that cannot be honoured.
///
/// An option that switches off something that does not exist here (`-S nn=n`) is fine.
///
/// `compile` accepts options that only matter for a run, so that one line of options can serve
/// both.
pub(crate) fn check(common: &CommonOptions, purpose: For) -> Result<()> {
    let first = of_components(&common.wasi)
        .into_iter()
        .chain(of_wasi(&common.wasi))
        .chain(of_debugging(&common.debug))
        .chain(of_recording(&common.record))
        .chain(of_threads(&common.wasm))
        .chain([of_target(common, purpose)])
        .chain(of_proposals(&common.wasm))
        .chain([of_pooling(&common.opts)])
        .find(|refused| refused.given);
    match first {
        Some(refused) => Err(refused.message(purpose)),
        None => Ok(()),
    }
}

impl Refused {
    fn message(&self, purpose: For) -> Message {
        Message::usage(format!("`{}` cannot work here", self.option))
            .why(self.why)
            .help(match self.option {
                "-S cwd" => {
                    "leave the option out; `--dir HOST::.` is where a program's relative paths lead"
                }
                "-O pooling-..." => "add `-O pooling-allocator`, or leave the option out",
                "--target" if purpose == For::Compile => {
                    "leave the option out, and compile on a machine of that kind"
                }
                _ => "leave the option out",
            })
    }
}

/// Options of `-S` that only a component can use.
fn of_components(wasi: &WasiOptions) -> [Refused; 15] {
    [
        ("-S nn", on(wasi.nn)),
        ("-S nn-graph", !wasi.nn_graph.is_empty()),
        ("-S http", on(wasi.http)),
        (
            "-S http-outgoing-body-buffer-chunks",
            wasi.http_outgoing_body_buffer_chunks.is_some(),
        ),
        (
            "-S http-outgoing-body-chunk-size",
            wasi.http_outgoing_body_chunk_size.is_some(),
        ),
        (
            "-S max-http-fields-size",
            wasi.max_http_fields_size.is_some(),
        ),
        ("-S config", on(wasi.config)),
        ("-S config-var", !wasi.config_var.is_empty()),
        ("-S keyvalue", on(wasi.keyvalue)),
        (
            "-S keyvalue-in-memory-data",
            !wasi.keyvalue_in_memory_data.is_empty(),
        ),
        ("-S tls", on(wasi.tls)),
        ("-S p3", on(wasi.p3)),
        ("-S cli-exit-with-code", on(wasi.cli_exit_with_code)),
        ("-S network-error-code", on(wasi.network_error_code)),
        (
            "-S max-component-handles",
            wasi.max_component_handles.is_some(),
        ),
    ]
    .map(|(option, given)| refused(option, given, COMPONENTS))
}

/// Other options of `-S`.
fn of_wasi(wasi: &WasiOptions) -> [Refused; 2] {
    [
        refused(
            "-S cwd",
            wasi.cwd.is_some(),
            "preview1 has no call that tells a program its working directory: a libc makes one from the folders of --dir",
        ),
        refused(
            "-S cli=n",
            wasi.cli == Some(false) || wasi.common == Some(false),
            "the program's standard streams and exit are part of what it would take away",
        ),
    ]
}

/// Options of `-D`.
fn of_debugging(debug: &DebugOptions) -> [Refused; 6] {
    [
        ("-D guest-debug", on(debug.guest_debug)),
        ("-D debugger", debug.debugger.is_some()),
        ("-D arg", !debug.arg.is_empty()),
        ("-D inherit-stdin", on(debug.inherit_stdin)),
        ("-D inherit-stdout", on(debug.inherit_stdout)),
        ("-D inherit-stderr", on(debug.inherit_stderr)),
    ]
    .map(|(option, given)| refused(option, given, DEBUGGER))
}

/// Options of `-R`.
fn of_recording(record: &RecordOptions) -> [Refused; 3] {
    [
        refused(
            "-R path",
            record.path.is_some(),
            "a recording replays one store, and a threaded program has many",
        ),
        refused(
            "-R validation-metadata",
            record.validation_metadata.is_some(),
            "nothing is recorded",
        ),
        refused(
            "-R event-window-size",
            record.event_window_size.is_some(),
            "nothing is recorded",
        ),
    ]
}

/// Options of `-W` that do not fit a program with many threads.
fn of_threads(wasm: &WasmOptions) -> [Refused; 3] {
    [
        refused(
            "-W wmemcheck",
            on(wasm.wmemcheck),
            "wmemcheck follows one store, and a threaded program has many",
        ),
        refused(
            "-W async-stack-size",
            wasm.async_stack_size.is_some(),
            "guest threads run on host threads of their own: see --thread-stack-size",
        ),
        refused(
            "-W async-stack-zeroing",
            on(wasm.async_stack_zeroing),
            "guest threads run on host threads of their own",
        ),
    ]
}

/// Options of `-W` that ask for proposals that this program lacks.
fn of_proposals(wasm: &WasmOptions) -> [Refused; 2] {
    [
        refused(
            "-W shared-everything-threads",
            on(wasm.shared_everything_threads),
            concat!(
                "Wasmtime ",
                env!("CARGO_PKG_VERSION_MAJOR"),
                " does not have that proposal: it takes the option and does nothing"
            ),
        ),
        refused("-W component-model", components(wasm), COMPONENTS),
    ]
}

fn of_target(common: &CommonOptions, purpose: For) -> Refused {
    refused(
        "--target",
        common.target.is_some(),
        match purpose {
            For::Run => "a module can only be run by this machine",
            For::Compile => "the compiler in this binary is the one for this machine's processor",
        },
    )
}

fn of_pooling(opts: &OptimizeOptions) -> Refused {
    refused(
        "-O pooling-...",
        !on(opts.pooling_allocator) && pooling(opts),
        "it sets how the pooling allocator works, which is off: `-O pooling-allocator` turns it on",
    )
}

#[cfg(test)]
mod tests {
    use super::{For, check};
    use wasmtime_cli_flags::CommonOptions;

    #[test]
    fn switching_off_what_is_not_there_is_fine() {
        let mut common = CommonOptions::new();
        common.wasi.nn = Some(false);
        common.wasi.inherit_network = Some(false);
        assert!(check(&common, For::Run).is_ok());
        common.wasi.nn = Some(true);
        let message = check(&common, For::Run).expect_err("-S nn").to_string();
        assert!(message.contains("`-S nn`"), "{message}");
    }
}
