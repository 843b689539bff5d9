//! The 46 functions: their names, parameters and results, and which of them may have to wait.

/// Hands every function to the macro `$each`: whether it may have to wait, its name, its parameters
/// and its result.
macro_rules! functions {
    ($each:ident) => {
        $each! {
                now args_get(argv: i32, buf: i32) -> i32;
                now args_sizes_get(count: i32, size: i32) -> i32;
                now environ_get(environ: i32, buf: i32) -> i32;
                now environ_sizes_get(count: i32, size: i32) -> i32;
                now clock_res_get(id: i32, out: i32) -> i32;
                now clock_time_get(id: i32, precision: i64, out: i32) -> i32;
                now fd_advise(fd: i32, offset: i64, len: i64, advice: i32) -> i32;
                now fd_allocate(fd: i32, offset: i64, len: i64) -> i32;
                now fd_close(fd: i32) -> i32;
                now fd_datasync(fd: i32) -> i32;
                now fd_fdstat_get(fd: i32, out: i32) -> i32;
                now fd_fdstat_set_flags(fd: i32, flags: i32) -> i32;
                now fd_fdstat_set_rights(fd: i32, base: i64, inheriting: i64) -> i32;
                now fd_filestat_get(fd: i32, out: i32) -> i32;
                now fd_filestat_set_size(fd: i32, size: i64) -> i32;
                now fd_filestat_set_times(fd: i32, atim: i64, mtim: i64, flags: i32) -> i32;
                now fd_pread(fd: i32, iovs: i32, count: i32, offset: i64, out: i32) -> i32;
                now fd_prestat_get(fd: i32, out: i32) -> i32;
                now fd_prestat_dir_name(fd: i32, path: i32, len: i32) -> i32;
                now fd_pwrite(fd: i32, iovs: i32, count: i32, offset: i64, out: i32) -> i32;
                wait fd_read(fd: i32, iovs: i32, count: i32, out: i32) -> i32;
                now fd_readdir(fd: i32, buf: i32, len: i32, cookie: i64, out: i32) -> i32;
                now fd_renumber(from: i32, to: i32) -> i32;
                now fd_seek(fd: i32, offset: i64, whence: i32, out: i32) -> i32;
                now fd_sync(fd: i32) -> i32;
                now fd_tell(fd: i32, out: i32) -> i32;
                wait fd_write(fd: i32, iovs: i32, count: i32, out: i32) -> i32;
                now path_create_directory(fd: i32, path: i32, len: i32) -> i32;
                now path_filestat_get(fd: i32, flags: i32, path: i32, len: i32, out: i32) -> i32;
                now path_filestat_set_times(fd: i32, lookup: i32, path: i32, len: i32, atim: i64, mtim: i64, flags: i32) -> i32;
                now path_link(old_fd: i32, flags: i32, old: i32, old_len: i32, new_fd: i32, new: i32, new_len: i32) -> i32;
                now path_open(fd: i32, lookup: i32, path: i32, len: i32, oflags: i32, base: i64, inheriting: i64, flags: i32, out: i32) -> i32;
                now path_readlink(fd: i32, path: i32, len: i32, buf: i32, buf_len: i32, out: i32) -> i32;
                now path_remove_directory(fd: i32, path: i32, len: i32) -> i32;
                now path_rename(old_fd: i32, old: i32, old_len: i32, new_fd: i32, new: i32, new_len: i32) -> i32;
                now path_symlink(old: i32, old_len: i32, fd: i32, new: i32, new_len: i32) -> i32;
                now path_unlink_file(fd: i32, path: i32, len: i32) -> i32;
                wait poll_oneoff(subscriptions: i32, events: i32, count: i32, out: i32) -> i32;
                now proc_exit(code: i32);
                now proc_raise(signal: i32) -> i32;
                now sched_yield() -> i32;
                now random_get(buf: i32, len: i32) -> i32;
                wait sock_accept(fd: i32, flags: i32, out: i32) -> i32;
                wait sock_recv(fd: i32, iovs: i32, count: i32, flags: i32, size: i32, out_flags: i32) -> i32;
                wait sock_send(fd: i32, iovs: i32, count: i32, flags: i32, out: i32) -> i32;
                now sock_shutdown(fd: i32, how: i32) -> i32;
        }
    };
}
pub(super) use functions;

/// Whether a function may have to wait.
macro_rules! waits {
    (now) => {
        false
    };
    (wait) => {
        true
    };
}
pub(super) use waits;
