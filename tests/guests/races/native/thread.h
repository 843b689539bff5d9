// What the programs with races need, on a native system: for its own ThreadSanitizer
// (scripts/races-native.py).
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#define check(holds, ...) \
  do { \
    if (!(holds)) { \
      fprintf(stderr, __VA_ARGS__); \
      exit(1); \
    } \
  } while (0)

static inline void sleep_ns(uint64_t ns) {
  struct timespec time = {0, (long)ns};
  nanosleep(&time, 0);
}

typedef struct { void *buf; size_t len; } wasi_iovec;
static inline int wasi_fd_read(int fd, const wasi_iovec *v, int count, uint32_t *got) {
  ssize_t n = readv(fd, (const struct iovec *)v, count);
  *got = n < 0 ? 0 : (uint32_t)n;
  return n < 0;
}
static inline int wasi_fd_write(int fd, const wasi_iovec *v, int count, uint32_t *got) {
  ssize_t n = writev(fd, (const struct iovec *)v, count);
  *got = n < 0 ? 0 : (uint32_t)n;
  return n < 0;
}

// As on the guest, of atomics; a thread that would wait sleeps for a moment.
typedef struct { int state; } mutex;
static inline void mutex_lock(mutex *m) {
  int c = 0;
  while (!__atomic_compare_exchange_n(&m->state, &c, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    c = 0;
    sleep_ns(1000);
  }
}
static inline void mutex_unlock(mutex *m) { __atomic_store_n(&m->state, 0, __ATOMIC_RELEASE); }
typedef struct { int seq; } condvar;
static inline void cond_broadcast(condvar *c) { __atomic_add_fetch(&c->seq, 1, __ATOMIC_RELAXED); }

struct thread {
  pthread_t thread;
  bool joined;
  void (*fn)(void *);
  void *arg;
};
static void *native_main(void *of) {
  struct thread *t = of;
  t->fn(t->arg);
  return 0;
}
static inline int thread_start(struct thread *t, void (*fn)(void *), void *arg) {
  t->fn = fn;
  t->arg = arg;
  t->joined = false;
  return pthread_create(&t->thread, 0, native_main, t) ? -1 : 1;
}
static inline void thread_join(struct thread *t) {
  if (!t->joined) pthread_join(t->thread, 0);
  t->joined = true;
}

int guest_main(int argc, char **argv);
int main(int argc, char **argv) { return guest_main(argc, argv); }
