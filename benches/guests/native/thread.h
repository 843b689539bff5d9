// What tests/guests/include gives a guest, by the same names, on Linux: the same
// source then builds as a native program. Only what the benches use is here.
// Threads are pthreads, waits are futexes, every call is the one system call
// that does the same work.
#pragma once
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

// --- wasi.h -----------------------------------------------------------------
typedef struct { const void *buf; size_t len; } wasi_iovec;
_Static_assert(sizeof(wasi_iovec) == sizeof(struct iovec), "iovec");
typedef struct { uint64_t dev, ino; uint8_t filetype; uint64_t nlink, size, atim, mtim, ctim; } wasi_filestat;
typedef struct { uint8_t filetype; uint16_t flags; uint64_t rights, inheriting; } wasi_fdstat;
#define FDFLAG_APPEND O_APPEND
#define RIGHT_FD_READ 1
#define RIGHT_FD_WRITE 2
#define RIGHTS_FILE (RIGHT_FD_READ | RIGHT_FD_WRITE)
#define wasi_proc_exit exit

static inline int native_size(ssize_t result, uint32_t *out) {
  *out = result < 0 ? 0 : (uint32_t)result;
  return result < 0 ? errno : 0;
}
static inline int wasi_clock_time_get(int id, uint64_t precision, uint64_t *out) {
  struct timespec t;
  (void)precision;
  if (clock_gettime(id, &t)) return errno;
  *out = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
  return 0;
}
static inline int wasi_random_get(void *buf, uint32_t len) { return getrandom(buf, len, 0) == (ssize_t)len ? 0 : EIO; }
static inline int wasi_sched_yield(void) { return sched_yield(); }
static inline int wasi_fd_read(int fd, const wasi_iovec *v, uint32_t n, uint32_t *got) {
  return native_size(readv(fd, (const struct iovec *)v, (int)n), got);
}
static inline int wasi_fd_write(int fd, const wasi_iovec *v, uint32_t n, uint32_t *got) {
  return native_size(writev(fd, (const struct iovec *)v, (int)n), got);
}
static inline int wasi_fd_pread(int fd, const wasi_iovec *v, uint32_t n, uint64_t at, uint32_t *got) {
  return native_size(preadv(fd, (const struct iovec *)v, (int)n, (off_t)at), got);
}
static inline int wasi_fd_pwrite(int fd, const wasi_iovec *v, uint32_t n, uint64_t at, uint32_t *got) {
  return native_size(pwritev(fd, (const struct iovec *)v, (int)n, (off_t)at), got);
}
static inline int wasi_fd_close(int fd) { return close(fd) ? errno : 0; }
static inline int wasi_fd_tell(int fd, uint64_t *out) {
  off_t at = lseek(fd, 0, SEEK_CUR);
  *out = (uint64_t)at;
  return at < 0 ? errno : 0;
}
// One fcntl: type and access mode of an open file do not change.
static inline int wasi_fd_fdstat_get(int fd, wasi_fdstat *out) {
  int flags = fcntl(fd, F_GETFL);
  out->flags = (uint16_t)flags;
  return flags < 0 ? errno : 0;
}
static inline void native_stat(const struct stat *s, wasi_filestat *out) {
  out->dev = s->st_dev;
  out->ino = s->st_ino;
  out->filetype = (uint8_t)(s->st_mode >> 12);
  out->nlink = s->st_nlink;
  out->size = (uint64_t)s->st_size;
  out->atim = (uint64_t)s->st_atim.tv_sec * 1000000000u + (uint64_t)s->st_atim.tv_nsec;
  out->mtim = (uint64_t)s->st_mtim.tv_sec * 1000000000u + (uint64_t)s->st_mtim.tv_nsec;
  out->ctim = (uint64_t)s->st_ctim.tv_sec * 1000000000u + (uint64_t)s->st_ctim.tv_nsec;
}
static inline int wasi_fd_filestat_get(int fd, wasi_filestat *out) {
  struct stat s;
  if (fstat(fd, &s)) return errno;
  native_stat(&s, out);
  return 0;
}
// Paths of the benches are shorter than 256 bytes; the system wants them ended.
#define NATIVE_PATH(name, path, len)                                           \
  char name[256];                                                              \
  if ((len) >= sizeof name) return ENAMETOOLONG;                               \
  memcpy(name, (path), (len));                                                 \
  name[len] = 0
static inline int wasi_path_open(int dir, uint32_t lookup, const char *path, uint32_t len, int oflags,
                                 uint64_t rights, uint64_t inheriting, int fdflags, int *out) {
  NATIVE_PATH(name, path, len);
  (void)lookup, (void)inheriting;
  int mode = rights == RIGHT_FD_READ ? O_RDONLY : O_RDWR;
  if (oflags & O_DIRECTORY) mode = O_RDONLY;
  *out = openat(dir, name, mode | oflags | fdflags | O_CLOEXEC, 0644);
  return *out < 0 ? errno : 0;
}
static inline int wasi_path_unlink_file(int dir, const char *path, uint32_t len) {
  NATIVE_PATH(name, path, len);
  return unlinkat(dir, name, 0) ? errno : 0;
}
static inline int wasi_path_create_directory(int dir, const char *path, uint32_t len) {
  NATIVE_PATH(name, path, len);
  return mkdirat(dir, name, 0755) ? errno : 0;
}
static inline int wasi_path_remove_directory(int dir, const char *path, uint32_t len) {
  NATIVE_PATH(name, path, len);
  return unlinkat(dir, name, AT_REMOVEDIR) ? errno : 0;
}
static inline int wasi_path_rename(int old_dir, const char *old, uint32_t old_len, int dir, const char *path, uint32_t len) {
  NATIVE_PATH(from, old, old_len);
  NATIVE_PATH(to, path, len);
  return renameat(old_dir, from, dir, to) ? errno : 0;
}
static inline int wasi_path_filestat_get(int dir, uint32_t lookup, const char *path, uint32_t len, wasi_filestat *out) {
  NATIVE_PATH(name, path, len);
  struct stat s;
  if (fstatat(dir, name, &s, lookup ? 0 : AT_SYMLINK_NOFOLLOW)) return errno;
  native_stat(&s, out);
  return 0;
}
// Reads a folder from its beginning to its end, as readdir(3) does. An empty answer of the system
// is the end.
static inline int wasi_fd_readdir(int fd, void *buf, uint32_t len, uint64_t cookie, uint32_t *used) {
  if (lseek(fd, (off_t)cookie, SEEK_SET) < 0) return errno;
  ssize_t got = getdents64(fd, buf, len);
  if (got > 0 && getdents64(fd, (char *)buf + got, len - (size_t)got) < 0) return errno;
  return native_size(got, used);
}
static inline int wasi_sock_accept(int fd, uint16_t flags, int *out) {
  *out = accept4(fd, 0, 0, SOCK_CLOEXEC | flags);
  return *out < 0 ? errno : 0;
}
static inline int wasi_sock_recv(int fd, const wasi_iovec *v, uint32_t n, uint16_t flags, uint32_t *got, uint16_t *out_flags) {
  if (n != 1) return EINVAL;
  *out_flags = 0;
  return native_size(recv(fd, (void *)v->buf, v->len, flags), got);
}
static inline int wasi_sock_send(int fd, const wasi_iovec *v, uint32_t n, uint16_t flags, uint32_t *sent) {
  if (n != 1) return EINVAL;
  return native_size(send(fd, v->buf, v->len, flags), sent);
}

// --- base.h -----------------------------------------------------------------
#define format snprintf
#define print(...) (printf(__VA_ARGS__), fflush(stdout))
#define check(cond, ...)                                                       \
  do {                                                                         \
    if (!(cond)) {                                                             \
      fprintf(stderr, "%s:%d: check failed: %s: ", __FILE__, __LINE__, #cond); \
      fprintf(stderr, __VA_ARGS__);                                            \
      fprintf(stderr, "\n");                                                   \
      exit(100);                                                               \
    }                                                                          \
  } while (0)
static inline uint64_t parse_u64(const char *s) { return strtoull(s, 0, 10); }
static inline uint64_t now_ns(void) {
  uint64_t t = 0;
  wasi_clock_time_get(CLOCK_MONOTONIC, 1, &t);
  return t;
}
static inline void *alloc(uint32_t bytes) {
  void *p = aligned_alloc(64, (bytes + 63) & ~63u);
  check(p, "out of memory");
  return p;
}
int guest_main(int argc, char **argv);
int main(int argc, char **argv) { return guest_main(argc, argv); }

// --- thread.h ---------------------------------------------------------------
static inline void futex_wait(const int *at, int expected) {
  syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, expected, 0, 0, 0);
}
static inline void futex_wake(int *at, unsigned count) {
  syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, count > INT32_MAX ? INT32_MAX : (int)count, 0, 0, 0);
}
// The guest's own mutex (Drepper's), not the system library's: a row then
// compares the waits below it and nothing else.
typedef struct { int state; } mutex;
static inline void mutex_lock(mutex *m) {
  int c = 0;
  if (__atomic_compare_exchange_n(&m->state, &c, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) return;
  if (c != 2) c = __atomic_exchange_n(&m->state, 2, __ATOMIC_ACQUIRE);
  while (c) {
    futex_wait(&m->state, 2);
    c = __atomic_exchange_n(&m->state, 2, __ATOMIC_ACQUIRE);
  }
}
static inline void mutex_unlock(mutex *m) {
  if (__atomic_exchange_n(&m->state, 0, __ATOMIC_RELEASE) == 2) futex_wake(&m->state, 1);
}
typedef struct { int seq; } condvar;
static inline void cond_wait(condvar *c, mutex *m) {
  int seq = __atomic_load_n(&c->seq, __ATOMIC_RELAXED);
  mutex_unlock(m);
  futex_wait(&c->seq, seq);
  mutex_lock(m);
}
static inline void cond_signal(condvar *c) {
  __atomic_add_fetch(&c->seq, 1, __ATOMIC_RELAXED);
  futex_wake(&c->seq, 1);
}
static inline void cond_broadcast(condvar *c) {
  __atomic_add_fetch(&c->seq, 1, __ATOMIC_RELAXED);
  futex_wake(&c->seq, -1u);
}

// As in a guest, a join is over when the thread says so, and not when the system has removed the
// thread. So the threads are detached.
struct thread {
  int done;
  void (*fn)(void *);
  void *arg;
};
static void *native_thread_main(void *arg) {
  struct thread *t = arg;
  t->fn(t->arg);
  __atomic_store_n(&t->done, 1, __ATOMIC_RELEASE);
  futex_wake(&t->done, -1u);
  return 0;
}
static inline int thread_start(struct thread *t, void (*fn)(void *), void *arg) {
  pthread_t id;
  pthread_attr_t attributes;
  t->fn = fn;
  t->arg = arg;
  __atomic_store_n(&t->done, 0, __ATOMIC_RELEASE);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  int error = pthread_create(&id, &attributes, native_thread_main, t);
  pthread_attr_destroy(&attributes);
  return error ? -error : 1;
}
static inline void thread_join(struct thread *t) {
  while (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE)) futex_wait(&t->done, 0);
}
