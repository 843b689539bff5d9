// A plain pointer that is set before what it points at. Only `--preempt accesses` parts the two.
// Boehm and Adve, "You don't know jack about shared variables or memory models", CACM 2012.
#include "zoo.h"

static struct { volatile int value; } box;
static volatile int ready;
static int published;

static void make(void *unused) {
  (void)unused;
  if (mended) {
    box.value = 7;
    store(&published, 1);
  } else {
    ready = 1;
    box.value = 7;
  }
}
static void look(void *unused) {
  (void)unused;
  bool there = mended ? load(&published) : ready;
  if (there) check(box.value == 7, "published, but not there");
}

int guest_main(int argc, char **argv) {
  look_at_arguments(argc, argv);
  void (*const threads[])(void *) = {make, look};
  together(2, threads);
  return 0;
}
