// A condition variable that reads its sequence number after it has given the lock back: a signal in
// between is lost. Birrell, "Implementing condition variables with semaphores", 2003; glibc bug
// 13165 has signals that are lost in pthread_cond_wait.
#include "zoo.h"

static int lock_word, sequence, ready;

static void lock(void) {
  while (exchange(&lock_word, 2) != 0) futex_wait(&lock_word, 2);
}
static void unlock(void) {
  if (exchange(&lock_word, 0) == 2) futex_wake(&lock_word, 1);
}

static void wait_for_it(void *unused) {
  (void)unused;
  lock();
  while (!ready) {
    int seen = load(&sequence);
    unlock();
    if (!mended) seen = load(&sequence);
    futex_wait(&sequence, seen);
    lock();
  }
  unlock();
}
static void make_it(void *unused) {
  (void)unused;
  lock();
  ready = 1;
  unlock();
  add(&sequence, 1);
  futex_wake(&sequence, 1);
}

int guest_main(int argc, char **argv) {
  look_at_arguments(argc, argv);
  void (*const threads[])(void *) = {wait_for_it, make_it};
  together(2, threads);
  return 0;
}
