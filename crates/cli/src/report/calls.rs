//! Which WASI call each thread is in, for reports and for threads that are left behind.
//!
//! A call is noted for the functions that may wait, and usually only for these. That costs two
//! stores for each call, without a clock or a lock. The group keeps the note
//! (`wasi_threads::note_host_call`); this file decides what is noted, under which names.

use p1_adapter::{CallObserver, CallOutcome};
use wasi_threads::{note_host_call, time_host_call};

/// Gives each function of WASI its number.
macro_rules! numbered {
    ($($number:literal $name:literal)*) => {
        /// The functions of WASI. The number that is noted is the index here plus 1.
        pub(crate) const NAMES: [&str; 46] = [$($name),*];

        /// The index in [`NAMES`] plus 1; 0 for a name that is not in it. A `match` compares
        /// lengths first, and so only few names.
        fn number(function: &str) -> u16 {
            match function {
                $($name => $number,)*
                _ => 0,
            }
        }
    };
}

// First the functions that may take long, because they wait for another thread, a process or a
// disk.
numbered! {
    1 "fd_read"
    2 "fd_write"
    3 "poll_oneoff"
    4 "sock_accept"
    5 "sock_recv"
    6 "sock_send"
    7 "fd_allocate"
    8 "fd_close"
    9 "fd_datasync"
    10 "fd_filestat_get"
    11 "fd_filestat_set_size"
    12 "fd_filestat_set_times"
    13 "fd_pread"
    14 "fd_pwrite"
    15 "fd_readdir"
    16 "fd_sync"
    17 "path_create_directory"
    18 "path_filestat_get"
    19 "path_filestat_set_times"
    20 "path_link"
    21 "path_open"
    22 "path_readlink"
    23 "path_remove_directory"
    24 "path_rename"
    25 "path_symlink"
    26 "path_unlink_file"
    27 "args_get"
    28 "args_sizes_get"
    29 "clock_res_get"
    30 "clock_time_get"
    31 "environ_get"
    32 "environ_sizes_get"
    33 "fd_advise"
    34 "fd_fdstat_get"
    35 "fd_fdstat_set_flags"
    36 "fd_fdstat_set_rights"
    37 "fd_prestat_dir_name"
    38 "fd_prestat_get"
    39 "fd_renumber"
    40 "fd_seek"
    41 "fd_tell"
    42 "proc_exit"
    43 "proc_raise"
    44 "random_get"
    45 "sched_yield"
    46 "sock_shutdown"
}

/// How many of the first functions a profile times.
const LONG: u16 = 26;

/// Notes which of the calls in [`NAMES`] the calling thread is in, so that reports have it.
#[derive(Debug)]
pub(crate) struct Noting {
    /// Whether there is a profile: then all calls are noted, and some are timed.
    pub(crate) timed: bool,
}

impl Noting {
    fn note(&self, function: u16, number: u16) -> u16 {
        match self.timed && function <= LONG {
            true => time_host_call(number),
            false => note_host_call(number),
        }
    }
}

impl CallObserver for Noting {
    fn started(&self, function: &'static str) -> u64 {
        let number = number(function);
        self.note(number, number).into()
    }

    fn ended(&self, function: &'static str, before: u64, _: CallOutcome<'_>) {
        self.note(number(function), before as u16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_list() {
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(usize::from(number(name)), index + 1);
        }
        assert_eq!(number("fd_none"), 0);
        assert_eq!(NAMES[usize::from(LONG)], "args_get");
    }
}
