// A mutex of three states that forgets, when it is taken after a wait, that others may wait as
// well. Drepper, "Futexes are tricky", 2011, section 6 ("Mutex, take 2" says why it must be 2).
#include "zoo.h"

// 0 free, 1 held, 2 held and there may be waiters.
static int state;

static void lock(void) {
  int was = swap_if(&state, 0, 1);
  while (was != 0) {
    if (was == 2 || swap_if(&state, 1, 2) != 0) futex_wait(&state, 2);
    was = swap_if(&state, 0, mended ? 2 : 1);
  }
}
static void unlock(void) {
  if (exchange(&state, 0) == 2) futex_wake(&state, 1);
}

static int inside;
static void work(void *unused) {
  (void)unused;
  lock();
  check(add(&inside, 1) == 0, "two are inside");
  add(&inside, -1);
  unlock();
}

int guest_main(int argc, char **argv) {
  look_at_arguments(argc, argv);
  void (*const threads[])(void *) = {work, work, work};
  together(3, threads);
  return 0;
}
