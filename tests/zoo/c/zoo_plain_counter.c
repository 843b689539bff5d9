// `count++` on plain data. Only `--preempt accesses` parts its load and its store.
// Savage et al., "Eraser", TOCS 1997.
#include "zoo.h"

static volatile int count;
static int atomic_count;

static void work(void *unused) {
  (void)unused;
  if (mended) add(&atomic_count, 1);
  else count++;
}

int guest_main(int argc, char **argv) {
  look_at_arguments(argc, argv);
  void (*const threads[])(void *) = {work, work};
  together(2, threads);
  check(count + load(&atomic_count) == 2, "an update was lost");
  return 0;
}
