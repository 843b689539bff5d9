// Races about locks that are missing, wrong, or given back too early.
#pragma once
#include "cases.h"

static int counter;
static APART void increment(void) { counter++; }

// No lock at all.
static void count(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  increment();
  if (mended) mutex_unlock(&lock);
}
static void lost_update(void) { both(count, count); }

// One path forgets it.
static void count_unlocked(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  increment();
  if (mended) mutex_unlock(&lock);
}
static void count_locked(void *unused) {
  (void)unused;
  mutex_lock(&lock);
  increment();
  mutex_unlock(&lock);
}
static void one_path(void) { both(count_locked, count_unlocked); }

// The two take different ones.
static void count_with_other(void *unused) {
  (void)unused;
  mutex *m = mended ? &lock : &other_lock;
  mutex_lock(m);
  increment();
  mutex_unlock(m);
}
static void wrong_lock(void) { both(count_locked, count_with_other); }

// The last look is behind the unlock.
static int seen[2];
static APART int look(void) { return PEEK(counter); }
static void count_and_look(void *at) {
  mutex_lock(&lock);
  increment();
  if (mended) *(int *)at = look();
  mutex_unlock(&lock);
  if (!mended) *(int *)at = look();
}
static void after_unlock(void) {
  start(&one, count_and_look, &seen[0]);
  start(&two, count_and_look, &seen[1]);
  thread_join(&one);
  thread_join(&two);
}

// A lock that is given back by a plain store.
static int spin;
static APART void plain_release(void) { PEEK(spin) = 0; }
static void count_spinning(void *unused) {
  (void)unused;
  int free = 0;
  while (!__atomic_compare_exchange_n(&spin, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
    free = 0;
    sleep_ns(1000);
  }
  increment();
  if (mended) set(&spin, 0);
  else plain_release();
}
static void plain_unlock(void) { both(count_spinning, count_spinning); }

// Readers share; one of them writes.
static int readers, writer;
static void share(void) {
  for (;;) {
    mutex_lock(&lock);
    bool in = !writer;
    readers += in;
    mutex_unlock(&lock);
    if (in) return;
    sleep_ns(1000);
  }
}
static void leave(void) {
  mutex_lock(&lock);
  readers--;
  mutex_unlock(&lock);
}
static void exclude(void) {
  for (;;) {
    mutex_lock(&lock);
    bool in = !writer && !readers;
    writer = in || writer;
    mutex_unlock(&lock);
    if (in) return;
    sleep_ns(1000);
  }
}
static void leave_alone(void) {
  mutex_lock(&lock);
  writer = 0;
  mutex_unlock(&lock);
}
static void count_shared(void *unused) {
  (void)unused;
  if (mended) exclude();
  else share();
  // The other one gets in.
  sleep_ns(1000);
  increment();
  if (mended) leave_alone();
  else leave();
}
static void write_as_reader(void) { both(count_shared, count_shared); }

// What a condition variable waits for is set without the lock.
static int ready;
static condvar changed;
static APART void set_ready(void) { ready = 1; }
static APART int is_ready(void) { return PEEK(ready); }
static void announce(void *unused) {
  (void)unused;
  if (mended) mutex_lock(&lock);
  set_ready();
  if (mended) mutex_unlock(&lock);
  cond_broadcast(&changed);
}
static void await(void *unused) {
  (void)unused;
  for (int tries = 0; tries < 3; tries++) {
    mutex_lock(&lock);
    int found = is_ready();
    mutex_unlock(&lock);
    if (found) return;
    sleep_ns(1000);
  }
}
static void predicate_unlocked(void) { both(announce, await); }

// Counting owners without an atomic.
static int owners = 2;
static APART int drop_owner(void) { return --PEEK(owners); }
static void disown(void *unused) {
  (void)unused;
  if (mended) __atomic_sub_fetch(&owners, 1, __ATOMIC_ACQ_REL);
  else drop_owner();
}
static void reference_count(void) { both(disown, disown); }
