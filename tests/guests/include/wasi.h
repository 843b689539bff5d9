// The part of wasi_snapshot_preview1 (witx) that the guests use, and
// wasi-threads' thread-spawn. Layouts are those of the wasm32 ABI.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define WASI(name) \
  __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name))) int

typedef struct { const void *buf; uint32_t len; } wasi_iovec;
typedef struct { uint64_t dev, ino; uint8_t filetype; uint64_t nlink, size, atim, mtim, ctim; } wasi_filestat;
typedef struct { uint64_t next, ino; uint32_t namlen; uint8_t type; } wasi_dirent;
typedef struct { uint8_t filetype; uint16_t flags; uint64_t rights, inheriting; } wasi_fdstat;

// One clock subscription of poll_oneoff (the union's largest member).
typedef struct {
  uint64_t userdata;
  uint8_t tag;  // 0 clock, 1 fd_read, 2 fd_write
  union {
    struct { uint32_t id; uint64_t timeout, precision; uint16_t flags; } clock;
    struct { uint32_t fd; } fd;
  };
} wasi_subscription;
typedef struct {
  uint64_t userdata;
  uint16_t error;
  uint8_t type;
  struct { uint64_t nbytes; uint16_t flags; } fd_readwrite;
} wasi_event;
_Static_assert(sizeof(wasi_filestat) == 64, "filestat");
_Static_assert(sizeof(wasi_dirent) == 24, "dirent");
_Static_assert(sizeof(wasi_fdstat) == 24, "fdstat");
_Static_assert(sizeof(wasi_subscription) == 48, "subscription");
_Static_assert(sizeof(wasi_event) == 32, "event");

enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1 };
enum { O_CREAT = 1, O_DIRECTORY = 2, O_EXCL = 4, O_TRUNC = 8 };
enum { FDFLAG_APPEND = 1, FDFLAG_DSYNC = 2, FDFLAG_NONBLOCK = 4 };
enum { EAGAIN = 6, EBADF = 8, EEXIST = 20, EINVAL = 28, EISDIR = 31, ENOENT = 44, ENOTDIR = 54, ENOTEMPTY = 55 };

#define RIGHT_FD_READ (1ull << 1)
#define RIGHT_FD_WRITE (1ull << 6)
// Everything a file may be opened with: the host cuts it down to what the
// preopen allows.
#define RIGHTS_FILE                                                            \
  ((1ull << 0) | (1ull << 1) | (1ull << 2) | (1ull << 3) | (1ull << 4) |       \
   (1ull << 5) | (1ull << 6) | (1ull << 7) | (1ull << 8) | (1ull << 21) |      \
   (1ull << 22) | (1ull << 23) | (1ull << 27))

WASI(args_sizes_get) wasi_args_sizes_get(uint32_t *argc, uint32_t *bytes);
WASI(args_get) wasi_args_get(char **argv, char *buf);
WASI(clock_time_get) wasi_clock_time_get(int id, uint64_t precision, uint64_t *out);
WASI(random_get) wasi_random_get(void *buf, uint32_t len);
WASI(sched_yield) wasi_sched_yield(void);
WASI(fd_read) wasi_fd_read(int fd, const wasi_iovec *v, uint32_t n, uint32_t *got);
WASI(fd_write) wasi_fd_write(int fd, const wasi_iovec *v, uint32_t n, uint32_t *got);
WASI(fd_pread) wasi_fd_pread(int fd, const wasi_iovec *v, uint32_t n, uint64_t at, uint32_t *got);
WASI(fd_close) wasi_fd_close(int fd);
WASI(fd_filestat_get) wasi_fd_filestat_get(int fd, wasi_filestat *out);
WASI(fd_readdir) wasi_fd_readdir(int fd, void *buf, uint32_t len, uint64_t cookie, uint32_t *used);
WASI(path_open) wasi_path_open(int dir, uint32_t lookup, const char *path, uint32_t len, uint16_t oflags,
                               uint64_t rights, uint64_t inheriting, uint16_t fdflags, int *out);
WASI(path_unlink_file) wasi_path_unlink_file(int dir, const char *path, uint32_t len);
WASI(path_filestat_get) wasi_path_filestat_get(int dir, uint32_t lookup, const char *path, uint32_t len, wasi_filestat *out);
WASI(poll_oneoff) wasi_poll_oneoff(const wasi_subscription *in, wasi_event *out, uint32_t n, uint32_t *events);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("proc_exit")))
_Noreturn void wasi_proc_exit(uint32_t code);

__attribute__((import_module("wasi"), import_name("thread-spawn")))
int wasi_thread_spawn(void *start_arg);
