//! Options of `wasmtime run` that cannot do here what they say.
//!
//! `wasmtime-cli-flags` takes them all; an option that was taken and then
//! forgotten would be worse than none, so each is refused, with its reason.

use wasmtime_cli_flags::CommonOptions;

use crate::message::{Message, Result};

const COMPONENTS: &str = "it concerns components; this program runs core modules on WASI preview1";
const NO_SOCKETS: &str =
    "preview1 has no call that opens a socket, so there is nothing to allow or forbid";
const DEBUGGER: &str = "the debugger stops one thread's store, and a threaded program has many";

/// Refuses an option of the debugger.
pub(crate) fn debugger(option: &str) -> Message {
    Message::usage(format!("`{option}` cannot work here"))
        .why(DEBUGGER)
        .help("leave the option out; `-D coredump=FILE` keeps what there is at a trap")
}

/// Refuses the first option that cannot be honoured.
///
/// An option that switches off what does not exist here (`-S nn=n`) asks for
/// nothing and is fine.
pub(crate) fn check(common: &CommonOptions) -> Result<()> {
    let CommonOptions {
        wasi,
        wasm,
        debug,
        record,
        target,
        ..
    } = common;
    let on = |option: Option<bool>| option == Some(true);
    let refused = [
        ("-S nn", on(wasi.nn), COMPONENTS),
        ("-S nn-graph", !wasi.nn_graph.is_empty(), COMPONENTS),
        ("-S http", on(wasi.http), COMPONENTS),
        (
            "-S http-outgoing-body-buffer-chunks",
            wasi.http_outgoing_body_buffer_chunks.is_some(),
            COMPONENTS,
        ),
        (
            "-S http-outgoing-body-chunk-size",
            wasi.http_outgoing_body_chunk_size.is_some(),
            COMPONENTS,
        ),
        (
            "-S max-http-fields-size",
            wasi.max_http_fields_size.is_some(),
            COMPONENTS,
        ),
        ("-S config", on(wasi.config), COMPONENTS),
        ("-S config-var", !wasi.config_var.is_empty(), COMPONENTS),
        ("-S keyvalue", on(wasi.keyvalue), COMPONENTS),
        (
            "-S keyvalue-in-memory-data",
            !wasi.keyvalue_in_memory_data.is_empty(),
            COMPONENTS,
        ),
        ("-S tls", on(wasi.tls), COMPONENTS),
        ("-S p3", on(wasi.p3), COMPONENTS),
        (
            "-S cli-exit-with-code",
            on(wasi.cli_exit_with_code),
            COMPONENTS,
        ),
        (
            "-S network-error-code",
            on(wasi.network_error_code),
            COMPONENTS,
        ),
        (
            "-S max-component-handles",
            wasi.max_component_handles.is_some(),
            COMPONENTS,
        ),
        ("-S inherit-network", on(wasi.inherit_network), NO_SOCKETS),
        (
            "-S allow-ip-name-lookup",
            on(wasi.allow_ip_name_lookup),
            NO_SOCKETS,
        ),
        ("-S tcp", on(wasi.tcp), NO_SOCKETS),
        ("-S udp", on(wasi.udp), NO_SOCKETS),
        (
            "-S cwd",
            wasi.cwd.is_some(),
            "preview1 has no working directory: a program's libc makes one from the folders of --dir",
        ),
        (
            "-S cli=n",
            wasi.cli == Some(false) || wasi.common == Some(false),
            "the program's standard streams and exit are part of what it would take away",
        ),
        ("-D guest-debug", on(debug.guest_debug), DEBUGGER),
        ("-D debugger", debug.debugger.is_some(), DEBUGGER),
        ("-D arg", !debug.arg.is_empty(), DEBUGGER),
        ("-D inherit-stdin", on(debug.inherit_stdin), DEBUGGER),
        ("-D inherit-stdout", on(debug.inherit_stdout), DEBUGGER),
        ("-D inherit-stderr", on(debug.inherit_stderr), DEBUGGER),
        (
            "-R path",
            record.path.is_some(),
            "a recording replays one store, and a threaded program has many",
        ),
        (
            "-R validation-metadata",
            record.validation_metadata.is_some(),
            "nothing is recorded",
        ),
        (
            "-R event-window-size",
            record.event_window_size.is_some(),
            "nothing is recorded",
        ),
        (
            "-W wmemcheck",
            on(wasm.wmemcheck),
            "wmemcheck follows one store, and a threaded program has many",
        ),
        (
            "-W shared-everything-threads",
            on(wasm.shared_everything_threads),
            "Wasmtime 48 does not have that proposal",
        ),
        ("-W component-model", on(wasm.component_model), COMPONENTS),
        (
            "-W async-stack-size",
            wasm.async_stack_size.is_some(),
            "guest threads run on host threads of their own: see --thread-stack-size",
        ),
        (
            "-W async-stack-zeroing",
            on(wasm.async_stack_zeroing),
            "guest threads run on host threads of their own",
        ),
        (
            "--target",
            target.is_some(),
            "this program has the code generator of this machine's processor only",
        ),
    ];
    match refused.into_iter().find(|(_, given, _)| *given) {
        Some((option, _, why)) => Err(Message::usage(format!("`{option}` cannot work here"))
            .why(why)
            .help(match option {
                "-S cwd" => {
                    "leave the option out; `--dir HOST::.` is where a program's relative paths lead"
                }
                "-S inherit-network" | "-S tcp" => {
                    "leave the option out; `-S tcplisten=ADDRESS` gives a listening socket"
                }
                _ => "leave the option out",
            })),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use wasmtime_cli_flags::CommonOptions;

    #[test]
    fn switching_off_what_is_not_there_is_fine() {
        let mut common = CommonOptions::new();
        common.wasi.nn = Some(false);
        common.wasi.inherit_network = Some(false);
        assert!(check(&common).is_ok());
        common.wasi.nn = Some(true);
        let message = check(&common).expect_err("-S nn").to_string();
        assert!(message.contains("`-S nn`"), "{message}");
    }
}
