//! The 46 functions and a module with a trampoline for each.

use std::fmt::Write as _;

/// Every function and its parameters; all but `proc_exit` return an errno.
pub(crate) const FUNCTIONS: [(&str, &str); 46] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("sched_yield", ""),
    ("random_get", "ii"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

/// The module's text, with `memory` as what declares its memory.
pub(crate) fn text(memory: &str) -> String {
    text_of("wasi_snapshot_preview1", memory)
}

/// As [`text`], for another module of functions with the same names and types.
pub(crate) fn text_of(module: &str, memory: &str) -> String {
    let mut imports = String::new();
    let mut bodies = String::new();
    for (name, params) in FUNCTIONS {
        if (module, name) == ("wasi_unstable", "sock_accept") {
            continue;
        }
        let types: Vec<_> = params
            .chars()
            .map(|c| if c == 'I' { "i64" } else { "i32" })
            .collect();
        let types = types.join(" ");
        let result = if name == "proc_exit" {
            ""
        } else {
            "(result i32)"
        };
        writeln!(
            imports,
            r#"(import "{module}" "{name}" (func ${name} (param {types}) {result}))"#
        )
        .unwrap();
        let mut gets = String::new();
        for i in 0..params.len() {
            write!(gets, "(local.get {i})").unwrap();
        }
        writeln!(
            bodies,
            r#"(func (export "{name}") (param {types}) {result} (call ${name} {gets}))"#
        )
        .unwrap();
    }
    format!("(module {imports} {memory} {bodies})")
}
