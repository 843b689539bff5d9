// Threads, mutexes, condition variables and barriers on wasi-threads and the
// wait and notify instructions.
#pragma once
#include "base.h"

static inline void futex_wait(const int *at, int expected) {
  __builtin_wasm_memory_atomic_wait32((int *)at, expected, -1);
}
static inline void futex_wake(int *at, unsigned count) {
  __builtin_wasm_memory_atomic_notify(at, count);
}

// Drepper, "Futexes are tricky": 0 free, 1 held, 2 held and there may be waiters.
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

// A sequence number: a waiter sleeps while it stays the same.
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

// The first two fields are known to start.S.
struct thread {
  void *stack_top;
  int done;
  void (*fn)(void *);
  void *arg;
  int tid;
};
#ifndef THREAD_STACK
#define THREAD_STACK 16384
#endif

// Starts `fn(arg)` on a new thread; returns thread-spawn's result. A `struct
// thread` (and its stack) may be used again after its join.
static inline int thread_start(struct thread *t, void (*fn)(void *), void *arg) {
  if (!t->stack_top) t->stack_top = (char *)alloc(THREAD_STACK) + THREAD_STACK;
  t->fn = fn;
  t->arg = arg;
  __atomic_store_n(&t->done, 0, __ATOMIC_RELEASE);
  return wasi_thread_spawn(t);
}
static inline void thread_join(struct thread *t) {
  while (!__atomic_load_n(&t->done, __ATOMIC_ACQUIRE)) futex_wait(&t->done, 0);
}
void guest_thread_main(int tid, struct thread *t) {
  t->tid = tid;
  t->fn(t->arg);
}
