// What the programs with races have in common: two threads beside main, a lock or two, and a flag.
#pragma once
#include "thread.h"

// Whether the fault is mended.
static bool mended;

static mutex lock, other_lock;
static int flag;
static struct thread one, two;

// The compiler must not put an access where another function has it, nor leave one out.
#define APART __attribute__((noinline))
#define PEEK(place) (*(volatile __typeof__(place) *)&(place))

static inline void start(struct thread *t, void (*fn)(void *), void *arg) {
  int tid = thread_start(t, fn, arg);
  check(tid > 0, "thread-spawn: %d", tid);
}
static inline void both(void (*first)(void *), void (*second)(void *)) {
  start(&one, first, 0);
  start(&two, second, 0);
  thread_join(&one);
  thread_join(&two);
}
static inline void set(int *at, int value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }
static inline int get(int *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
static inline void wait_for(int *at, int value) {
  while (get(at) != value) sleep_ns(1000);
}

static inline void wait_until_at_least(int *at, int value) {
  while (get(at) < value) sleep_ns(1000);
}

struct race_case {
  const char *name;
  void (*run)(void);
};
