// The address of a loop's variable is given to each thread: it reads what the loop has made of it
// meanwhile. Barney, "POSIX threads programming", LLNL ("Example 3 - thread argument passing
// (incorrect)").
#include "zoo.h"

static int seen[4];
static int ids[4] = {0, 1, 2, 3};

static void work(void *arg) { add(&seen[*(volatile int *)arg], 1); }

int guest_main(int argc, char **argv) {
  look_at_arguments(argc, argv);
  static struct thread threads[3];
  static int at;
  for (at = 0; at < 3; at++)
    check(thread_start(&threads[at], work, mended ? &ids[at] : &at) > 0, "no thread");
  for (int t = 0; t < 3; t++) thread_join(&threads[t]);
  for (int t = 0; t < 3; t++) check(load(&seen[t]) == 1, "%d ran as number %d", load(&seen[t]), t);
  return 0;
}
