// What the bench guests share. Each is built three ways from one source:
//   threaded  wasm32, imports a shared memory       (tests/guests/include)
//   single    wasm32, own memory, no threads: -DSINGLE
//   native    Linux, pthreads and system calls      (native/thread.h)
// and prints one line, `NAME THREADS OPS NANOSECONDS CHECK`: the time of all OPS
// of all threads together, and a value that must be the same on every host.
#pragma once
#include <thread.h>

#ifdef __wasm__
WASI(sched_yield) wasi_sched_yield(void);
WASI(fd_pwrite) wasi_fd_pwrite(int fd, const wasi_iovec *v, uint32_t n, uint64_t at, uint32_t *got);
WASI(fd_tell) wasi_fd_tell(int fd, uint64_t *out);
WASI(fd_fdstat_get) wasi_fd_fdstat_get(int fd, wasi_fdstat *out);
WASI(path_create_directory) wasi_path_create_directory(int dir, const char *path, uint32_t len);
WASI(path_remove_directory) wasi_path_remove_directory(int dir, const char *path, uint32_t len);
WASI(path_rename) wasi_path_rename(int old_dir, const char *old, uint32_t old_len, int dir, const char *path, uint32_t len);
WASI(sock_accept) wasi_sock_accept(int fd, uint16_t flags, int *out);
WASI(sock_recv) wasi_sock_recv(int fd, const wasi_iovec *v, uint32_t n, uint16_t flags, uint32_t *got, uint16_t *out_flags);
WASI(sock_send) wasi_sock_send(int fd, const wasi_iovec *v, uint32_t n, uint16_t flags, uint32_t *sent);
// The first preopened folder.
static inline int work_dir(void) { return 3; }
#else
static inline int work_dir(void) {
  static int dir = -1;
  if (dir < 0) dir = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(dir >= 0, "cannot open the current folder");
  return dir;
}
#endif

#define MAX_THREADS 64
#define FOLLOW 1
// A folder's own rights: to read it, list it, and open and look at what is in it.
#ifdef __wasm__
#define RIGHTS_FOLDER (RIGHT_FD_READ | 1ull << 13 | 1ull << 14 | 1ull << 18)
#else
#define RIGHTS_FOLDER RIGHT_FD_READ
#endif

static inline wasi_iovec iovec_of(const void *buf, uint32_t len) { return (wasi_iovec){buf, len}; }
static inline int open_at(int dir, const char *path, int oflags, uint64_t rights, int fdflags) {
  int fd = -1;
  int error = wasi_path_open(dir, FOLLOW, path, (uint32_t)strlen(path), oflags, rights, RIGHTS_FILE, fdflags, &fd);
  check(error == 0, "%s: errno %d", path, error);
  return fd;
}
static inline int open_new(const char *path) { return open_at(work_dir(), path, O_CREAT | O_TRUNC, RIGHTS_FILE, 0); }
static inline void close_fd(int fd) {
  int error = wasi_fd_close(fd);
  check(error == 0, "fd_close: errno %d", error);
}
static inline void pwrite_all(int fd, const void *buf, uint32_t len, uint64_t at) {
  wasi_iovec v = iovec_of(buf, len);
  uint32_t n = 0;
  int error = wasi_fd_pwrite(fd, &v, 1, at, &n);
  check(error == 0 && n == len, "fd_pwrite: errno %d, %u of %u bytes", error, n, len);
}
static inline void pread_all(int fd, void *buf, uint32_t len, uint64_t at) {
  wasi_iovec v = iovec_of(buf, len);
  uint32_t n = 0;
  int error = wasi_fd_pread(fd, &v, 1, at, &n);
  check(error == 0 && n == len, "fd_pread: errno %d, %u of %u bytes", error, n, len);
}
static inline void append_all(int fd, const void *buf, uint32_t len) {
  wasi_iovec v = iovec_of(buf, len);
  uint32_t n = 0;
  int error = wasi_fd_write(fd, &v, 1, &n);
  check(error == 0 && n == len, "fd_write: errno %d, %u of %u bytes", error, n, len);
}

// Marsaglia's xorshift64: the same numbers on every host.
static inline uint64_t next_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}
// FNV-1a over bytes, continued from `hash`.
#define FNV_START 0xcbf29ce484222325ull
static inline uint64_t fnv(uint64_t hash, const void *bytes, size_t len) {
  for (const unsigned char *p = bytes; len--; p++) hash = (hash ^ *p) * 0x100000001b3ull;
  return hash;
}

// Runs `body(number)` on `threads` threads at once and returns the nanoseconds
// from releasing them to the last one's end. Starting them is not in it.
static struct team {
  struct thread thread;
  void (*body)(int);
  int number;
} team[MAX_THREADS];
static int team_ready, team_go;

static inline void team_member(void *arg) {
  struct team *me = arg;
  __atomic_add_fetch(&team_ready, 1, __ATOMIC_SEQ_CST);
  futex_wake(&team_ready, 1);
  while (!__atomic_load_n(&team_go, __ATOMIC_ACQUIRE)) futex_wait(&team_go, 0);
  me->body(me->number);
}
static inline uint64_t run_team(int threads, void (*body)(int)) {
#ifdef SINGLE
  check(threads == 1, "this build has no threads");
  uint64_t begin = now_ns();
  body(0);
  return now_ns() - begin;
#else
  team_ready = team_go = 0;
  for (int i = 0; i < threads; i++) {
    team[i].body = body;
    team[i].number = i;
    int started = thread_start(&team[i].thread, team_member, &team[i]);
    check(started > 0, "thread %d did not start: %d", i, started);
  }
  for (int ready; (ready = __atomic_load_n(&team_ready, __ATOMIC_ACQUIRE)) != threads;) futex_wait(&team_ready, ready);
  uint64_t begin = now_ns();
  __atomic_store_n(&team_go, 1, __ATOMIC_RELEASE);
  futex_wake(&team_go, -1u);
  for (int i = 0; i < threads; i++) thread_join(&team[i].thread);
  return now_ns() - begin;
#endif
}

static inline void report(const char *name, int threads, uint64_t ops, uint64_t ns, uint64_t check_value) {
  print("%s %d %llu %llu %llx\n", name, threads, (unsigned long long)ops, (unsigned long long)ns,
        (unsigned long long)check_value);
}
