// The same program for the module (threads of tests/guests/include) and for the host (pthreads and
// futexes), which is what the column `native` runs.
#pragma once
#ifdef __wasm__
#include "thread.h"
#else
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void futex_wait(const int *at, int expected) {
  syscall(SYS_futex, at, FUTEX_WAIT_PRIVATE, expected, NULL);
}
static inline void futex_wake(int *at, unsigned count) {
  syscall(SYS_futex, at, FUTEX_WAKE_PRIVATE, count > 1 << 30 ? 1 << 30 : count);
}
#define check(cond, ...)                                                                          \
  do {                                                                                            \
    if (!(cond)) {                                                                                \
      fprintf(stderr, "check failed: %s: ", #cond);                                               \
      fprintf(stderr, __VA_ARGS__);                                                               \
      exit(100);                                                                                  \
    }                                                                                             \
  } while (0)
struct thread {
  pthread_t id;
  void (*fn)(void *);
  void *arg;
};
static void *thread_entry(void *thread) {
  struct thread *t = thread;
  t->fn(t->arg);
  return NULL;
}
static inline int thread_start(struct thread *t, void (*fn)(void *), void *arg) {
  t->fn = fn;
  t->arg = arg;
  return pthread_create(&t->id, NULL, thread_entry, t) ? -1 : 1;
}
static inline void thread_join(struct thread *t) { pthread_join(t->id, NULL); }
int guest_main(int argc, char **argv);
int main(int argc, char **argv) { return guest_main(argc, argv); }
#endif

#define load(at) __atomic_load_n(at, __ATOMIC_SEQ_CST)
#define store(at, value) __atomic_store_n(at, value, __ATOMIC_SEQ_CST)
#define add(at, value) __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST)
#define exchange(at, value) __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST)

// What was there.
static inline int swap_if(int *at, int expected, int value) {
  __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}

// Whether the program is to be the mended one: its first argument.
static bool mended;
static inline void look_at_arguments(int argc, char **argv) {
  mended = argc > 1 && strcmp(argv[1], "mended") == 0;
}

// Runs each function on a thread of its own, and waits for all.
#define MOST_THREADS 4
static inline void together(int count, void (*const *functions)(void *)) {
  static struct thread threads[MOST_THREADS];
  for (int at = 0; at < count; at++)
    check(thread_start(&threads[at], functions[at], NULL) > 0, "no thread %d", at);
  for (int at = 0; at < count; at++) thread_join(&threads[at]);
}
